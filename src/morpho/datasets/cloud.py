"""Clouds of points drawn from a shape: from the surface of a mesh, or from the outer voxels of a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morpho.datasets.off import Mesh

__all__ = ["from_mesh", "from_voxels", "in_unit_sphere", "outer"]


def from_mesh(mesh: Mesh, count: int, generator: np.random.Generator) -> NDArray[np.float32]:
    r"""Draw points uniformly on a mesh: a triangle with a probability as its area, then a point of it.

    With u, v from [0, 1], :math:`(1 - \sqrt u)\,a + \sqrt u\,(1 - v)\,b + \sqrt u\,v\,c` is uniform in the triangle
    abc.

    Returns:
        ``(count, 3)``, centred and in the unit sphere.

    Raises:
        ValueError: the mesh has no area.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    area = np.cumsum(np.linalg.norm(np.cross(b - a, c - a), axis=1))
    if not len(area) or not area[-1] > 0:
        raise ValueError("its surface has no area")
    face = np.searchsorted(area, generator.random(count) * area[-1], side="right")
    u, v = np.sqrt(generator.random((count, 1))), generator.random((count, 1))
    return in_unit_sphere((1 - u) * a[face] + u * (1 - v) * b[face] + u * v * c[face])


def from_voxels(grid: NDArray[np.bool_], count: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw outer voxels, with replacement, and a place in each, uniformly.

    Returns:
        ``(count, 3)``, centred and in the unit sphere.

    Raises:
        ValueError: no voxel is occupied.
    """
    places = np.argwhere(outer(grid))
    if not len(places):
        raise ValueError("no voxel of it is occupied")
    drawn = places[generator.integers(len(places), size=count)]
    return in_unit_sphere(drawn + generator.random((count, 3)) - 0.5)


def outer(grid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The occupied voxels that have an empty one among their six neighbours; beyond the grid all is empty.

    >>> int(outer(np.ones((3, 3, 3), dtype=bool)).sum())
    26
    """
    padded = np.pad(grid, 1)
    inside = padded[1:-1, 1:-1, 1:-1].copy()
    for start in (slice(None, -2), slice(2, None)):
        inside &= padded[start, 1:-1, 1:-1] & padded[1:-1, start, 1:-1] & padded[1:-1, 1:-1, start]
    return grid & ~inside


def in_unit_sphere(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move the mean to the origin and scale the farthest point to distance 1; a single place becomes the origin.

    >>> in_unit_sphere(np.array([[0.0, 0, 0], [4, 0, 0]])).tolist()
    [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    centred = points - points.mean(axis=0)
    radius = float(np.linalg.norm(centred, axis=1).max())
    scaled: NDArray[np.float64] = centred / (radius or 1.0)
    return scaled.astype(np.float32)
