"""One recording: read (or taken as a waveform), checked, mixed, resampled and cut to length."""

import math
import os
from pathlib import PurePath

import numpy as np

from ..utils.files import BadFile, check_file, check_size, shorten
from ._sound_header import check_complete

__all__ = ["describe", "load"]

ACCEPTED = "expected a path to an audio file readable by soundfile (WAV, FLAC, OGG, MP3, ...)"
# Seconds read beyond what is kept. The resampling filter, which reaches less than 0.1 s, then sees
# past the cut, so that a cut recording has the same samples as one that is resampled whole.
_MARGIN = 0.25
# Values that are read at once: more than recordings of half a minute have.
_BLOCK = 2**22
# Bytes for each sample that is read, and for each after resampling: float32, and two copies.
_SAMPLE_BYTES = 12


def describe(index, item):
    """Name a sample in an error: its position, and its path if it has one."""
    if not isinstance(item, (str, PurePath)):
        return f"Sample {index}"
    # A text given as a path may have any length.
    return f"Sample {index} ({shorten(item, 200)!r})"


def load(item, *, sample_rate, duration, short, silence, waveform_rate, max_bytes):
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
    max_bytes : int
        The most memory, in bytes, that reading a file may take.

    Returns
    -------
    ndarray of shape (round(duration * sample_rate),), float32

    Raises
    ------
    BadFile
        If the recording cannot be used.
    TypeError
        If `item` can be neither a path nor a waveform.
    """
    if isinstance(item, (str, PurePath)):
        sound, rate = _read(item, duration, sample_rate, max_bytes)
    else:
        sound, rate = _take(item, waveform_rate), waveform_rate
        sound = sound[: _n_needed(duration, rate)]
    if len(sound) == 0:
        raise BadFile("it holds no samples (0 seconds); expected a recording with sound")
    if not np.isfinite(sound).all():
        at = int(np.argmin(np.isfinite(sound)))
        raise BadFile(
            f"its waveform holds NaN or infinity (first at {at / rate:.3f} s); expected finite "
            "values"
        )
    if rate != sample_rate:
        sound = _resample(sound, rate, sample_rate)
    sound = _to_length(sound, round(duration * sample_rate), sample_rate, short)
    if silence == "error" and sound.min() == sound.max():
        raise BadFile(
            f"it is silent: all samples of its {duration:g} s are {sound[0]:g}; expected a "
            "recording with sound (silence='allow' accepts silent ones)"
        )
    return sound


def _resample(sound, rate, sample_rate):
    import librosa  # slow to import, and optional

    try:
        sound = librosa.resample(sound, orig_sr=rate, target_sr=sample_rate, res_type="soxr_hq")
    except Exception as error:  # of rates and lengths that a file claims
        raise BadFile(
            f"its {len(sound)} samples cannot be resampled from {rate} to {sample_rate} Hz "
            f"({type(error).__name__}: {shorten(error)}); expected a recording with sound"
        ) from error
    if len(sound) == 0:
        raise BadFile(f"it is too short: less than one sample at {sample_rate} Hz; expected more")
    if not np.isfinite(sound).all():
        raise BadFile("its values are too large to be resampled; expected values near [-1, 1]")
    return sound.astype(np.float32, copy=False)


def _n_needed(duration, rate):
    return int(np.ceil((duration + _MARGIN) * rate))


def _read(path, duration, sample_rate, max_bytes):
    """Return the start of a file, mixed to mono, and its sampling rate."""
    import soundfile

    _check_file(path)
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            rate, promised, format_ = file.samplerate, file.frames, file.format
            needed = min(_n_needed(duration, rate), promised)
            _check_memory(needed, rate, sample_rate, max_bytes)
            sound = _mono(file, needed, max_bytes)
    except (BadFile, ImportError):
        raise
    except MemoryError as error:
        raise BadFile(f"reading it needs more memory than there is; {ACCEPTED}") from error
    except Exception as error:  # on damaged files, libraries raise all kinds
        raise BadFile(
            f"it cannot be read: it is broken or not an audio file ({shorten(error)}); {ACCEPTED}"
        ) from error
    # The length of an MP3 is an estimate; that of a stream is unknown, then near 2 ** 63.
    if len(sound) < needed and format_ != "MP3" and promised < 2**62:
        raise BadFile(
            f"it is truncated: {len(sound)} samples, but its header promises {promised}; expected "
            "a complete file"
        )
    return sound, rate


def _check_file(path):
    try:
        n_bytes = check_file(path)
    except FileNotFoundError as error:
        raise BadFile(f"there is no such file; {ACCEPTED}, not a text") from error
    except BadFile as error:
        raise BadFile(f"{str(error).rstrip('.')}; {ACCEPTED}, not a text") from error
    try:
        check_complete(path, n_bytes)
    except OSError as error:
        raise BadFile(f"it cannot be read ({error.strerror}); {ACCEPTED}") from error


def _check_memory(needed, rate, sample_rate, max_bytes):
    """Raise if a recording is too long; length and rate are what its header claims."""
    if rate < 1:
        raise BadFile(f"its header claims {rate} samples per second; expected at least 1")
    resampled = 0 if rate == sample_rate else math.ceil(needed * sample_rate / rate)
    check_size(
        f"{needed} samples at {rate} Hz, which its header promises,",
        _SAMPLE_BYTES * (needed + resampled),
        max_bytes,
    )


def _mono(file, needed, max_bytes):
    """Return up to `needed` samples, the mean of all channels; its memory is that of the file."""
    values = min(_BLOCK, max(max_bytes // 16, 2**10))
    n_block = max(1, values // file.channels)
    if file.format == "MP3":  # soundfile seeks after each block, which changes the last bits here
        n_block = max(1, needed)
    blocks, left = [], needed
    while left > 0:
        block = file.read(min(left, n_block), dtype="float32", always_2d=True)
        with np.errstate(over="ignore", invalid="ignore"):  # infinity is reported later
            blocks.append(block.mean(axis=1))  # as librosa.to_mono
        left -= len(block)
        if len(block) < n_block:
            break
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)


def _take(item, waveform_rate):
    """Return a waveform as float32; raise a BadFile or TypeError if it is not one."""
    if item is None or type(item).__name__ == "NAType" or (np.isscalar(item) and item != item):
        raise BadFile(f"it is missing ({item!r}); {ACCEPTED}, or a waveform")
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
        raise BadFile(
            f"it is too short: {len(sound) / sample_rate:.3f} s, but duration is "
            f"{n / sample_rate:.3f} s; short='pad' and short='tile' accept any length"
        )
    if short == "tile":
        return np.resize(sound, n)
    return np.pad(sound, (0, n - len(sound)))
