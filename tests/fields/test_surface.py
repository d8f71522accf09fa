"""Surfaces of functions with closed forms: places, orientation, files, and the distance between shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.errors import InputError, OutputExistsError
from morpho.fields import surface
from morpho.fields.signal import Signal

pytest.importorskip("skimage")

CENTRE = np.array([0.1, -0.05, 0.2])


def ball(points: NDArray[Any]) -> NDArray[Any]:
    """The signed distance to a ball of the radius 0.6, off the centre so that half a voxel shows."""
    distance: NDArray[Any] = np.linalg.norm(points - CENTRE, axis=1) - 0.6
    return distance


def ring(points: NDArray[Any]) -> NDArray[Any]:
    x, y, z = points.T
    distance: NDArray[Any] = np.hypot(np.hypot(x, y) - 0.6, z) - 0.05
    return distance


def volume(vertices: NDArray[Any], faces: NDArray[Any]) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("size", [32, 65])
def test_vertices_lie_on_the_ball(size: int) -> None:
    vertices, faces = surface.mesh_of(surface.evaluate(ball, (size,) * 3))
    radii = np.linalg.norm(vertices - CENTRE, axis=1)
    assert np.abs(radii - 0.6).max() < 0.3 * (2 / size) ** 2 / 0.6  # the error of linear interpolation: h^2 / (8 r)
    assert np.abs((vertices.max(0) + vertices.min(0)) / 2 - CENTRE).max() < (2 / size) ** 2
    assert volume(vertices, faces) == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=1e-2)  # positive: it faces outwards


def test_occupancies_face_outwards_too() -> None:
    grid = -surface.evaluate(ball, (32,) * 3)
    vertices, faces = surface.mesh_of(grid, outward="down")
    assert volume(vertices, faces) > 0.8


def test_units_of_the_mesh() -> None:
    signal = Signal(kind="sdf", shape=(9, 9, 9), channels=1, origin=(10.0, 20.0, 30.0), extent=(4.0, 4.0, 4.0))
    vertices, _ = surface.mesh_of(surface.evaluate(ball, (48,) * 3), signal)
    radii = np.linalg.norm(vertices - (np.array([12.0, 22.0, 32.0]) + 2 * CENTRE), axis=1)
    assert np.abs(radii - 1.2).max() < 2e-3


@pytest.mark.parametrize("function", [ball, ring])
@pytest.mark.parametrize("size", [61, 96])
def test_sparse_evaluation_has_the_same_surface_and_looks_at_less(
    function: surface.Function, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, ...]] = []
    monkeypatch.setattr(surface, "_BLOCK", 4096)

    def counting(points: NDArray[np.float32]) -> NDArray[Any]:
        seen.extend(map(tuple, points.tolist()))
        return function(points)

    sparse = surface.evaluate(counting, (size,) * 3)
    exact = surface.evaluate(function, (size,) * 3, exact=True)
    assert len(set(seen)) == len(seen) < 0.4 * size**3  # and at no point twice
    np.testing.assert_array_equal(sparse > 0, exact > 0)
    for ours, theirs in zip(surface.mesh_of(sparse), surface.mesh_of(exact), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_thin_arm_is_followed_from_where_it_was_found() -> None:
    def arm(points: NDArray[np.float32]) -> NDArray[Any]:
        rod = np.maximum(np.hypot(points[:, 1] - 0.011, points[:, 2] - 0.013) - 0.02, np.abs(points[:, 0]) - 0.9)
        joined: NDArray[Any] = np.minimum(ball(points), rod)
        return joined

    sparse, exact = surface.evaluate(arm, (128,) * 3), surface.evaluate(arm, (128,) * 3, exact=True)
    np.testing.assert_array_equal(sparse > 0, exact > 0)


def test_what_has_no_surface_is_refused() -> None:
    with pytest.raises(InputError, match="no surface"):
        surface.mesh_of(np.ones((4, 4, 4)))
    with pytest.raises(InputError, match="2 to 1024"):
        surface.evaluate(ball, (5000,) * 3)
    with pytest.raises(InputError, match="without points"):
        surface.chamfer(np.zeros((0, 3)), np.zeros((1, 3)))


def test_chamfer_of_two_spheres_is_their_gap_twice() -> None:
    near, far = (r * np.random.default_rng(0).normal(size=(20000, 3)) for r in (1, 1))
    near, far = (0.5 * p / np.linalg.norm(p, axis=1, keepdims=True) for p in (near, far))
    assert surface.chamfer(near, 1.2 * far) == pytest.approx((0.1 + 0.1) / 2, rel=1e-2)


@pytest.mark.parametrize("suffix", surface.SUFFIXES)
def test_files_hold_the_mesh(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    vertices, faces = surface.mesh_of(surface.evaluate(ball, (24,) * 3))
    path = tmp_path / f"ball{suffix}"
    surface.write_mesh(path, 100 * vertices, faces)
    mesh = trimesh.load(path)
    assert mesh.is_watertight and len(mesh.faces) == len(faces)
    assert mesh.volume == pytest.approx(volume(100 * vertices, faces), rel=1e-5)
    with pytest.raises(OutputExistsError):
        surface.write_mesh(path, vertices, faces)
    with pytest.raises(InputError, match="let it end in"):
        surface.write_mesh(tmp_path / "ball.abc", vertices, faces)


@pytest.mark.parametrize("suffix", [".ply", ".obj"])
def test_a_mesh_in_geographic_units_keeps_its_details(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    vertices, faces = surface.mesh_of(surface.evaluate(ball, (24,) * 3))
    far = vertices + np.array([691_000.0, 5_334_000.0, 500.0])
    surface.write_mesh(tmp_path / f"far{suffix}", far, faces)
    again = trimesh.load(tmp_path / f"far{suffix}", process=False)
    np.testing.assert_allclose(again.vertices, far, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stl_is_refused_where_it_would_ruin_a_mesh(tmp_path: Path, axis: int, sign: int) -> None:
    """A ball in a cube of the side 2: at 500, float32 moves its vertices by 0.00003; at 5,000,000, by 0.25."""
    vertices, faces = surface.mesh_of(surface.evaluate(ball, (24,) * 3))
    near, far = np.zeros((2, 3))
    near[axis], far[axis] = sign * 500, sign * 5e6
    path = tmp_path / "a.stl"
    surface.check_mesh_file(path, cube(near))
    surface.write_mesh(path, vertices + near, faces)
    surface.check_mesh_file(tmp_path / "a.ply", cube(far))
    with pytest.raises(InputError, match=r"so far from its origin, .*: write .ply or .obj"):
        surface.check_mesh_file(path, cube(far))
    with pytest.raises(InputError, match=r"so far from its origin, .*: write .ply or .obj"):
        surface.write_mesh(path, vertices + far, faces, overwrite=True)


def cube(place: NDArray[np.float64]) -> Signal:
    """What lies around a place, with the side 2."""
    x, y, z = (place - 1).tolist()
    return Signal(kind="sdf", shape=(9, 9, 9), channels=1, origin=(x, y, z), extent=(2.0, 2.0, 2.0))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e4])
def test_text_files_hold_seven_digits_of_any_unit(tmp_path: Path, size: float) -> None:
    vertices, faces = size * np.array([[0, 0, 0], [1, 0, 0.123456], [0, 1, 0.5]]), np.array([[0, 1, 2]])
    surface.write_mesh(tmp_path / "a.obj", vertices, faces)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    np.testing.assert_allclose([[float(v) for v in line.split()[1:]] for line in lines[:3]], vertices, atol=1e-7 * size)
    assert max(map(len, lines)) < 50


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_bent_rod_between_coarse_points_is_followed_out_of_a_wall(axis: int, sign: int) -> None:
    """The coarse grid sees the wall alone; the rod goes on through sides of cells, at a level that is not 0."""

    def walled(points: NDArray[np.float32]) -> NDArray[Any]:
        u, v, w = np.roll(sign * points, -axis, 1).T - 5 / 63
        rod = (u < 0.01) & (np.hypot(v, w) < 0.03) | (v > -0.01) & (v < 0.6) & (np.hypot(u, w) < 0.03)
        inside = (u < -0.56) | rod
        return np.where(inside, 4.0, 6.0)

    sparse, exact = (surface.evaluate(walled, (64,) * 3, level=5.0, exact=exact) for exact in (False, True))
    np.testing.assert_array_equal(sparse > 5, exact > 5)


def test_normals_of_stl_point_outwards(tmp_path: Path) -> None:
    vertices, faces = surface.mesh_of(surface.evaluate(ball, (24,) * 3))
    surface.write_mesh(tmp_path / "a.stl", vertices, faces)
    row = np.dtype([("vectors", "<f4", (4, 3)), ("unused", "<u2")])
    vectors = np.frombuffer((tmp_path / "a.stl").read_bytes()[84:], row)["vectors"]
    outwards = vectors[:, 1:].mean(1) - CENTRE
    np.testing.assert_allclose(np.linalg.norm(vectors[:, 0], axis=1), 1, atol=1e-5)
    assert ((vectors[:, 0] * outwards).sum(1) > 0.5 * np.linalg.norm(outwards, axis=1)).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cell_towards_whose_side_values_fall_fast_is_suspected(axis: int) -> None:
    """From 3 to 1 over a cell, the level may be reached in it or beside it; from 4 to 2.5 it is not."""
    for low, high, suspected in ((3, 1, True), (1, 3, True), (-1, -3, True), (4, 2.5, False), (-1, 2, True)):
        corners = np.moveaxis(np.stack([np.full((2, 2), low), np.full((2, 2), high)]).astype(np.float32), 0, axis)
        assert surface._suspected(corners).tolist() == [[[suspected]]]
