"""Colours are counted exactly, whatever the picture."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.enhance.counting import count_colors
from morpho.errors import InputError

DTYPES = [np.uint8, np.uint16]


def twin(pixels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The definition."""
    colours = pixels[..., :3].reshape(-1, 3).astype(np.int64) >> (8 if pixels.dtype == np.uint16 else 0)
    if pixels.shape[2] == 4:
        colours = colours[pixels[..., 3].ravel() != 0]
    places = np.array([256, 16, 1])
    high, low = (colours >> 4) @ places, (colours & 15) @ places
    return np.bincount(high, minlength=4096), np.bincount(low, minlength=4096)


def assert_equal(pixels: NDArray[Any], **options: Any) -> None:
    before = pixels.copy()
    result = count_colors(pixels, **options)
    for counts, expected in zip(result, twin(pixels), strict=True):
        assert counts is not None
        assert counts.dtype == np.int64
        assert counts.shape == (4096,)
        np.testing.assert_array_equal(counts, expected)
    high, low = count_colors(pixels, low=False, **options)
    np.testing.assert_array_equal(high, result[0])
    assert low is None
    np.testing.assert_array_equal(pixels, before)


def make_picture(shape: tuple[int, ...], dtype: Any, kind: str, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    peak = np.iinfo(dtype).max
    if kind == "black" or kind == "white":
        return np.full(shape, 0 if kind == "black" else peak, dtype=dtype)
    if kind == "extremes":
        return rng.choice(np.array([0, 1, 255, peak], dtype=dtype), shape)
    return rng.integers(0, peak, shape, dtype, endpoint=True)


side = st.one_of(st.integers(1, 6), st.integers(1, 90))


@settings(max_examples=120)
@given(
    kind=st.sampled_from(["noise", "extremes", "black", "white"]),
    dtype=st.sampled_from(DTYPES),
    size=st.tuples(side, side, st.integers(3, 4)),
    threads=st.integers(1, 3),
    smallest=st.sampled_from([1, 100, 1 << 16]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_definition(
    kind: str, dtype: type, size: tuple[int, int, int], threads: int, smallest: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("morpho.compiled.bands.SMALLEST_BAND", smallest)
        assert_equal(make_picture(size, dtype, kind, seed), threads=threads)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [3, 4])
def test_many_pixels_of_one_colour(channels: int, dtype: type) -> None:
    """In one band more than 16 bits can count, more than once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("morpho.compiled.bands.SMALLEST_BAND", 1 << 24)
        assert_equal(make_picture((1100, 1001, channels), dtype, "white"))
    assert_equal(make_picture((700, 1001, channels), dtype, "noise"), threads=2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_index_has_its_place(dtype: type) -> None:
    levels = np.arange(16, dtype=np.uint16) * 17
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(64, 64, 3)
    pixels: NDArray[Any] = (grid * 257 if dtype is np.uint16 else grid).astype(dtype)
    assert (np.array(twin(pixels)) == 1).all()
    assert_equal(pixels)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_strides_and_read_only(dtype: type) -> None:
    image = make_picture((60, 50, 5), dtype, "noise")
    odd: NDArray[Any] = np.frombuffer(b"x" + image[..., :3].tobytes(), np.uint8)[1:].view(dtype).reshape(60, 50, 3)
    for view in (image[::-2, 1::3, :3], image[..., 1:], image[..., 3::-1], image[..., 2:].transpose(1, 0, 2), odd):
        view.flags.writeable = False
        assert_equal(view)


@pytest.mark.parametrize("dtype", DTYPES)
def test_transparent_pixels_do_not_count(dtype: type) -> None:
    image = make_picture((33, 40, 4), dtype, "noise")
    image[..., 3] = 0
    assert [int(counts.sum()) for counts in count_colors(image) if counts is not None] == [0, 0]
    image[5, 6] = (17, 1, 2, 1)
    assert [int(counts.sum()) for counts in count_colors(image) if counts is not None] == [1, 1]
    assert_equal(image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture(image: NDArray[Any]) -> None:
    with pytest.raises(InputError, match="colours are counted in a non-empty"):
        count_colors(image)


def test_no_thread() -> None:
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        count_colors(np.zeros((4, 4, 3), np.uint8), threads=0)


def test_kept_code_needs_no_numba() -> None:
    code = (
        "import sys, numpy as np\n"
        "from morpho.enhance.counting import count_colors\n"
        "assert count_colors(np.zeros((4, 5, 3), np.uint8))[0][0] == 20\n"
        "print('numba' in sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[1].stdout.strip() == "False"
