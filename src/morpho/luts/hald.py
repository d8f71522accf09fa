"""Hald pictures: a lattice as an image, so that any program which edits pictures can make or carry one.

A Hald picture of level L is L^3 pixels wide and high and holds a lattice of L^2 nodes per axis: pixel after
pixel, row after row, with red running fastest, then green, then blue. Edit the neutral one as you would edit
a photo, and it has become the table of that edit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from morpho.errors import ImageError, InputError, LutError
from morpho.images.io import format_of
from morpho.images.io import read as read_picture
from morpho.images.io import write as write_picture
from morpho.images.picture import Picture
from morpho.luts.lut import Lut

__all__ = ["LEVELS", "level_of", "read", "write"]

#: From 4 nodes in 8 x 8 pixels to 256 nodes in 4096 x 4096.
LEVELS = range(2, 17)
#: Formats that change no colour, and how many bits they hold here.
_DEPTHS = {"PNG": 16, "TIFF": 8, "BMP": 8}


def read(path: Path | str) -> Lut:
    """Read a Hald picture of 8 or 16 bits; grey stands for three equal channels, transparency is ignored.

    Args:
        path: the picture. A colour profile is not looked at: the numbers count.

    Returns:
        The lattice.

    Raises:
        ImageError: the file is no picture.
        LutError: its size is not that of a Hald picture.
    """
    picture = read_picture(path)
    sizes = {level**3: level for level in LEVELS}
    level = sizes.get(picture.width)
    if level is None or picture.height != picture.width:
        raise LutError(
            f"{path} has {picture.width} x {picture.height} pixels and is no Hald picture: those are square, "
            f"with a side of {', '.join(str(side) for side in sizes)}"
        )
    nodes = level**2
    values = picture.color / np.float64(np.iinfo(picture.pixels.dtype).max)
    cube = np.broadcast_to(values, (*values.shape[:2], 3)).reshape(nodes, nodes, nodes, 3)
    return Lut(np.ascontiguousarray(cube.transpose(2, 1, 0, 3)))


def write(path: Path | str, lut: Lut, *, overwrite: bool = False) -> None:
    """Write a plain lattice of L^2 nodes as a Hald picture: 16-bit PNG, or 8-bit TIFF or BMP.

    Args:
        path: the picture.
        lut: a lattice without curves, of domain 0 to 1. Values outside 0..1 are cut off.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: the table has another form; `morpho.luts.resample` changes that.
        ImageError: the suffix names no format, or one that changes colours, such as JPEG.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    kind = format_of(path)
    if kind not in _DEPTHS:
        raise ImageError(f"{path}: {kind} would change the colours of a Hald picture: write a .png")
    level = level_of(lut.nodes or 0)
    if lut.lattice is None or level is None or not lut.is_plain:
        raise InputError("a Hald picture holds a plain lattice of 4, 9, 16, ... 256 nodes: resample the table first")
    side = level**3
    dtype = np.uint16 if _DEPTHS[kind] == 16 else np.uint8
    values = lut.lattice.clip(0, 1).transpose(2, 1, 0, 3).reshape(side, side, 3)
    pixels = np.rint(values * np.iinfo(dtype).max).astype(dtype)
    write_picture(Picture(pixels), path, overwrite=overwrite)


def level_of(nodes: int) -> int | None:
    """The level whose lattice has so many nodes per axis, or None.

    >>> level_of(64), level_of(33)
    (8, None)
    """
    return next((level for level in LEVELS if level**2 == nodes), None)
