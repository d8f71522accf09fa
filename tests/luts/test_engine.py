"""The engine: every kind of picture, and agreement with other people's programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from morpho.errors import InputError
from morpho.images import Metadata, Picture
from morpho.luts import Domain, Engine, Lut, apply, reference
from morpho.luts.integers import IntegerLut
from morpho.luts.reference import Interpolation
from tests.luts.oracles import by_ffmpeg, by_opencolorio, by_pillow
from tests.luts.tables import graded, make_curves, make_lattice, make_picture

INTERPOLATIONS: list[Interpolation] = ["tetrahedral", "trilinear"]
DTYPES = [np.uint8, np.uint16]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(graded())


def largest(first: NDArray[Any], second: NDArray[Any]) -> int:
    return int(np.abs(first.astype(np.int64) - second.astype(np.int64)).max())


def share_of_others(first: NDArray[Any], second: NDArray[Any]) -> float:
    return float((first != second).mean())


# --- other people's programs ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    "lut", [graded(), graded(2), graded(65), Lut(make_lattice(17, "noise", 5))], ids=["33", "2", "65", "noise"]
)
def test_agrees_with_opencolorio(lut: Lut, interpolation: Interpolation, dtype: type) -> None:
    pytest.importorskip("PyOpenColorIO")
    for image in (make_picture((120, 130, 3), dtype), make_picture((50, 60, 4), dtype, "extremes")):
        ours, theirs = apply(image, lut, interpolation=interpolation), by_opencolorio(image, lut, interpolation)
        assert largest(ours, theirs) <= 1
        assert share_of_others(ours, theirs) < 0.02


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_agrees_with_opencolorio_where_values_are_clipped(interpolation: Interpolation) -> None:
    pytest.importorskip("PyOpenColorIO")
    lattice = make_lattice(9, "noise", 5) * 3 - 1
    image = make_picture((120, 130, 3), np.uint8)
    ours, theirs = (way(image, Lut(lattice), interpolation) for way in (_ours, by_opencolorio))
    assert largest(ours, theirs) <= 1
    assert 0.1 < (ours == 0).mean() < 0.5


def _ours(image: NDArray[Any], lut: Lut, interpolation: Interpolation) -> NDArray[Any]:
    return apply(image, lut, interpolation=interpolation)


@pytest.mark.parametrize("lut", [graded(), graded(2), Lut(make_lattice(17, "noise", 5))], ids=["33", "2", "noise"])
def test_agrees_with_pillow(lut: Lut) -> None:
    image = make_picture((120, 130, 3), np.uint8)
    assert largest(apply(image, lut, interpolation="trilinear"), by_pillow(image, lut)) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_agrees_with_ffmpeg(interpolation: Interpolation, dtype: type, tmp_path: Path) -> None:
    """ffmpeg rounds down, so its results lie half a level lower."""
    pytest.importorskip("imageio_ffmpeg")
    image = make_picture((120, 130, 3), dtype)
    ours = apply(image, graded(), interpolation=interpolation)
    assert largest(ours, by_ffmpeg(image, graded(), interpolation, tmp_path)) <= 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_curves_and_domains_agree_with_plain_floats(dtype: type, interpolation: Interpolation) -> None:
    """A lattice that is linear in each channel is its own interpolation: then the curves are all there is."""
    curves = make_curves(33, "mild", 2) * 1.4 - 0.2
    before, behind = Domain((-0.1, 0.0, 0.2), (1.0, 0.9, 1.3)), Domain((-0.2, 0.1, 0.0), (1.2, 0.8, 0.5))
    lut = Lut(Lut.identity(9).lattice, curves, behind, before)
    image = make_picture((80, 90, 3), dtype)
    peak = np.iinfo(dtype).max
    for c in range(3):
        places = np.linspace(before.low[c], before.high[c], 33)
        values = np.interp(image[..., c] / peak, places, curves[:, c])
        expected = np.clip((values - behind.low[c]) / (behind.high[c] - behind.low[c]), 0, 1) * peak
        assert np.abs(apply(image, lut, interpolation=interpolation)[..., c] - expected).max() <= 0.5 + 1 / 16


@pytest.mark.parametrize("dtype", DTYPES)
def test_curves_alone_are_rounded(dtype: type) -> None:
    image = make_picture((40, 50, 4), dtype)
    result = apply(image, Lut(None, np.array([[1.0, 0.0, 0.5], [0.0, 2.0, 0.5]])))
    peak = np.iinfo(dtype).max
    np.testing.assert_array_equal(result[..., 0], peak - image[..., 0])
    np.testing.assert_array_equal(result[..., 1], np.minimum(2 * image[..., 1].astype(int), peak))
    assert (result[..., 2] == (peak + 1) // 2).all()  # rounded to even
    np.testing.assert_array_equal(result[..., 3], image[..., 3])


def test_the_axes_are_not_swapped() -> None:
    """Red in, green out; green in, blue out; blue in, red out."""
    lattice = Lut.identity(5).lattice
    assert lattice is not None
    image = make_picture((9, 9, 3), np.uint8)
    np.testing.assert_array_equal(apply(image, Lut(lattice[..., [2, 0, 1]])), image[..., [2, 0, 1]])


# --- kinds of pictures ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_arrays(interpolation: Interpolation, dtype: type) -> None:
    image = make_picture((17, 19, 4), dtype)
    engine = Engine(graded(9), interpolation=interpolation)
    result = engine(image)
    expected = reference.apply(image, IntegerLut.of(graded(9), image.dtype), interpolation=interpolation)
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(result[..., 3], image[..., 3])
    np.testing.assert_array_equal(engine(image[..., :3]), expected[..., :3])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2])
def test_grey_is_the_luma_of_what_becomes_of_it(engine: Engine, channels: int, dtype: type) -> None:
    image = make_picture((17, 19, channels), dtype)
    colours = engine(np.repeat(image[..., :1], 3, axis=2)).astype(np.int64)
    luma = (77 * colours[..., 0] + 150 * colours[..., 1] + 29 * colours[..., 2] + 128) >> 8
    result = engine(image)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result[..., 0], luma)
    if channels == 2:
        np.testing.assert_array_equal(result[..., 1], image[..., 1])
    np.testing.assert_array_equal(engine(image[..., 0]), result[..., 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lut", [Lut.identity(7), Lut(None, np.array([[0.0] * 3, [1.0] * 3]))])
def test_identity_leaves_every_kind_of_array_as_it_is(lut: Lut, dtype: type) -> None:
    for shape in ((5, 6), (5, 6, 1), (5, 6, 2), (5, 6, 3), (5, 6, 4), (1, 1, 3)):
        image = make_picture(shape, dtype)
        np.testing.assert_array_equal(apply(image, lut), image)


def test_picture_keeps_what_its_file_said(engine: Engine) -> None:
    picture = Picture(make_picture((5, 6, 3), np.uint8), Metadata(icc=b"profile", dpi=(300.0, 300.0)), "JPEG")
    result = engine(picture)
    assert isinstance(result, Picture)
    assert (result.metadata, result.format) == (picture.metadata, "JPEG")
    np.testing.assert_array_equal(result.pixels, engine(picture.pixels))


@pytest.mark.parametrize(
    ("mode", "result_mode"),
    [("L", "L"), ("LA", "LA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"), ("I;16", "I;16")],
)
def test_pillow_images(engine: Engine, mode: str, result_mode: str) -> None:
    if mode == "I;16":
        image: Image.Image = Image.fromarray(make_picture((6, 5), np.uint16))
    else:
        image = Image.fromarray(make_picture((6, 5, 3), np.uint8)).convert(mode)
    image.info["dpi"] = (72, 72)
    result = engine(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size, result.info) == (result_mode, (5, 6), {"dpi": (72, 72)})
    pixels = np.asarray(image if mode == result_mode else image.convert(result_mode))
    np.testing.assert_array_equal(np.asarray(result), engine(pixels))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_writes_where_it_is_told(engine: Engine, channels: int) -> None:
    image = make_picture((30, 40, channels), np.uint8)
    expected, out = engine(image), np.empty_like(image)
    assert engine(image, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert engine(image, out=image) is image
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4, 3)), r"uint8 or uint16, not float64 \(4, 4, 3\)"),
        (np.zeros((4, 4, 5), np.uint8), "1 to 4 channels, not 5"),
        (np.zeros((0, 4, 3), np.uint8), r"non-empty .* \(0, 4, 3\)"),
        (np.zeros((4, 4, 0), np.uint8), "non-empty"),
        ("photo.png", "str is no picture"),
        (Image.new("CMYK", (2, 2)), "mode CMYK is neither grey nor RGB"),
    ],
)
def test_what_is_no_picture(engine: Engine, image: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        engine(image)


def test_unusable_options(engine: Engine) -> None:
    with pytest.raises(InputError, match="interpolation is tetrahedral or trilinear, not 'nearest'"):
        Engine(graded(2), interpolation="nearest")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        Engine(graded(2), threads=0)
    image = make_picture((4, 5, 3), np.uint8)
    for other in (Picture(image), Image.fromarray(image), image[..., 0]):
        with pytest.raises(InputError, match="out can only be given for an array"):
            engine(other, out=image.copy())


def test_tables_are_made_once_and_only_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = IntegerLut.of.__func__  # type: ignore[attr-defined]

    def of(cls: type[IntegerLut], lut: Lut, dtype: Any) -> IntegerLut:
        made.append(np.dtype(dtype).name)
        return original(cls, lut, dtype)  # type: ignore[no-any-return]

    monkeypatch.setattr(IntegerLut, "of", classmethod(of))
    engine = Engine(graded(3))
    for dtype, channels in ((np.uint8, 1), (np.uint8, 3), (np.uint8, 4), (np.uint8, 2), (np.uint16, 3), (np.uint16, 1)):
        engine(make_picture((3, 3, channels), dtype))
    assert made == ["uint8", "uint16"]


def test_threads_do_not_change_the_result() -> None:
    image = make_picture((700, 300, 3), np.uint8)
    one = Engine(graded(), threads=1)(image)
    np.testing.assert_array_equal(Engine(graded(), threads=3)(image), one)
