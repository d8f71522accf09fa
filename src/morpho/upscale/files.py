"""An upscaler's tables on disk.

A file holds, per stage, the three high-nibble and two low-nibble tables, each under one of two names:

    stage1.msb.H            int8 (4096, u, u)   the table, as in `Stage`
    stage1.msb.H.folded     int8 (n,)           one of every two equal values: see `morpho.upscale.symmetry`
    stage1.factor           int8 ()             the stage's factor u

Which form was chosen is visible in the name, and follows from the table alone: what is symmetric is folded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho import artifacts
from morpho.artifacts import Card
from morpho.errors import ArtifactError
from morpho.upscale.symmetry import fold, folded_size, is_symmetric, unfold
from morpho.upscale.tables import LSB_KERNELS, MSB_KERNELS, Stage, Tables

__all__ = ["KIND", "load", "save"]

#: The kind on the card of every upscaler.
KIND = "upscale"

#: More stages than any published model; a bound for files from elsewhere.
_MOST_STAGES = 8
_ENTRIES = {"msb": 4096, "lsb": 256}
_KERNELS = {"msb": tuple(MSB_KERNELS), "lsb": tuple(LSB_KERNELS)}


def save(path: Path | str, tables: Tables, card: Card, *, overwrite: bool = False) -> None:
    """Write tables and their card; symmetric tables take about 60 % of their size.

    Args:
        path: the file, ending in ``.safetensors``.
        tables: the stages.
        card: what they are; its kind must be ``upscale``.
        overwrite: whether an existing file may be replaced.

    Raises:
        ArtifactError: the card is of another kind.
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile
    >>> stage = Stage(2, np.zeros((3, 4096, 2, 2), np.int8), np.zeros((2, 256, 2, 2), np.int8))
    >>> path = Path(tempfile.mkdtemp()) / "plain-x2.safetensors"
    >>> save(path, Tables((stage,)), Card(kind="upscale", name="plain-x2", version="1", licence="CC0-1.0"))
    >>> tables, card = load(path)
    >>> tables.scale, tables.nbytes, path.stat().st_size < 32_000
    (2, 51200, True)
    """
    if card.kind != KIND:
        raise ArtifactError(f"the card says {card.kind!r}: tables for upscaling need the kind {KIND!r}")
    tensors: dict[str, NDArray[Any]] = {}
    for number, stage in enumerate(tables.stages, start=1):
        tensors[f"stage{number}.factor"] = np.array(stage.factor, dtype=np.int8)
        for branch, stacked in (("msb", stage.msb), ("lsb", stage.lsb)):
            for kernel, table in zip(_KERNELS[branch], stacked, strict=True):
                tensors.update([_named(f"stage{number}.{branch}.{kernel}", kernel, table)])
    artifacts.save(path, tensors, card, overwrite=overwrite)


def load(path: Path | str) -> tuple[Tables, Card]:
    """Read tables from a file that `save` wrote.

    Raises:
        ArtifactError: the file is missing, damaged, of another kind, or holds other tensors.
    """
    tensors, card = artifacts.load(path, kind=KIND)
    try:
        return _tables(tensors), card
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _named(name: str, kernel: str, table: NDArray[np.int8]) -> tuple[str, NDArray[Any]]:
    if is_symmetric(kernel, table):
        return f"{name}.folded", fold(kernel, table)
    return name, table


def _tables(tensors: Mapping[str, NDArray[Any]]) -> Tables:
    count = sum(name.endswith(".factor") for name in tensors)
    if not 1 <= count <= _MOST_STAGES:
        raise ArtifactError(f"it has {count} stages, and 1 to {_MOST_STAGES} are expected: get the file again")
    left = dict(tensors)
    stages = tuple(_stage(left, number) for number in range(1, count + 1))
    if left:
        raise ArtifactError(f"it holds {min(left)!r}, which is no part of an upscaler: get the file again")
    return Tables(stages)


def _stage(left: dict[str, NDArray[Any]], number: int) -> Stage:
    factor = left.pop(f"stage{number}.factor", None)
    if factor is None or factor.shape != () or factor.dtype != np.int8 or not 1 <= factor <= 4:
        raise ArtifactError(f"the factor of stage {number} is missing or not 1 to 4: get the file again")
    side = int(factor)
    msb, lsb = (
        np.stack([_take(left, f"stage{number}.{branch}.{k}", k, (_ENTRIES[branch], side, side)) for k in kernels])
        for branch, kernels in _KERNELS.items()
    )
    return Stage(side, msb, lsb)


def _take(left: dict[str, NDArray[Any]], name: str, kernel: str, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Take one table, in either form, out of the tensors that are left."""
    folded = f"{name}.folded"
    if (name in left) == (folded in left):
        raise ArtifactError(f"it must hold one of {name!r} and {folded!r}: get the file again")
    found = name if name in left else folded
    table = left.pop(found)
    expected = shape if found == name else (folded_size(kernel, shape),)
    if table.dtype != np.int8 or table.shape != expected:
        raise ArtifactError(f"{found!r} must be int8 {expected}, not {table.dtype} {table.shape}: get the file again")
    return (table if found == name else unfold(kernel, table, shape)).view(np.int8)
