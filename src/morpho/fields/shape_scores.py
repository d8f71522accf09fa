"""How good a field of a shape is: intersection over union of the insides, and the distance of the surfaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.field import Field
from morpho.fields.surface import chamfer, evaluate, iou, mesh_of

__all__ = ["ShapeScores", "field_mesh", "score_against"]

#: Points that are asked for at a time.
_AT_ONCE = 2**20

#: Points in [-1, 1]^3, ``(N, 3)``, to whether they are inside.
Inside = Callable[[NDArray[np.float64]], NDArray[np.bool_]]


@dataclass(frozen=True)
class ShapeScores:
    """IoU from 0 to 1, and the Chamfer distance of `morpho.fields.surface.chamfer`, for a box of longest side 1.

    Attributes:
        iou: of the insides, at every point of a grid over the box.
        chamfer: between the vertices of two surfaces: of the field by marching cubes on that grid, and of the original.
        resolution: points along the grid's longest side.
    """

    iou: float
    chamfer: float
    resolution: int


def score_against(
    field: Field,
    inside: Inside | NDArray[np.bool_],
    vertices: NDArray[Any] | None = None,
    *,
    resolution: int = 256,
    threads: int | None = None,
) -> ShapeScores:
    """Score a field against its original.

    Args:
        field: of the kind ``sdf`` or ``occupancy``.
        inside: tells of points whether they are inside; or the voxels ``(X, Y, Z)``, which then are what is asked for.
        vertices: of the original's surface in [-1, 1]^3; by default marching cubes find them on the grid of insides.
        resolution: points along the longest side; of voxels, no more than there are, in even steps.
        threads: how many share the points.

    Raises:
        InputError: the field is no shape, or has no surface.
        MissingExtraError: SciPy or scikit-image is not installed.
    """
    level, outward = _level(field)
    if isinstance(inside, np.ndarray):
        voxels = replace(field.signal, shape=inside.shape)
        sides = voxels.sides(min(resolution, max(inside.shape)))
        index = [
            np.floor(np.linspace(0, n - 1, m) + 0.5).astype(np.intp) for n, m in zip(inside.shape, sides, strict=True)
        ]
        truth = inside[np.ix_(*index)]
        axes = [axis[some] for axis, some in zip(voxels.coordinates(), index, strict=True)]
    else:
        truth, axes = _on_grid(inside, resolution), field.signal.coordinates((resolution,) * 3)
    values = field.lattice(axes, threads)
    found = values < level if outward == "up" else values > level
    # Coordinates are from -1 to 1 along every axis, however long: distances need one unit.
    unit = np.array(field.signal.extent or (1.0, 1.0, 1.0)) / max(field.signal.extent or (1.0,))
    ours = mesh_of(values, level=level, outward=outward)[0]
    theirs = mesh_of(truth.astype(np.float32), level=0.5, outward="down")[0] if vertices is None else vertices
    return ShapeScores(iou(found, truth), chamfer(unit * ours, unit * theirs), max(truth.shape))


def field_mesh(
    field: Field, resolution: int = 256, *, exact: bool = False, threads: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices, in the shape's own units, and faces of a field's surface, by marching cubes.

    Args:
        field: of the kind ``sdf`` or ``occupancy``.
        resolution: points along the longest side; the others have as many for their length.
        exact: evaluate every point; by default only those near the surface, which may miss parts that lie wholly
            between the points of a grid four times coarser.
        threads: how many share the points.

    Raises:
        InputError: the field is no shape, has no surface, or the resolution is out of range.
        MissingExtraError: scikit-image is not installed.
    """
    level, outward = _level(field)
    sides = field.signal.sides(resolution)
    values = evaluate(lambda points: field(points, threads=threads), sides, level=level, exact=exact)
    return mesh_of(values, field.signal, level=level, outward=outward)


def _level(field: Field) -> tuple[float, str]:
    if field.signal.kind == "sdf":
        return 0.0, "up"
    if field.signal.kind == "occupancy":
        return 0.5, "down"
    raise InputError(f"this field is of the kind {field.signal.kind!r}: a shape is needed here")


def _on_grid(inside: Inside, resolution: int) -> NDArray[np.bool_]:
    """Ask for so many planes at a time as memory allows: each question has its own cost."""
    axis = np.linspace(-1, 1, resolution)
    grid = np.empty((resolution,) * 3, bool)
    planes = max(_AT_ONCE // resolution**2, 1)
    for start in range(0, resolution, planes):
        points = np.stack(np.meshgrid(axis[start : start + planes], axis, axis, indexing="ij"), axis=-1)
        grid[start : start + planes] = inside(points.reshape(-1, 3)).reshape(-1, resolution, resolution)
    return grid
