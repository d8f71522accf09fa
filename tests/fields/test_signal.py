"""Signals put samples where the paper and picture resizing put them, and refuse what is no signal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.errors import InputError
from morpho.fields.signal import Signal
from tests.fields.small import PICTURE, SHAPE, VIDEO

PLAIN: dict[str, Any] = {"kind": "image", "shape": [4, 5], "channels": 3}


@pytest.mark.parametrize("signal", [PICTURE, VIDEO, SHAPE])
def test_own_samples_span_the_cube(signal: Signal) -> None:
    for axis, size in zip(signal.coordinates(), signal.shape, strict=True):
        np.testing.assert_allclose(axis, np.linspace(-1, 1, size), atol=1e-15)


def test_a_single_sample_lies_in_the_middle() -> None:
    signal = Signal(kind="video", shape=(1, 1, 2), channels=1)
    assert [axis.tolist() for axis in signal.coordinates()] == [[0.0], [0.0], [-1.0, 1.0]]
    assert signal.coordinates((1, 3, 2))[1].tolist() == [0.0, 0.0, 0.0]


@given(st.integers(2, 40), st.integers(1, 120))
def test_another_size_samples_areas(own: int, size: int) -> None:
    signal = Signal(kind="image", shape=(own, 2), channels=1)
    axis = signal.coordinates((size, 2))[0]
    places = (axis + 1) / 2 * (own - 1)  # in samples
    np.testing.assert_allclose(axis, -axis[::-1], atol=1e-12)  # no shift
    middle = (places > 0) & (places < own - 1)
    # The area of sample j of m is [j, j + 1] n / m in samples that are themselves one wide, centred at whole numbers.
    np.testing.assert_allclose(places[middle] + 0.5, ((np.arange(size) + 0.5) * own / size)[middle], atol=1e-9)
    assert axis.min() >= -1 and axis.max() <= 1


def test_volumes_are_points_at_any_size() -> None:
    np.testing.assert_allclose(SHAPE.coordinates((5, 5, 5))[0], [-1, -0.5, 0, 0.5, 1])


@given(st.data(), st.integers(1, 30))
def test_a_crop_is_a_part(data: st.DataObject, size: int) -> None:
    begin = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(begin + 1, size))
    whole, part = PICTURE.coordinates((size, 3)), PICTURE.coordinates((size, 3), crop=((begin, end), (0, 3)))
    assert part[0].tolist() == whole[0][begin:end].tolist()


@pytest.mark.parametrize("sizes", [(4,), (0, 4), (4, -1), (4, 4, 4)])
def test_impossible_sizes_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="no size of this image"):
        PICTURE.coordinates(sizes)


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (3, 21), (4, 3)])
def test_impossible_crops_are_refused(part: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="empty or not within"):
        PICTURE.coordinates(crop=(part, (0, 30)))


def test_units() -> None:
    np.testing.assert_allclose(SHAPE.to_units(np.array([-1.0, 0, 1])), [-0.5, 0, 0.5])
    np.testing.assert_allclose(PICTURE.to_units(np.array([-1.0, 0, 1])), [0, 0.5, 1])


@pytest.mark.parametrize("signal", [PICTURE, VIDEO, SHAPE])
def test_json_there_and_back(signal: Signal) -> None:
    plain = signal.to_json()
    assert Signal.from_json(plain) == signal
    assert "aspect" not in plain


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "audio"},
        {"kind": ["image"]},
        {"shape": [4]},
        {"shape": [4, 5, 6]},
        {"shape": 4},
        {"shape": [4, 0]},
        {"shape": [4, 2**40]},
        {"shape": [4, 5.0]},
        {"shape": [True, 5]},
        {"channels": 0},
        {"channels": 65},
        {"channels": "3"},
        {"kind": "sdf", "shape": [4, 5, 6], "channels": 2, "colour": None},
        {"depth": 12},
        {"depth": True},
        {"colour": "cmyk"},
        {"colour": "grey"},
        {"colour": ["rgb"]},
        {"frame_rate": 0},
        {"frame_rate": "25"},
        {"aspect": math.nan},
        {"aspect": -1},
        {"aspect": 10**400},
        {"low": 1},
        {"high": math.inf},
        {"origin": [0, 0]},
        {"origin": [0, 0, None]},
        {"extent": [1, 0, 1]},
        {"mood": "blue"},
    ],
)
def test_what_is_no_signal_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no signal of a field"):
        Signal.from_json(PLAIN | changes)


@pytest.mark.parametrize("plain", [None, [], "image", {}, {"kind": "image"}, {"kind": "image", "shape": [1, 1]}])
def test_what_is_incomplete_is_refused(plain: object) -> None:
    with pytest.raises(InputError, match="no signal of a field"):
        Signal.from_json(plain)
