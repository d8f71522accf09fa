"""The array operations of training compute what the plain ones do, and their gradients, whatever the shapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from morpho.fields.coarse import CoarseLinear, is_faster, product
from morpho.fields.differentiable import TORCH
from morpho.fields.fused import TrainingArrays
from morpho.fields.module import FieldModule
from morpho.fields.plus import SconePlus

_STAGES = ("stage", "sine_stage")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _inputs(points: int, dimensions: int, units: int, before: int, dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(points + units)
    shapes = ((points, dimensions), (units, dimensions), (units,), (points, before), (units, before), (units,))
    drawn = [torch.rand(shape, generator=random, dtype=torch.float64) * 2 - 1 for shape in shapes]
    drawn[4] *= 0.2 / before**0.5
    return [drawn[0].to(dtype), *(each.to(dtype).requires_grad_() for each in drawn[1:])]


def _all(arrays: Any, name: str, inputs: list[Tensor], omega: float = 60.0) -> list[Tensor]:
    """A stage's values, and the gradients of a loss that weighs each of them differently."""
    x, a, a0, h, w, w0 = inputs
    values = getattr(arrays, name)(x, (a, a0), omega, h, (w, w0), 30.0)
    torch.autograd.backward(values, torch.cos(torch.arange(values.numel()).view_as(values)).to(values))
    return [values.detach(), *(each.grad for each in inputs[1:] if each.grad is not None)]


def _error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).norm() / exact.norm().clamp(min=1e-12))


@settings(max_examples=40)
@given(
    name=st.sampled_from(_STAGES),
    points=st.one_of(st.sampled_from([1, 1023, 1024, 1025, 2500]), st.integers(1, 300)),
    dimensions=st.integers(2, 3),
    units=st.integers(1, 40),
    before=st.integers(1, 40),
)
def test_stages_and_their_gradients(name: str, points: int, dimensions: int, units: int, before: int) -> None:
    ours, exact = (
        _all(arrays, name, _inputs(points, dimensions, units, before, dtype))
        for arrays, dtype in ((TrainingArrays(), torch.float32), (TORCH, torch.float64))
    )
    assert len(ours) == len(exact) == 6
    for left, right in zip(ours, exact, strict=True):
        assert left.shape == right.shape
        assert _error(left, right) < 1e-4


@pytest.mark.parametrize("name", _STAGES)
def test_stages_are_as_near_to_float64_as_the_plain_ones(name: str) -> None:
    exact = _all(TORCH, name, _inputs(3000, 2, 64, 64, torch.float64), omega=100.0)
    plain, ours = (
        _all(arrays, name, _inputs(3000, 2, 64, 64, torch.float32), omega=100.0) for arrays in (TORCH, TrainingArrays())
    )
    for left, middle, right in zip(ours, plain, exact, strict=True):
        assert _error(left, right) < 1.5 * _error(middle, right)


@pytest.mark.parametrize("name", _STAGES)
def test_the_first_stage_reads_the_coordinates_twice(name: str) -> None:
    results = []
    for arrays, dtype in ((TrainingArrays(), torch.float32), (TORCH, torch.float64)):
        x, a, a0, _, w, w0 = _inputs(50, 2, 8, 2, dtype)
        values = getattr(arrays, name)(x, (a, a0), 9.0, x, (w, w0), 5.0)
        values.square().sum().backward()
        results.append([values.detach(), a.grad, a0.grad, w.grad, w0.grad])
    for left, right in zip(*results, strict=True):
        assert _error(left, right) < 1e-5


@pytest.mark.parametrize("name", _STAGES)
def test_threads_change_no_bit(name: str, threads: Callable[[int], None]) -> None:
    found = []
    for count in (1, 3):
        threads(count)
        found.append(_all(TrainingArrays(), name, _inputs(5000, 2, 16, 16, torch.float32)))
    # torch's own matrix products may add in another order; what the loops sum may not.
    assert all(torch.equal(found[0][i], found[1][i]) for i in (0, 1, 2, 5))


@pytest.mark.parametrize("name", _STAGES)
@pytest.mark.parametrize("change", ["strided", "transposed", "expanded", "double", "line", "four axes"])
def test_any_tensors(name: str, change: str) -> None:
    dimensions = {"line": 1, "four axes": 4}.get(change, 2)
    dtype = torch.float64 if change == "double" else torch.float32
    x, a, a0, h, w, w0 = (each.detach() for each in _inputs(60, dimensions, 6, 6, dtype))
    if change == "strided":
        x, h = x.repeat(1, 2)[:, ::2], h.repeat(2, 1)[::2]
    elif change == "transposed":
        h, w, a = h.T.contiguous().T, w.T.contiguous().T, a.T.contiguous().T
    elif change == "expanded":
        x = x[:1].expand(60, 2)
    ours, plain = (getattr(arrays, name)(x, (a, a0), 9.0, h, (w, w0), 5.0) for arrays in (TrainingArrays(), TORCH))
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, plain, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", _STAGES)
def test_no_points_are_allowed(name: str) -> None:
    values, *gradients = _all(TrainingArrays(), name, _inputs(0, 2, 5, 4, torch.float32))
    assert values.shape == (0, 5)
    assert all(not each.any() for each in gradients)


def test_coordinates_that_want_gradients_get_them_twice() -> None:
    x, a, a0, h, w, w0 = _inputs(9, 2, 4, 4, torch.float32)
    x.requires_grad_()
    for name in _STAGES:
        slopes = torch.autograd.grad(
            getattr(TrainingArrays(), name)(x, (a, a0), 2.0, h, (w, w0), 1.5).sum(), x, create_graph=True
        )
        assert torch.autograd.grad(slopes[0].square().sum(), x)[0].abs().sum() > 0


@given(rows=st.integers(0, 40), columns=st.integers(1, 40), omega=st.floats(0.1, 300))
def test_sines_and_their_slopes(rows: int, columns: int, omega: float) -> None:
    z = torch.randn(rows, columns, generator=torch.Generator().manual_seed(columns)).requires_grad_()
    values = TrainingArrays().sine(z, omega)
    values.sum().backward()  # type: ignore[no-untyped-call]
    exact = z.detach().double() * omega
    assert z.grad is not None
    largest = 1 + float(exact.abs().max()) if rows else 1.0
    torch.testing.assert_close(values.double(), exact.sin(), atol=5e-7 * largest, rtol=0)
    torch.testing.assert_close(z.grad.double() / omega, exact.cos(), atol=5e-7 * largest, rtol=0)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4, 5), (300, 1000)])
def test_sines_of_any_shape(shape: tuple[int, ...]) -> None:
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(TrainingArrays().sine(z, 3.0), torch.sin(3 * z), atol=2e-6, rtol=0)
    transposed = z.mT if z.ndim > 1 else z
    torch.testing.assert_close(TrainingArrays().sine(transposed, 3.0), torch.sin(3 * transposed), atol=2e-6, rtol=0)


def test_sines_can_be_differentiated_twice() -> None:
    z = torch.linspace(-1, 1, 7, requires_grad=True)
    (slope,) = torch.autograd.grad(TrainingArrays().sine(z, 5.0).sum(), z, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), z)
    torch.testing.assert_close(curvature, -25 * torch.sin(5 * z.detach()), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", _STAGES)
def test_coarse_products_change_gradients_by_less_than_a_percent_and_values_not_at_all(name: str) -> None:
    fine, coarse = (
        _all(TrainingArrays(coarse=coarse), name, _inputs(500, 2, 40, 40, torch.float32)) for coarse in (False, True)
    )
    values, a, a0, h, w, w0 = (_error(left, right.double()) for left, right in zip(coarse, fine, strict=True))
    assert (values, a, a0, w0) == (0, 0, 0, 0)
    assert 1e-4 < h < 1e-2 and 1e-4 < w < 1e-2


def test_coarse_products_elsewhere_than_in_the_loops() -> None:
    arrays = TrainingArrays(coarse=True)
    fine, coarse = (_all(each, "stage", _inputs(500, 2, 40, 40, torch.float64)) for each in (TORCH, arrays))
    assert 1e-4 < _error(coarse[4], fine[4]) < 1e-2


def test_coarse_linear_maps() -> None:
    x, weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((100, 64), (48, 64), (48,)))
    found = []
    for linear in (TrainingArrays(coarse=True).linear, TrainingArrays().linear):
        values = linear(x, weight, bias)
        values.square().mean().backward()  # type: ignore[no-untyped-call]
        found.append([values.detach()] + [each.grad.clone() for each in (x, weight, bias) if each.grad is not None])
        x.grad = weight.grad = bias.grad = None
    (values, *coarse), (exact, *fine) = found
    assert torch.equal(values, exact) and len(coarse) == len(fine) == 3
    for left, right in zip(coarse, fine, strict=True):
        assert _error(left, right.double()) < 1e-2
    assert not torch.equal(coarse[1], fine[1])


def test_inputs_that_want_no_gradient_cost_none() -> None:
    x, weight, bias = torch.randn(100, 64), torch.randn(48, 64, requires_grad=True), torch.zeros(48)
    CoarseLinear.apply(x, weight, bias).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is None and weight.grad is not None


def test_small_products_stay_fine() -> None:
    left, right = torch.randn(100, 62), torch.randn(62, 100)
    assert not torch.equal(product(left, right, coarse=True), left @ right)
    assert torch.equal(product(left[:, ::2], right[::2], coarse=True), left[:, ::2] @ right[::2])
    assert torch.equal(product(left, right, coarse=False), left @ right)


@pytest.mark.parametrize("supported", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", None])
def test_processors_that_multiply_bfloat16(supported: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == supported, raising=False)
    assert is_faster(torch.device("cpu")) == (supported is not None)
    assert not is_faster(torch.device("meta"))


def test_stages_take_less_time() -> None:
    x, a, a0, h, w, w0 = _inputs(8192, 2, 96, 96, torch.float32)
    grad = torch.ones(8192, 96)

    def fastest(arrays: Any) -> float:
        times = []
        for _ in range(6):
            start = time.perf_counter()
            arrays.sine_stage(x, (a, a0), 60.0, h, (w, w0), 30.0).backward(grad)
            times.append(time.perf_counter() - start)
        return min(times)

    assert fastest(TrainingArrays()) < fastest(TORCH)  # about two thirds of it; half with coarse products


def test_modules_compute_with_the_arrays_that_they_are_given() -> None:
    module = FieldModule.initial(SconePlus(width=40), 2, 3, seed=0)
    points = torch.rand(300, 2) * 2 - 1
    plain = module(points)
    module.arrays = TrainingArrays()
    fused = module(points)
    torch.testing.assert_close(fused, plain, atol=2e-5, rtol=0)
    assert fused.grad_fn is not None and "FusedStage" in str(fused.grad_fn.next_functions)
