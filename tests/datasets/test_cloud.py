"""Points on a mesh are uniform on it, points of voxels are on the outside, and all are in the unit sphere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.datasets.cloud import from_mesh, from_voxels, in_unit_sphere, outer
from morpho.datasets.off import Mesh


def drawn_by(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def mesh(vertices: Sequence[Sequence[float]], faces: list[list[int]]) -> Mesh:
    return Mesh(np.array(vertices, dtype=np.float64), np.array(faces))


def test_points_are_uniform_in_a_triangle() -> None:
    """Uniform in a right triangle of legs 1: variance 1/18, covariance -1/36, third moment of x 1/135."""
    points = from_mesh(mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]), 40_000, drawn_by(0)).astype(float)
    cov = np.cov(points[:, :2].T)
    assert cov[0, 0] == pytest.approx(cov[1, 1], rel=0.03)
    assert cov[0, 1] / cov[0, 0] == pytest.approx(-0.5, abs=0.02)
    skewness = (points[:, 0] ** 3).mean() / cov[0, 0] ** 1.5
    assert skewness == pytest.approx(18**1.5 / 135, abs=0.04)
    assert np.abs(points[:, 2]).max() < 1e-6


def test_a_triangle_is_drawn_as_often_as_its_area_says() -> None:
    """Areas 1/2, 0 and 2, far apart along z."""
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5], [0, 0, 9], [2, 0, 9], [0, 2, 9]]
    points = from_mesh(mesh(vertices, [[0, 1, 2], [3, 3, 3], [4, 5, 6]]), 20_000, drawn_by(0))
    low = (points[:, 2] < points[:, 2].mean() - 0.5 * points[:, 2].std()).mean()
    assert low == pytest.approx(0.2, abs=0.015)


@given(st.integers(1, 200), st.integers(0, 100))
def test_clouds_are_centred_and_reach_the_unit_sphere(count: int, seed: int) -> None:
    flat = mesh([[10, 0, 0], [11, 0, 3], [10, 1, 0], [14, -1, 2]], [[0, 1, 2], [1, 2, 3]])
    for points in (
        from_mesh(flat, count, drawn_by(seed)),
        from_voxels(drawn_by(seed).random((5, 6, 7)) < 0.3, count, drawn_by(seed)),
    ):
        assert points.shape == (count, 3)
        assert points.dtype == np.float32
        assert np.abs(points.mean(axis=0)).max() < 1e-5
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1 if count > 1 else 0, abs=1e-5)


def test_axes_stay_where_they_are() -> None:
    tall = np.zeros((4, 6, 20), dtype=bool)
    tall[1:3, 1:5] = True
    width, depth, height = np.ptp(from_voxels(tall, 5000, drawn_by(0)), axis=0)
    assert depth / width == pytest.approx(2, rel=0.02)
    assert height / width == pytest.approx(10, rel=0.02)


def brute_outer(grid: np.ndarray) -> np.ndarray:
    found = np.zeros_like(grid)
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    for place in np.argwhere(grid):
        for step in steps:
            near = place + step
            inside = (near >= 0).all() and (near < grid.shape).all()
            found[tuple(place)] |= not (inside and grid[tuple(near)])
    return found


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.8, 0.95, 1.0]))
def test_outer_voxels_touch_an_empty_one(seed: int, part: float) -> None:
    grid = drawn_by(seed).random((4, 5, 6)) < part
    assert np.array_equal(outer(grid), brute_outer(grid))


def test_no_point_is_inside_a_solid_and_all_outer_voxels_have_some() -> None:
    points = from_voxels(np.ones((3, 3, 3), dtype=bool), 20_000, drawn_by(0))
    voxel = 2 / 3 * np.abs(points).max()  # the cube is 3 voxels wide
    cell = np.clip(np.floor(points / voxel + 1.5), 0, 2).astype(int)
    counts = np.bincount(cell @ np.array([9, 3, 1]), minlength=27)
    assert counts[13] < 100  # the middle; the mean is not quite the cube's
    assert np.delete(counts, 13).min() > 600  # 769 each


def test_points_fill_their_voxel_evenly() -> None:
    grid = np.zeros((3, 3, 3), dtype=bool)
    grid[1, 1, 1] = True
    points = from_voxels(grid, 20_000, drawn_by(0))
    scaled = points / np.abs(points).max()
    assert np.abs(scaled.std(axis=0) - 1 / 3**0.5).max() < 0.01


def test_what_has_nothing_to_draw_from_is_told() -> None:
    with pytest.raises(ValueError, match="no voxel"):
        from_voxels(np.zeros((3, 3, 3), dtype=bool), 5, drawn_by(0))
    for faces in ([], [[0, 0, 1]]):
        with pytest.raises(ValueError, match="no area"):
            from_mesh(Mesh(np.eye(3), np.array(faces, dtype=np.int64).reshape(-1, 3)), 5, drawn_by(0))


def test_one_place_is_the_origin() -> None:
    assert in_unit_sphere(np.full((4, 3), 7.0)).tolist() == [[0, 0, 0]] * 4
