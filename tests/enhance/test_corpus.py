"""Pairs by their names, grey photos in three channels, and draws of pixels that can be repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.enhance.corpus import drawn_pixels, read_pairs, rgb
from morpho.errors import DataError
from tests.images.samples import noise, png_file
from tests.upscale.photos import photo, photos


def put(path: Path, seed: int = 0, *, height: int = 4, width: int = 5) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(photo(seed, height, width)).save(path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three pairs, of which one is found by stem alone."""
    raw, expert = tmp_path / "raw", tmp_path / "expert"
    for seed, (left, right) in enumerate([("b.png", "b.png"), ("a.png", "a.bmp"), ("c.v2.png", "c.v2.tif")]):
        put(raw / left, seed)
        put(expert / right, seed + 10)
    return raw, expert


def test_pairs_belong_together_by_name(folders: tuple[Path, Path]) -> None:
    pairs = read_pairs(*folders)
    assert [pair.name for pair in pairs] == ["a", "b", "c.v2"]
    for pair, seed in zip(pairs, (1, 0, 2), strict=True):
        np.testing.assert_array_equal(pair.input, photo(seed, 4, 5))
        np.testing.assert_array_equal(pair.target, photo(seed + 10, 4, 5))
    assert [pair.name for pair in read_pairs(*map(str, folders))] == ["a", "b", "c.v2"]


def test_grey_and_transparent_pictures(folders: tuple[Path, Path]) -> None:
    raw, expert = folders
    Image.fromarray(photo(0, 4, 5)[..., 0]).save(raw / "b.png")
    Image.fromarray(np.dstack([photo(3, 4, 5), photo(4, 4, 5)[..., :1]])).save(expert / "b.png")
    pair = read_pairs(raw, expert)[1]
    np.testing.assert_array_equal(pair.input, np.repeat(photo(0, 4, 5)[..., :1], 3, axis=2))
    np.testing.assert_array_equal(pair.target, photo(3, 4, 5))


def test_a_picture_without_partner(folders: tuple[Path, Path]) -> None:
    raw, expert = folders
    put(expert / "d.png")
    put(expert / "e.png")
    with pytest.raises(DataError, match=r"d\.png has no partner in .*raw \(2 such pictures\): pairs"):
        read_pairs(raw, expert)
    for name in ("d", "e", "f"):
        put(raw / f"{name}.png")
    with pytest.raises(DataError, match=r"raw.f\.png has no partner in .*expert \(1 such"):
        read_pairs(raw, expert)


def test_two_pictures_of_one_name(folders: tuple[Path, Path]) -> None:
    put(folders[0] / "a.bmp")
    with pytest.raises(DataError, match=r"a\.png and .*a\.bmp have the same name: keep one"):
        read_pairs(*folders)


def test_pairs_of_two_sizes(folders: tuple[Path, Path]) -> None:
    put(folders[1] / "b.png", height=5, width=4)
    with pytest.raises(DataError, match=r"sizes 5x4 and 4x5: a pair must match pixel by pixel"):
        read_pairs(*folders)


def test_unusable_folders(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is no folder"):
        read_pairs(folders[0], tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no picture"):
        read_pairs(tmp_path / "empty", folders[1])
    (folders[0] / "a.png").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"a photo of the set is unusable: .*a\.png"):
        read_pairs(*folders)
    (folders[0] / "a.png").write_bytes(png_file(noise(4, 5, 3, dtype="uint16")))
    with pytest.raises(DataError, match=r"a\.png has 16 bits"):
        read_pairs(*folders)


def test_grey_is_tripled() -> None:
    grey = photo(0, 3, 4)[..., :1]
    assert rgb(grey).shape == (3, 4, 3)
    assert (rgb(grey) == grey).all()
    colored = photo(0, 3, 4)
    np.testing.assert_array_equal(rgb(colored), colored)


def test_drawn_pixels_are_the_pictures_own() -> None:
    pictures = [photo(0, 6, 7), photo(1, 30, 2)]
    drawn = drawn_pixels(pictures, 500, seed=3)
    assert drawn.shape == (2, 500, 3)
    assert drawn.dtype == np.uint8
    for pixels, picture in zip(drawn, pictures, strict=True):
        own = {tuple(color) for color in picture.reshape(-1, 3).tolist()}
        assert {tuple(color) for color in pixels.tolist()} == own  # with replacement, all are found


def test_equal_sizes_draw_equal_places() -> None:
    """What a pair needs; and each picture and seed has places of its own."""
    left, right = photos(2, 50, 60), [255 - picture for picture in photos(2, 50, 60)]
    one, other = drawn_pixels(left, 40, seed=1), drawn_pixels(right, 40, seed=1)
    np.testing.assert_array_equal(one, 255 - other)
    assert not np.array_equal(one, drawn_pixels(left, 40, seed=2))
    twice = drawn_pixels([left[0], left[0]], 40, seed=1)
    assert not np.array_equal(twice[0], twice[1])
    np.testing.assert_array_equal(twice[0], one[0])  # whatever comes after it
