"""Meshes in the OFF format, as ModelNet has them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.errors import DataError

__all__ = ["Mesh", "read_off"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles: ``vertices`` (V, 3) float64 and ``faces`` (F, 3) int64, numbers of vertices."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def read_off(path: Path) -> Mesh:
    """Read a mesh; polygons are cut into triangles from their first corner, colours are ignored.

    Some files of ModelNet lack the line break after ``OFF`` (``OFF490 518 0``): they are read too.

    Raises:
        DataError: it cannot be read, is no OFF file, is cut off, or names a vertex that it does not have.
    """
    try:
        lines = [line for line in path.read_bytes().splitlines() if line.strip() and not line.lstrip().startswith(b"#")]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path") from error
    if not lines or not lines[0].lstrip().startswith(b"OFF"):
        raise DataError(f"{path} is not an OFF file, which begins with OFF: convert it")
    lines[0] = lines[0].lstrip().removeprefix(b"OFF")
    body = lines if lines[0].strip() else lines[1:]
    try:
        return _parsed(body)
    except (ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path} is damaged ({error!s:.80}): get a fresh copy") from error


def _parsed(lines: list[bytes]) -> Mesh:
    """The lines from the counts on; what is wrong is a ValueError."""
    vertex_count, face_count = (int(number) for number in lines[0].split()[:2]) if lines else (0, 0)
    if vertex_count < 1 or face_count < 1 or len(lines) < 1 + vertex_count + face_count:
        raise ValueError(f"{vertex_count} vertices and {face_count} faces do not fit its {len(lines)} lines")
    vertices = _vertices(lines[1 : 1 + vertex_count])
    faces = _triangles(lines[1 + vertex_count : 1 + vertex_count + face_count])
    if faces.min(initial=0) < 0 or faces.max(initial=0) >= vertex_count:
        raise ValueError(f"a face names a vertex that is not among the {vertex_count}")
    return Mesh(vertices, faces)


def _vertices(lines: list[bytes]) -> NDArray[np.float64]:
    numbers = b" ".join(lines).split()
    if len(numbers) != 3 * len(lines):  # with colours, or damaged
        numbers = [number for line in lines for number in line.split()[:3]]
    vertices = np.fromiter(map(float, numbers), np.float64, len(numbers)).reshape(len(lines), 3)
    if not np.isfinite(vertices).all():
        raise ValueError("a coordinate is not finite")
    return vertices


def _triangles(lines: list[bytes]) -> NDArray[np.int64]:
    numbers = b" ".join(lines).split()
    if len(numbers) == 4 * len(lines):
        table = np.fromiter(map(int, numbers), np.int64, len(numbers)).reshape(-1, 4)
        if (table[:, 0] == 3).all():
            return table[:, 1:]
    found = [triangle for line in lines for triangle in _fan(line)]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _fan(line: bytes) -> list[tuple[int, int, int]]:
    """The triangles of a polygon; a line or a point has none."""
    count, *rest = line.split()
    corners = [int(number) for number in rest[: int(count)]]
    if len(corners) != int(count):
        raise ValueError(f"a face of {int(count)} corners names {len(corners)}")
    return [(corners[0], *pair) for pair in pairwise(corners[1:])]
