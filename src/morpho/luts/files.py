"""Tables of colours on disk: ``.cube`` files and Hald pictures, told apart by their suffix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from morpho.errors import InputError, LutError
from morpho.images.io import SUFFIXES
from morpho.luts import cube, hald
from morpho.luts.cube import Dialect
from morpho.luts.lut import Lut
from morpho.luts.operations import folded_nodes, resample

__all__ = ["is_picture", "read", "write"]

#: The level of Hald pictures where nothing asks for another: 64 nodes in 512 x 512 pixels.
_LEVEL = 8


def read(path: Path | str) -> Lut:
    """Read a table of colours.

    Args:
        path: a ``.cube`` file of Adobe's or Resolve's dialect, or a Hald picture; what has no suffix, such as a
            pipe, is taken for a ``.cube`` file.

    Returns:
        The table. One without a title gets the file's stem.

    Raises:
        LutError: the file holds no table, in one sentence with the line, or has another suffix.
        ImageError: the picture cannot be read.

    >>> read("no/such/look.cube")
    Traceback (most recent call last):
    morpho.errors.LutError: no/such/look.cube does not exist: check the path
    """
    if Path(path).suffix.lower() not in (".cube", "", *SUFFIXES):
        raise LutError(f"{path} is no table that can be read: convert it to .cube, or to a Hald picture")
    lut = hald.read(path) if is_picture(path) else cube.read(path)
    return lut if lut.title else replace(lut, title=Path(path).stem)


def write(
    path: Path | str,
    lut: Lut,
    *,
    dialect: Dialect | None = None,
    level: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a table of colours; the file appears under its name only when it is complete.

    Args:
        path: ends in ``.cube``, or for a Hald picture in ``.png`` (16 bits), ``.tif`` or ``.bmp`` (8 bits).
        lut: the table. For a Hald picture it is resampled where its nodes are not those of the level, and
            values outside 0..1 are cut off.
        dialect: of a ``.cube`` file, ``"adobe"`` or ``"resolve"``; by default Adobe's where it can hold the table.
        level: of a Hald picture, 2 to 16: level L has L^2 nodes; by default the table's own, or 8.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: an option does not go with the file, or is out of range.
        LutError: the dialect cannot hold the table, or the suffix is another one.
        ImageError: the picture format cannot hold a table.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    if is_picture(path):
        if dialect is not None:
            raise InputError(f"{path} is a picture, and a dialect is for .cube files: leave it out")
        hald.write(path, resample(lut, _hald_nodes(lut, level)), overwrite=overwrite)
        return
    if Path(path).suffix.lower() != ".cube":
        raise LutError(f"{path} names no format of tables: use .cube, or .png for a Hald picture")
    if level is not None:
        raise InputError(f"{path} is a .cube file, and a level is for Hald pictures: leave it out")
    cube.write(path, lut, dialect=dialect, overwrite=overwrite)


def is_picture(path: Path | str) -> bool:
    """Whether the suffix is that of a picture.

    >>> is_picture("look.PNG"), is_picture("look.cube")
    (True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def _hald_nodes(lut: Lut, level: int | None) -> int:
    """The level's nodes; without one, the table's own, or enough for it."""
    if level is not None:
        if level not in hald.LEVELS:
            raise InputError(f"the level {level} is out of range: Hald pictures have levels 2 to 16")
        return level**2
    nodes = folded_nodes(lut)
    if hald.level_of(nodes) is not None:
        return nodes
    return max(_LEVEL, next(level for level in hald.LEVELS if level**2 >= nodes - 1)) ** 2
