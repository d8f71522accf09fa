"""Doubling along edges: against a twin that goes sample by sample, what it keeps exactly, and pictures it suits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data
from torch import Tensor

from morpho.fields import directed
from morpho.fields.directed import doubled

Samples: TypeAlias = NDArray[np.float64]
DATA: Any = data
SIZES = [(1, 1), (1, 2), (1, 7), (6, 1), (2, 2), (2, 6), (3, 2), (3, 3), (4, 5), (12, 9)]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-1, 1, (height, width, channels))


def textured(height: int, width: int, channels: int = 3) -> Samples:
    """Waves with some noise: directions count more and less from place to place."""
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    waves = [np.sin(0.11 * row * column + 0.7 * row + channel) for channel in range(channels)]
    return 0.8 * np.stack(waves, 2) + 0.1 * noise(height, width, channels)


def ours(samples: Samples) -> Samples:
    return np.asarray(doubled(torch.from_numpy(samples)).numpy())


# --- the twin: one sample at a time, in the words of the docstring ---


def beyond(x: Samples, i: int, j: int) -> Samples:
    """The sample at (i, j), which may lie one step outside: on the line through the last two."""
    height, width = x.shape[:2]
    if i in (-1, height):
        inner = (0, min(1, height - 1)) if i < 0 else (height - 1, max(0, height - 2))
        return np.asarray(2 * beyond(x, inner[0], j) - beyond(x, inner[1], j))
    if j in (-1, width):
        inner = (0, min(1, width - 1)) if j < 0 else (width - 1, max(0, width - 2))
        return np.asarray(2 * x[i, inner[0]] - x[i, inner[1]])
    return np.asarray(x[i, j])


def tapped(x: Samples, places: list[tuple[int, int]]) -> Samples:
    a, b, c, d = (beyond(x, *place) for place in places)
    return np.asarray((-a + 13 * b + 13 * c - d) / 24)


def mean_change(x: Samples, pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> float:
    """Over the pairs of samples that there are, in 255ths of the range from -1 to 1."""
    height, width = x.shape[:2]
    there = [pair for pair in pairs if all(0 <= i < height and 0 <= j < width for i, j in pair)]
    return float(np.mean([np.abs(x[one] - x[other]).mean() for one, other in there])) * 255 / 2


def weighted(values: list[Samples], changes: list[float]) -> Samples:
    weights = [1 / (1 + change**5) for change in changes]
    return np.asarray((weights[0] * values[0] + weights[1] * values[1]) / sum(weights))


def amid_four(x: Samples, i: int, j: int) -> Samples:
    """Between rows i and i + 1, columns j and j + 1."""
    falling = tapped(x, [(i + k, j + k) for k in range(-1, 3)])
    rising = tapped(x, [(i + k, j + 1 - k) for k in range(-1, 3)])
    cells = [(r, c) for r in range(i - 2, i + 3) for c in range(j - 2, j + 3)]
    falls = mean_change(x, [((r, c), (r + 1, c + 1)) for r, c in cells])
    rises = mean_change(x, [((r + 1, c), (r, c + 1)) for r, c in cells])
    return weighted([falling, rising], [falls, rises])


def between_two(x: Samples, middle: Samples, i: int, j: int) -> Samples:
    """In row i, between columns j and j + 1."""
    along = tapped(x, [(i, j + k) for k in range(-1, 3)])
    if i in (0, len(x) - 1):
        return along
    across = tapped(middle, [(i + k, j) for k in range(-2, 2)])
    around = [(r, c) for r in range(i - 1, i + 2) for c in range(j - 1, j + 3)]
    rows = [((r, c), (r, c + 1)) for r, c in around if c < j + 2]
    columns = [((r, c), (r + 1, c)) for r, c in around if r < i + 1]
    return weighted([along, across], [mean_change(x, rows), mean_change(x, columns)])


def twin(x: Samples) -> Samples:
    height, width, channels = x.shape
    out = np.full((2 * height - 1, 2 * width - 1, channels), np.nan)
    middle = np.zeros((height - 1, width - 1, channels))
    out[::2, ::2] = x
    for i, j in np.ndindex(height - 1, width - 1):
        out[2 * i + 1, 2 * j + 1] = middle[i, j] = amid_four(x, i, j)
    turned, turned_middle = x.transpose(1, 0, 2), middle.transpose(1, 0, 2)
    for i, j in np.ndindex(height, width - 1):
        out[2 * i, 2 * j + 1] = between_two(x, middle, i, j)
    for i, j in np.ndindex(height - 1, width):
        out[2 * i + 1, 2 * j] = between_two(turned, turned_middle, j, i)
    return out


@pytest.mark.parametrize("make", [noise, textured])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_twin(height: int, width: int, channels: int, make: Callable[[int, int, int], Samples]) -> None:
    samples = make(height, width, channels)
    result = ours(samples)
    assert result.shape == (2 * height - 1, 2 * width - 1, channels)
    np.testing.assert_allclose(result, twin(samples), atol=1e-12)


# --- what is exact ---


@given(st.integers(1, 9), st.integers(1, 9), st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_ramps_are_exact_up_to_the_border(height: int, width: int, slopes: list[float]) -> None:
    row, column = np.meshgrid(np.arange(2 * height - 1), np.arange(2 * width - 1), indexing="ij")
    ramp = (slopes[0] + slopes[1] * row / height + slopes[2] * column / width)[..., None]
    np.testing.assert_allclose(ours(ramp[::2, ::2]), ramp, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_are_kept(dtype: torch.dtype) -> None:
    samples = torch.from_numpy(noise(11, 8)).to(dtype)
    result = doubled(samples)
    assert result.dtype == dtype
    assert torch.equal(result[::2, ::2], samples)


SYMMETRIES: dict[str, Callable[[Samples], Samples]] = {
    "rows": lambda x: x[::-1],
    "columns": lambda x: x[:, ::-1],
    "diagonal": lambda x: x.transpose(1, 0, 2),
    "other diagonal": lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    "channels": lambda x: x[..., [2, 0, 1]],
    "negative": lambda x: -x,
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_no_side_and_no_channel_is_preferred(name: str) -> None:
    turn, samples = SYMMETRIES[name], textured(13, 10)
    np.testing.assert_allclose(ours(np.ascontiguousarray(turn(samples))), turn(ours(samples)), atol=1e-12)


def test_a_grey_picture_has_the_values_of_its_channel() -> None:
    grey = textured(9, 12, 1)
    np.testing.assert_allclose(ours(np.repeat(grey, 3, 2)), np.repeat(ours(grey), 3, 2), atol=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_large_pictures_are_done_in_bands_without_a_trace(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = textured(23, 10)
    whole = ours(samples)
    monkeypatch.setattr(directed, "_AT_ONCE", rows * 10)
    np.testing.assert_allclose(ours(samples), whole, atol=1e-12)


# --- pictures ---


def bicubic(samples: Samples) -> Samples:
    """Doubled by Keys' cubic (a = -1/2) along both axes; the border is repeated."""
    for axis in (0, 1):
        padded = np.pad(samples, [(1, 1) if axis == k else (0, 0) for k in range(3)], mode="edge")
        count = samples.shape[axis]
        a, b, c, d = (padded.take(np.arange(k, k + count - 1), axis) for k in range(4))
        samples = np.insert(samples, np.arange(1, count), (9 * (b + c) - (a + d)) / 16, axis)
    return samples


def decibels(result: Samples, truth: Samples) -> float:
    return float(-10 * np.log10(np.mean((result.clip(-1, 1) - truth) ** 2) / 4))


def gain(truth: Samples, start: int = 0) -> float:
    """How many decibels the doubled picture has more than the bicubic one, both from every second sample.

    Args:
        truth: of which samples 0, 2, 4 ... are given.
        start: 0 looks at all samples, 1 at those amid four.
    """
    truth = truth[: (len(truth) + 1) // 2 * 2 - 1, : (truth.shape[1] + 1) // 2 * 2 - 1]
    few = np.ascontiguousarray(truth[::2, ::2])
    step = start + 1
    scores = [decibels(x[start::step, start::step], truth[start::step, start::step]) for x in (ours(few), bicubic(few))]
    return scores[0] - scores[1]


def plane(slope: float) -> Samples:
    """How far the samples of a square are below a line through its middle, by rows."""
    row, column = np.meshgrid(np.arange(81.0), np.arange(81.0), indexing="ij")
    return np.asarray((slope * (row - 40.3) - (column - 40.0))[..., None])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("slope", "least"), [(0.5, 6), (0.8, 2), (2.0, 6)])
def test_slanted_edges_have_no_stairs(slope: float, least: float, turned: bool) -> None:
    """Edges that are as wide as two of the samples that are given."""
    edge = np.tanh(plane(slope) / max(1, slope))
    assert gain(edge[:, ::-1] if turned else edge) > least


@pytest.mark.parametrize("turned", [False, True])
def test_diagonal_edges_and_lines_are_as_sharp_amid_four_samples(turned: bool) -> None:
    """Where one of the diagonals runs along them, almost nothing is lost."""
    for picture in (np.tanh(plane(1.0)), 2 * np.exp(-((plane(1.0) / 1.5) ** 2)) - 1):
        assert gain(picture[:, ::-1] if turned else picture, start=1) > 15


@pytest.mark.parametrize(("name", "least"), [("astronaut", 0.6), ("camera", 0.4), ("coffee", 0.6)])
def test_photos_are_doubled_better_than_by_bicubic(name: str, least: float) -> None:
    photo = cast(NDArray[np.uint8], getattr(DATA, name)())
    assert gain(photo.reshape(*photo.shape[:2], -1) / 127.5 - 1) > least


def test_a_strided_view_of_single_precision() -> None:
    samples: Tensor = torch.from_numpy(textured(9, 8)).float().movedim(0, 1)
    np.testing.assert_allclose(doubled(samples), ours(samples.double().numpy()), atol=1e-5)
