"""``morpho lut convert``, ``mix`` and ``compose``: from tables to tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number
from numpy.typing import NDArray

from morpho.cli.looks import Strength
from morpho.cli.options import whole
from morpho.console import printable
from morpho.errors import InputError, OutputExistsError
from morpho.luts import Lut, blend, evaluate, files, read, write
from morpho.luts.operations import compose as compose_two
from morpho.luts.operations import folded_nodes, grid, resample
from morpho.luts.operations import mix as weaken

__all__ = ["compose", "convert", "mix"]

Size = Annotated[int | None, Parameter(converter=whole, validator=Number(gte=2, lte=256))]
Level = Annotated[int | None, Parameter(converter=whole, validator=Number(gte=2, lte=16))]
Output = Annotated[Path, Parameter(name=("--output", "-o"))]

#: Colours per axis on which two tables are compared; few of them are nodes of either.
_COMPARED = 52
#: Levels that no picture shows.
_SAME = 0.005


def convert(
    source: Annotated[Path, Parameter(name="IN")],
    target: Annotated[Path, Parameter(name="OUT")],
    /,
    *,
    size: Size = None,
    dialect: Literal["adobe", "resolve"] | None = None,
    level: Level = None,
    overwrite: bool = False,
) -> None:
    """Convert a lookup table of colours: another format, dialect or size.

    The new table's largest distance to the old one is printed.

    Args:
        source: A .cube file, or a Hald picture.
        target: A .cube file, or a picture: .png (16 bits), .tif or .bmp (8 bits).
        size: Nodes per axis of the new lattice; by default as many as the old one has.
        dialect: Of a .cube file. Resolve's holds curves before a lattice; for Adobe's, which more programs read,
            they are folded into one lattice.
        level: Of a Hald picture: level 8 (64 nodes, 512 x 512 pixels) is usual.
        overwrite: Replace an existing file.
    """
    _check_inputs_survive([source], target)
    if size is not None and files.is_picture(target):
        raise InputError(f"{target} is a picture, whose size follows from its level: give --level instead of --size")
    lut = read(source)
    new = lut
    if size is not None:
        new = resample(lut, size, keep_curves=dialect != "adobe")
    elif dialect == "adobe" and lut.curves is not None and lut.lattice is not None:
        new = resample(lut, folded_nodes(lut))
    write(target, new, dialect=dialect, level=level, overwrite=overwrite)
    _report([source], target, evaluate(lut, grid(_COMPARED)))


def mix(
    first: Annotated[Path, Parameter(name="A")],
    second: Annotated[Path | None, Parameter(name="B")] = None,
    /,
    *,
    output: Output,
    weight: Strength = 0.5,
    size: Size = None,
    overwrite: bool = False,
) -> None:
    """Mix two lookup tables of colours, or weaken one.

    Args:
        first: A .cube file, or a Hald picture.
        second: Another; without it, the table is mixed with the one that changes nothing.
        output: The new .cube file, or Hald picture.
        weight: With one table, its strength: 0 changes nothing, 1 is the table. With two, 0 is A and 1 is B.
        size: Nodes per axis of the new lattice; by default those of the larger one.
        overwrite: Replace an existing file.
    """
    paths = [first] if second is None else [first, second]
    _check_inputs_survive(paths, output)
    one, two = Lut.identity(2), read(first)
    if second is not None:
        one, two = two, read(second)
    lut = weaken(two, weight) if second is None else blend(one, two, weight)
    _write(output, lut, size, overwrite)
    colors = grid(_COMPARED)
    _report(paths, output, (1 - weight) * evaluate(one, colors) + weight * evaluate(two, colors))


def compose(
    tables: Annotated[list[Path], Parameter(name="LUT")],
    /,
    *,
    output: Output,
    size: Size = None,
    overwrite: bool = False,
) -> None:
    """Make one lookup table of colours that does what several do one after the other.

    Args:
        tables: .cube files or Hald pictures, in the order in which they are applied: two or more.
        output: The new .cube file, or Hald picture.
        size: Nodes per axis of the new lattice; by default those of the largest one.
        overwrite: Replace an existing file.
    """
    if len(tables) < 2:
        raise InputError(f"one table ({tables[0]}) is composed already: name two or more, in order")
    _check_inputs_survive(tables, output)
    luts = [read(path) for path in tables]
    nodes = size or max((lut.nodes or 0 for lut in luts), default=0) or None
    lut = reduce(lambda one, two: compose_two(one, two, nodes), luts)
    _write(output, lut, size, overwrite)
    _report(tables, output, reduce(lambda colors, lut: evaluate(lut, colors), luts, grid(_COMPARED)))


def _write(output: Path, lut: Lut, size: int | None, overwrite: bool) -> None:
    resized = lut if size in (None, lut.nodes) else resample(lut, size or 0, keep_curves=True)
    write(output, resized, overwrite=overwrite)


def _check_inputs_survive(paths: Sequence[Path], target: Path) -> None:
    for path in paths:
        if target.exists() and path.exists() and target.samefile(path):
            raise OutputExistsError(f"{target} is an input itself, which is never overwritten: choose another name")


def _report(paths: Sequence[Path], target: Path, wanted: NDArray[np.float64]) -> None:
    """Say what was written, as it is read back, and how far it is from what it should be on a grid of colours."""
    got = read(target)
    parts = [f"{len(got.curves)} samples per curve"] if got.curves is not None else []
    parts += [f"{got.nodes} nodes per axis"] if got.nodes is not None else []
    change = 255 * np.abs(evaluate(got, grid(_COMPARED)).clip(0, 1) - wanted.clip(0, 1)).max()
    parts += ["the same colours" if change < _SAME else f"at most {change:.2f} of 255 levels off"]
    print(printable(f"{' + '.join(str(path) for path in paths)} -> {target}  {', '.join(parts)}"))
