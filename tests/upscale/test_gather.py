"""The compiled loops of training equal plain torch, for any size and any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.upscale import gather, model
from morpho.upscale.linear import READS, ROWS

Sizes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


def grey(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def whole(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Small whole numbers: their sums are exact in any order."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


@given(shape=Sizes, seed=st.integers(0, 99), threads=st.integers(1, 5))
def test_addresses_equal_torch(shape: tuple[int, int, int], seed: int, threads: int) -> None:
    picture = grey(shape, seed)
    where = gather.addresses(picture, threads=threads)
    assert where.shape == (picture.size, READS)
    assert where.dtype == np.uint16
    np.testing.assert_array_equal(where, model.addresses_in_torch(torch.from_numpy(picture)).numpy())


@pytest.mark.parametrize("columns", [4, 12, 16])
@settings(max_examples=6)
@example(shape=(1, 1, 1), seed=0, threads=3)
@given(shape=Sizes, seed=st.integers(0, 99), threads=st.integers(1, 5))
def test_sums_and_the_way_back_equal_torch(columns: int, shape: tuple[int, int, int], seed: int, threads: int) -> None:
    where = gather.addresses(grey(shape, seed))
    rows, errors = whole(ROWS, columns, seed=seed), whole(len(where), columns, seed=seed + 1)
    index = torch.from_numpy(where.astype(np.int32))
    sums = gather.gather(where, rows, threads=threads)
    np.testing.assert_array_equal(sums, model.gather_in_torch(index, torch.from_numpy(rows)).numpy())
    back = gather.scatter(where, errors, threads=threads)
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, model.scatter_in_torch(index, torch.from_numpy(errors)).numpy())
    # The way back is the transpose; both in one pass are the normal equations.
    assert np.vdot(sums.astype(float), errors) == np.vdot(rows.astype(float), back)
    both = gather.gram(where, rows, threads=threads)
    np.testing.assert_array_equal(both, gather.scatter(where, sums))


def test_the_torch_twins_take_any_values() -> None:
    """Not only whole numbers; here order matters, a little."""
    where, rng = gather.addresses(grey((2, 5, 7))), np.random.default_rng(0)
    rows, errors = (rng.normal(size=(n, 4)).astype(np.float32) for n in (ROWS, len(where)))
    index = torch.from_numpy(where.astype(np.int32))
    sums = model.gather_in_torch(index, torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(gather.gather(where, rows), sums, rtol=1e-4, atol=1e-5)
    back = model.scatter_in_torch(index, torch.from_numpy(errors)).numpy()
    np.testing.assert_allclose(gather.scatter(where, errors), back, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [1, 7, 35, 10**6])
def test_blocks_of_float32_do_not_show(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    where = gather.addresses(grey((1, 5, 7)))
    rows, errors = whole(ROWS, 4), whole(len(where), 4)
    expected = gather.scatter(where, errors), gather.gram(where, rows)
    monkeypatch.setattr(gather, "_BLOCK", block)
    for threads in (1, 3):
        np.testing.assert_array_equal(gather.scatter(where, errors, threads=threads), expected[0])
        np.testing.assert_array_equal(gather.gram(where, rows, threads=threads), expected[1])


def test_sums_of_many_pixels_keep_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flat picture adds all its pixels to 20 rows: float32 alone stops counting at 2^24."""
    where = np.zeros((40_000, READS), np.uint16)
    where[:] = gather.addresses(grey((1, 1, 1)))
    errors = np.full((len(where), 4), 2.0**10 + 1, np.float32)
    monkeypatch.setattr(gather, "_BLOCK", 1 << 12)
    total = gather.scatter(where, errors, threads=1)
    assert total.sum() == READS * errors.astype(float).sum()


@pytest.mark.parametrize("threads", [1, 2, 3, 50, None])
@pytest.mark.parametrize("length", [1, 2, 7])
def test_parts_cover_everything_once(threads: int | None, length: int) -> None:
    parts = gather.in_parts(lambda part: list(range(length))[part], length, threads)
    assert [i for part in parts for i in part] == list(range(length))
    assert len(parts) <= min(length, threads or 1000)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (3, 8, 5)])
def test_gradients_of_a_model_equal_torch(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pull on the pixels before included, whatever stands in for the slope of a table."""
    compiled = gradients(shape)
    use_torch(monkeypatch)
    for one, other in zip(compiled, gradients(shape), strict=True):
        assert np.isfinite(one).all()
        assert one.any()
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def gradients(shape: tuple[int, int, int]) -> list[NDArray[np.float32]]:
    """Those of both stages' entries, with slopes."""
    stages = [model.TableStage(factor) for factor in (2, 3)]
    for stage in stages:
        stage.entries.data = torch.from_numpy(whole(stage.linear.size))
    result = model.Model(stages, slope=1.0)(torch.from_numpy(grey(shape)[None]))
    (result * torch.from_numpy(whole(*result.shape, seed=1))).sum().backward()
    return [np.asarray(stage.entries.grad) for stage in stages]


def use_torch(patch: pytest.MonkeyPatch) -> None:
    """Take the twins, as a GPU does."""
    twins: dict[str, Any] = {
        "_addresses": model.addresses_in_torch,
        "_gather": model.gather_in_torch,
        "_scatter": model.scatter_in_torch,
        "_pull_slopes": model.pull_slopes_in_torch,
    }
    for name, twin in twins.items():
        patch.setattr(model, name, twin)
