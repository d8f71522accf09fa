"""Whole pictures: every kind of picture, transparency, depth, strength, and where tables come from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import morpho
from morpho import artifacts, luts
from morpho.enhance import Enhancer, Tables, enhance
from morpho.errors import ArtifactError, InputError
from morpho.images import Metadata, Picture
from tests.enhance.synthetic import brightening, card, random_tables, save_tables
from tests.upscale.photos import photo
from tests.upscale.synthetic import save_tables as save_upscaler

Pixels = NDArray[Any]

#: Looks of their own for every picture: gentle enough that little is clipped.
TABLES = random_tables(3, groups=3, levels=33, bases=4, nodes=17, own_rank=3, rest_rank=4, share=0.3)


@pytest.fixture(params=["whole", "thumbnail", "brightening"])
def tables(request: pytest.FixtureRequest) -> Tables:
    made = {"whole": TABLES, "thumbnail": replace(TABLES, thumbnail=7), "brightening": brightening(nodes=9)}
    return made[request.param]


@pytest.fixture
def enhancer() -> Enhancer:
    return Enhancer(TABLES, card())


def noise(*shape: int, dtype: str = "uint8", seed: int = 0) -> Pixels:
    peak = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, peak, shape, dtype, endpoint=True)


def widened(image: Pixels) -> Pixels:
    """The same levels in 16 bits."""
    return 257 * image.astype(np.uint16)


def lattice(enhancer: Enhancer, image: object) -> NDArray[np.float64]:
    found = enhancer.lut(image).lattice
    assert found is not None
    return found


# --- kinds of pictures ---


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_result_is_the_picture_through_its_look(tables: Tables, channels: int, dtype: str) -> None:
    enhancer = Enhancer(tables, card("mine"))
    image = noise(9, 13, channels, dtype=dtype)
    before = image.copy()
    result, look = enhancer(image), enhancer.lut(image)
    np.testing.assert_array_equal(image, before)
    assert (result.dtype, result.shape) == (image.dtype, image.shape)
    assert (result[..., : 1 if channels < 3 else 3] != image[..., : 1 if channels < 3 else 3]).mean() > 0.5
    np.testing.assert_array_equal(result, luts.apply(image, look))
    assert look.title == "mine"
    assert look.is_plain
    assert look.nodes == tables.nodes


def test_the_look_for_dark_pictures_makes_them_brighter() -> None:
    """As the tables of these tests are made: in the middle by 2 * 0.125 if black, by 0 if white, most of it in red."""
    enhancer = Enhancer(brightening(), card())
    for level, factor in ((0, 2.0), (128, 1.0), (255, 0.0)):
        look = lattice(enhancer, np.full((5, 5, 3), level, np.uint8))
        middle = look[16, 16, 16] - 0.5
        np.testing.assert_allclose(middle, factor * 0.125 * np.array([1.2, 1.0, 0.8]), atol=0.01)


def test_two_dimensional_array(enhancer: Enhancer) -> None:
    image = noise(7, 9)
    np.testing.assert_array_equal(enhancer(image), enhancer(image[..., None])[..., 0])


def test_grey_is_seen_as_rgb_and_stays_grey(enhancer: Enhancer) -> None:
    grey = noise(8, 9, 1)
    colored = np.repeat(grey, 3, axis=2)
    np.testing.assert_array_equal(lattice(enhancer, grey), lattice(enhancer, colored))
    luma = (enhancer(colored).astype(int) @ [77, 150, 29] + 128) >> 8
    np.testing.assert_array_equal(enhancer(grey)[..., 0], luma)


def test_strided_and_read_only_arrays(enhancer: Enhancer) -> None:
    view = noise(20, 22, 3)[::-2, 1::3]
    view.flags.writeable = False
    np.testing.assert_array_equal(enhancer(view), enhancer(np.ascontiguousarray(view)))


def test_picture_keeps_what_its_file_said(enhancer: Enhancer) -> None:
    picture = Picture(noise(5, 6, 3), Metadata(icc=b"profile", dpi=(300.0, 300.0)), "JPEG")
    result = enhancer(picture)
    assert isinstance(result, Picture)
    assert (result.metadata, result.format) == (picture.metadata, "JPEG")
    np.testing.assert_array_equal(result.pixels, enhancer(picture.pixels))
    np.testing.assert_array_equal(lattice(enhancer, picture), lattice(enhancer, picture.pixels))


@pytest.mark.parametrize(
    ("mode", "result_mode"),
    [("L", "L"), ("LA", "LA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"), ("I;16", "I;16")],
)
def test_pillow_images(enhancer: Enhancer, mode: str, result_mode: str) -> None:
    if mode == "I;16":
        image: Image.Image = Image.fromarray(noise(6, 5, dtype="uint16"))
    else:
        image = Image.fromarray(noise(6, 5, 3)).convert(mode)
    image.info["dpi"] = (72, 72)
    result = enhancer(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size, result.info) == (result_mode, (5, 6), {"dpi": (72, 72)})
    pixels = np.asarray(image if mode == result_mode else image.convert(result_mode))
    np.testing.assert_array_equal(np.asarray(result), enhancer(pixels))
    np.testing.assert_array_equal(lattice(enhancer, image), lattice(enhancer, pixels))


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4, 3)), r"uint8 or uint16, not float64 \(4, 4, 3\)"),
        (np.zeros((4, 4), bool), "not bool"),
        (np.zeros((0, 4, 3), np.uint8), r"non-empty .* \(0, 4, 3\)"),
        (np.zeros((4, 4, 0), np.uint8), "non-empty"),
        (np.zeros((4, 4, 5), np.uint8), r"1 to 4 channels, not 5"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        ([[1, 2]], "list is no picture"),
        ("photo.png", "str is no picture"),
        (None, "NoneType is no picture"),
        (Image.new("CMYK", (2, 2)), "mode CMYK is neither grey nor RGB: convert it"),
        (Image.new("F", (2, 2)), "mode F"),
    ],
)
def test_what_is_no_picture(enhancer: Enhancer, image: Any, complaint: str) -> None:
    for use in (enhancer, enhancer.lut):
        with pytest.raises(InputError, match=complaint):
            use(image)


# --- extremes ---


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 4), (1, 1), (3, 200, 3)])
def test_small_and_thin_pictures(tables: Tables, shape: tuple[int, ...], dtype: str) -> None:
    image = noise(*shape, dtype=dtype)
    assert Enhancer(tables, card())(image).shape == shape


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_constant_pictures(tables: Tables, level: int) -> None:
    enhancer = Enhancer(tables, card())
    result = enhancer(np.full((9, 8, 3), level, np.uint8))
    assert (result == result[0, 0]).all()
    one = enhancer(np.full((1, 1, 3), level, np.uint8))
    np.testing.assert_array_equal(result[0, 0], one[0, 0])  # however large


def test_a_look_rises_in_each_channel(tables: Tables) -> None:
    """So a picture's own ramps keep their order."""
    ramp = np.zeros((3, 256, 3), np.uint8)
    for channel in range(3):
        ramp[channel] = 100
        ramp[channel, :, channel] = np.arange(256)
    for seed in range(5):
        look = Enhancer(tables, card()).lut(photo(seed, 20, 20))
        result = luts.apply(ramp, look).astype(int)
        for channel in range(3):
            assert np.diff(result[channel, :, channel]).min() >= 0


def test_sixteen_bits_of_an_eight_bit_picture(tables: Tables) -> None:
    """The same look, and the same levels but for rounding."""
    enhancer = Enhancer(tables, card())
    for seed in range(3):
        image = photo(seed, 40, 50)
        np.testing.assert_array_equal(lattice(enhancer, image), lattice(enhancer, widened(image)))
        deep = enhancer(widened(image)) / 257
        assert np.abs(deep - enhancer(image)).max() <= 0.6


def test_the_lower_byte_does_not_change_the_look(enhancer: Enhancer) -> None:
    image = widened(photo(0)) & 0xFF00
    np.testing.assert_array_equal(lattice(enhancer, image), lattice(enhancer, image | 0xFF))


def test_threads_do_not_change_the_result() -> None:
    image = noise(300, 400, 4)
    one = Enhancer(TABLES, card(), threads=1)(image)
    for threads in (2, 3, None):
        np.testing.assert_array_equal(Enhancer(TABLES, card(), threads=threads)(image), one)


def test_neither_order_nor_number_of_pixels_matters(enhancer: Enhancer) -> None:
    image = photo(4, 20, 30)
    shuffled = np.random.default_rng(0).permutation(image.reshape(-1, 3)).reshape(10, 60, 3)
    for other in (shuffled, image[::-1], np.tile(image, (2, 3, 1)), np.repeat(image, 2, axis=0)):
        np.testing.assert_array_equal(lattice(enhancer, other), lattice(enhancer, image))


def test_a_thumbnail_is_taken_at_regular_places() -> None:
    """Other pixels are not looked at."""
    enhancer = Enhancer(replace(TABLES, thumbnail=4), card())
    image = noise(8, 12, 3)
    rows, columns = [1, 3, 5, 7], [1, 4, 7, 10]  # (2 i + 1) / 8 of the length
    seen = image[np.ix_(rows, columns)]
    hidden = noise(8, 12, 3, seed=1)
    hidden[np.ix_(rows, columns)] = seen
    expected = lattice(Enhancer(TABLES, card()), seen)
    np.testing.assert_array_equal(lattice(enhancer, image), expected)
    np.testing.assert_array_equal(lattice(enhancer, hidden), expected)
    for row, column in ((1, 1), (7, 10)):
        changed = image.copy()
        changed[row, column] = ~changed[row, column]
        assert not np.array_equal(lattice(enhancer, changed), expected)


# --- transparency ---


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_stays_and_an_opaque_picture_looks_as_without(enhancer: Enhancer, channels: int, dtype: str) -> None:
    image = noise(9, 8, channels, dtype=dtype)
    image[..., -1] = np.iinfo(dtype).max
    np.testing.assert_array_equal(enhancer(image)[..., :-1], enhancer(image[..., :-1].copy()))
    image[..., -1] = noise(9, 8, dtype=dtype)
    np.testing.assert_array_equal(enhancer(image)[..., -1], image[..., -1])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_hidden_colours_do_not_change_the_look(enhancer: Enhancer, channels: int, dtype: str) -> None:
    image = noise(9, 8, channels, dtype=dtype)
    image[3:, :, -1] = 0
    image[:3, :, -1] = np.arange(1, 25).reshape(3, 8)  # as good as invisible, but not quite
    other = image.copy()
    other[3:, :, :-1] = noise(6, 8, channels - 1, dtype=dtype, seed=1)
    np.testing.assert_array_equal(lattice(enhancer, image), lattice(enhancer, other))
    np.testing.assert_array_equal(lattice(enhancer, image), lattice(enhancer, image[:3, :, :-1].copy()))
    np.testing.assert_array_equal(enhancer(image)[:3], enhancer(other)[:3])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_an_invisible_picture_stays_as_it_is(tables: Tables, channels: int, dtype: str) -> None:
    enhancer = Enhancer(tables, card())
    image = noise(9, 8, channels, dtype=dtype)
    image[..., -1] = 0
    np.testing.assert_array_equal(enhancer(image), image)
    neutral = luts.Lut.identity(tables.nodes).lattice
    assert neutral is not None
    np.testing.assert_allclose(lattice(enhancer, image), neutral, atol=1e-12)


# --- strength ---


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_without_strength_nothing_changes(tables: Tables, channels: int, dtype: str) -> None:
    image = noise(30, 40, channels, dtype=dtype)
    np.testing.assert_array_equal(Enhancer(tables, card(), strength=0.0)(image), image)


def test_strength_goes_from_the_picture_to_the_result(tables: Tables) -> None:
    image = photo(2, 30, 30)
    full = Enhancer(tables, card())(image).astype(int)
    before = image.astype(int)
    for strength in (0.25, 0.5, 0.75, 1.0):
        now = Enhancer(tables, card(), strength=strength)(image).astype(int)
        assert np.abs(now - (image + strength * (full - image))).max() <= 1.01
        assert np.abs(full - now).sum() < np.abs(full - before).sum()
        before = now
    np.testing.assert_array_equal(before, full)


@pytest.mark.parametrize("strength", [-0.01, 1.01, float("nan"), float("inf")])
def test_unusable_strengths(strength: float) -> None:
    with pytest.raises(InputError, match=r"the strength must be 0 to 1, not"):
        Enhancer(TABLES, card(), strength=strength)


@pytest.mark.parametrize("threads", [0, -1])
def test_unusable_threads(threads: int) -> None:
    with pytest.raises(InputError, match=f"threads must be at least 1, not {threads}"):
        Enhancer(TABLES, card(), threads=threads)


# --- where tables come from ---


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships these tables."""
    folder = tmp_path / "weights"
    folder.mkdir()
    save_tables(folder)
    save_tables(folder, name="gentle", most=0.1)
    save_upscaler(folder, 2, name="hklut-s-x2")
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", folder)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("icelut", "icelut"),
        ("gentle", "gentle"),
        ("weights/gentle.safetensors", "gentle"),
        (Path("weights/gentle.safetensors"), "gentle"),
    ],
)
def test_load(weights: Path, name: str | Path, found: str) -> None:
    enhancer = Enhancer.load(name, threads=2, strength=0.5)
    assert enhancer.card.name == found
    assert (enhancer.threads, enhancer.strength) == (2, 0.5)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("icelutt", "no artefact called 'icelutt': did you mean icelut"),
        ("", "no artefact called ''"),
        ("hklut-s-x2", "of the kind 'upscale': an artefact of the kind 'enhance' is needed"),
        ("nothing.safetensors", "does not exist"),
        ("weights/nothing", "weights/nothing"),
        (Path("icelut"), "icelut"),
        ("weights", "no artefact called 'weights'"),
        ("./weights", "weights"),
    ],
)
def test_load_says_what_there_is(weights: Path, name: str | Path, complaint: str) -> None:
    with pytest.raises(ArtifactError, match=complaint) as caught:
        Enhancer.load(name)
    assert "\n" not in str(caught.value)


def test_module_is_the_function(weights: Path) -> None:
    image = photo(0, 9, 9)
    np.testing.assert_array_equal(morpho.enhance(image), Enhancer.load()(image))
    np.testing.assert_array_equal(enhance(image), morpho.enhance(image))
    gentle = morpho.enhance(image, model="gentle", strength=0.5, threads=1)
    np.testing.assert_array_equal(gentle, Enhancer.load("gentle", strength=0.5)(image))
    with pytest.raises(InputError, match="the strength must be 0 to 1, not 2"):
        morpho.enhance(image, strength=2)


def test_arrays_need_neither_pillow_nor_torch(tmp_path: Path) -> None:
    path = save_tables(tmp_path)
    code = (
        "import sys, numpy as np, morpho.enhance as en\n"
        "assert 'numba' not in sys.modules and 'safetensors' not in sys.modules\n"
        f"e = en.Enhancer.load({str(path)!r})\n"
        "assert 'numba' not in sys.modules\n"
        "assert e(np.zeros((2, 3, 4), np.uint8)).shape == (2, 3, 4)\n"
        "assert 'PIL' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not artifacts.shipped("icelut"), reason="this checkout ships no icelut tables")
def test_shipped_tables() -> None:
    enhancer = Enhancer.load()
    assert enhancer.card.kind == "enhance"
    assert enhancer.tables.nbytes <= 256 * 1024
    image = photo(0)
    assert (enhancer(image) != image).any()
