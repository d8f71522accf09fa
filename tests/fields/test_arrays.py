"""The array operations mean the same in NumPy and in torch, keep the number type, and are differentiated rightly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morpho.fields.arrays import NUMPY, Arrays, torch_arrays
from morpho.fields.differentiable import TORCH

_OPERATIONS: dict[str, Callable[[Arrays, Any, Any], Any]] = {
    "sin": lambda xp, x, y: xp.sin(x),
    "cos": lambda xp, x, y: xp.cos(x),
    "exp": lambda xp, x, y: xp.exp(x),
    "abs": lambda xp, x, y: xp.abs(x),
    "relu": lambda xp, x, y: xp.relu(x),
    "clip": lambda xp, x, y: xp.clip(x, -0.5, 0.25),
    "minimum": lambda xp, x, y: xp.minimum(x, y),
    "floor": lambda xp, x, y: xp.floor(3 * x),
    "cat": lambda xp, x, y: xp.cat([x, y], 1),
    "array": lambda xp, x, y: xp.array([[1.5], [2.5]], x),
    "constant": lambda xp, x, y: xp.constant(x),
    "linear": lambda xp, x, y: xp.linear(x, y, y[:, 0]),
    "sine": lambda xp, x, y: xp.sine(x, 3.0),
    "collage": lambda xp, x, y: xp.collage(x, 3.0, y, 2.0),
    "stage": lambda xp, x, y: xp.stage(x[:, :2], (y[:, :2], x[:, 0]), 3.0, y, (x, y[:, 1]), 2.0),
    "sine_stage": lambda xp, x, y: xp.sine_stage(x[:, :2], (y[:, :2], x[:, 0]), 3.0, y, (x, y[:, 1]), 2.0),
    "bell": lambda xp, x, y: xp.bell(x),
}


def _pair(dtype: type, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    return tuple(random.uniform(-1, 1, (5, 5)).astype(dtype) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("operation", _OPERATIONS.values(), ids=_OPERATIONS.keys())
def test_torch_and_numpy_agree_and_keep_the_number_type(operation: Any, dtype: type) -> None:
    x, y = _pair(dtype)
    plain = operation(NUMPY, x, y)
    with torch.no_grad():
        result = operation(TORCH, torch.from_numpy(x), torch.from_numpy(y)).numpy()
    assert plain.dtype == result.dtype == dtype
    np.testing.assert_allclose(plain, result, rtol=0, atol=5 * float(np.finfo(dtype).eps))


def test_the_stage_is_the_formula() -> None:
    x, y = _pair(np.float64)
    basis, mask = np.sin(3 * (x[:, :2] @ y[:, :2].T + x[:, 0])), np.sin(2 * (y @ x.T + y[:, 1])) ** 2
    np.testing.assert_allclose(_OPERATIONS["stage"](NUMPY, x, y), basis * mask, rtol=0, atol=1e-14)


@pytest.mark.parametrize("index", [[0, 2, 2, 4], []])
def test_take_returns_rows(index: list[int]) -> None:
    table, _ = _pair(np.float32)
    rows = np.array(index, np.int64)
    taken = TORCH.take(torch.from_numpy(table), torch.from_numpy(rows)).numpy()
    np.testing.assert_array_equal(taken, table[rows])
    np.testing.assert_array_equal(NUMPY.take(table, rows), table[rows])


def test_integers_are_an_index_of_64_bits() -> None:
    assert NUMPY.integer(np.array([2.0], np.float32)).dtype == np.int64
    assert TORCH.integer(torch.tensor([2.0])).dtype == torch.int64


@pytest.mark.parametrize("name", [name for name in _OPERATIONS if name not in ("floor", "array", "constant")])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    x, y = (torch.from_numpy(each).requires_grad_() for each in _pair(np.float64, seed=1))
    assert torch.autograd.gradcheck(lambda x, y: _OPERATIONS[name](TORCH, x, y), (x, y))


def test_take_has_the_gradient_of_a_sum_over_the_rows() -> None:
    table = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    TORCH.take(table, torch.tensor([1, 1, 3])).sum().backward()  # type: ignore[no-untyped-call]
    assert table.grad is not None
    assert table.grad[:, 0].tolist() == [0, 2, 0, 1]


def test_no_gradient_flows_through_a_constant() -> None:
    x = torch.ones(3, requires_grad=True)
    (TORCH.constant(x) * x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]


def _stage_inputs(seed: int = 2) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = ((7, 2), (5, 2), (5,), (7, 4), (5, 4), (5,))
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("name", ["stage", "sine_stage"])
def test_the_fast_stage_has_the_gradients_of_the_plain_one(name: str) -> None:
    def run(stage: Callable[..., Any]) -> list[Tensor]:
        x, *weights = _stage_inputs()
        for each in weights:
            each.requires_grad_()
        a, a0, h, w, w0 = weights
        value = stage(x, (a, a0), 9.0, h, (w, w0), 5.0)
        value.square().sum().backward()
        return [value, *(each.grad for each in weights if each.grad is not None)]

    fast, plain = run(getattr(TORCH, name)), run(partial(getattr(Arrays, name), TORCH))
    assert len(fast) == len(plain) == 6
    for left, right in zip(fast, plain, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


def test_the_stage_can_be_differentiated_twice_in_the_coordinates() -> None:
    x, a, a0, h, w, w0 = _stage_inputs()
    x.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: TORCH.stage(x, (a, a0), 2.0, h, (w, w0), 1.5), (x,))


def test_gaussians_are_never_subnormal() -> None:
    for value in (NUMPY.bell(np.array([50.0], np.float32)), TORCH.bell(torch.tensor([50.0])).numpy()):
        assert np.finfo(np.float32).tiny < value[0] < 1e-17


def test_torch_is_loaded_only_when_it_is_asked_for() -> None:
    assert torch_arrays() is TORCH
