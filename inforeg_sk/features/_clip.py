"""What the frames of video files and of folders of images have in common."""

import importlib
from typing import NamedTuple

import numpy as np

from ..utils.files import BadFile

__all__ = ["Limits", "check_pixels", "optional", "resize"]

# Bytes of memory for each pixel while a frame is decoded, converted, turned and resized: four
# copies of four bytes.
_PIXEL_BYTES = 16


class Limits(NamedTuple):
    """Parameters of `VideoFrames` on files that claim too much, or are damaged."""

    max_bytes: int
    max_duration: float
    damaged: str
    follow_links: bool
    time_limit: float

    @property
    def max_pixels(self) -> int:
        """Pixels that a frame may have before it is resized."""
        return max(1, int(self.max_bytes) // _PIXEL_BYTES)

    @property
    def ffmpeg_max_pixels(self) -> str:
        """The same for FFmpeg, which counts what it adds to rows, too."""
        return str(2 * self.max_pixels + 2**20)


def optional(name):
    """Import a module of the extra `video`; nothing else imports these modules."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"VideoFrames needs {name}, which is not installed ({error}): "
            "pip install 'inforeg-sk[video]'."
        ) from error


def check_pixels(what, width, height, limits):
    """Raise a BadFile if a frame is larger than `max_bytes` allows."""
    if width * height > limits.max_pixels:
        raise BadFile(
            f"{what} has {width} x {height} pixels, which may take {_PIXEL_BYTES} bytes of memory "
            f"each; max_bytes={limits.max_bytes} is the limit."
        )


def resize(image, size):
    """Resize by Pillow's bilinear filter, which averages when it reduces."""
    height, width = size
    bilinear = optional("PIL.Image").Resampling.BILINEAR
    return np.asarray(image.resize((width, height), bilinear))
