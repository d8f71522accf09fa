"""Meshes as shapes: checked, oriented, in the cube; distances and insides against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields import shapes
from morpho.fields.shapes import FILL, Shape, read_shape

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("igl")


def box(sides: tuple[float, float, float] = (4.0, 2.0, 1.0)) -> Any:
    return trimesh.creation.box(extents=sides)


def box_distance(points: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.float64]:
    """The signed distance to a box around 0, in closed form."""
    beyond = np.abs(points) - half
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=1)
    return np.asarray(outside + np.minimum(beyond.max(1), 0))


def test_distances_of_a_box_are_exact() -> None:
    mesh = box()
    shape = Shape.from_triangles(mesh.vertices + np.array([5, 6, 7]), mesh.faces)
    points = np.random.default_rng(0).uniform(-1, 1, (3000, 3))
    exact = box_distance(points, FILL * np.array([1, 0.5, 0.25]))
    np.testing.assert_allclose(shape.signed_distance(points), exact, atol=1e-6)
    np.testing.assert_array_equal(shape.inside(points), exact < 0)
    assert np.abs(shape.signed_distance(points, truncate=0.1)).max() == pytest.approx(0.1)
    assert shape.watertight and not shape.notes


def test_origin_and_extent_lead_back_to_the_meshs_units() -> None:
    mesh = box()
    vertices = mesh.vertices * 3 + [5, 6, 7]
    shape = Shape.from_triangles(vertices, mesh.faces)
    back = np.array(shape.origin) + (shape.vertices + 1) / 2 * np.array(shape.extent)
    np.testing.assert_allclose(np.sort(back, 0), np.sort(vertices, 0), atol=1e-12)
    assert np.abs(shape.vertices).max() == pytest.approx(FILL)
    signal = shape.signal(truncate=0.25)
    assert (signal.kind, signal.low, signal.high, signal.origin) == ("sdf", -0.25, 0.25, shape.origin)
    assert (shape.signal("occupancy").low, shape.signal("occupancy").high) == (0, 1)


def test_triangles_that_face_inwards_are_turned_round() -> None:
    mesh = box()
    shape = Shape.from_triangles(mesh.vertices, mesh.faces[:, ::-1])
    assert shape.inside(np.zeros((1, 3))).all() and "turned round" in shape.notes[0]


def test_a_mesh_with_a_hole_has_an_inside_and_a_note() -> None:
    mesh = trimesh.creation.icosphere(3)
    shape = Shape.from_triangles(mesh.vertices, mesh.faces[20:])
    assert not shape.watertight and "watertight" in shape.notes[0]
    points = np.random.default_rng(1).uniform(-1, 1, (2000, 3))
    radius = np.linalg.norm(points, axis=1)
    assert (shape.inside(points) == (radius < FILL))[np.abs(radius - FILL) > 0.15].all()


def test_soups_and_what_is_no_solid_are_refused() -> None:
    random = np.random.default_rng(2)
    with pytest.raises(InputError, match="close it"):
        Shape.from_triangles(random.normal(size=(300, 3)), np.arange(300).reshape(-1, 3))
    flat, sheet = box((1, 1, 0.0)), np.array([[0, 0, 0], [1, 0, 0.3], [0, 1, 0.5]])
    for vertices, faces, said in (
        (flat.vertices, flat.faces, "flat"),
        (sheet, [[0, 1, 2], [0, 2, 1]], "flat"),  # closed, on a slope
        (np.full((3, 3), np.nan), [[0, 1, 2]], "no numbers"),
        (np.eye(3), [[0, 1, 7]], "does not have"),
        (np.eye(3), [[0, 1, -1]], "does not have"),
        (np.eye(3), np.zeros((0, 3), int), "mesh of triangles"),
    ):
        with pytest.raises(InputError, match=said):
            Shape.from_triangles(np.asarray(vertices), np.asarray(faces))


@pytest.mark.parametrize("count", [100, 1000, 10_000])
@pytest.mark.parametrize("size", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("ball", [False, True])
def test_soups_of_small_triangles_are_refused(count: int, size: float, ball: bool) -> None:
    random = np.random.default_rng(count)
    places = random.normal(size=(count, 1, 3)) if ball else random.uniform(-1, 1, (count, 1, 3))
    if ball:
        places /= np.linalg.norm(places, axis=2, keepdims=True)
    vertices = (places + size * random.normal(size=(count, 3, 3))).reshape(-1, 3)
    with pytest.raises(InputError, match="close it"):
        Shape.from_triangles(vertices, np.arange(3 * count).reshape(-1, 3))


def without_a_patch(mesh: Any, share: float) -> Shape:
    """The mesh without the faces that are nearest to its first."""
    centres = mesh.vertices[mesh.faces].mean(1)
    kept = np.argsort(np.linalg.norm(centres - centres[0], axis=1))[int(share * len(centres)) :]
    return Shape.from_triangles(mesh.vertices, mesh.faces[kept])


def test_solids_with_a_large_hole_are_accepted() -> None:
    for share in (0.05, 0.2, 0.4):
        assert without_a_patch(trimesh.creation.icosphere(4), share).notes
    for radius in (0.05, 0.005):  # so thin that the inside is a hundred thousandth of the cube
        rod = trimesh.creation.cylinder(radius, 2, sections=24).subdivide().subdivide()
        assert without_a_patch(rod, 0.05).notes


def test_overlapping_solids_with_a_hole_are_accepted() -> None:
    """Where both are, triangles wind twice around a point, which is as clear as once."""
    ball = trimesh.creation.icosphere(3)
    both = trimesh.util.concatenate([ball, ball.copy().apply_translation((0.5, 0, 0))])
    shape = Shape.from_triangles(both.vertices, both.faces[20:])
    assert not shape.watertight and shape.inside(np.zeros((1, 3))).all()


def test_surface_points_lie_on_the_surface_evenly() -> None:
    shape = Shape.from_triangles(box().vertices, box().faces)
    points = shape.surface(20000, np.random.default_rng(3))
    assert shape.distance(points).max() < 1e-9
    top = np.isclose(np.abs(points[:, 2]), 0.225).mean()  # two faces of 4 x 2 of an area of 28
    assert top == pytest.approx(16 / 28, abs=0.02)
    half = np.array([0.9, 0.45, 0.225])
    np.testing.assert_allclose(points.std(0)[0], np.sqrt((24 * half[0] ** 2 / 3 + 4 * half[0] ** 2) / 28), rtol=0.02)


def test_samples_around_are_half_far_half_near_and_some_anywhere() -> None:
    shape = Shape.from_triangles(box().vertices, box().faces)
    points = shape.around(20000, np.random.default_rng(4), uniform=0.2)
    assert points.shape == (20000, 3) and np.abs(points).max() <= 1
    distance = shape.distance(points)
    far, near = distance[:8000], distance[8000:16000]
    assert 0.05 < np.median(far) < 0.25 and 5e-4 < np.median(near) < 3e-3
    np.testing.assert_allclose(points[16000:].std(0), 1 / np.sqrt(3), rtol=0.03)
    np.testing.assert_array_equal(points, shape.around(20000, np.random.default_rng(4), uniform=0.2))


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl", ".off"])
def test_files_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"box{suffix}"
    box().export(path)
    shape = read_shape(path)
    assert shape.watertight and len(shape.faces) == 12  # also of STL, which repeats the vertices
    assert shape.extent[0] == pytest.approx(4 / FILL)


@pytest.mark.parametrize("suffix", [".obj", ".stl"])
@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1.0, 1e11, 1e13])
def test_a_mesh_is_the_same_in_any_units(tmp_path: Path, unit: float, suffix: str) -> None:
    ball = trimesh.creation.icosphere(3)
    path = tmp_path / f"ball{suffix}"
    if suffix == ".stl":
        trimesh.Trimesh(unit * ball.vertices, ball.faces, process=False).export(path)
    else:
        lines = ["v {} {} {}".format(*row) for row in (unit * ball.vertices).tolist()]
        path.write_text("\n".join(lines + ["f {} {} {}".format(*row) for row in (ball.faces + 1).tolist()]))
    shape = read_shape(path)
    assert shape.watertight and len(shape.faces) == len(ball.faces) and len(shape.vertices) == len(ball.vertices)
    assert shape.extent[0] == pytest.approx(2 * unit / FILL)
    ours, theirs = (v[np.lexsort(v.round(4).T)] for v in (shape.vertices, FILL * ball.vertices))
    np.testing.assert_allclose(ours, theirs, atol=1e-6 if suffix == ".stl" else 1e-12)


def test_vertices_beside_each_other_are_not_one(tmp_path: Path) -> None:
    """A step of a ten millionth of the longest side is kept, and a vertex that no triangle has does not count."""
    ball = trimesh.creation.icosphere(1)
    vertices = np.concatenate([ball.vertices, ball.vertices + 1e-7, [[1e9, 0, 0]]])
    faces = np.concatenate([ball.faces, ball.faces + len(ball.vertices)])
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    path = tmp_path / "two.obj"
    path.write_text("\n".join(lines + ["f {} {} {}".format(*row) for row in (faces + 1).tolist()]))
    shape = read_shape(path)
    assert len(shape.vertices) == 2 * len(ball.vertices) and shape.extent[0] == pytest.approx(2 / FILL, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "after", "comment", "options"),
    [
        ("obj", b"", b"# caf\xe9\n", {}),
        ("off", b"OFF\n", b"# caf\xe9\n", {}),
        ("stl_ascii", b"solid", b" caf\xe9", {}),
        ("ply", b"1.0\n", b"comment caf\xe9\n", {"encoding": "ascii"}),
        ("ply", b"1.0\n", b"comment caf\xe9\n", {"encoding": "binary"}),
    ],
)
def test_comments_may_be_in_any_encoding(
    tmp_path: Path, kind: str, after: bytes, comment: bytes, options: dict[str, str]
) -> None:
    content = box().export(file_type=kind, **options)
    content = content if isinstance(content, bytes) else content.encode()
    path = tmp_path / f"box.{kind[:3]}"
    path.write_bytes(content.replace(after, after + comment, 1))
    shape = read_shape(path)
    assert shape.watertight and len(shape.faces) == 12


@pytest.mark.parametrize("suffix", [".obj", ".off", ".stl", ".ply", ".glb"])
def test_what_is_told_of_damaged_files_is_about_them(tmp_path: Path, suffix: str) -> None:
    content = box().export(file_type=suffix[1:])
    content = content if isinstance(content, bytes) else content.encode()
    noise = np.random.default_rng(0).integers(0, 256, 3000, np.uint8).tobytes()
    path = tmp_path / f"a{suffix}"
    for damaged in (noise, b"Dear all, th\xe9s is a letter.\n" * 30, content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged, or no|triangles") as caught:
            read_shape(path)
        assert "module" not in str(caught.value)


def test_a_binary_stl_that_is_cut_short_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.stl").write_bytes(box().export(file_type="stl")[:-7])
    with pytest.raises(InputError, match=r"it has 677 bytes, and 12 triangles take 684\): get it again"):
        read_shape(tmp_path / "a.stl")


def test_damaged_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "box.ply"
    box().export(path)
    content = path.read_bytes()
    for damaged in (b"", b"ply\n", content[:200], content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read_shape(path)
    for name, said in (("none.ply", "none.ply does not exist: check the path"), ("box.txt", "no mesh that is known")):
        with pytest.raises(InputError, match=said):
            read_shape(tmp_path / name)
    path.write_bytes(content)
    monkeypatch.setattr(shapes, "_MOST_BYTES", 100)
    with pytest.raises(InputError, match="reduce the mesh"):
        read_shape(path)


def test_the_bunny_has_holes_and_an_inside(data_root: Path) -> None:
    shape = read_shape(data_root / "inr" / "mesh" / "bunny.ply")
    assert not shape.watertight and len(shape.notes) == 2
    winding = shape.winding(np.random.default_rng(5).uniform(-1, 1, (5000, 3)))
    assert (np.abs(winding - winding.round()) > 0.2).mean() < 0.01


@pytest.mark.parametrize("name", ["armadillo", "bunny", "dragon", "fandisk", "spot"])
def test_a_mesh_without_a_twentieth_of_it_is_accepted(data_root: Path, name: str) -> None:
    mesh = trimesh.load(data_root / "inr" / "mesh" / f"{name}.ply", process=False)
    assert without_a_patch(mesh, 0.05).notes
