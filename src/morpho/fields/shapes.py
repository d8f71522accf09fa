"""Shapes given by triangles: read, checked, put into the cube, and asked for distances, insides and samples."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError, MorphoError, require
from morpho.fields.signal import Signal
from morpho.fields.sources import check_source

__all__ = ["FILL", "SUFFIXES", "Shape", "read_shape"]

SUFFIXES = (".ply", ".obj", ".stl", ".off", ".glb")

#: The longest side of a shape fills this part of [-1, 1], as published.
FILL = 0.9

#: Meshes beyond these are no shapes for a small field, but may well be hostile.
_MOST_BYTES, _MOST_FACES = 2**30, 2**24
#: Vertices are one where they lie within this part of the longest side.
_ONE_PLACE = 1e-8
#: Of the points near the surface that may be inside, the share whose winding number is far from whole numbers that
#: tells a soup of triangles (0.69 and more) from a mesh with holes (0.03 without 5 % of it, 0.25 for half a sphere).
_UNCLEAR = 0.4

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A closed surface of triangles in [-1, 1]^3.

    Attributes:
        vertices: ``(V, 3)``, within [-0.9, 0.9]^3.
        faces: ``(F, 3)`` int64, counter-clockwise as seen from outside.
        origin: the corner of the cube where all coordinates are -1, in the mesh's own units.
        extent: the side lengths of the cube in those units: three times the same.
        watertight: whether each edge belongs to two faces that agree on their orientation.
        notes: what was found and mended, one sentence each.
    """

    vertices: Points
    faces: NDArray[np.int64]
    origin: tuple[float, float, float]
    extent: tuple[float, float, float]
    watertight: bool = True
    notes: tuple[str, ...] = ()

    @classmethod
    def from_triangles(cls, vertices: NDArray[Any], faces: NDArray[Any], name: str = "the mesh") -> Shape:
        """Check a mesh, orient it and put it into the cube with one factor for all axes.

        Args:
            vertices: ``(V, 3)`` in any units.
            faces: ``(F, 3)`` indices of vertices.
            name: what messages call it.

        Raises:
            InputError: the mesh is empty, flat, has indices or coordinates out of range, or so many holes that
                inside and outside have no meaning.
        """
        corners, triangles = _checked(vertices, faces, name)
        low, high = corners.min(0), corners.max(0)
        side = float((high - low).max()) / FILL
        origin = (low + high) / 2 - side / 2
        cube = 2 * (corners - origin) / side - 1
        watertight = _is_closed(triangles)
        shape = cls(
            vertices=np.ascontiguousarray(cube),
            faces=triangles,
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
            extent=(side, side, side),
            watertight=watertight,
            notes=()
            if watertight
            else (f"{name} is not watertight: its inside is where triangles wind around a point",),
        )
        return _meaningful(_oriented(shape, name), name)

    def signal(self, kind: str = "sdf", resolution: int = 256, truncate: float = 0.5) -> Signal:
        """Return what a field of this shape stands for.

        Args:
            kind: ``sdf`` or ``occupancy``.
            resolution: samples per axis with which it is scored.
            truncate: the distance, in the cube's units, beyond which an SDF is cut off.
        """
        reach = {"low": -truncate, "high": truncate} if kind == "sdf" else {}
        made: dict[str, Any] = {"kind": kind, "shape": (resolution,) * 3, "channels": 1, **reach}
        return Signal(**made, origin=self.origin, extent=self.extent)

    def winding(self, points: NDArray[Any]) -> Points:
        """Return how often the surface winds around each point ``(N, 3)``: 1 inside, 0 outside, between at holes.

        By the fast winding number (Barill et al., 2018), exact to about 0.003.

        Raises:
            MissingExtraError: libigl is not installed.
        """
        igl = require("igl", "shapes")
        queries = np.ascontiguousarray(points, np.float64)
        return np.asarray(igl.fast_winding_number(self.vertices, self.faces, queries), np.float64)

    def inside(self, points: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which of the points ``(N, 3)`` are inside: those around which the surface winds more than half."""
        return self.winding(points) > 0.5

    def distance(self, points: NDArray[Any]) -> Points:
        """Return the distance of each point ``(N, 3)`` to the surface, without a sign, in the cube's units."""
        igl = require("igl", "shapes")
        queries = np.ascontiguousarray(points, np.float64)
        squared = igl.point_mesh_squared_distance(queries, self.vertices, self.faces)[0]
        return np.sqrt(np.asarray(squared, np.float64))

    def signed_distance(self, points: NDArray[Any], truncate: float | None = None) -> Points:
        """Return the distance to the surface ``(N,)``, negative inside, in the cube's units.

        Args:
            points: ``(N, 3)`` in the cube.
            truncate: the distance at which values are cut off.
        """
        # Not igl's own signed distance: its sign is 1 - 2 |winding number|, which is not quite -1 or 1.
        signed = np.where(self.inside(points), -1.0, 1.0) * self.distance(points)
        return signed if truncate is None else np.clip(signed, -truncate, truncate)

    def surface(self, count: int, random: np.random.Generator) -> Points:
        """Draw points ``(count, 3)`` on the surface, evenly by area."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        share = np.cumsum(np.linalg.norm(np.cross(b - a, c - a), axis=1))
        face = np.searchsorted(share, random.random(count) * share[-1], side="right").clip(max=len(self.faces) - 1)
        u, v = random.random((2, count, 1))
        u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
        return np.asarray(a[face] + u * (b[face] - a[face]) + v * (c[face] - a[face]))

    def around(
        self,
        count: int,
        random: np.random.Generator,
        *,
        scales: tuple[float, float] = (0.2, 0.002),
        uniform: float = 0.1,
    ) -> Points:
        """Draw points ``(count, 3)`` in the cube for a fit: around the surface, and some anywhere.

        Surface points plus Laplace noise, half of them of each scale, and kept within the cube (Li et al., 2024, who
        let points beyond its sides come back on the other; their cube has the side 1, so that their scales 0.1 and
        0.001 are twice that here).

        Args:
            count: how many.
            random: draws them.
            scales: of the noise, far and near.
            uniform: the share of points drawn evenly in the cube.
        """
        anywhere = round(uniform * count)
        points = self.surface(count - anywhere, random)
        half = len(points) // 2
        points[:half] += random.laplace(0.0, scales[0], (half, 3))
        points[half:] += random.laplace(0.0, scales[1], (len(points) - half, 3))
        return np.concatenate([np.clip(points, -1, 1), random.uniform(-1, 1, (anywhere, 3))])


def read_shape(path: Path | str) -> Shape:
    """Read a mesh from a file that trimesh knows, and put it into the cube.

    Raises:
        InputError: the file is missing, damaged, too large or of an unknown form, or holds no usable mesh.
        MissingExtraError: trimesh is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path} is no mesh that is known here: give one of {', '.join(SUFFIXES)}")
    check_source(path, "mesh")
    trimesh = require("trimesh", "shapes")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} has more than {_MOST_BYTES >> 30} GiB: reduce the mesh first")
        # Not the file, whose name would let other files beside it be looked for.
        stream = io.BytesIO(_readable(path, suffix))
        mesh = trimesh.load(stream, file_type=suffix[1:], force="mesh", process=False, skip_materials=True)
        vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    except MorphoError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory: reduce the mesh first") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path} cannot be opened ({reason}): check the path and its rights") from error
    except Exception as error:  # trimesh's readers raise whatever damaged bytes lead them to
        raise InputError(f"{path} cannot be read as a mesh (it is damaged, or no {suffix}): get it again") from error
    corners, triangles = _checked(vertices, faces, str(path))
    return Shape.from_triangles(corners, _merged(corners, triangles), str(path))


def _readable(path: Path, suffix: str) -> bytes:
    """Return the file's bytes, with text in UTF-8: for any other, trimesh asks a package that may not be there.

    Only comments and names have letters beyond ASCII, and nobody reads those.
    """
    content = path.read_bytes()
    text = len(content)
    if suffix == ".glb":
        return content
    if suffix == ".ply":
        header = max(content.find(b"end_header"), 0)
        text = text if b"format ascii" in content[:header] else header
    elif suffix == ".stl":
        triangles = int.from_bytes(content[80:84], "little")
        if len(content) == 84 + 50 * triangles:
            return content
        if b"\0" in content[:4096]:  # no text
            told = f"it has {len(content)} bytes, and {triangles} triangles take {84 + 50 * triangles}"
            raise InputError(f"{path} cannot be read as a mesh ({told}): get it again")
    if content[:text].isascii():
        return content
    return content[:text].decode("utf-8", "replace").encode() + content[text:]


def _checked(vertices: NDArray[Any], faces: NDArray[Any], name: str) -> tuple[Points, NDArray[np.int64]]:
    """Refuse what is no mesh, and drop faces without an area."""
    if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,) or not len(faces):
        raise InputError(f"{name} has vertices {vertices.shape} and faces {faces.shape}: a mesh of triangles is needed")
    if len(faces) > _MOST_FACES:
        raise InputError(f"{name} has {len(faces)} triangles: reduce it to at most {_MOST_FACES}")
    corners, triangles = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    if triangles.min() < 0 or triangles.max() >= len(corners):
        raise InputError(f"{name} has triangles of vertices that it does not have: export it again")
    used, numbered = np.unique(triangles, return_inverse=True)
    corners, triangles = corners[used], numbered.reshape(-1, 3).astype(np.int64)
    if not np.isfinite(corners).all() or np.abs(corners).max() > 1e15:
        raise InputError(f"{name} has vertices that are no numbers or beyond 1e15: export it again")
    a, b, c = triangles.T
    triangles = np.ascontiguousarray(triangles[(a != b) & (b != c) & (c != a)])
    sides = np.ptp(corners, axis=0)
    if not len(triangles) or sides.min() <= 1e-9 * max(1e-300, float(sides.max())):
        raise InputError(f"{name} is flat or a point, so that it has no inside: give a solid")
    return corners, triangles


def _merged(vertices: Points, faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Let faces share the first of the vertices at one place, in any units: STL repeats those of each triangle."""
    low, high = vertices.min(0), vertices.max(0)
    cells = np.rint((vertices - low) / (_ONE_PLACE * float((high - low).max()))).astype(np.int64)
    order = np.lexsort(cells.T)  # stable: the first of equal ones comes first
    new = np.append(True, (np.diff(cells[order], axis=0) != 0).any(1))
    first = np.empty_like(order)
    first[order] = order[new][np.cumsum(new) - 1]
    return np.asarray(first[faces], np.int64)


def _is_closed(faces: NDArray[np.int64]) -> bool:
    """Tell whether each directed edge occurs once, and once the other way round."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    base = int(faces.max()) + 1
    there, back = np.sort(edges[:, 0] * base + edges[:, 1]), np.sort(edges[:, 1] * base + edges[:, 0])
    return bool((there[1:] != there[:-1]).all() and (there == back).all())


def _oriented(shape: Shape, name: str) -> Shape:
    """Turn the triangles round where the volume that they enclose is negative, and refuse where there is none."""
    a, b, c = (shape.vertices[shape.faces[:, k]] for k in range(3))
    volumes = float((a * np.cross(b, c)).sum())
    if shape.watertight and abs(volumes) < 1e-9:  # such as a sheet with two sides
        raise InputError(f"{name} is flat, so that it has no inside: give a solid")
    if volumes >= 0:
        return shape
    note = f"the triangles of {name} faced inwards and were turned round"
    return replace(shape, faces=np.ascontiguousarray(shape.faces[:, ::-1]), notes=(*shape.notes, note))


def _meaningful(shape: Shape, name: str) -> Shape:
    """Refuse a soup of triangles: winding numbers that are far from whole ones where the inside should be."""
    if shape.watertight:
        return shape
    # Around the surface, since the inside of what is thin or small may be a tiny part of the cube.
    winding = shape.winding(shape.around(4096, np.random.default_rng(0)))
    unclear = np.abs(winding - np.rint(winding)) > 0.25
    share = float(unclear.sum() / max(1, int((unclear | (winding > 0.5)).sum())))
    if share > _UNCLEAR or not (winding > 0.5).any():
        raise InputError(f"{name} has so many holes that its inside is unclear ({share:.0%} of it): close it")
    return shape
