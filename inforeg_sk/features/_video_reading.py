"""Frames of one clip: of a video file, by PyAV, or of a folder of images, by Pillow."""

import importlib
import re
from fractions import Fraction
from pathlib import Path

import numpy as np

__all__ = ["SUFFIXES", "optional", "read_clip"]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Containers round times (Matroska to 1 ms), so a frame may be on screen that much earlier.
ROUNDING = Fraction(1, 1000)
ATTACHED_PICTURE = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC


def optional(name):
    """Import a module of the extra `video`; nothing else imports these modules."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"VideoFrames needs {name}, which is not installed ({error}): "
            "pip install 'inforeg-sk[video]'."
        ) from error


def read_clip(path, fps, size, choose):
    """Read the chosen frames of one clip.

    Parameters
    ----------
    path : str
        A video file or a folder of images.
    fps : float or None
        Frames per second of a video file to choose from; None is every frame. All images of a
        folder are candidates.
    size : tuple of int
        ``(height, width)`` in pixels.
    choose : callable
        Maps the number of frames to the indices of those to read.

    Returns
    -------
    ndarray of uint8 of shape (n_chosen, height, width, 3)

    Raises
    ------
    ValueError
        If there is no frame to read. PyAV and Pillow raise their own errors for broken data.
    """
    where = Path(path)
    if where.is_dir():
        files = _images(where)
        return np.stack([_read_image(files[i], size) for i in choose(len(files))])
    if not where.is_file():
        raise ValueError("there is no such file or folder.")
    if where.stat().st_size == 0:
        raise ValueError("the file is empty.")
    frames = _read_video(where, fps, size)
    return np.stack([frames[i] for i in choose(len(frames))])


def _images(folder):
    """Return the images of a folder, sorted by the numbers in their names; skip hidden files."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise ValueError(f"the folder holds no images ({', '.join(SUFFIXES)}).")
    return sorted(files, key=lambda file: (_by_numbers(file.stem), file.name))


def _by_numbers(name):
    """Return a key that sorts frame2 before frame10: alternating text and numbers."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _read_image(file, size):
    image_module, ops = optional("PIL.Image"), optional("PIL.ImageOps")
    try:
        with image_module.open(file) as image:
            # Pillow would clip such values at 255 instead of scaling them.
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                raise ValueError(
                    f"pixels have mode {image.mode!r}; they must have 8 bits per channel"
                )
            return _resize(ops.exif_transpose(image).convert("RGB"), size)
    except Exception as error:
        raise ValueError(f"image {file.name!r}: {error}") from error


def _read_video(file, fps, size):
    """Return the frames on screen every 1 / `fps` seconds from the first frame on, or all."""
    av, image_module = optional("av"), optional("PIL.Image")

    def convert(frame):
        image = image_module.fromarray(frame.to_ndarray(format="rgb24"))
        turn = frame.rotation % 360  # counterclockwise, as needed to view the video upright
        return _resize(image.rotate(turn, expand=True) if turn else image, size)

    # FFmpeg takes a name with a colon for a protocol, but not an absolute path.
    with av.open(str(file.absolute()), metadata_errors="ignore") as container:
        stream = _video_stream(container)
        chosen, last, start, step = [], None, None, Fraction(1, stream.average_rate or 25)
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                time = Fraction(0) if last is None else last[1] + step
            else:
                time = frame.pts * Fraction(frame.time_base)
            if last is None:
                start = time
            else:
                _add_until(time - start, last[0], chosen, fps, convert)
            last = frame, time
        if last is None:
            raise ValueError("the video has no frames.")
        frame, time = last
        duration = getattr(frame, "duration", None)  # older PyAV does not have it
        step = duration * Fraction(frame.time_base) if duration and frame.time_base else step
        _add_until(time + step - start, frame, chosen, fps, convert)
    return chosen


def _video_stream(container):
    """Return the video stream; FFmpeg also reports text, images and cover art as video."""
    name = container.format.name
    if name == "tty" or name.startswith("image2") or name.endswith("_pipe"):
        raise ValueError(f"the file is not a video (FFmpeg's format {name!r}).")
    for stream in container.streams.video:
        disposition = stream.disposition  # integers since PyAV 16, before that objects
        if not getattr(disposition, "value", disposition) & ATTACHED_PICTURE:
            return stream
    raise ValueError("the file holds no video, only " + _kinds(container) + ".")


def _kinds(container):
    kinds = {stream.type for stream in container.streams} - {"video"}
    return ", ".join(sorted(kinds)) or "a picture"


def _add_until(end, frame, chosen, fps, convert):
    """Add `frame`, on screen until `end` seconds, once for each of the times that it covers."""
    if fps is None:
        chosen.append(convert(frame))
        return
    converted = None
    # The first frame is always added, however short it is.
    while not chosen or Fraction(len(chosen)) / Fraction(fps) + ROUNDING < end:
        converted = convert(frame) if converted is None else converted
        chosen.append(converted)


def _resize(image, size):
    """Resize by Pillow's bilinear filter, which averages when it reduces."""
    height, width = size
    bilinear = optional("PIL.Image").Resampling.BILINEAR
    return np.asarray(image.resize((width, height), bilinear))
