"""imresize against the pictures and numbers that MATLAB made, and against its definition."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.images import imresize, modcrop, psnr_y, read
from tests.images.samples import noise

#: Data README: PSNR of bicubic on Y at x2, x3, x4. They were taken from SelfExSR's small pictures.
PUBLISHED = {
    "Set5": (33.68, 30.41, 28.43),
    "Set14": (30.24, 27.54, 26.00),
    "BSD100": (29.56, 27.21, 25.96),
}
SETS = ["Set5", "Set14", pytest.param("BSD100", marks=pytest.mark.slow)]


def pictures(folder: Path) -> list[NDArray[Any]]:
    return [read(path).pixels for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("name", SETS)
def test_bicubic_psnr_is_the_published_one(data_root: Path, name: str) -> None:
    images = pictures(data_root / "sr" / "test" / name)
    for scale, published in zip((2, 3, 4), PUBLISHED[name], strict=True):
        values = []
        for image in images:
            truth = modcrop(image, scale)
            small = imresize(truth, scale=Fraction(1, scale))
            values.append(psnr_y(truth, imresize(small, scale=scale), border=scale))
        assert np.mean(values) == pytest.approx(published, abs=0.011), (name, scale)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_matlab_bit_for_bit(data_root: Path, scale: int) -> None:
    folder = data_root / "sr" / "test"
    for index, path in enumerate(sorted((folder / "Set5").iterdir()), start=1):
        truth = modcrop(read(path).pixels, scale)
        theirs = read(folder / "Set5_LR_selfexsr" / f"img_{index:03d}_SRF_{scale}_LR.png").pixels
        ours = imresize(truth, scale=Fraction(1, scale))
        assert np.array_equal(ours[2:-2, 2:-2], theirs[2:-2, 2:-2]), path.name
        # The MATLAB of that time repeated the edge pixel instead of mirroring.
        margin = 4 * scale
        wider = np.pad(truth, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        assert np.array_equal(imresize(wider, scale=Fraction(1, scale))[4:-4, 4:-4], theirs), path.name


def direct(line: NDArray[np.float64], length: int, scale: float) -> NDArray[np.float64]:
    """One dimension by the definition: a sum over the whole mirrored line for each output."""
    shrink = min(scale, 1.0)
    result = np.empty(length)
    for i in range(length):
        centre = (i + 0.5) / scale - 0.5
        low, high = math.floor(centre - 2 / shrink), math.ceil(centre + 2 / shrink)
        total = weight_sum = 0.0
        for j in range(low, high + 1):
            x = abs(centre - j) * shrink
            inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            weight = inner if x <= 1 else outer if x < 2 else 0.0
            mirrored = j % (2 * len(line))
            total += weight * line[min(mirrored, 2 * len(line) - 1 - mirrored)]
            weight_sum += weight
        result[i] = total / weight_sum
    return result


@given(
    st.integers(1, 40),
    st.integers(1, 90),
    st.sampled_from([np.float64, np.float32]),
)
def test_equals_the_definition(before: int, after: int, dtype: type[np.floating[Any]]) -> None:
    line = np.random.default_rng(before).normal(size=before).astype(dtype)
    expected = direct(line.astype(np.float64), after, after / before)
    ours = imresize(line[:, np.newaxis], size=(after, 1))
    assert ours.dtype == dtype
    assert np.allclose(ours[:, 0], expected, atol=1e-6 if dtype is np.float32 else 1e-12)
    assert np.array_equal(imresize(line[np.newaxis], size=(1, after))[0], ours[:, 0])


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.sampled_from([2, 3, 4, 0.5, 1 / 3, 0.3]))
def test_any_size_and_layout(height: int, width: int, channels: int, scale: float) -> None:
    image = noise(height, width, channels)
    expected = imresize(image, scale=scale)
    ratio = Fraction(scale).limit_denominator(100)
    assert expected.shape == (math.ceil(ratio * height), math.ceil(ratio * width), channels)
    image.setflags(write=False)
    assert np.array_equal(imresize(np.asfortranarray(image), scale=scale), expected)
    assert np.array_equal(imresize(image[::-1, ::-1][::-1, ::-1], scale=Fraction(ratio)), expected)
    alone = imresize(np.ascontiguousarray(image[:, :, 0]), scale=scale)
    assert np.array_equal(alone, expected[:, :, 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_a_flat_picture_stays_flat(dtype: str) -> None:
    flat = np.full((13, 17), 200, dtype)
    for scale in (Fraction(1, 3), Fraction(2, 7), 4):
        result = imresize(flat, scale=scale)
        assert result.dtype == flat.dtype
        assert np.allclose(result, 200, rtol=1e-6)


def test_integers_are_rounded_and_clipped_after_each_pass() -> None:
    image = noise(24, 24)
    as_float = image.astype(np.float64)
    first = np.clip(np.floor(imresize(as_float, size=(6, 24)) + 0.5), 0, 255)
    second = np.clip(np.floor(imresize(first, size=(6, 6)) + 0.5), 0, 255)
    assert np.array_equal(imresize(image, scale=0.25), second)
    once = np.clip(np.floor(imresize(as_float, scale=0.25) + 0.5), 0, 255)
    assert not np.array_equal(once, second), "the example does not tell the two apart"


def test_exact_halves_go_up() -> None:
    # At scale 1/2 all weights are multiples of 1/256, and this step gives exactly 127.5.
    step = np.array([[0.0] * 8 + [1.0] * 8]) * 255
    assert imresize(step[:, 1:-1], size=(1, 7))[0, 3] == 127.5
    assert imresize(step[:, 1:-1].astype(np.uint8), size=(1, 7))[0, 3] == 128


def test_large_pictures_go_in_chunks_with_the_same_result() -> None:
    image = noise(40, 30_000)
    whole = imresize(image, scale=2)
    assert np.array_equal(imresize(image[:, :200], scale=2)[:, :390], whole[:, :390])
    assert np.array_equal(imresize(image[:, -200:], scale=2)[:, 10:], whole[:, -390:])


def test_floats_mean_the_fraction_that_they_are_near() -> None:
    # The float 0.1 is a little more than a tenth: taken literally, ten rows would become two.
    assert imresize(noise(10, 30), scale=0.1).shape == (1, 3)
    assert imresize(noise(10, 30), scale=1e-5).shape == (1, 1)


def test_modcrop_is_a_view() -> None:
    image = noise(10, 9, 3)
    cropped = modcrop(image, 4)
    assert cropped.shape == (8, 8, 3)
    assert np.shares_memory(cropped, image)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (np.zeros((4, 4)), {}),
        (np.zeros((4, 4)), {"scale": 2, "size": (8, 8)}),
        (np.zeros((4, 4)), {"scale": 0}),
        (np.zeros((4, 4)), {"scale": -1.5}),
        (np.zeros((4, 4)), {"scale": math.nan}),
        (np.zeros((4, 4)), {"scale": math.inf}),
        (np.zeros((4, 4)), {"size": (0, 3)}),
        (np.zeros((4, 4)), {"size": (3,)}),
        (np.zeros((4, 4)), {"size": (3.5, 2)}),
        (np.zeros((0, 4)), {"scale": 2}),
        (np.zeros(4), {"scale": 2}),
        (np.zeros((2, 2, 2, 2)), {"scale": 2}),
        (np.zeros((4, 4), bool), {"scale": 2}),
        (np.zeros((4, 4), complex), {"scale": 2}),
        ([[1, 2]], {"scale": 2}),
    ],
)
def test_unusable_input(image: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        imresize(image, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [0, -2, 5, 2.5])
def test_unusable_crop(scale: Any) -> None:
    with pytest.raises(InputError):
        modcrop(np.zeros((4, 4)), scale)
