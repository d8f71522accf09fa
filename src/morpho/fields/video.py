"""Videos read into arrays and written from frames, through PyAV, in full or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.atomic import replacing
from morpho.errors import InputError, require
from morpho.fields.signal import Signal
from morpho.fields.sources import check_source

__all__ = ["READ_SUFFIXES", "SUFFIXES", "Video", "read_video", "write_video"]

#: What is read, and what is written: H.264, or FFV1, which loses nothing.
READ_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")
SUFFIXES = (".mp4", ".mkv")

#: Nothing but the file itself is opened: no address, and no list of other files under a video's name.
_SAFE = {"protocol_whitelist": "file", "format_whitelist": "mov,matroska,avi,mpegts,mpeg"}
#: Decoded frames may take this much memory.
_MOST_BYTES = 2**31
#: FFmpeg's flags for interpolation (4 cubic, 32 by area) with rounding and colours that are right: without, a picture
#: comes back darker by 1.3 grey levels.
_EXACT = 0x40000 | 0x4000 | 0x2000
_CUBIC, _AREA = 4 | _EXACT, 32 | _EXACT
_MATRICES = {1: "ITU709", 5: "ITU601", 6: "ITU601", 9: "BT2020"}


@dataclass(frozen=True)
class Video:
    """Frames in memory.

    Attributes:
        frames: ``(T, H, W, 3)`` uint8, sRGB as stored, upright.
        frame_rate: frames per second, of the frames that were kept.
        aspect: the width of a pixel, its height being 1.
    """

    frames: NDArray[np.uint8]
    frame_rate: float
    aspect: float = 1.0

    @property
    def signal(self) -> Signal:
        """What a field of these frames stands for."""
        shape = self.frames.shape[:3]
        rate, aspect = self.frame_rate, self.aspect
        return Signal(kind="video", shape=shape, channels=3, colour="rgb", frame_rate=rate, aspect=aspect)


def read_video(
    path: Path | str, *, start: int = 0, stop: int | None = None, step: int = 1, scale: float = 1.0
) -> Video:
    """Read frames ``start:stop:step`` of a video's first stream of pictures.

    Args:
        path: the file.
        start: the first frame.
        stop: the frame before which reading ends; by default the end.
        step: every how manieth frame is kept.
        scale: the factor by which width and height shrink, each pixel being a mean; at most 1.

    Raises:
        InputError: the file is missing or damaged, has no such frames, or they would take more than 2 GiB.
        MissingExtraError: PyAV is not installed.
    """
    path = Path(path)
    if start < 0 or step < 1 or (stop is not None and stop <= start) or not 0 < scale <= 1:
        raise InputError(
            f"frames {start}:{stop}:{step} at {scale:g} times the size are none: count from 0, scale in 0..1"
        )
    check_source(path, "video")
    av = require("av", "video")
    try:
        with av.open(str(path), options=_SAFE) as container:
            if not container.streams.video:
                raise InputError(f"{path} has no pictures: give a video")
            stream = container.streams.video[0]
            _check_memory(path, stream, start, stop, step, scale)
            kept = list(_kept(path, _frames(path, container, stream), start, stop, step, scale))
            rate = float(stream.average_rate or stream.guessed_rate or 25)
            aspect = float(stream.sample_aspect_ratio or 1)
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a video ({str(error)[:120]}): get it again") from error
    if not kept:
        raise InputError(f"{path} has no frame {start}: it ends before")
    pixels = [frame for frame, _ in kept]
    return Video(np.stack(pixels), rate / step, 1 / aspect if kept[0][1] % 2 else aspect)


def write_video(
    path: Path | str,
    frames: Iterable[NDArray[np.uint8]],
    frame_rate: float,
    *,
    aspect: float = 1.0,
    crf: int = 16,
    overwrite: bool = False,
) -> None:
    """Write frames as they come: ``.mp4`` as H.264 for every player, ``.mkv`` as FFV1 without loss.

    H.264 has one colour for four pixels, and where a side is odd, which that cannot express, one for each.

    Args:
        path: the file.
        frames: ``(H, W, 3)`` uint8 each, or ``(H, W, 1)``; all of one size.
        frame_rate: frames per second.
        aspect: the width of a pixel, its height being 1.
        crf: the loss of H.264: 0 none, 16 none that is seen, 23 small files, 51 the most.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: the suffix is not written, there are no frames, or they differ in size.
        OutputExistsError: the file exists and ``overwrite`` is false.
        MissingExtraError: PyAV is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} cannot be written as a video: let it end in {' or '.join(SUFFIXES)}")
    if not 0.001 <= frame_rate <= 1000 or not 0.01 <= aspect <= 100 or not 0 <= crf <= 51:
        raise InputError(
            f"{frame_rate:g} frames per second, pixels {aspect:g} wide and crf {crf} are no video's: correct it"
        )
    av = require("av", "video")
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise InputError(f"there are no frames for {path}: give one or more")
    with replacing(path, overwrite=overwrite) as file:
        try:
            with av.open(file, "w", format="matroska" if path.suffix.lower() == ".mkv" else "mp4") as container:
                _encode(av, container, chain([first], rest), first.shape, frame_rate, aspect, crf)
        except av.FFmpegError as error:
            raise InputError(f"{path} cannot be written ({str(error)[:120]}): choose another size or form") from error


def _check_memory(path: Path, stream: Any, start: int, stop: int | None, step: int, scale: float) -> None:
    """Refuse before anything is decoded what the header says to be too large."""
    known = stream.frames or 1
    last = known if stop is None else min(stop, known) if stream.frames else start + 1
    context = stream.codec_context
    size = context.width * context.height * 3
    if max(size, scale**2 * size * max(1, (last - start) // step)) > _MOST_BYTES:
        raise _too_large(path)


def _frames(path: Path, container: Any, stream: Any) -> Iterator[Any]:
    """Decode, and refuse what is damaged, which the decoder would gloss over."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise InputError(f"{path} is damaged or cut off: get it again")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise InputError(f"{path} is damaged: get it again")
            yield frame


def _kept(
    path: Path, frames: Iterator[Any], start: int, stop: int | None, step: int, scale: float
) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yield the frames asked for, upright, with the quarter turns that made them so."""
    total, shape = 0, None
    for index, frame in enumerate(frames):
        if stop is not None and index >= stop:
            return
        if index < start or (index - start) % step:
            continue
        turns = round(frame.rotation / 90) % 4
        pixels = np.rot90(_pixels(frame, scale), turns)
        total += pixels.nbytes
        if total > _MOST_BYTES:
            raise _too_large(path)
        if shape is not None and pixels.shape != shape:
            raise InputError(f"{path} changes its size at frame {index}: read the frames before with stop={index}")
        shape = pixels.shape
        yield np.ascontiguousarray(pixels), turns


def _pixels(frame: Any, scale: float) -> NDArray[np.uint8]:
    """Convert a frame to RGB by the matrix that it names, or BT.601's where it names none, as FFmpeg does."""
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    matrix = _MATRICES.get(int(frame.colorspace), "ITU601")
    way = _AREA if scale < 1 else _CUBIC
    plain = frame.reformat(width, height, "rgb24", src_colorspace=matrix, interpolation=way)
    return np.asarray(plain.to_ndarray(), np.uint8)


def _encode(
    av: Any,
    container: Any,
    frames: Iterable[NDArray[np.uint8]],
    shape: tuple[int, ...],
    frame_rate: float,
    aspect: float,
    crf: int,
) -> None:
    """Encode frames into an open container."""
    lossless = container.format.name == "matroska"
    rate = Fraction(frame_rate).limit_denominator(1001)
    stream = container.add_stream("ffv1" if lossless else "libx264", rate=rate)
    stream.height, stream.width = shape[:2]
    stream.codec_context.sample_aspect_ratio = Fraction(aspect).limit_denominator(1000)
    form = "bgr0" if lossless else "yuv420p" if shape[0] % 2 == shape[1] % 2 == 0 else "yuv444p"
    stream.pix_fmt = form
    if not lossless:
        stream.options = {"crf": str(crf), "preset": "medium"}
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 1, 1
    for pixels in frames:
        if pixels.dtype != np.uint8 or pixels.shape != shape or len(shape) != 3 or shape[2] not in (1, 3):
            raise InputError(f"a frame of {pixels.shape}, {pixels.dtype}, is no part of a video of {shape[:2]} uint8")
        colour = np.ascontiguousarray(np.broadcast_to(pixels, (*shape[:2], 3)))
        frame = av.VideoFrame.from_ndarray(colour, format="rgb24")
        if not lossless:
            frame = frame.reformat(format=form, dst_colorspace="ITU709", interpolation=_CUBIC)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _too_large(path: Path) -> InputError:
    size = f"{_MOST_BYTES >> 30} GiB"
    return InputError(
        f"{path} takes more than {size} decoded: read fewer frames (start, stop, step) or scale them down"
    )
