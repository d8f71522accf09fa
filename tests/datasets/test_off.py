"""OFF files: ModelNet's, the malformed ones among them, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from morpho.datasets.off import Mesh, read_off
from morpho.errors import DataError
from tests.datasets.files import cube


def parsed(folder: Path, text: str) -> Mesh:
    (folder / "mesh.off").write_text(text)
    return read_off(folder / "mesh.off")


def area(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize(
    "header",
    [
        "OFF\n8 6 0\n",
        "OFF8 6 0\n",
        "OFF 8 6 0\n",
        "OFF\r\n8 6 0\r\n",
        "# made by hand\nOFF # a comment\n\n8 6 0\n".replace(" # a comment", ""),
        "  OFF\n# counts\n8 6\n",
    ],
)
def test_a_cube_is_read_whatever_its_header(tmp_path: Path, header: str) -> None:
    mesh = parsed(tmp_path, cube(header))
    assert mesh.vertices.shape == (8, 3)
    assert mesh.faces.shape == (12, 3)
    assert area(mesh) == pytest.approx(6)


def test_triangles_polygons_lines_and_colours_mix(tmp_path: Path) -> None:
    text = "OFF\n5 4 0\n0 0 0\n2 0 0\n2 2 0\n0 2 0\n-1e0 1 0\n3 0 1 2\n5 0 1 2 3 4\n2 0 1\n3 0 2 3 255 0 0\n"
    mesh = parsed(tmp_path, text)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 2, 3]]


def test_four_numbers_need_not_be_a_triangle(tmp_path: Path) -> None:
    """A point with a colour has as many numbers as a triangle."""
    mesh = parsed(tmp_path, "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n1 0 9 9\n")
    assert mesh.faces.tolist() == [[0, 1, 2]]


def test_vertices_may_have_colours(tmp_path: Path) -> None:
    mesh = parsed(tmp_path, "OFF\n3 1 0\n0 0 0 255 0 0\n1 0 0 0 255 0\n0 1 2.5 0 0 255\n3 0 1 2\n")
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 2.5]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not an OFF file"),
        ("ply\nformat ascii 1.0\n", "is not an OFF file"),
        ("COFF\n1 1 0\n", "is not an OFF file"),
        ("OFF", "damaged"),
        ("OFF\n", "damaged"),
        ("OFF\n8\n", "damaged"),
        ("OFF\nmany few 0\n", "damaged"),
        ("OFF\n0 0 0\n", "damaged"),
        ("OFF\n-8 6 0\n", "damaged"),
        (cube("OFF\n9 6 0\n"), "do not fit its 15 lines"),
        (cube("OFF\n99999999999999 6 0\n"), "do not fit its 15 lines"),
        (cube()[:-30], "do not fit"),
        (cube().replace("1 1 1", "1 1"), "damaged"),
        (cube().replace("1 1 1", "1 nan 1"), "not finite"),
        (cube().replace("1 1 1", "1 inf 1"), "not finite"),
        (cube().replace("1 1 1", "1 x 1"), "damaged"),
        (cube().replace("4 0 1 3 2", "4 0 1 3 8"), "a face names a vertex that is not among the 8"),
        (cube().replace("4 0 1 3 2", "4 0 1 3 -1"), "a face names a vertex"),
        (cube().replace("4 0 1 3 2", "5 0 1 3 2"), "5 corners names 4"),
        (cube().replace("4 0 1 3 2", "-4 0 1 3 2"), "corners"),
        (cube().replace("4 0 1 3 2", "4 0 1 3 2.5"), "damaged"),
        (cube().replace("4 0 1 3 2", "4 0 1 3 99999999999999999999"), "damaged"),
    ],
)
def test_a_damaged_file_is_told_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=rf"mesh\.off .*{words}"):
        parsed(tmp_path, text)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "mesh.off").write_bytes(b"OFF\n8 6 0\n" + bytes(range(256)) * 9)
    with pytest.raises(DataError, match=r"mesh\.off is damaged"):
        read_off(tmp_path / "mesh.off")
    with pytest.raises(DataError, match=r"no\.off cannot be read"):
        read_off(tmp_path / "no.off")
