"""Many small pictures decoded into one tensor. Pillow's decoders are called directly: no other one sees the bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PpmImagePlugin import PpmImageFile
from torch import Tensor

from morpho.errors import DataError
from morpho.machine import cores

__all__ = ["Box", "gathered", "jpeg", "jpeg_files", "one_inside", "ppm", "read_bytes"]

#: Left, top, right, bottom in pixels; right and bottom are the first ones outside.
Box = tuple[int, int, int, int]

#: Pictures that one thread decodes at a time.
_CHUNK = 512
#: No picture of these data sets has a longer side.
_LONGEST = 4096


def gathered(count: int, side: int, picture: Callable[[int], NDArray[np.uint8]]) -> Tensor:
    """Put pictures, decoded in a few threads, into one tensor.

    Args:
        count: how many.
        side: of each, in pixels.
        picture: makes number i, uint8 ``(side, side, 3)``.

    Returns:
        uint8 ``(count, 3, side, side)``.
    """
    pixels = np.empty((count, side, side, 3), dtype=np.uint8)

    def fill(start: int) -> None:
        for number in range(start, min(start + _CHUNK, count)):
            pixels[number] = picture(number)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(fill, range(0, count, _CHUNK)))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def jpeg(data: Any, side: int, name: str) -> NDArray[np.uint8]:
    """Decode a JPEG of ``side x side`` pixels; grey is tripled.

    Raises:
        DataError: it cannot be decoded or has another size.
    """
    with _decoding(name):
        image = JpegImageFile(io.BytesIO(data))
        if image.size != (side, side):
            raise ValueError(f"it has {image.size[0]} x {image.size[1]} pixels, not {side} x {side}")
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def ppm(data: Any, side: int, name: str, box: Box | None = None) -> NDArray[np.uint8]:
    """Decode a PPM and resize it, or a box of it, to ``side x side`` pixels (bilinear; smoothed when it shrinks).

    Raises:
        DataError: it cannot be decoded, or the box reaches out of it.
    """
    with _decoding(name):
        image = PpmImageFile(io.BytesIO(data))
        if image.mode != "RGB" or max(image.size) > _LONGEST:
            raise ValueError(f"it is {image.mode}, {image.size[0]} x {image.size[1]}, not RGB of a usual size")
        if box is not None and not (0 <= box[0] < box[2] <= image.width and 0 <= box[1] < box[3] <= image.height):
            raise ValueError(f"the region {box} is not inside its {image.width} x {image.height} pixels")
        return np.asarray((image.crop(box) if box else image).resize((side, side), Resampling.BILINEAR))


def jpeg_files(paths: Sequence[Path], side: int) -> Tensor:
    """Read JPEG files of one size: uint8 ``(N, 3, side, side)``.

    Raises:
        DataError: one cannot be read or has another size.
    """
    return gathered(len(paths), side, lambda number: jpeg(read_bytes(paths[number]), side, str(paths[number])))


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error!s:.60}): put all files of the data set there") from error


def one_inside(folder: Path, name: str, source: Path) -> Path:
    """The file of that name directly in a folder, where a table named it.

    Raises:
        DataError: the name leads elsewhere.
    """
    if not name or Path(name).name != name or "\\" in name:
        raise DataError(f"{source} names {name!r:.80}, which is no file of its folder: get a fresh copy")
    return folder / name


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Whatever a decoder raises on a damaged file becomes one sentence."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{name} cannot be read ({reason}): get a fresh copy") from error
