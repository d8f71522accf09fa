"""The decoder agrees with float64 better than plain float32 does, for every model and any number of points."""

from __future__ import annotations

import math
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morpho.compiled.blas import single_threaded
from morpho.fields.arrays import NUMPY
from morpho.fields.decode import FAST, Decoder
from morpho.fields.field import Field
from morpho.fields.model import Model, Scone
from morpho.fields.plus import SconePlus
from morpho.fields.registry import NAMES, build
from morpho.fields.signal import Signal
from tests.fields.small import PICTURE, SHAPE, field

_WIDE: list[Model] = [Scone(), SconePlus()]


def _errors(given: Field) -> tuple[float, float]:
    """The largest errors of the decoder and of plain float32, against torch in float64."""
    points = np.random.default_rng(1).uniform(-1, 1, (700, given.signal.dimensions)).astype(np.float32)
    with torch.no_grad():
        exact = given(torch.from_numpy(points.astype(np.float64))).numpy()
    plain = given.signal.to_units(given.model.apply(NUMPY, given.tensors, points))
    return float(np.abs(given(points) - exact).max()), float(np.abs(plain - exact).max())


@pytest.mark.parametrize("model", _WIDE, ids=str)
@pytest.mark.parametrize("signal", [PICTURE, SHAPE], ids=lambda signal: signal.kind)
def test_sine_stages_are_nearer_to_float64_than_float32_is(model: Model, signal: Signal) -> None:
    fast, plain = _errors(field(model, signal, gain=1.6))
    assert fast <= max(1e-6, plain) and fast <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_as_near_to_torch_as_float32_allows(name: str) -> None:
    model = build(name, **{} if name in ("grid", "hash-grid") else {"width": 32})
    fast, plain = _errors(field(model, gain=1.0))
    assert fast <= 1.5 * plain + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 1300), st.integers(1, 3))
def test_any_number_of_points(count: int, threads: int) -> None:
    picture = field()
    points = np.random.default_rng(count).uniform(-1, 1, (count, 2))
    decoder = Decoder(picture.model, picture.tensors)
    decoder.points = 100
    wanted = picture.model.apply(NUMPY, {k: v.astype(float) for k, v in picture.tensors.items()}, points)
    np.testing.assert_allclose(decoder(points.astype(np.float32), 3, threads=threads), wanted, atol=2e-5)


@given(st.integers(1, 9), st.integers(1, 70), st.floats(0.01, 1e3))
def test_sine(rows: int, columns: int, omega: float) -> None:
    z = np.random.default_rng(columns).normal(size=(rows, columns)).astype(np.float32)
    exact = np.sin(omega * z.astype(np.float64))
    np.testing.assert_allclose(FAST.sine(z, omega), exact, atol=1e-6 + 3e-7 * omega * float(np.abs(z).max()))


def test_sine_at_turns_and_halves_of_turns() -> None:
    turns = np.arange(-40, 41, dtype=np.float32)[None] / 8
    np.testing.assert_allclose(FAST.sine(turns, math.tau), np.sin(turns.astype(float) * math.tau), atol=1e-6)


@pytest.mark.parametrize("change", ["transposed", "strided", "read-only", "double"])
def test_sine_of_any_array(change: str) -> None:
    z = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    changed: dict[str, Any] = {"transposed": z.T, "strided": z[:, ::2], "double": z.astype(np.float64)}
    given = changed.get(change, z)
    if change == "read-only":
        given.flags.writeable = False
    found = FAST.sine(given, 3.0)
    np.testing.assert_allclose(found, np.sin(3.0 * given.astype(np.float64)), atol=1e-5)
    assert found.dtype == given.dtype


def test_memory_is_bounded() -> None:
    picture = field(Scone(width=250), replace(PICTURE, shape=(4000, 6000)))
    decoder = Decoder(picture.model, picture.tensors)
    points = np.zeros((20_000, 2), np.float32)
    decoder.tile(points[:10])
    tracemalloc.start()
    decoder(points, 3, threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # all activations of a stage would be 20 MB


def test_speed() -> None:
    picture = field(Scone())
    points = np.random.default_rng(0).uniform(-1, 1, (4096, 2)).astype(np.float32)
    decoder = Decoder(picture.model, picture.tensors)
    seconds = []
    with single_threaded():
        for _ in range(4):
            start = time.thread_time()
            for first in range(0, len(points), decoder.points):
                decoder.tile(points[first : first + decoder.points])
            seconds.append(time.thread_time() - start)
    assert min(seconds) * 393_216 / 4096 < 12  # 1.7 s for a picture of 768 x 512 on one core
