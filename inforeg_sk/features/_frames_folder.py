"""Frames of a folder of images, by Pillow."""

import re
import struct
from contextlib import contextmanager

import numpy as np

from ..utils.files import BadFile, UnreadableFileError, check_file, check_inside, shorten
from ._clip import check_pixels, optional, resize

__all__ = ["SUFFIXES", "read_folder"]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Formats of these, whatever a name says: Pillow starts Ghostscript for an EPS file.
_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def read_folder(folder, size, choose, limits):
    """Read the chosen images of a folder.

    Parameters
    ----------
    folder : Path
    size : tuple of int
        ``(height, width)`` in pixels.
    choose : callable
        Maps the number of images to the indices of those to read.
    limits : Limits

    Returns
    -------
    ndarray of uint8 of shape (n_chosen, height, width, 3)

    Raises
    ------
    ValueError
        If there is no image, or one cannot be used; the message names it.
    """
    files = _images(folder)
    return np.stack([_read_image(files[i], folder, size, limits) for i in choose(len(files))])


def _images(folder):
    """Return the images of a folder, sorted by the numbers in their names; skip hidden files."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise BadFile(f"the folder holds no images ({', '.join(SUFFIXES)}).")
    return sorted(files, key=lambda file: (_by_numbers(file.stem), file.name))


def _by_numbers(name):
    """Return a key that sorts frame2 before frame10: alternating text and numbers."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _read_image(file, folder, size, limits):
    ops = optional("PIL.ImageOps")
    try:
        if file.is_symlink():  # what lies in the folder leads out of it by a link only
            check_inside(file, folder, limits.follow_links)
        check_file(file)
        with _opened(file, limits) as image:
            check_pixels("it", *image.size, limits)
            # Pillow would clip such values at 255 instead of scaling them.
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                raise BadFile(f"pixels have mode {image.mode!r}; they must have 8 bits per channel")
            return resize(ops.exif_transpose(image).convert("RGB"), size)
    except (BadFile, UnreadableFileError, FileNotFoundError) as error:
        text = str(error)
    except MemoryError:
        text = "reading it needs more memory than there is."
    except Exception as error:  # on damaged images, Pillow raises all kinds
        text = f"it is damaged or not an image ({type(error).__name__}: {shorten(error)})."
    raise BadFile(f"image {file.name!r}: {text}")


@contextmanager
def _opened(file, limits):
    """Open an image of one of the known formats.

    Image.open would compare its size with a limit of Pillow's own, which holds for all threads, and
    warn or raise; `max_bytes` is the limit here.
    """
    image_module = optional("PIL.Image")
    image_module.preinit()
    with open(file, "rb") as stream:
        head = stream.read(32)
        _check_webp(head, limits)
        for name in _FORMATS:
            if name not in image_module.OPEN:
                image_module.init()
            factory, accept = image_module.OPEN.get(name, (None, None))
            accepted = factory is not None and (accept is None or accept(head[:16]))
            if isinstance(accepted, str):  # why this format is not supported
                raise BadFile(f"{accepted}.")
            if not accepted:
                continue
            stream.seek(0)
            with factory(stream, str(file)) as image:
                yield image
            return
    raise BadFile(f"it is not an image of a known format ({', '.join(_FORMATS)}).")


def _check_webp(head, limits):
    """Check the size of a WebP image, which Pillow allocates as soon as it opens the file."""
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return
    if head[12:16] == b"VP8X":
        size = [int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27)]
    elif head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        size = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1]
    else:
        size = [side & 0x3FFF for side in struct.unpack("<HH", head[26:30])]
    check_pixels("it", *size, limits)
