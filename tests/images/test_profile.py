"""Wide-gamut pictures are converted, against LittleCMS; sRGB ones are left alone; hostile profiles get a sentence."""

from __future__ import annotations

import io
import struct
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from morpho.errors import ImageError
from morpho.images import Metadata, Picture, read, to_srgb, write
from morpho.images.profile import srgb_profile
from tests.images import profiles
from tests.images.profiles import ADOBE, D50, P3, PROPHOTO, SRGB, SRGB_CURVE, gamma, matrix_profile, parametric
from tests.images.samples import ICC, noise

DISPLAY_P3 = matrix_profile(P3, SRGB_CURVE)
WIDE = {
    "Display P3": DISPLAY_P3,
    "Adobe RGB": matrix_profile(ADOBE, gamma(563 / 256)),
    "ProPhoto": matrix_profile(PROPHOTO, gamma(1.8), D50),
    "linear": matrix_profile(P3, profiles.curve([])),
    "sampled": matrix_profile(P3, profiles.curve([round(65535 * (i / 99) ** 2) for i in range(100)])),
    "power": matrix_profile(ADOBE, parametric(0, 2.0)),
    "power from a point": matrix_profile(P3, parametric(1, 2.0, 1.1, -0.1)),
    "power and offset": matrix_profile(P3, parametric(2, 2.0, 0.9, 0.05, 0.01)),
    "all seven": matrix_profile(P3, parametric(4, 2.4, 0.93, 0.052, 0.1, 0.04, 0.02, 0.01907)),
    "three curves": matrix_profile(SRGB, [gamma(1.8), gamma(2.2), gamma(2.6)]),
}


def picture(pixels: NDArray[Any], icc: bytes | None) -> Picture:
    return Picture(pixels, Metadata(icc=icc, dpi=(300.0, 300.0)), "JPEG")


def by_littlecms(pixels: NDArray[Any], icc: bytes) -> NDArray[Any]:
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        "L" if pixels.shape[2] == 1 else "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(transform.apply(image))[..., : pixels.shape[2]]


@pytest.mark.parametrize("name", WIDE)
def test_eight_bits_as_littlecms(name: str) -> None:
    pixels = noise(90, 100, 3)
    result = to_srgb(picture(pixels, WIDE[name]))
    difference = np.abs(result.pixels.astype(int) - by_littlecms(pixels, WIDE[name]))
    assert difference.max() <= 1
    assert difference.mean() < 0.02
    assert np.abs(result.pixels.astype(int) - pixels).mean() > 1
    assert result.metadata == Metadata(icc=srgb_profile(), dpi=(300.0, 300.0))
    assert result.format == "JPEG"


@pytest.mark.parametrize("name", WIDE)
def test_sixteen_bits_are_the_same_but_finer(name: str) -> None:
    pixels = noise(90, 100, 3)
    fine = to_srgb(picture(pixels.astype(np.uint16) * 257, WIDE[name])).pixels
    assert fine.dtype == np.uint16
    np.testing.assert_allclose(fine / 257, to_srgb(picture(pixels, WIDE[name])).pixels, atol=0.502)
    assert (fine % 257 != 0).mean() > 0.3


@pytest.mark.parametrize("space", [P3, ADOBE])
def test_sixteen_bits_to_the_last_level(space: Any) -> None:
    """Against the textbook's formula in floats, blacks included, where sRGB is steepest."""
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    pixels[:20] //= 64
    exact = np.rint(profiles.colorants(space, profiles.D65) * 65536) / 65536
    icc = srgb_profile()
    srgb = [np.frombuffer(icc, ">i4", 3, icc.index(b"XYZ ", at) + 8) / 65536 for at in (460, 500, 480)]
    to_linear = np.linalg.inv(np.transpose(srgb)) @ exact
    light = np.clip((pixels / 65535) ** 2.0 @ to_linear.T, 0, 1)
    expected = 65535 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    found = to_srgb(picture(pixels, matrix_profile(space, gamma(2.0)))).pixels
    assert np.abs(found - expected).max() < 2
    assert np.abs(found - expected).mean() < 0.3


def test_colours_that_are_known() -> None:
    """White, black and greys stay; the red of P3 is beyond sRGB's; sRGB's red is duller than P3's."""
    colors = np.array([[[255, 255, 255], [0, 0, 0], [128, 128, 128], [255, 0, 0], [234, 51, 35]]], np.uint8)
    result = to_srgb(picture(colors, DISPLAY_P3)).pixels
    np.testing.assert_array_equal(result[0, :3], colors[0, :3])
    np.testing.assert_array_equal(result[0, 3], [255, 0, 0])
    np.testing.assert_allclose(result[0, 4].astype(int), [255, 0, 0], atol=6)


@pytest.mark.parametrize("exponent", [1.0, 0.7])
def test_tables_of_colours_at_eight_bits(exponent: float) -> None:
    icc = profiles.table_profile(exponent)
    pixels = noise(30, 40, 3)
    np.testing.assert_array_equal(to_srgb(picture(pixels, icc)).pixels, by_littlecms(pixels, icc))


@pytest.mark.parametrize("icc", [profiles.grey_profile(gamma(1.8)), profiles.grey_profile(gamma(2.2), b"Lab ")])
def test_grey_profiles(icc: bytes) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    result = to_srgb(picture(levels, icc)).pixels
    assert np.abs(result.astype(int) - by_littlecms(levels, icc)).max() <= 1
    assert np.abs(result.astype(int) - levels).max() > 5
    fine = to_srgb(picture(levels.astype(np.uint16) * 257, icc)).pixels
    np.testing.assert_allclose(fine / 257, result, atol=0.502)


def test_grey_pixels_in_an_rgb_profile_are_equal_channels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    for name in ("ProPhoto", "Adobe RGB"):
        grey = to_srgb(picture(levels, WIDE[name])).pixels
        color = to_srgb(picture(levels.repeat(3, axis=2), WIDE[name])).pixels
        assert np.abs(grey.astype(int) - color).max() <= 1
    whole = picture(levels, DISPLAY_P3)
    assert to_srgb(whole) is whole  # its curve is that of sRGB


def test_grey_pixels_get_the_luminance_of_an_rgb_profile() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    color = to_srgb(picture(levels.repeat(3, axis=2), WIDE["three curves"])).pixels
    light = np.where(color > 10, ((color / 255 + 0.055) / 1.055) ** 2.4, color / 255 / 12.92) @ [0.2126, 0.7152, 0.0722]
    expected = 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    found = to_srgb(picture(levels, WIDE["three curves"])).pixels
    assert np.abs(found[..., 0] - expected).max() < 2
    assert np.ptp(color.astype(int), axis=2).max() > 20


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_untouched(channels: int, dtype: str) -> None:
    icc = WIDE["Adobe RGB"]
    pixels = noise(20, 30, channels, dtype=dtype)
    result = to_srgb(picture(pixels, icc)).pixels
    np.testing.assert_array_equal(result[..., -1], pixels[..., -1])
    alone = to_srgb(picture(pixels[..., :-1], icc)).pixels
    np.testing.assert_array_equal(result[..., :-1], alone)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_srgb_in_effect_is_left_alone(dtype: str) -> None:
    sampled = [
        round(65535 * ((v / 1023 + 0.055) / 1.055) ** 2.4 if v > 41 else 65535 * v / 1023 / 12.92) for v in range(1024)
    ]
    for icc in (None, srgb_profile(), matrix_profile(SRGB, SRGB_CURVE), matrix_profile(SRGB, profiles.curve(sampled))):
        whole = picture(noise(9, 9, 3, dtype=dtype), icc)
        assert to_srgb(whole) is whole
    for exponent, unchanged in ((2.42, True), (2.36, False), (2.46, False)):  # one level, two levels
        curve = parametric(3, exponent, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        near = picture(noise(9, 9, 3, dtype=dtype), matrix_profile(SRGB, curve))
        assert (to_srgb(near) is near) == unchanged


def test_what_was_converted_is_not_converted_again() -> None:
    once = to_srgb(picture(noise(9, 9, 3), DISPLAY_P3))
    assert to_srgb(once) is once


def test_the_input_is_not_changed() -> None:
    pixels = noise(9, 9, 3)
    pixels.setflags(write=False)
    to_srgb(picture(pixels, DISPLAY_P3))
    np.testing.assert_array_equal(pixels, noise(9, 9, 3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 70_000), (70_000, 1), (300, 300)])
def test_all_bands_are_converted(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), [200, 30, 40], np.uint8)
    result = to_srgb(picture(pixels, DISPLAY_P3)).pixels
    assert (result == result[0, 0]).all()
    assert tuple(result[0, 0]) != (200, 30, 40)


def test_through_a_file() -> None:
    stream = io.BytesIO()
    write(picture(noise(20, 20, 3), DISPLAY_P3), stream, quality=95)
    converted = to_srgb(read(stream.getvalue()))
    stream = io.BytesIO()
    write(converted, stream)
    with Image.open(io.BytesIO(stream.getvalue())) as image:
        assert image.info["icc_profile"] == srgb_profile()
        ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))


def test_twelve_megapixels_in_well_under_a_second() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)

    def taken() -> float:
        start = time.thread_time()
        to_srgb(picture(pixels, DISPLAY_P3))
        return time.thread_time() - start

    assert min(taken() for _ in range(3)) < 1


# --- hostile profiles ---


def with_tag(name: bytes, content: bytes, **options: Any) -> bytes:
    """A P3 profile with one tag replaced."""
    curves = {c + b"TRC": SRGB_CURVE for c in (b"r", b"g", b"b")}
    colors = {c + b"XYZ": profiles.color([0.3, 0.3, 0.3]) for c in (b"r", b"g", b"b")}
    return profiles.profile({**curves, **colors, name: content}, **options)


def patched(at: int, content: bytes) -> bytes:
    return DISPLAY_P3[:at] + content + DISPLAY_P3[at + len(content) :]


@pytest.mark.parametrize(
    ("icc", "what"),
    [
        (ICC, "is no ICC profile"),
        (b"\0", "is no ICC profile"),
        (b"acsp" * 40, "is damaged"),
        (DISPLAY_P3[:-1], "is damaged"),
        (DISPLAY_P3[:200], "is damaged"),
        (patched(0, b"\xff\xff\xff\xff"), "is damaged"),
        (patched(0, bytes(4)), "is damaged"),
        (patched(128, b"\xff\xff\xff\xff"), "more tags than it has room for"),
        (patched(128, bytes(4)), "holds tables of colours"),
        (patched(16, b"CMYK"), "is for CMYK but the picture is RGB"),
        (patched(16, b"GRAY"), "is for GRAY but the picture is RGB"),
        (patched(16, b"\x1b[1m"), "is for unknown channels"),
        (with_tag(b"rTRC", b"curv" + bytes(4) + struct.pack(">I", 0xFFFFFFFF)), "a curve is cut off"),
        (with_tag(b"rTRC", b"para" + bytes(4) + struct.pack(">HH", 9, 0) + bytes(40)), "a curve is unknown"),
        (with_tag(b"rTRC", parametric(3, 2.4, 1.0)), "a curve is unknown or cut off"),
        (with_tag(b"rTRC", b"text" + bytes(40)), "a curve of an unknown kind"),
        (with_tag(b"rTRC", b"curv"), "its rTRC is cut off"),
        (with_tag(b"rXYZ", b"curv" + bytes(40)), "its rXYZ is no colour"),
        (with_tag(b"rXYZ", profiles.color([1, 1, 1])[:16]), "its rXYZ is no colour"),
        (profiles.profile({c + b"XYZ": profiles.color([0.3] * 3) for c in (b"r", b"g", b"b")}), "it has no rTRC"),
        (with_tag(b"A2B0", b"mft1" + b"\xff" * 60), "is damaged"),
    ],
)
def test_unusable_profiles_are_one_sentence(icc: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=f"the embedded colour profile .*{what}") as caught:
        to_srgb(picture(noise(9, 9, 3), icc))
    text = str(caught.value)
    assert "\n" not in text
    assert "convert the picture to sRGB, or take the profile out" in text


@pytest.mark.parametrize("tag", [b"rXYZ", b"gTRC"])
@pytest.mark.parametrize(("start", "length"), [(2**32 - 8, 20), (100_000, 20), (0, 2**32 - 1)])
def test_tags_that_point_beyond_the_end(tag: bytes, start: int, length: int) -> None:
    entry = DISPLAY_P3.index(tag)
    with pytest.raises(ImageError, match="is cut off"):
        to_srgb(picture(noise(9, 9, 3), patched(entry + 4, struct.pack(">II", start, length))))


def test_tables_of_colours_at_sixteen_bits_are_refused() -> None:
    with pytest.raises(ImageError, match="which morpho reads for 8-bit RGB only"):
        to_srgb(picture(noise(9, 9, 3, dtype="uint16"), profiles.table_profile()))


def test_curves_and_matrices_of_any_numbers_are_computed() -> None:
    """Without a warning, which would fail the test: nothing overflows, nothing is NaN."""
    for numbers in ((-1.0,), (30000.0, 0.0, 0.0), (0.0, -3.0, 9.0), (-2.0, 0.0, 0.0), (2.0, 0.0, -1.0)):
        icc = with_tag(b"rTRC", parametric(0 if len(numbers) == 1 else 1, *numbers))
        assert to_srgb(picture(noise(9, 9, 3), icc)).pixels.shape == (9, 9, 3)
    extreme = with_tag(b"rXYZ", profiles.color([32767.0, -32768.0, 32767.0]))
    for dtype in ("uint8", "uint16"):
        assert to_srgb(picture(noise(9, 9, 3, dtype=dtype), extreme)).pixels.dtype == dtype


@given(st.binary(max_size=400), st.integers(0, 479), st.sampled_from(["uint8", "uint16"]), st.sampled_from([1, 3]))
def test_any_bytes_give_a_picture_or_a_sentence(patch: bytes, at: int, dtype: str, channels: int) -> None:
    whole = picture(noise(3, 3, channels, dtype=dtype), patched(at, patch[: 480 - at]))
    try:
        result = to_srgb(whole)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert (result.pixels.shape, result.pixels.dtype) == (whole.pixels.shape, whole.pixels.dtype)
