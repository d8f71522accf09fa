"""Scores of a field of a shape, against closed forms; and points around a mesh for its fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields import meshes, shape_scores
from morpho.fields.field import Field
from morpho.fields.meshes import mesh_target
from morpho.fields.shape_scores import field_mesh, score_against
from morpho.fields.shapes import Shape
from morpho.fields.signal import Signal
from morpho.fields.surface import mesh_of
from tests.cli.fields import new_field

trimesh = pytest.importorskip("trimesh")
RADIUS = 0.6


class Ball:
    """A field that is a ball, exactly; as a distance or an occupancy that falls off over a tenth."""

    def __init__(self, kind: Any, radius: float = RADIUS, centre: float = 0.0) -> None:
        reach: dict[str, Any] = {"low": -0.5, "high": 0.5} if kind == "sdf" else {}
        place: dict[str, Any] = {"origin": (10.0, 20.0, 30.0), "extent": (4.0, 4.0, 4.0)}
        self.signal = Signal(kind=kind, shape=(64, 64, 64), channels=1, **reach, **place)
        self.radius, self.centre = radius, centre

    def __call__(self, points: NDArray[Any], *, threads: int | None = None) -> NDArray[Any]:
        distance = np.linalg.norm(points - self.centre, axis=-1, keepdims=True) - self.radius
        return distance if self.signal.kind == "sdf" else np.asarray(0.5 - distance / 0.2)

    lattice = Field.lattice
    _need = Field._need


def ball(*given: Any, **changes: Any) -> Any:
    return Ball(*given, **changes)


def inside(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(points, axis=1) < RADIUS)


@pytest.mark.parametrize("kind", ["sdf", "occupancy"])
def test_an_exact_field_is_right_everywhere(kind: str) -> None:
    vertices = trimesh.creation.icosphere(subdivisions=5, radius=RADIUS).vertices
    found = score_against(ball(kind), inside, vertices, resolution=48)
    assert (found.iou, found.resolution) == (1.0, 48)
    assert found.chamfer < 0.012  # vertices of two samplings of one sphere are a fraction of their spacing apart


@pytest.mark.parametrize("kind", ["sdf", "occupancy"])
def test_scores_are_those_of_the_formulas(kind: str) -> None:
    smaller, grid = ball(kind, radius=0.5), np.linspace(-1, 1, 80)
    points = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1)
    truth = inside(points.reshape(-1, 3)).reshape(80, 80, 80)
    found = score_against(smaller, truth)
    assert found.resolution == 80
    assert found.iou == pytest.approx((0.5 / 0.6) ** 3, abs=0.01)
    assert found.chamfer == pytest.approx(2 * 0.1 / 2, rel=0.1)  # both ways 0.1 in a cube whose side is 2


@pytest.mark.parametrize("kind", ["sdf", "occupancy"])
@pytest.mark.parametrize("exact", [True, False])
def test_a_mesh_is_in_the_shape_s_own_units(kind: str, exact: bool) -> None:
    vertices, faces = field_mesh(ball(kind, centre=0.1), 64, exact=exact)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * (2 * RADIUS) ** 3, rel=0.01)  # positive: facing outwards
    np.testing.assert_allclose(mesh.center_mass, np.array([12, 22, 32]) + 0.2, atol=0.01)


@pytest.mark.parametrize("exact", [True, False])
def test_the_grid_of_an_oblong_shape_is_oblong(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the mesh is that of the values where they lie."""
    grids = []

    def seen(values: NDArray[Any], *rest: Any, **options: Any) -> Any:
        grids.append(values.shape)
        return mesh_of(values, *rest, **options)

    monkeypatch.setattr(shape_scores, "mesh_of", seen)
    long = ball("sdf")
    long.signal = replace(long.signal, shape=(61, 31, 46), extent=(4.0, 2.0, 3.0))
    vertices, faces = field_mesh(long, 121, exact=exact)
    assert grids == [(121, 61, 91)]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3 * (2 * 1 * 1.5), rel=0.01)


def test_what_is_no_shape_is_refused() -> None:
    with pytest.raises(InputError, match="of the kind 'image': a shape is needed"):
        field_mesh(new_field("image"))


class Slab(Ball):
    """A field of an oblong volume, inside where the last coordinate is below a height."""

    def __init__(self, height: float) -> None:
        super().__init__("sdf")
        self.signal = Signal(kind="sdf", shape=(33, 17, 9), channels=1, low=-2, high=2, extent=(32.0, 16.0, 8.0))
        self.height = height

    def __call__(self, points: NDArray[Any], *, threads: int | None = None) -> NDArray[Any]:
        return np.asarray(points[..., 2:] - self.height)


class Voxels(Slab):
    """A field that has a volume's values at its voxels, and none elsewhere."""

    def __init__(self, inside: NDArray[np.bool_]) -> None:
        super().__init__(0.0)
        self.inside = inside

    def __call__(self, points: NDArray[Any], *, threads: int | None = None) -> NDArray[Any]:
        index = (points + 1) / 2 * (np.array(self.inside.shape) - 1)
        np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
        return np.where(self.inside[tuple(np.moveaxis(np.rint(index).astype(int), -1, 0))], -1.0, 1.0)[..., None]


@pytest.mark.parametrize("resolution", [256, 33, 12])
def test_voxels_are_asked_for_where_they_lie(resolution: int) -> None:
    inside = np.random.default_rng(0).random((33, 17, 9)) < 0.5
    field: Any = Voxels(inside)
    found = score_against(field, inside, resolution=resolution)
    assert (found.iou, found.resolution) == (1.0, min(resolution, 33))


def test_distances_are_in_one_unit_along_all_axes() -> None:
    heights = np.linspace(-1, 1, 9)
    inside = np.broadcast_to(heights < 0.1, (33, 17, 9)).copy()  # marching cubes put the surface at 0.125
    field: Any = Slab(0.125 - 0.2)
    found = score_against(field, inside)
    assert found.chamfer == pytest.approx(2 * 0.2 * (8 / 32) / 2, rel=0.01)


def test_points_around_a_mesh_have_its_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshes, "_MEASURED", 40)
    pytest.importorskip("igl")
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=3.0)
    shape = Shape.from_triangles(sphere.vertices, sphere.faces)
    target = mesh_target(shape, "sdf", points=4000, truncate=0.1, seed=1)
    points, values = target.at(torch.arange(target.count))
    distance = np.linalg.norm(points.numpy(), axis=1) - 0.9
    np.testing.assert_allclose(0.1 * values.numpy()[:, 0], np.clip(distance, -0.1, 0.1), atol=2e-3)
    assert (np.abs(distance) < 0.05).mean() > 0.5
    again, other = (mesh_target(shape, "sdf", points=4000, seed=seed).at(torch.arange(9))[0] for seed in (1, 2))
    assert torch.equal(again, points[:9])
    assert not torch.equal(other, again)
    assert target.score(lambda x: (x.norm(dim=1, keepdim=True) - 0.9) / 0.1)["iou"] > 0.99
    assert target.score(lambda x: (x.norm(dim=1, keepdim=True) - 0.8) / 0.1)["iou"] == pytest.approx(
        (0.8 / 0.9) ** 3, abs=0.02
    )


def test_points_around_a_mesh_are_inside_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meshes, "_MEASURED", 40)
    pytest.importorskip("igl")
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=3.0)
    target = mesh_target(Shape.from_triangles(sphere.vertices, sphere.faces), "occupancy", points=2000)
    points, values = target.at(torch.arange(target.count))
    distance = np.linalg.norm(points.numpy(), axis=1) - 0.9
    clear = np.abs(distance) > 3e-3
    np.testing.assert_array_equal(values.numpy()[clear, 0], np.where(distance < 0, 1.0, -1.0)[clear])
    assert target.score(lambda x: 0.9 - x.norm(dim=1, keepdim=True))["iou"] > 0.99
