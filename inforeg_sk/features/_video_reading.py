"""Frames of one clip: of a video file, by PyAV, or of a folder of images."""

import errno
import math
import os
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..utils.files import BadFile, check_file, check_size, shorten
from ._clip import check_pixels, optional, resize
from ._frames_folder import SUFFIXES, read_folder

__all__ = ["SUFFIXES", "optional", "read_clip"]

# Containers round times (Matroska to 1 ms), so a frame may be on screen that much earlier.
ROUNDING = Fraction(1, 1000)
ATTACHED_PICTURE = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC
_FRAME_BYTES = 128  # that Python adds to the pixels of a frame
# FFmpeg's names of formats that hold video, and of some that hold sound, which are then named. None
# of them reads other files: playlists (hls, concat, dash), sdp, imf, mlv and numbered images do.
_FORMATS = (
    "4xm,anm,apng,argo_brp,asf,asf_o,av1,avi,avs,avs2,avs3,bethsoftvid,bfi,bink,bmv,c93,cavsvideo,"
    "cdg,cdxl,cine,dhav,dirac,dnxhd,dsicin,dv,dxa,ea,ea_cdata,evc,film_cpk,filmstrip,flic,flv,gdv,"
    "gif,gxf,h261,h263,h264,hevc,hnm,hxvs,idcin,ifv,ingenient,ipmovie,ipu,iv8,ivf,ivr,jpegxl_anim,"
    "jv,kux,live_flv,lmlm4,luodat,lvf,lxf,m4v,matroska,mgsts,mjpeg,mjpeg_2000,mm,mods,moflex,mov,"
    "mpeg,mpegts,mpegtsraw,mpegvideo,mpjpeg,msnwctcp,mtv,mv,mvi,mxf,mxg,nc,nsv,nut,nuv,obu,ogg,"
    "paf,pdv,pmp,psxstr,pva,r3d,rl2,rm,roq,rpl,sdr2,sga,siff,simbiosis_imx,smjpeg,smk,smush,swf,"
    "thp,tiertexseq,tmv,txd,ty,usm,vc1,vc1test,vividas,vivo,vmd,vvc,wc3movie,webm,wsvqa,wtv,xmv,"
    "yop,yuv4mpegpipe,"
    "aac,ac3,aiff,amr,au,caf,flac,mp3,w64,wav"
)


def read_clip(path, fps, size, choose, limits):
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
    limits : Limits

    Returns
    -------
    ndarray of uint8 of shape (n_chosen, height, width, 3)

    Raises
    ------
    ValueError
        If there is no frame to read, a limit is exceeded, or the data are broken.
    FileNotFoundError
    """
    if os.path.isdir(path):
        return read_folder(Path(path), size, choose, limits)
    check_file(path)
    frames = _read_video(path, fps, size, limits)
    return np.stack([frames[i] for i in choose(len(frames))])


def _read_video(path, fps, size, limits):
    """Return the frames on screen every 1 / `fps` seconds from the first frame on, or all."""
    with _opened(path, limits) as container:
        stream = _video_stream(container)
        chosen, last, start = _Chosen(fps, size, limits), None, None
        step = Fraction(1, stream.average_rate or 25)
        step = step if step > 0 else Fraction(1, 25)
        for n, frame in enumerate(_decoded(container, stream, limits)):
            if frame.pts is None or frame.time_base is None:
                at = Fraction(0) if last is None else last[1] + step
            else:
                at = frame.pts * Fraction(frame.time_base)
            if last is None:
                start = at
            else:
                _check_time(f"frame {n} is at", at, start, limits)
                chosen.add_until(at - start, last[0])
            last = frame, at
        if last is None:
            raise BadFile("the video has no frames.")
        frame, at = last
        duration = getattr(frame, "duration", None)  # older PyAV does not have it
        step = duration * Fraction(frame.time_base) if duration and frame.time_base else step
        _check_time(f"frame {n}, the last one, ends at", at + step, start, limits)
        chosen.add_until(at + step - start, frame)
    return chosen.frames


def _opened(path, limits):
    av = optional("av")
    # FFmpeg takes a name with a colon for a protocol, but not an absolute path.
    name = os.path.abspath(path)
    options = {
        "format_whitelist": _FORMATS,
        "protocol_whitelist": "file",
        "max_pixels": limits.ffmpeg_max_pixels,  # while FFmpeg looks for streams
    }
    try:
        return av.open(name, options=options, metadata_errors="ignore")
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        if getattr(error, "errno", None) == errno.EINVAL:  # how FFmpeg refuses by the whitelist
            raise BadFile(
                "the file is not a video of a known format; playlists, texts and images are not "
                f"read as videos ({_text(error)})."
            ) from error
        raise BadFile(f"the file is damaged or not a video ({_text(error)}).") from error


def _text(error):
    """Return the class and the text of an error of PyAV, without the path that it repeats."""
    return f"{type(error).__name__}: {shorten(getattr(error, 'strerror', None) or error)}"


def _video_stream(container):
    """Return the video stream; FFmpeg also reports text, images and cover art as video."""
    for stream in container.streams.video:
        disposition = stream.disposition  # integers since PyAV 16, before that objects
        if not getattr(disposition, "value", disposition) & ATTACHED_PICTURE:
            return stream
    raise BadFile("the file holds no video, only " + _kinds(container) + ".")


def _kinds(container):
    kinds = {stream.type for stream in container.streams} - {"video"}
    return ", ".join(sorted(kinds)) or "a picture"


def _decoded(container, stream, limits):
    """Yield the frames of a stream as long as it is whole and within the limits."""
    context, end, n = stream.codec_context, time.monotonic() + limits.time_limit, 0
    if context is None:
        raise BadFile("FFmpeg has no decoder for this video.")
    check_pixels("the video", context.width, context.height, limits)
    context.options = {**context.options, "max_pixels": limits.ffmpeg_max_pixels}
    frames = container.decode(stream)
    while True:
        try:
            frame = next(frames, None)
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            if limits.damaged == "keep" and n:
                return
            hint = ", or has more pixels than max_bytes allows" if not context.width else ""
            kept = "; damaged='keep' uses the frames before it" if n else ""
            raise BadFile(
                f"the video is damaged{hint}: frame {n} cannot be decoded ({_text(error)}){kept}."
            ) from error
        if frame is None:
            return
        check_pixels(f"frame {n}", frame.width, frame.height, limits)
        if time.monotonic() > end:
            raise BadFile(
                f"reading it took more than {limits.time_limit:g} s (time_limit) and was stopped "
                f"at frame {n}."
            )
        n += 1
        yield frame


def _check_time(what, at, start, limits):
    """Raise if a time is far from that of the first frame; one flipped bit can mean weeks."""
    if abs(at - start) > limits.max_duration:
        raise BadFile(
            f"{what} {float(at - start):.6g} s, counted from the first frame; "
            f"max_duration={limits.max_duration:g} is the limit. The time may be damaged."
        )


class _Chosen:
    """The frames to choose from, at their final size."""

    def __init__(self, fps, size, limits):
        self.frames = []
        self._fps = None if fps is None else Fraction(fps)
        self._size = size
        self._limits = limits

    def add_until(self, end, frame):
        """Add a frame, on screen until `end` seconds, once for each of the times it covers."""
        have = len(self.frames)
        if self._fps is None:
            n = have + 1
        else:
            # The first frame is always added, however short it is.
            n = max(math.ceil((end - ROUNDING) * self._fps), 1)
        if n <= have:
            return
        height, width = self._size
        check_size(
            f"{n} frames of {height} x {width} pixels to choose from (a lower fps gives fewer)",
            n * (3 * height * width + _FRAME_BYTES),
            self._limits.max_bytes,
        )
        self.frames.extend([self._convert(frame)] * (n - have))

    def _convert(self, frame):
        image = optional("PIL.Image").fromarray(frame.to_ndarray(format="rgb24"))
        turn = frame.rotation % 360  # counterclockwise, as needed to view the video upright
        return resize(image.rotate(turn, expand=True) if turn else image, self._size)
