"""What is drawn of a field: its stages as the model computes them, and where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields import collage, picture
from morpho.fields.arrays import NUMPY
from morpho.fields.model import Scone
from morpho.fields.peers import Siren

POINTS = np.random.default_rng(5).uniform(-1, 1, (300, 2))


def weights(model: Any, channels: int = 3) -> dict[str, NDArray[np.float32]]:
    drawn: dict[str, NDArray[np.float32]] = model.initial(2, channels, np.random.default_rng(1))
    return {name: 3 * tensor for name, tensor in drawn.items()}  # masks that differ from their means


@pytest.mark.parametrize("mask", ["sin2", "sin", "half", "linear"])
def test_the_last_stage_is_what_the_model_reads(mask: str) -> None:
    model = Scone(width=12, mask=mask)
    tensors = weights(model)
    last = collage.stages(model, tensors, POINTS)[-1]
    read = last.product @ tensors["head.weight"].T + tensors["head.bias"]
    exact = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    np.testing.assert_allclose(read, model.apply(NUMPY, exact, POINTS), rtol=0, atol=1e-9)


def test_a_mask_of_means_is_the_same_everywhere_and_changes_later_stages_only() -> None:
    model = Scone(width=12)
    tensors = weights(model)
    plain = collage.stages(model, tensors, POINTS)
    changed = collage.stages(model, tensors, POINTS, mean_mask=1)
    np.testing.assert_array_equal(changed[0].product, plain[0].product)
    np.testing.assert_allclose(changed[1].mask, plain[1].mask.mean(axis=0)[None].repeat(300, axis=0))
    assert np.abs(changed[2].mask - plain[2].mask).max() > 0.1
    read = changed[-1].product @ tensors["head.weight"].T + tensors["head.bias"]
    np.testing.assert_allclose(collage.with_mean_mask(model, tensors, POINTS, 1), read, rtol=0, atol=1e-9)


def test_a_reading_is_exact_where_the_values_are_linear_and_best_elsewhere() -> None:
    waves = np.sin(POINTS @ np.arange(10.0).reshape(2, 5))
    values = waves @ np.arange(10.0).reshape(5, 2) - 4
    np.testing.assert_allclose(collage.reading(waves, values), values, atol=1e-9)
    bent = values**2
    error = bent - collage.reading(waves, bent)
    np.testing.assert_allclose(error.T @ waves, 0, atol=1e-6)
    np.testing.assert_allclose(error.sum(axis=0), 0, atol=1e-6)


def test_important_units_are_those_that_are_read() -> None:
    model = Scone(width=6)
    tensors = weights(model)
    tensors["head.weight"] = np.zeros_like(tensors["head.weight"])
    tensors["head.weight"][:, 4] = 1
    tensors["mask.3.weight"] = np.zeros_like(tensors["mask.3.weight"])
    tensors["mask.3.weight"][:, 2] = 1
    found = collage.stages(model, tensors, POINTS)
    assert np.argmax(collage.importance(found, tensors, 3)) == 4
    assert np.argmax(collage.importance(found, tensors, 1)) == 2


def test_a_model_without_stages_is_refused() -> None:
    with pytest.raises(InputError, match="'siren' has no collage stages"):
        collage.stages(Siren(width=8), weights(Siren(width=8)), POINTS)


@dataclass(frozen=True)
class Signal:
    kind: str = "image"
    shape: tuple[int, ...] = (24, 36)
    channels: int = 3
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Fake:
    """What is needed of a field."""

    model: Scone
    tensors: dict[str, NDArray[np.float32]]
    signal: Signal

    def __call__(self, points: NDArray[np.float64]) -> NDArray[Any]:
        exact = {name: tensor.astype(np.float64) for name, tensor in self.tensors.items()}
        return np.asarray(self.model.apply(NUMPY, exact, points) / 2 + 0.5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_stages_fill_a_sheet(channels: int) -> None:
    model = Scone(width=10)
    field: Any = Fake(model, weights(model, channels), Signal(channels=channels))
    sheet = picture.draw_stages(field, units=2, width=60)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert sheet.shape[0] > 4 * 40
    assert sheet.shape[1] > 8 * 60
    wider = picture.draw_stages(field, units=3, width=60)
    assert wider.shape[1] > sheet.shape[1] + 3 * 60


def test_a_picture_of_one_column_is_drawn() -> None:
    model = Scone(width=10)
    field: Any = Fake(model, weights(model), Signal(shape=(4000, 1)))
    assert picture.draw_stages(field, units=1, width=60).shape[0] < 1200


def test_the_last_reading_is_the_whole_picture() -> None:
    """The panel under "readable" in the last row holds the field's own pixels."""
    model = Scone(width=10)
    field: Any = Fake(model, weights(model), Signal(shape=(30, 60)))
    sheet = picture.draw_stages(field, units=1, width=60)
    rows, columns = ((2 * np.arange(n) + 1) / n - 1 for n in (30, 60))
    points = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    own = np.rint(np.clip(field(points), 0, 1) * 255).astype(int).reshape(30, 60, 3)
    windows = np.lib.stride_tricks.sliding_window_view(sheet.astype(int), (30, 60, 3))[:, :, 0]
    places = np.argwhere(np.abs(windows[:, :, ::7, ::7] - own[::7, ::7]).max(axis=(2, 3, 4)) <= 1)
    assert len(places) == 1
    assert places[0][0] > sheet.shape[0] // 2


def test_stages_of_other_signals_are_refused() -> None:
    model = Scone(width=10)
    field: Any = Fake(model, weights(model), Signal(kind="sdf"))
    with pytest.raises(InputError, match="'sdf'"):
        picture.draw_stages(field)
    other: Any = replace(field, model=Siren(width=8), signal=Signal())
    with pytest.raises(InputError, match="no collage stages"):
        picture.draw_stages(other)


def test_errors_are_bright_where_pictures_differ() -> None:
    original = np.full((50, 400, 3), 100, np.uint8)
    rendered = original.copy()
    rendered[10:20, 30:60, 0] = 130  # 10 levels in the mean of the channels
    sheet = picture.draw_errors(original, rendered, top=10.0).astype(int)
    margin = 20
    shown = sheet[margin : margin + 50, margin : margin + 400].sum(axis=2)
    assert (shown[10:20, 30:60] == sum(picture._HEAT[-1])).all()
    shown[10:20, 30:60] = 0
    assert shown.max() == sum(picture._HEAT[0])


def test_errors_of_sixteen_bits_are_the_same() -> None:
    random = np.random.default_rng(0)
    one, other = random.integers(0, 256, (2, 30, 340, 3), dtype=np.uint8)
    deep, deeper = (array.astype(np.uint16) * 257 for array in (one, other))
    np.testing.assert_array_equal(picture.draw_errors(one, other), picture.draw_errors(deep, deeper))


def test_errors_of_other_shapes_are_refused() -> None:
    one, other = np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)
    with pytest.raises(InputError, match="one shape"):
        picture.draw_errors(one, other)
    with pytest.raises(InputError, match="one shape"):
        picture.draw_errors(one, one.astype(np.uint16))
