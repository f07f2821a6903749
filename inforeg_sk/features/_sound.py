"""One recording: read (or taken as a waveform), checked, mixed, resampled and cut to length."""

import os
import stat
from pathlib import PurePath

import numpy as np

__all__ = ["BadSample", "describe", "load"]

ACCEPTED = "expected a path to an audio file readable by soundfile (WAV, FLAC, OGG, MP3, ...)"
# Seconds read beyond what is kept. The resampling filter, which reaches less than 0.1 s, then sees
# past the cut, so that a cut recording has the same samples as one that is resampled whole.
_MARGIN = 0.25
# A file written to a pipe has one of these sizes in its header, since its length was not yet known:
# 0, or as large as can be.
_UNKNOWN_SIZE = (0, 0x7FFFF000)


class BadSample(ValueError):
    """A recording that cannot be used; the message says why and what is expected."""


def describe(index, item):
    """Name a sample in an error: its position, and its path if it has one."""
    if not isinstance(item, (str, PurePath)):
        return f"Sample {index}"
    text = str(item)
    if len(text) > 200:  # a text given as a path may have any length
        text = f"{text[:100]}...{text[-80:]}"
    return f"Sample {index} ({text!r})"


def load(item, *, sample_rate, duration, short, silence, waveform_rate):
    """Return the samples of one recording.

    Parameters
    ----------
    item : str, pathlib.Path or array of shape (n_samples_in,)
        Path of a sound file, or a waveform.
    sample_rate : int
        Of the result, in Hz.
    duration : float
        Of the result, in seconds.
    short : {"pad", "tile", "error"}
    silence : {"error", "allow"}
    waveform_rate : int or None
        Sampling rate of waveforms, in Hz.

    Returns
    -------
    ndarray of shape (round(duration * sample_rate),), float32

    Raises
    ------
    BadSample
        If the recording cannot be used.
    TypeError
        If `item` can be neither a path nor a waveform.
    """
    if isinstance(item, (str, PurePath)):
        sound, rate = _read(item, duration)
    else:
        sound, rate = _take(item, waveform_rate), waveform_rate
        sound = sound[: _n_needed(duration, rate)]
    if len(sound) == 0:
        raise BadSample("it holds no samples (0 seconds); expected a recording with sound")
    if not np.isfinite(sound).all():
        at = int(np.argmin(np.isfinite(sound)))
        raise BadSample(
            f"its waveform holds NaN or infinity (first at {at / rate:.3f} s); expected finite "
            "values"
        )
    if rate != sample_rate:
        sound = (
            _librosa()
            .resample(sound, orig_sr=rate, target_sr=sample_rate, res_type="soxr_hq")
            .astype(np.float32, copy=False)
        )
    sound = _to_length(sound, round(duration * sample_rate), sample_rate, short)
    if silence == "error" and sound.min() == sound.max():
        raise BadSample(
            f"it is silent: all samples of its {duration:g} s are {sound[0]:g}; expected a "
            "recording with sound (silence='allow' accepts silent ones)"
        )
    return sound


def _librosa():
    import librosa  # slow to import, and optional

    return librosa


def _n_needed(duration, rate):
    return int(np.ceil((duration + _MARGIN) * rate))


def _read(path, duration):
    """Return the start of a file, mixed to mono, and its sampling rate."""
    import soundfile

    _check_file(path)
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            rate, promised, format_ = file.samplerate, file.frames, file.format
            needed = min(_n_needed(duration, rate), promised)
            sound = file.read(needed, dtype="float32", always_2d=True)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise BadSample(
            f"it cannot be read: it is broken or not an audio file ({error}); {ACCEPTED}"
        ) from error
    # The length of an MP3 is an estimate; that of a stream is unknown, then near 2 ** 63.
    if len(sound) < needed and format_ != "MP3" and promised < 2**62:
        raise BadSample(
            f"it is truncated: {len(sound)} samples, but its header promises {promised}; expected "
            "a complete file"
        )
    return sound.mean(axis=1), rate  # as librosa.to_mono


def _check_file(path):
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadSample(f"there is no such file; {ACCEPTED}, not a text") from error
    except (OSError, ValueError) as error:  # too long, a null character, no permission
        why = getattr(error, "strerror", None) or error  # str(error) would repeat the path
        raise BadSample(f"this cannot be opened ({why}); {ACCEPTED}, not a text") from error
    if stat.S_ISDIR(status.st_mode):
        raise BadSample(f"it is a folder; {ACCEPTED}")
    if not stat.S_ISREG(status.st_mode):
        raise BadSample(f"it is not a regular file; {ACCEPTED}")
    if status.st_size == 0:
        raise BadSample(f"the file is empty (0 bytes); {ACCEPTED}")
    # libsndfile silently reads what is left of a cut WAV or AIFF file.
    with _opened(path) as file:
        head = file.read(8)
    order = {b"RIFF": "little", b"FORM": "big"}.get(head[:4])
    if order and len(head) == 8:
        size = int.from_bytes(head[4:], order)
        known = _UNKNOWN_SIZE[0] < size < _UNKNOWN_SIZE[1]
        if known and size + 8 > status.st_size + 1:  # a last byte of padding is often left out
            raise BadSample(
                f"it is truncated: {status.st_size} bytes, but its header promises {size + 8}; "
                "expected a complete file"
            )


def _opened(path):
    try:
        return open(path, "rb")
    except OSError as error:
        raise BadSample(f"it cannot be opened ({error.strerror}); {ACCEPTED}") from error


def _take(item, waveform_rate):
    """Return a waveform as float32; raise a BadSample or TypeError if it is not one."""
    if item is None or type(item).__name__ == "NAType" or (np.isscalar(item) and item != item):
        raise BadSample(f"it is missing ({item!r}); {ACCEPTED}, or a waveform")
    try:
        sound = np.asarray(item)
    except ValueError as error:  # lists of unequal length
        raise TypeError(
            f"it is not a waveform ({error}); expected a 1-D array of floats"
        ) from error
    if sound.ndim == 0:
        raise TypeError(
            f"it is {item!r} of type {type(item).__name__}; {ACCEPTED}, as str or pathlib.Path, "
            "or a waveform, a 1-D array of floats"
        )
    if sound.dtype == object:  # a row of a 2-D array of objects
        try:
            sound = np.asarray(sound.tolist())
        except ValueError:  # unequal lengths
            pass
    if sound.ndim != 1 or (sound.size and sound.dtype.kind not in "f"):
        hint = ""
        if sound.dtype.kind in "iu":
            hint = "; scale PCM to floats first, such as int16 / 32768"
        elif sound.dtype.kind == "U":
            hint = "; a path is one str: x.ravel() takes the paths out of a table of one column"
        elif sound.ndim == 2 and sound.dtype.kind == "f":
            hint = "; mix several channels first, such as x.mean(axis=0)"
        raise TypeError(
            f"it is an array of {sound.dtype} of shape {sound.shape}; a waveform is a 1-D array "
            f"of floats{hint}"
        )
    if waveform_rate is None:
        raise TypeError(
            "it is a waveform, but its sampling rate is not known; give waveform_rate, in Hz"
        )
    with np.errstate(over="ignore"):  # overflow to infinity is reported later
        return sound.astype(np.float32)


def _to_length(sound, n, sample_rate, short):
    """Cut the end of a long recording, or lengthen a short one according to `short`."""
    if len(sound) >= n:
        return sound[:n]
    if short == "error":
        raise BadSample(
            f"it is too short: {len(sound) / sample_rate:.3f} s, but duration is "
            f"{n / sample_rate:.3f} s; short='pad' and short='tile' accept any length"
        )
    if short == "tile":
        return np.resize(sound, n)
    return np.pad(sound, (0, n - len(sound)))
