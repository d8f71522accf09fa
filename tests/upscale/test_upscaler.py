"""Whole pictures: every kind of picture, transparency, and where tables come from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import morpho
from morpho.errors import ArtifactError, InputError
from morpho.images import Metadata, Picture
from morpho.upscale import Tables, Upscaler, alpha, reference
from morpho.upscale.alpha import fill_transparent, upscale_with_alpha
from tests.upscale.synthetic import card, random_tables, save_tables

Pixels = NDArray[Any]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return random_tables(2, 2, symmetric=True)


@pytest.fixture(scope="module")
def upscaler(tables: Tables) -> Upscaler:
    return Upscaler(tables, card())


def noise(*shape: int, dtype: str = "uint8", seed: int = 0) -> Pixels:
    peak = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, peak, shape, dtype, endpoint=True)


# --- kinds of pictures ---


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_arrays(upscaler: Upscaler, channels: int, dtype: str) -> None:
    image = noise(7, 9, channels, dtype=dtype)
    before = image.copy()
    result = upscaler(image)
    np.testing.assert_array_equal(result, reference.upscale(image, upscaler.tables))
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(image, before)


def test_two_dimensional_array(upscaler: Upscaler) -> None:
    image = noise(7, 9)
    result = upscaler(image)
    assert result.shape == (28, 36)
    np.testing.assert_array_equal(result, upscaler(image[..., None])[..., 0])


def test_strided_and_read_only_arrays(upscaler: Upscaler) -> None:
    image = noise(20, 22, 3)
    view = image[::-2, 1::3]
    view.flags.writeable = False
    np.testing.assert_array_equal(upscaler(view), upscaler(np.ascontiguousarray(view)))


def test_picture_keeps_what_its_file_said(upscaler: Upscaler) -> None:
    picture = Picture(noise(5, 6, 3), Metadata(icc=b"profile", dpi=(300.0, 300.0)), "JPEG")
    result = upscaler(picture)
    assert isinstance(result, Picture)
    assert (result.metadata, result.format) == (picture.metadata, "JPEG")
    np.testing.assert_array_equal(result.pixels, upscaler(picture.pixels))


@pytest.mark.parametrize(
    ("mode", "result_mode"),
    [("L", "L"), ("LA", "LA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"), ("I;16", "I;16")],
)
def test_pillow_images(upscaler: Upscaler, mode: str, result_mode: str) -> None:
    if mode == "I;16":
        image: Image.Image = Image.fromarray(noise(6, 5, dtype="uint16"))
    else:
        image = Image.fromarray(noise(6, 5, 3)).convert(mode)
    image.info["dpi"] = (72, 72)
    result = upscaler(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size, result.info) == (result_mode, (20, 24), {"dpi": (72, 72)})
    pixels = np.asarray(image if mode == result_mode else image.convert(result_mode))
    np.testing.assert_array_equal(np.asarray(result), upscaler(pixels))


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_pillow_transparency_becomes_alpha(upscaler: Upscaler, mode: str) -> None:
    image = Image.new(mode, (4, 4), 0)
    image.info["transparency"] = (0, 0, 0) if mode == "RGB" else 0
    result = upscaler(image)
    assert result.mode == ("LA" if mode == "L" else "RGBA")
    assert not np.asarray(result)[..., -1].any()
    assert "transparency" not in result.info


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4, 3)), r"uint8 or uint16, not float64 \(4, 4, 3\)"),
        (np.zeros((4, 4), bool), "not bool"),
        (np.zeros((0, 4, 3), np.uint8), r"non-empty .* \(0, 4, 3\)"),
        (np.zeros((4, 4, 0), np.uint8), "non-empty"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        ([[1, 2]], "list is no picture"),
        ("photo.png", "str is no picture"),
        (Image.new("CMYK", (2, 2)), "mode CMYK is neither grey nor RGB: convert it"),
        (Image.new("F", (2, 2)), "mode F"),
    ],
)
def test_what_is_no_picture(upscaler: Upscaler, image: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        upscaler(image)


def test_threads_do_not_change_the_result(tables: Tables) -> None:
    image = noise(90, 40, 3)
    one = Upscaler(tables, card(), threads=1)(image)
    np.testing.assert_array_equal(Upscaler(tables, card(), threads=3)(image), one)
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        Upscaler(tables, card(), threads=0)


# --- transparency ---


def with_alpha(image: Pixels, tables: Tables) -> Pixels:
    return upscale_with_alpha(image, tables, lambda pixels: reference.upscale(pixels, tables))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_opaque_picture_is_upscaled_as_if_it_had_no_alpha(upscaler: Upscaler, channels: int, dtype: str) -> None:
    image = noise(9, 8, channels, dtype=dtype)
    image[..., -1] = np.iinfo(dtype).max
    result = upscaler(image)
    np.testing.assert_array_equal(result[..., :-1], upscaler(image[..., :-1].copy()))
    assert (result[..., -1] == np.iinfo(dtype).max).all()
    assert fill_transparent(image, 4) is image


def test_invisible_picture_stays_invisible(upscaler: Upscaler) -> None:
    image = noise(9, 8, 4)
    image[..., 3] = 0
    assert not upscaler(image)[..., 3].any()
    assert fill_transparent(image, 4) is image


def blob(height: int = 15, width: int = 17) -> NDArray[np.bool_]:
    """A visible part with corners, a hole, and pixels of its own."""
    visible = np.zeros((height, width), bool)
    visible[3:11, 4:12] = True
    visible[6, 7] = False
    visible[8:, 10:12] = False
    visible[13, 2] = True
    return visible


@pytest.mark.parametrize("chain", [(2, 2), (2, 1, 2), (4,)])
def test_one_colour_stays_one_colour_up_to_the_rim(chain: tuple[int, ...]) -> None:
    """No dark seam: where anything is visible, the colour is that of a picture without transparency."""
    tables = random_tables(*chain, symmetric=True)
    image = np.zeros((15, 17, 4), np.uint8)
    image[blob()] = (200, 90, 31, 255)
    result = with_alpha(image, tables)
    even = reference.upscale(np.full((15, 17, 3), (200, 90, 31), np.uint8), tables)
    seen = result[..., 3] > 0
    assert seen.sum() > 0.9 * blob().sum() * 16
    np.testing.assert_array_equal(result[seen][:, :3], even[seen])


def test_hidden_colours_are_never_seen(tables: Tables) -> None:
    image = noise(15, 17, 4)
    image[..., 3] = np.where(blob(), np.maximum(image[..., 3], 1), 0)
    other = image.copy()
    other[~blob(), :3] = noise(15, 17, 3, seed=1)[~blob()]
    one, two = with_alpha(image, tables), with_alpha(other, tables)
    np.testing.assert_array_equal(one[..., 3], two[..., 3])
    np.testing.assert_array_equal(one[one[..., 3] > 0], two[one[..., 3] > 0])


def test_alpha_goes_through_the_tables_except_where_it_is_even(tables: Tables) -> None:
    image = noise(24, 12, 4)
    image[..., 3] = 255
    image[8:, :, 3] = 0
    image[16:, :, 3] = noise(8, 12)
    result = with_alpha(image, tables)[..., 3]
    by_tables = reference.upscale(image[..., 3:].copy(), tables)[..., 0]
    assert (result[: 7 * 4] == 255).all()
    assert (result[9 * 4 : 15 * 4] == 0).all()
    for rows in (slice(7 * 4, 9 * 4), slice(15 * 4, None)):
        np.testing.assert_array_equal(result[rows], by_tables[rows])


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_turned_picture_gives_the_turned_result(tables: Tables, quarter_turns: int) -> None:
    image = noise(15, 17, 4)
    image[~blob(), 3] = 0
    turned = with_alpha(np.rot90(image, quarter_turns), tables)
    np.testing.assert_array_equal(turned, np.rot90(with_alpha(image, tables), quarter_turns))


@pytest.mark.parametrize("chain", [(2, 2), (2, 1, 2)])
def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch, chain: tuple[int, ...]) -> None:
    tables = random_tables(*chain)
    image = noise(150, 6, 4)
    image[..., 3] *= noise(150, 6, seed=2) > 200
    whole = with_alpha(image, tables)
    monkeypatch.setattr(alpha, "BAND_PIXELS", 1)
    np.testing.assert_array_equal(with_alpha(image, tables), whole)


def test_fill_takes_the_mean_of_the_nearest() -> None:
    image = np.zeros((3, 4, 2), np.uint8)
    image[0, 0], image[2, 0] = (100, 255), (51, 1)
    filled = fill_transparent(image, 2)
    np.testing.assert_array_equal(filled[..., 0], [[100, 100, 88, 0], [76, 76, 76, 0], [51, 51, 64, 0]])
    np.testing.assert_array_equal(filled[..., 1], image[..., 1])


@pytest.mark.parametrize(("chain", "pixels"), [((2, 2), 3), ((2, 1, 2), 4), ((4,), 2), ((3, 1), 3)])
def test_reach_is_as_far_as_an_output_pixel_sees(chain: tuple[int, ...], pixels: int) -> None:
    tables = random_tables(*chain)
    assert alpha.reach(tables) == pixels
    dark = np.full((21, 21, 1), 100, np.uint8)
    seen = np.zeros((21, 21), bool)
    for value in range(0, 256, 5):
        lit = dark.copy()
        lit[10, 10] = value
        changed = reference.upscale(lit, tables) != reference.upscale(dark, tables)
        seen |= changed.reshape(21, tables.scale, 21, tables.scale).any(axis=(1, 3))
    rows = np.nonzero(seen.any(axis=1))[0]
    assert (rows.min(), rows.max()) == (10 - pixels, 10 + pixels)


# --- where tables come from ---


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships these tables."""
    folder = tmp_path / "weights"
    folder.mkdir()
    save_tables(folder, 2, 2, name="hklut-s-x4")
    save_tables(folder, 2, name="hklut-s-x2")
    save_tables(folder, 2, 1, 2, name="hklut-l-x4")
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", folder)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("name", "scale", "found"),
    [
        ("hklut-s", None, "hklut-s-x4"),
        ("hklut-s", 2, "hklut-s-x2"),
        ("hklut-s-x2", None, "hklut-s-x2"),
        ("hklut-s-x2", 2, "hklut-s-x2"),
        ("hklut-l", 4, "hklut-l-x4"),
        ("weights/hklut-s-x2.safetensors", None, "hklut-s-x2"),
        ("weights/hklut-s-x2.safetensors", 2, "hklut-s-x2"),
        (Path("weights/hklut-l-x4.safetensors"), 4, "hklut-l-x4"),
    ],
)
def test_load(weights: Path, name: str | Path, scale: int | None, found: str) -> None:
    upscaler = Upscaler.load(name, scale=scale, threads=2)
    assert upscaler.card.name == found
    assert f"x{upscaler.scale}" in found
    assert upscaler.threads == 2


@pytest.mark.parametrize(
    ("name", "scale", "complaint"),
    [
        ("hklut-s", 3, "no hklut-s tables for scale 3: there are hklut-s-x2, hklut-s-x4"),
        ("hklut-s-x2", 4, "no hklut-s tables for scale 4: there are hklut-s-x2, hklut-s-x4"),
        ("hklut-s-x7", None, "no hklut-s tables for scale 7: there are hklut-s-x2, hklut-s-x4"),
        ("hklut-l", 2, "no hklut-l tables for scale 2: there are hklut-l-x4"),
        ("hklut-m", None, "no artefact called 'hklut-m': did you mean"),
        ("weights/hklut-s-x2.safetensors", 4, "holds tables for scale 2, not 4"),
        ("weights/nothing.safetensors", None, "does not exist"),
        ("nothing.safetensors", None, "does not exist"),
        ("weights", None, "no file is named like"),
        ("", None, "no file is named like"),
    ],
)
def test_load_says_what_there_is(weights: Path, name: str, scale: int | None, complaint: str) -> None:
    with pytest.raises(ArtifactError, match=complaint) as caught:
        Upscaler.load(name, scale=scale)
    assert "\n" not in str(caught.value)


def test_module_is_the_function(weights: Path) -> None:
    image = noise(5, 6, 3)
    np.testing.assert_array_equal(morpho.upscale(image), Upscaler.load()(image))
    assert morpho.upscale(image, scale=2).shape == (10, 12, 3)
    assert morpho.upscale(image, model="hklut-l", threads=1).shape == (20, 24, 3)


def test_arrays_need_neither_pillow_nor_torch(tmp_path: Path) -> None:
    path = save_tables(tmp_path, 2)
    code = (
        "import sys, numpy as np, morpho.upscale as up\n"
        "assert 'numba' not in sys.modules and 'safetensors' not in sys.modules\n"
        f"u = up.Upscaler.load({str(path)!r})\n"
        "assert 'numba' not in sys.modules\n"
        "assert u(np.zeros((2, 3, 4), np.uint8)).shape == (4, 6, 4)\n"
        "assert 'PIL' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident memory as Linux counts it")
@pytest.mark.parametrize("channels", [3, 4])
def test_hundred_megapixels_take_less_than_200_mb_beside_input_and_output(tmp_path: Path, channels: int) -> None:
    path = save_tables(tmp_path, 2, 2)
    code = (
        "import resource, numpy as np\n"
        "from morpho.upscale import Upscaler\n"
        f"u = Upscaler.load({str(path)!r})\n"
        f"u(np.zeros((40, 40, {channels}), np.uint8))\n"
        f"image = np.random.default_rng(0).integers(0, 256, (2500, 2500, {channels}), np.uint8)\n"
        "image[..., -1] |= np.where(image[..., 0] > 60, 255, 0).astype(np.uint8)\n"
        "image[:, 400:700, -1] = 0\n"
        "now = int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()\n"
        "result = u(image)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "print(peak - now - result.nbytes)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 200e6
