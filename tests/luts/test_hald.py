"""Hald pictures: the layout, what ffmpeg makes of them, and what is no Hald picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.errors import ImageError, InputError, LutError, OutputExistsError
from morpho.images import Picture
from morpho.images import read as read_picture
from morpho.images import write as write_picture
from morpho.luts import Domain, Lut, apply
from morpho.luts.hald import level_of, read, write
from tests.luts.looks import curves_of, lattice_of, noise, photo, table_of, warm
from tests.luts.programs import ffmpeg


@pytest.mark.parametrize(("name", "step"), [("a.png", 1 / 65535), ("a.tif", 1 / 255), ("a.bmp", 1 / 255)])
def test_round_trip(name: str, step: float, tmp_path: Path) -> None:
    lut = noise(9)
    write(tmp_path / name, lut)
    picture = read_picture(tmp_path / name)
    assert picture.pixels.shape == (27, 27, 3)
    assert picture.pixels.dtype == (np.uint16 if step < 1e-3 else np.uint8)
    again = read(tmp_path / name)
    assert lut.lattice is not None and again.lattice is not None
    assert np.abs(again.lattice - lut.lattice).max() <= step / 2 + 1e-12
    write(tmp_path / f"b{name}", again)
    assert (tmp_path / f"b{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_red_runs_fastest(tmp_path: Path) -> None:
    write(tmp_path / "a.png", Lut.identity(4))
    pixels = read_picture(tmp_path / "a.png").pixels.reshape(-1, 3) / 65535
    np.testing.assert_allclose(pixels[:5] * 3, [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(pixels[16] * 3, [0, 0, 1])


@pytest.mark.parametrize("level", [2, 4, 8])
def test_ffmpeg_makes_the_neutral_picture_that_we_write(level: int, tmp_path: Path) -> None:
    theirs = ffmpeg(
        tmp_path, np.zeros((level**3, level**3, 3), np.uint8), f"nullsink;haldclutsrc=level={level},format=rgb24"
    )
    write(tmp_path / "a.tif", Lut.identity(level**2))
    ours = read_picture(tmp_path / "a.tif").pixels.astype(int)
    assert np.abs(theirs - ours).max() <= 1  # it cuts decimals off
    Image.fromarray(theirs).save(tmp_path / "b.png")
    neutral = table_of(Lut.identity(level**2))
    np.testing.assert_allclose(table_of(read(tmp_path / "b.png")), neutral, atol=1.001 / 255)


def test_ffmpeg_applies_the_picture_that_we_write(tmp_path: Path) -> None:
    lut = lattice_of(warm, 64)
    write(tmp_path / "look.png", lut)
    graph = "[0:v]format=rgb24[a];[1:v]format=rgb24[b];[a][b]haldclut=interp=tetrahedral,format=rgb24"
    theirs = ffmpeg(tmp_path, photo(), graph, "-i", "look.png")
    ours = apply(photo(), read(tmp_path / "look.png")).astype(int)
    assert np.abs(theirs - ours).max() <= 1


def test_grey_transparency_and_values_outside(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (8, 8, 2), np.uint8)
    write_picture(Picture(grey), tmp_path / "grey.png")
    lattice = read(tmp_path / "grey.png").lattice
    assert lattice is not None
    np.testing.assert_array_equal(lattice[1, 2, 3], [grey.reshape(64, 2)[1 + 2 * 4 + 3 * 16, 0] / 255] * 3)
    write(tmp_path / "a.png", noise(4, spread=4.0))
    again = read(tmp_path / "a.png").lattice
    wanted = noise(4, spread=4.0).lattice
    assert again is not None and wanted is not None
    np.testing.assert_allclose(again, wanted.clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("size", [(512, 511), (8, 27), (9, 9), (1, 1), (4913, 1)])
def test_other_sizes_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    sentence = rf"a.png has {size[0]} x {size[1]} pixels and is no Hald picture: .* side of 8, 27, 64, .*, 4096$"
    with pytest.raises(LutError, match=sentence):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(
    "lut",
    [
        Lut.identity(5),
        Lut(curves=curves_of(16)),
        Lut(noise(4).lattice, curves_of(4)),
        Lut(noise(4).lattice, lattice_domain=Domain((0.0,) * 3, (2.0,) * 3)),
    ],
)
def test_other_tables_are_refused(lut: Lut, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a plain lattice of 4, 9, 16, \.\.\. 256 nodes: resample the table first"):
        write(tmp_path / "a.png", lut)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_formats_that_change_colours_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"would change the colours of a Hald picture: write a \.png"):
        write(tmp_path / name, Lut.identity(4))


def test_files_are_replaced_only_when_asked(tmp_path: Path) -> None:
    write(tmp_path / "a.png", Lut.identity(4))
    with pytest.raises(OutputExistsError, match="exists"):
        write(tmp_path / "a.png", Lut.identity(4))
    write(tmp_path / "a.png", noise(4), overwrite=True)


def test_levels() -> None:
    assert [level_of(nodes) for nodes in (1, 4, 9, 256, 289, 33)] == [None, 2, 3, 16, None, None]
