"""An enhancer's tables on disk: one tensor per table, under the names of `morpho.enhance.tables`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho import artifacts
from morpho.artifacts import Card
from morpho.enhance.tables import Tables
from morpho.errors import ArtifactError

__all__ = ["KIND", "load", "save"]

#: The kind on the card of every enhancer.
KIND = "enhance"
_NEEDED = ("msb", "groups", "own", "mix", "rest", "thumbnail")


def save(path: Path | str, tables: Tables, card: Card, *, overwrite: bool = False) -> None:
    """Write tables and their card.

    Args:
        path: the file, ending in ``.safetensors``.
        tables: the tables.
        card: what they are; its kind must be ``enhance``.
        overwrite: whether an existing file may be replaced.

    Raises:
        ArtifactError: the card is of another kind.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    if card.kind != KIND:
        raise ArtifactError(f"the card says {card.kind!r}: tables for enhancing need the kind {KIND!r}")
    tensors: dict[str, NDArray[Any]] = {
        name: value for name, value in vars(tables).items() if isinstance(value, np.ndarray)
    }
    tensors["thumbnail"] = np.array(tables.thumbnail, dtype=np.int16)
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


def _tables(tensors: dict[str, NDArray[Any]]) -> Tables:
    missing = [name for name in _NEEDED if name not in tensors]
    foreign = sorted(set(tensors) - {*_NEEDED, "lsb"})
    if missing or foreign:
        what = f"lacks {missing[0]!r}" if missing else f"holds {foreign[0]!r}"
        raise ArtifactError(f"it {what}, so it is no enhancer: get the file again")
    thumbnail = tensors.pop("thumbnail")
    if thumbnail.shape != () or thumbnail.dtype != np.int16:
        raise ArtifactError("its 'thumbnail' is no whole number: get the file again")
    return Tables(**tensors, thumbnail=int(thumbnail))
