"""From a function to its surface: sparse evaluation, marching cubes, mesh files, and how near two shapes are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.atomic import replacing
from morpho.errors import InputError, require
from morpho.fields.signal import Signal

__all__ = ["SUFFIXES", "chamfer", "check_mesh_file", "evaluate", "iou", "mesh_of", "write_mesh"]

SUFFIXES = (".ply", ".obj", ".stl")

#: Points ``(N, 3)`` in [-1, 1]^3 to values ``(N,)`` or ``(N, 1)``.
Function = Callable[[NDArray[np.float32]], NDArray[Any]]

#: Coordinates along each axis, and the points of the coarse grid there.
_Axes = Sequence[NDArray[np.float32]]
_Knots = Sequence[NDArray[np.int64]]

#: Points evaluated at a time, and the largest grid: 1024^3 float32 values take 4 GiB.
_BLOCK, _LARGEST = 2**18, 1024
#: Parts of a mesh's size by which float32 may move vertices: beyond the first .ply takes doubles, beyond the second,
#: where normals turn by degrees, .stl cannot hold it.
_MOVED, _RUINED = 1e-6, 1e-4
#: By how much of a coordinate float32 moves it at most.
_STEP = 2.0**-24


def evaluate(
    function: Function, sides: tuple[int, ...], *, level: float = 0.0, exact: bool = False, coarse: int = 4
) -> NDArray[np.float32]:
    """Evaluate a function on a grid of points from -1 to 1, ends included, finely only near a level.

    A coarse grid comes first. A cell of it is evaluated at all points where the values at its corners, and how fast
    they change there, let it be that the level lies in it; then the cells beside it until the level leaves through
    none of their sides. Elsewhere the values are interpolated between the corners, and only their side of the level
    has a meaning. Signed distances have few parts that are missed so; occupancies may lose those that lie wholly
    between the points of the coarse grid: ``exact`` evaluates every point.

    Args:
        function: points to values.
        sides: points along each axis, 2 to 1024.
        level: the value at the surface.
        exact: whether to evaluate every point.
        coarse: the spacing of the coarse grid, in points.

    Raises:
        InputError: a side or the spacing is out of range.
    """
    if not 2 <= min(sides) <= max(sides) <= _LARGEST or coarse < 1:
        size = " x ".join(str(side) for side in sides)
        raise InputError(f"a grid of {size} points cannot be evaluated: give 2 to {_LARGEST} along each axis")
    axes = [np.linspace(-1, 1, side, dtype=np.float64).astype(np.float32) for side in sides]
    if exact or coarse == 1 or max(sides) <= 4 * coarse:
        return _at(function, axes, range(math.prod(sides))).reshape(sides)
    knots = [np.unique(np.append(np.arange(0, side, coarse), side - 1)) for side in sides]
    index = _flat(np.stack(np.meshgrid(*knots, indexing="ij"), -1).reshape(-1, 3), sides)
    corners = _at(function, axes, index).reshape([len(each) for each in knots])
    grid = _interpolated(corners, knots)
    done, known = np.zeros([len(each) - 1 for each in knots], bool), np.zeros(grid.size, bool)
    known[index] = True
    wanted = _suspected(corners - np.float32(level))
    while (cells := np.argwhere(wanted & ~done)).size:
        _refine(function, axes, grid, known, knots, cells)
        done |= wanted
        wanted = _neighbours(grid > level, knots, cells, done.shape)
    return grid


def mesh_of(
    values: NDArray[Any], signal: Signal | None = None, *, level: float = 0.0, outward: str = "up"
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices and faces of the surface of a grid over [-1, 1]^3, by marching cubes (Lewiner et al., 2003).

    Args:
        values: ``(X, Y, Z)``, with the first and last sample of each axis at -1 and 1.
        signal: its origin and extent give the mesh's own units; without, vertices are in [-1, 1]^3.
        level: the value at the surface.
        outward: where the outside is: ``up`` the values, as of signed distances, or ``down``, as of occupancies.

    Returns:
        ``(V, 3)`` and ``(F, 3)``, counter-clockwise as seen from outside.

    Raises:
        InputError: no value lies on one of the sides, so that there is no surface.
        MissingExtraError: scikit-image is not installed.
    """
    grid = np.asarray(values, np.float32)
    if grid.ndim != 3 or min(grid.shape) < 2:
        raise InputError(f"a grid of {grid.shape} has no surface: give two or more samples along three axes")
    if not (grid.min() < level < grid.max()):
        raise InputError(
            f"the values, {grid.min():.3g} to {grid.max():.3g}, never cross {level:g}: there is no surface"
        )
    march = require("skimage.measure", "shapes").marching_cubes
    direction = "descent" if outward == "up" else "ascent"
    vertices, faces, *_ = march(grid, level, gradient_direction=direction, allow_degenerate=False)
    cube = 2 * np.asarray(vertices, np.float64) / (np.array(grid.shape) - 1) - 1
    return _in_units(cube, signal), np.ascontiguousarray(faces, np.int64)


def iou(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Return the intersection over union of two boolean grids, 0 to 1; 1 where both are empty.

    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    if ours.shape != theirs.shape:
        raise InputError(f"grids of {ours.shape} and {theirs.shape} cannot be compared: evaluate both on the same")
    either = int(np.count_nonzero(ours | theirs))
    return int(np.count_nonzero(ours & theirs)) / either if either else 1.0


def chamfer(ours: NDArray[Any], theirs: NDArray[Any], *, box: float = 2.0) -> float:
    """Return the Chamfer distance of two sets of points, in units in which the cube has the side 1.

    ``(mean over ours of the distance to the nearest of theirs + the other way round) / box``: a sum, not a mean, of
    distances, not squares (as Li et al., 2024, score SCONE, on the vertices of two meshes).

    Args:
        ours: ``(N, 3)``.
        theirs: ``(M, 3)``.
        box: the side of the cube in the points' units: 2 for points in [-1, 1]^3.

    Raises:
        InputError: one of the sets is empty.
        MissingExtraError: SciPy is not installed.

    >>> chamfer(np.zeros((1, 3)), np.array([[0, 0, 1.0]]))
    1.0
    """
    if not len(ours) or not len(theirs):
        raise InputError("a set without points is at no distance from another: mesh a shape that has a surface")
    tree = require("scipy.spatial", "shapes").cKDTree
    there = tree(theirs).query(ours)[0].mean()
    back = tree(ours).query(theirs)[0].mean()
    return float(there + back) / box


def check_mesh_file(path: Path | str, signal: Signal | None = None) -> None:
    """Refuse, before the work, a file that could not hold the mesh of a signal.

    Args:
        path: the file to write.
        signal: its origin and extent tell how far the mesh lies from its origin.

    Raises:
        InputError: the suffix is of no kind that is written, or ``.stl``, which has no doubles, would ruin the mesh.

    >>> check_mesh_file("ball.glb")
    Traceback (most recent call last):
    morpho.errors.InputError: ball.glb cannot be written as a mesh: let it end in .ply, .obj, .stl
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} cannot be written as a mesh: let it end in {', '.join(SUFFIXES)}")
    if signal is None or path.suffix.lower() != ".stl":
        return
    box = _in_units(np.array([[-1.0] * 3, [1.0] * 3]), signal)
    # The mesh is smaller than its box, and no nearer to the origin than the box's nearest side.
    nearest = np.where((box[0] > 0) | (box[1] < 0), np.abs(box).min(0), 0.0)
    if nearest.max() * _STEP > _RUINED * np.ptp(box, axis=0).max():
        raise _too_far(path)


def write_mesh(path: Path | str, vertices: NDArray[Any], faces: NDArray[Any], *, overwrite: bool = False) -> None:
    """Write a mesh as binary ``.ply``, binary ``.stl`` or ``.obj``, in full or not at all.

    Raises:
        InputError: the suffix is of no kind that is written, or ``.stl``, which has no doubles, would ruin a mesh so
            far from its origin.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    check_mesh_file(path)
    corners = np.asarray(vertices, np.float64)
    if path.suffix.lower() == ".stl" and _is_far(corners, _RUINED):
        raise _too_far(path)
    content = {".ply": _ply, ".stl": _stl, ".obj": _obj}[path.suffix.lower()](corners, np.asarray(faces, np.int64))
    with replacing(path, overwrite=overwrite) as file:
        file.write(content)


def _flat(index: NDArray[Any], sides: tuple[int, ...]) -> NDArray[np.int64]:
    return np.asarray((index[:, 0] * sides[1] + index[:, 1]) * sides[2] + index[:, 2], np.int64)


def _at(function: Function, axes: _Axes, index: NDArray[Any] | range) -> NDArray[np.float32]:
    """Evaluate the function at flat indices of the grid, block by block."""
    values = np.empty(len(index), np.float32)
    (x, y, z), sides = axes, [len(axis) for axis in axes]
    for start in range(0, len(index), _BLOCK):
        rows, rest = np.divmod(index[start : start + _BLOCK], sides[1] * sides[2])
        points = np.stack([x[rows], y[rest // sides[2]], z[rest % sides[2]]], 1)
        values[start : start + len(points)] = np.asarray(function(points)).reshape(len(points))
    return values


def _interpolated(corners: NDArray[np.float32], knots: _Knots) -> NDArray[np.float32]:
    """Interpolate linearly along one axis after the other."""
    grid = corners
    for axis, own in enumerate(knots):
        place = np.arange(own[-1] + 1)
        first = np.clip(np.searchsorted(own, place, side="right") - 1, 0, len(own) - 2)
        part = ((place - own[first]) / (own[first + 1] - own[first])).astype(np.float32)
        part = part.reshape([-1 if k == axis else 1 for k in range(3)])
        low = np.take(grid, first, axis=axis)
        grid = low + part * (np.take(grid, first + 1, axis=axis) - low)
    return np.ascontiguousarray(grid)


def _suspected(corners: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell of each cell whether the level 0 may lie in it.

    Corners lie on both sides, or one of them is nearer to the level than the values change over a cell's side, so that
    what is thinner than a cell is found too.
    """
    slope = np.zeros_like(corners)
    for low, high in _pairs():
        change = np.abs(corners[high] - corners[low])
        slope[low] = np.maximum(slope[low], change)
        slope[high] = np.maximum(slope[high], change)
    near, above = np.abs(corners) <= slope, corners > 0
    every, some = above, above
    for low, high in _pairs():
        near = near[low] | near[high]
        every, some = every[low] & every[high], some[low] | some[high]
    return near | (some & ~every)


def _pairs() -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Slices of all samples but the last, and of all but the first, along each axis."""
    every, low, high = slice(None), slice(None, -1), slice(1, None)
    return [
        (tuple(low if k == axis else every for k in range(3)), tuple(high if k == axis else every for k in range(3)))
        for axis in range(3)
    ]


def _refine(
    function: Function,
    axes: _Axes,
    grid: NDArray[np.float32],
    known: NDArray[np.bool_],
    knots: _Knots,
    cells: NDArray[np.int64],
) -> None:
    """Evaluate the function at all points of the cells, sides included, that are not known yet."""
    step = _widest(knots) + 1
    offsets = np.stack(np.meshgrid(*[np.arange(step)] * 3, indexing="ij"), -1).reshape(1, -1, 3)
    at_once = max(1, _BLOCK // step**3)
    for start in range(0, len(cells), at_once):
        block = cells[start : start + at_once]
        points = np.minimum(_corner(knots, block)[:, None] + offsets, _corner(knots, block + 1)[:, None]).reshape(-1, 3)
        index = np.unique(_flat(points, grid.shape))
        index = index[~known[index]]
        known[index] = True
        grid.reshape(-1)[index] = _at(function, axes, index)


def _widest(knots: _Knots) -> int:
    """The longest side of a cell, in points."""
    return max(int(np.diff(own).max()) for own in knots)


def _corner(knots: _Knots, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lowest point of each cell ``(N, 3)``."""
    return np.stack([own[cells[:, axis]] for axis, own in enumerate(knots)], 1)


def _neighbours(
    above: NDArray[np.bool_], knots: _Knots, cells: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Mark the cells beside the given ones through whose common side the level goes."""
    wanted = np.zeros(shape, bool)
    spread = np.arange(_widest(knots) + 1)
    places = np.minimum(_corner(knots, cells)[:, :, None] + spread, _corner(knots, cells + 1)[:, :, None])
    for axis, side in product(range(3), (0, 1)):
        beside = cells.copy()
        beside[:, axis] += 2 * side - 1
        kept = (beside[:, axis] >= 0) & (beside[:, axis] < shape[axis])
        x, y, z = (
            place[:, -side, None] if k == axis else place for k, place in enumerate(places[kept].transpose(1, 0, 2))
        )
        face = above[x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]]
        crossed = face.any((1, 2, 3)) & ~face.all((1, 2, 3))
        wanted[tuple(beside[kept][crossed].T)] = True
    return wanted


def _in_units(cube: NDArray[np.float64], signal: Signal | None) -> NDArray[np.float64]:
    if signal is None or signal.origin is None or signal.extent is None:
        return cube
    return np.asarray(np.array(signal.origin) + (cube + 1) / 2 * np.array(signal.extent))


def _ply(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> bytes:
    kind, dtype = ("double", "<f8") if _is_far(vertices, _MOVED) else ("float", "<f4")
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        f"property {kind} x\nproperty {kind} y\nproperty {kind} z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
    rows["count"], rows["corners"] = 3, faces
    return header.encode() + vertices.astype(dtype).tobytes() + rows.tobytes()


def _is_far(vertices: NDArray[np.float64], part: float) -> bool:
    """Whether float32 would move vertices by more than this part of the mesh's size, as geographic units do."""
    if not len(vertices):
        return False
    return bool(np.abs(vertices).max() * _STEP > part * np.ptp(vertices, axis=0).max())


def _too_far(path: Path) -> InputError:
    return InputError(f"{path} cannot hold a mesh so far from its origin, as .stl has 7 digits: write .ply or .obj")


def _stl(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> bytes:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    rows = np.zeros(len(faces), np.dtype([("vectors", "<f4", (4, 3)), ("unused", "<u2")]))
    rows["vectors"] = np.stack([normals, a, b, c], 1)
    return b"morpho".ljust(80) + len(faces).to_bytes(4, "little") + rows.tobytes()


def _obj(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> bytes:
    digits = max(6, 7 - math.floor(math.log10(max(1e-30, float(np.abs(vertices).max(initial=0.0))))))
    lines = [f"v {x:.{digits}f} {y:.{digits}f} {z:.{digits}f}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode()
