"""Quantised weights are exact, their step sizes good, and quantising twice changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.quantise import best_scale, dequantise, integers, is_scale, quantise, small_ones, widths


def _error(weights: NDArray[np.float32], bits: int, scale: float) -> float:
    top = 2 ** (bits - 1) - 1
    return float(np.square(np.clip(np.rint(weights / scale), -top, top) * scale - weights).sum())


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8, 12, 16])
@pytest.mark.parametrize("law", ["normal", "laplace", "uniform", "outlier"])
def test_step_size_is_nearly_the_best(bits: int, law: str) -> None:
    random = np.random.default_rng(bits)
    draw: dict[str, Any] = {
        "normal": random.normal,
        "laplace": random.laplace,
        "uniform": lambda size: random.uniform(-1, 1, size),
    }
    weights = (draw.get(law, random.normal)(size=3000) * 0.03).astype(np.float32)
    if law == "outlier":
        weights[5] = 0.9
    largest = float(np.abs(weights).max())
    grid = largest / (2 ** (bits - 1) - 1) * np.exp2(np.linspace(-bits - 3, 0.1, 3000))
    assert _error(weights, bits, best_scale(weights, bits)) <= 1.05 * min(_error(weights, bits, s) for s in grid)


@given(st.integers(2, 16), st.integers(0, 2**32), st.floats(1e-12, 1e12))
def test_integers_are_exact_and_stay(bits: int, seed: int, size: float) -> None:
    weights = (np.random.default_rng(seed).normal(size=(7, 5)) * size).astype(np.float32)
    levels, scale = quantise(weights, bits)
    assert np.abs(levels).max() <= 2 ** (bits - 1) - 1 and is_scale(scale)
    plain = dequantise(levels, scale)
    assert np.array_equal(plain.astype(np.float64), levels * float(scale))  # no rounding in float32
    again = integers(plain, scale)
    assert again is not None and np.array_equal(again, levels)
    assert np.array_equal(quantise(plain, bits, scale)[0], levels)


def test_what_is_not_on_the_grid_has_no_integers() -> None:
    assert integers(np.array([0.25, np.nextafter(np.float32(0.5), np.float32(1))], np.float32), 0.25) is None
    assert integers(np.array([np.nan], np.float32), 0.25) is None
    assert integers(np.array([40000.0], np.float32), 1.0) is None


def test_zeros_have_a_step_size() -> None:
    levels, scale = quantise(np.zeros((3, 3), np.float32), 4)
    assert scale == 1.0 and not levels.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_has_no_step_size(value: float) -> None:
    with pytest.raises(InputError, match="no numbers"):
        best_scale(np.array([1.0, value], np.float32), 4)


@pytest.mark.parametrize("scale", [0.0, -0.25, np.nan, np.inf, 0.1, 2.0**-61, 2.0**61])
def test_other_step_sizes_are_refused(scale: float) -> None:
    assert not is_scale(scale)
    with pytest.raises(InputError, match="no positive bfloat16"):
        quantise(np.ones(3, np.float32), 4, scale)


@pytest.mark.parametrize("bits", [-1, 0, 1, 13, 32])
def test_other_widths_are_refused(bits: int) -> None:
    with pytest.raises(InputError, match="cannot have"):
        widths({"w": (3, 3)}, bits)


def test_small_tensors_have_more_bits() -> None:
    shapes = {"w": (64, 62), "edge": (124,), "below": (4, 30)}
    assert small_ones(shapes) == {"w": False, "edge": True, "below": True}
    shapes["w"] = (64, 58)  # now 124 is not below a 32nd of 3956
    assert small_ones(shapes)["edge"] is False
    assert widths(shapes, 6) == {"w": 6, "edge": 6, "below": 10}
