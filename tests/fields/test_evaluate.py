"""Scores of fields, against scikit-image and against functions whose scores are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data, metrics

from morpho.errors import InputError
from morpho.fields.evaluate import between_scores, halved, scores, ssim_uniform
from morpho.fields.field import Field
from morpho.fields.signal import Signal

METRICS: Any = metrics
PICTURE: NDArray[np.uint8] = data.coffee()[100:141, 200:233]  # type: ignore[no-untyped-call]


class Known:
    """A field that is a known function of coordinates."""

    def __init__(self, signal: Signal, function: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self.signal, self.function = signal, function

    def __call__(self, coordinates: NDArray[Any]) -> NDArray[Any]:
        return self.function(coordinates)


def known(shape: tuple[int, ...], function: Callable[[NDArray[Any]], NDArray[Any]], channels: int = 3) -> Field:
    kind: Any = "image" if len(shape) == 2 else "video"
    return cast(Field, Known(Signal(kind=kind, shape=shape, channels=channels), function))


def nearest(picture: NDArray[Any], error: float = 0.0) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The samples of a picture, plus a smooth error, at the coordinates of its samples."""

    def function(x: NDArray[Any]) -> NDArray[Any]:
        places = [np.rint((x[..., k] + 1) / 2 * (n - 1)).astype(int) for k, n in enumerate(picture.shape[:-1])]
        exact: NDArray[Any] = picture[tuple(places)] / 255
        return np.asarray(exact + error * np.sin(9 * x.sum(-1, keepdims=True)))

    return function


def test_pictures_are_scored_as_published() -> None:
    field = known((41, 33), nearest(PICTURE, 0.1))
    grid = np.stack(np.meshgrid(*field.signal.coordinates(), indexing="ij"), -1)
    ours = np.clip(field(grid), 0, 1)
    measured = scores(field, PICTURE)
    assert measured.psnr == pytest.approx(METRICS.peak_signal_noise_ratio(PICTURE / 255, ours, data_range=1), abs=1e-3)
    expected = METRICS.structural_similarity(PICTURE / 255, ours, data_range=1, channel_axis=2)
    assert measured.ssim == pytest.approx(expected, abs=1e-4)
    assert (measured.psnr_std, measured.frames) == (0, 1)


def test_ssim_is_that_of_scikit_image() -> None:
    random = np.random.default_rng(0)
    a, b = random.random((2, 19, 30, 2))
    assert ssim_uniform(a, b) == pytest.approx(
        METRICS.structural_similarity(a, b, data_range=1, channel_axis=2), abs=1e-12
    )
    assert math.isnan(ssim_uniform(a[:6], b[:6]))


def test_frames_are_scored_one_by_one() -> None:
    """A frame that is off by 0.1 everywhere has 20 dB, one that is off by 0.01 has 40."""
    video = np.full((2, 8, 9, 3), 51, np.uint8)
    field = known((2, 8, 9), lambda x: 0.2 + np.where(x[..., :1] < 0, 0.1, 0.01) * np.ones(3))
    measured = scores(field, video)
    assert measured.psnr == pytest.approx(30, abs=1e-4)
    assert measured.psnr_std == pytest.approx(10, abs=1e-4)
    assert measured.frames == 2
    grid = np.stack(np.meshgrid(*field.signal.coordinates(), indexing="ij"), -1)
    frames = zip(video / 255, field(grid), strict=True)
    each = [METRICS.structural_similarity(a, b, data_range=1, channel_axis=2) for a, b in frames]
    assert measured.ssim == pytest.approx(np.mean(each), abs=1e-6)
    assert measured.ssim_std == pytest.approx(np.std(each), abs=1e-6) != 0


def test_the_time_axis_is_the_first() -> None:
    video = np.random.default_rng(0).integers(0, 256, (4, 8, 9, 3), dtype=np.uint8)
    assert scores(known((4, 8, 9), nearest(video, 1e-3)), video).psnr > 55


@pytest.mark.parametrize("size", [(41, 33), (40, 32)])
def test_between_the_samples(size: tuple[int, int]) -> None:
    """The interpolations are SciPy's; a field that is the linear one scores as that, and is exact on what it saw."""
    picture = PICTURE[: size[0], : size[1]]
    few = halved(picture)

    def linear(x: NDArray[Any]) -> NDArray[Any]:
        positions = [(x[..., k] + 1) / 2 * (few.shape[k] - 1) for k in range(2)]
        planes = [ndimage.map_coordinates(few[..., c] / 255, positions, order=1, mode="nearest") for c in range(3)]
        return np.stack(planes, -1)

    measured = between_scores(known(few.shape[:2], linear), picture)
    assert measured.field == pytest.approx(measured.linear, abs=1e-3)
    assert measured.seen > 100
    assert measured.cubic > measured.linear


def test_cubic_interpolation_is_better_for_smooth_pictures() -> None:
    """The error of a cosine falls with the square of the step for one, with its third power for the other."""
    rows, columns = np.cos(np.mgrid[:41, :41] * (np.pi / 40))
    picture = np.rint(65535 * (0.5 + 0.25 * (rows + columns)))[..., None].astype(np.uint16)
    field = known((21, 21), lambda x: np.zeros((*x.shape[:-1], 1)), channels=1)
    measured = between_scores(field, picture)
    assert measured.cubic > measured.linear + 15


def test_the_cubic_is_clipped_as_fields_are() -> None:
    """Between a step's samples, Keys' cubic overshoots by a sixteenth on both sides; clipped, it is exact there."""
    picture = np.zeros((1, 15, 1), np.uint8)
    picture[:, 8:] = 255
    field = known((1, 8), lambda x: np.zeros((*x.shape[:-1], 1)), channels=1)
    assert between_scores(field, picture).cubic == pytest.approx(10 * math.log10(4 * 15), abs=1e-6)


def test_what_cannot_be_compared_is_refused() -> None:
    field = known((41, 33), nearest(PICTURE))
    for samples in (PICTURE[:-1], PICTURE.astype(np.float32), PICTURE[..., :1]):
        with pytest.raises(InputError):
            scores(field, samples)
    with pytest.raises(InputError):
        between_scores(field, PICTURE)
    with pytest.raises(InputError, match="between"):
        between_scores(known((1, 1), nearest(PICTURE)), PICTURE[:1, :1])
    shape = cast(Field, Known(Signal(kind="sdf", shape=(4, 4, 4), channels=1), lambda x: x))
    with pytest.raises(InputError):
        scores(shape, np.zeros((4, 4, 4, 1), np.uint8))
