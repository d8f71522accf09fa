"""Which file becomes which kind of table, and which options go with it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morpho.errors import InputError, LutError, MorphoError
from morpho.images import read as read_picture
from morpho.luts import Domain, Lut, apply, cube, evaluate, hald, read, write
from tests.luts.looks import curves_of, lattice_of, noise, photo, ramp, shaped, warm


def test_suffixes(tmp_path: Path) -> None:
    for name, nodes in (("a.cube", 9), ("b.CUBE", 9), ("c.png", 9), ("d.TIF", 9)):
        write(tmp_path / name, noise(9))
        assert read(tmp_path / name).nodes == nodes
    assert cube.read(tmp_path / "b.CUBE").nodes == hald.read(tmp_path / "d.TIF").nodes == 9


def test_a_table_without_a_title_is_called_as_its_file(tmp_path: Path) -> None:
    write(tmp_path / "teal.cube", noise(2))
    write(tmp_path / "orange.png", noise(4))
    write(tmp_path / "x.cube", Lut(Lut.identity(2).lattice, title="sunset"))
    assert [read(tmp_path / name).title for name in ("teal.cube", "orange.png", "x.cube")] == [
        "teal",
        "orange",
        "sunset",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_read_as_a_cube(tmp_path: Path) -> None:
    write(tmp_path / "a.cube", noise(4))
    os.mkfifo(tmp_path / "pipe")
    content = (tmp_path / "a.cube").read_bytes()
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(content))
    writer.start()
    lut = read(tmp_path / "pipe")
    writer.join()
    assert lut.nodes == 4


@pytest.mark.parametrize("name", ["a.3dl", "a.icc", "a.txt"])
def test_other_formats_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("0 512 1023\n")
    with pytest.raises(LutError, match=f"{name} is no table that can be read: convert it to .cube"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("lut", "level", "side"),
    [
        (Lut.identity(16), None, 64),
        (Lut.identity(2), None, 512),
        (Lut.identity(33), None, 512),
        (Lut.identity(65), None, 512),
        (Lut.identity(66), None, 729),
        (Lut.identity(33), 5, 125),
        (Lut(curves=curves_of(9)), None, 512),
        (shaped(), 3, 27),
    ],
)
def test_levels_of_hald_pictures(lut: Lut, level: int | None, side: int, tmp_path: Path) -> None:
    write(tmp_path / "a.png", lut, level=level)
    assert read_picture(tmp_path / "a.png").width == side


@pytest.mark.parametrize(
    "lut",
    [
        lattice_of(warm, 33),
        lattice_of(warm, 33, -0.2, 1.3),
        Lut(curves=np.linspace(0, 1, 99)[:, None] ** np.array([0.8, 1.0, 1.2])),
        Lut(lattice_of(warm, 33).lattice, np.linspace(0, 1, 99)[:, None] ** np.array([0.8, 1.0, 1.2])),
    ],
    ids=["lattice", "domain", "curves", "both"],
)
def test_a_hald_picture_is_nearly_the_table(lut: Lut, tmp_path: Path) -> None:
    write(tmp_path / "a.png", lut)
    expected = evaluate(lut, photo() / 255).clip(0, 1) * 255
    assert np.abs(apply(photo(), read(tmp_path / "a.png")) - expected).max() < 1.1


def test_a_cube_keeps_what_it_is_given(tmp_path: Path) -> None:
    lut = Lut(noise(5).lattice, lattice_domain=Domain((-1.0, 0.0, 0.0), (2.0, 1.0, 1.5)))
    write(tmp_path / "a.cube", lut)
    again = read(tmp_path / "a.cube")
    np.testing.assert_allclose(evaluate(again, ramp(99, -1, 2)), evaluate(lut, ramp(99, -1, 2)), atol=1e-8)


@pytest.mark.parametrize(
    ("name", "options", "error", "sentence"),
    [
        ("a.3dl", {}, LutError, "a.3dl names no format of tables: use .cube, or .png for a Hald picture"),
        ("a", {}, LutError, "names no format of tables"),
        ("a.png", {"dialect": "adobe"}, InputError, "a.png is a picture, and a dialect is for .cube files"),
        ("a.cube", {"level": 8}, InputError, "a.cube is a .cube file, and a level is for Hald pictures"),
        ("a.png", {"level": 1}, InputError, "the level 1 is out of range: Hald pictures have levels 2 to 16"),
        ("a.png", {"level": 17}, InputError, "the level 17 is out of range"),
    ],
)
def test_options_that_do_not_fit(
    name: str, options: dict[str, Any], error: type[MorphoError], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        write(tmp_path / name, noise(4), **options)
    assert not list(tmp_path.iterdir())
