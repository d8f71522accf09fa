"""ModelNet10 and ModelNet40: shapes of furniture and other things, as clouds of points (Wu et al., CVPR 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from morpho.datasets.cloud import from_mesh, from_voxels
from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.off import read_off
from morpho.datasets.packed import arrays, labelled
from morpho.datasets.places import folders, nothing_found, root_folder
from morpho.errors import DataError, InputError

__all__ = ["modelnet10", "modelnet40"]

_PARTS = ("train", "test")
_SIDE = 24

_Cloud = NDArray[np.float32]


def modelnet10(root: Path | str | None = None, *, points: int = 1024, seed: int = 0) -> Dataset:
    """Read ModelNet10 from its OFF files, or from the voxels of the shared pack.

    From a mesh the points are drawn uniformly on its surface. From voxels, 24 along each axis, they are drawn from
    the outer ones, with a place in each; the eight objects without a voxel are left out.

    Args:
        root: the folder of the classes' folders or of the pack's file, one above them, or None for MORPHO_DATA.
        points: of each cloud.
        seed: of the draw; each object has its own generator.

    Returns:
        float32 ``(N, points, 3)``, centred, in the unit sphere, z up; classes in the order of the alphabet.

    Raises:
        DataError: there are no such files, or one is damaged.
        InputError: ``points`` is less than 1.
    """
    return _modelnet("modelnet10", "ModelNet10", 10, root, points, seed)


def modelnet40(root: Path | str | None = None, *, points: int = 1024, seed: int = 0) -> Dataset:
    """Read ModelNet40 from its OFF files; arguments, result and errors are those of `modelnet10`."""
    return _modelnet("modelnet40", "ModelNet40", 40, root, points, seed)


def _modelnet(name: str, folder_name: str, count: int, root: Path | str | None, points: int, seed: int) -> Dataset:
    if points < 1:
        raise InputError(f"clouds of {points} points are empty: ask for at least 1")
    base = root_folder(root)
    for folder in folders(base, folder_name, name, f"points/{name}"):
        pack = folder / f"{name}_voxel{_SIDE}.npz"
        if pack.is_file():
            return Dataset(name, *(_packed(pack, part, points, seed) for part in range(2)))
        classes = _classes(folder)
        if len(classes) > count:
            raise DataError(f"{folder} holds {len(classes)} classes, but {name} has {count}: give the folder of {name}")
        if classes:
            return Dataset(name, *(_official(folder, classes, part, points, seed) for part in range(2)))
    raise nothing_found(base, name, "a folder for each class with train/*.off and test/*.off")


def _classes(folder: Path) -> tuple[str, ...]:
    """The folders that have meshes in ``train``."""
    return tuple(sorted({path.parent.parent.name for path in folder.glob("*/train/*.off")}))


def _official(folder: Path, classes: Sequence[str], part: int, points: int, seed: int) -> Labelled:
    found = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name / _PARTS[part]).glob("*.off"))
    ]

    def draw(path: Path, generator: np.random.Generator) -> _Cloud:
        mesh = read_off(path)
        try:
            return from_mesh(mesh, points, generator)
        except ValueError as error:
            raise DataError(f"{path} cannot be used ({error}): get a fresh copy") from error

    clouds = _drawn([partial(draw, path) for path, _ in found], part, points, seed)
    return labelled(folder, clouds, np.array([label for _, label in found], dtype=np.int64), classes)


def _packed(path: Path, part: int, points: int, seed: int) -> Labelled:
    name = _PARTS[part]
    packed, label, classes = arrays(path, f"{name}_packed", f"{name}_label", "class_names")
    if packed.dtype != np.uint8 or packed.shape != (len(label), _SIDE**3 // 8) or label.ndim != 1:
        raise DataError(f"{path} is damaged (the arrays of {name} do not fit together): get a fresh copy")
    there = packed.any(axis=1)

    def draw(bits: NDArray[np.uint8], generator: np.random.Generator) -> _Cloud:
        grid = np.unpackbits(bits).reshape(_SIDE, _SIDE, _SIDE).astype(bool)
        return from_voxels(grid, points, generator)

    clouds = _drawn([partial(draw, bits) for bits in packed[there]], part, points, seed)
    return labelled(path, clouds, label[there], list(classes))


def _drawn(draws: Sequence[Callable[[np.random.Generator], _Cloud]], part: int, points: int, seed: int) -> torch.Tensor:
    """The clouds, each with a generator of its own: one object more or less leaves the others as they are."""
    clouds = np.empty((len(draws), points, 3), dtype=np.float32)
    for number, draw in enumerate(draws):
        clouds[number] = draw(np.random.default_rng([seed, part, number]))
    return torch.from_numpy(clouds)
