"""Butterfly layers compute what the chain's matrix does, on every way, and learn like other layers."""

from __future__ import annotations

import copy
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from morpho.butterfly import ButterflyConv1d, ButterflyConv2d, ButterflyLinear, Chain, low_rank
from morpho.butterfly.factor import apply
from morpho.butterfly.layers import Butterfly, columns_of
from morpho.butterfly.plan import plans
from morpho.errors import InputError
from tests.butterfly.shapes import debuts, ranked, weights_of

_CHAINS = st.one_of(debuts(), ranked())
#: Chains of 32 x 72: eight channels of 3 x 3 to 32; the last has overlap ranks of 2.
_WINDOWS = ("(2,9)(4,4)(4,2)", "(4,18)(8,4)", "(2,3)(2,3)(4,4)(2,2)", "32 <-(8,4,4)- 16 <-(2,8,4)- 64 <-(8,9,1)- 72")


def _seeded(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def _close(actual: Tensor, expected: Tensor, tolerance: float = 2e-5) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * (1 + expected.abs().max())


@given(_CHAINS, st.integers(1, 20), st.integers(0, 2), st.integers(0, 2), st.booleans())
@settings(max_examples=40)
def test_linear_is_the_chains_matrix_on_every_way(
    chain: Chain, rows: int, fewer_in: int, fewer_out: int, bias: bool
) -> None:
    n, m = max(chain.n - fewer_in, 1), max(chain.m - fewer_out, 1)
    layer = ButterflyLinear(chain, in_features=n, out_features=m, bias=bias)
    weights = weights_of(chain, dtype=np.float32)
    layer.set_weights(weights)
    inputs = _seeded(rows, n)
    expected = torch.from_numpy(chain.dense(weights)[:m, :n] @ inputs.numpy().T).T
    if layer.bias is not None:
        expected = expected + layer.bias.detach()
    _close(layer(inputs).detach(), expected)
    with torch.inference_mode():
        for plan in plans(chain):
            layer.plan = plan
            _close(layer(inputs), expected)


def test_factors_are_applied_from_the_right() -> None:
    """Against the reference product, factor by factor."""
    chain = Chain.parse("(4,6)(2,2)(1,2)(2,3)")
    layer = ButterflyLinear(chain, bias=False)
    columns: Any = _seeded(5, 72).numpy().T
    inputs = torch.from_numpy(columns.T.copy())
    for factor, weights in zip(chain.factors, layer.factors, strict=True):
        columns = apply(factor, weights.detach().numpy(), columns)
    _close(layer(inputs).detach(), torch.from_numpy(columns.T.copy()))


def test_linear_takes_any_number_of_axes() -> None:
    layer = ButterflyLinear(Chain.parse("(2,3)(4,2)"))
    inputs = _seeded(2, 3, 5, 6)
    assert layer(inputs).shape == (2, 3, 5, 8)
    _close(layer(inputs)[1, 2].detach(), layer(inputs[1, 2]).detach())
    assert layer(inputs[:0]).shape == (0, 3, 5, 8)
    assert layer(inputs[0, 0, 0]).shape == (8,)


@pytest.mark.parametrize("text", _WINDOWS)
@pytest.mark.parametrize(
    ("stride", "padding", "dilation"), [(1, 0, 1), (1, 1, 1), (2, 1, 1), (3, 2, 2), ((2, 1), (0, 2), (1, 2))]
)
def test_convolution_is_nn_conv2d_with_the_chains_kernel(text: str, stride: Any, padding: Any, dilation: Any) -> None:
    chain = Chain.parse(text)
    layer = ButterflyConv2d(chain, 8, 32, 3, stride=stride, padding=padding, dilation=dilation)
    dense = nn.Conv2d(8, 32, 3, stride=stride, padding=padding, dilation=dilation)
    weights = chain.dense([w.detach().numpy() for w in layer.factors])
    with torch.no_grad():
        dense.weight.copy_(torch.from_numpy(weights.copy()).reshape(32, 8, 3, 3))
        assert dense.bias is not None and layer.bias is not None
        dense.bias.copy_(layer.bias)
    inputs = _seeded(2, 8, 11, 9)
    expected = dense(inputs).detach()
    _close(layer(inputs).detach(), expected)
    with torch.inference_mode():
        for plan in plans(chain):
            if plan.is_dense or plan.patterns[0].s % 9 == 0:
                layer.plan = plan
                _close(layer(inputs), expected)


def test_first_factor_is_a_depthwise_convolution_and_the_others_are_pointwise() -> None:
    """The derivation of the link with MobileNet: a shuffle, then 1 x 1 convolutions in groups, and back."""
    layer = ButterflyConv2d(Chain.parse("(2,9)(4,4)(4,2)"), 8, 32, 3, padding=1, bias=False)
    first, second, third = (weights.detach() for weights in layer.factors)
    x = nn.functional.conv2d(_seeded(2, 8, 7, 7), first.reshape(16, 1, 3, 3), padding=1, groups=8)
    for weights in (second, third):
        g, r, s, t = weights.shape
        shuffled = x.reshape(2, g, s, t, 7, 7).transpose(2, 3).reshape(2, -1, 7, 7)
        kernel = weights.permute(0, 3, 1, 2).reshape(g * t * r, s, 1, 1)
        mixed = nn.functional.conv2d(shuffled, kernel, groups=g * t)
        x = mixed.reshape(2, g, t, r, 7, 7).transpose(2, 3).reshape(2, -1, 7, 7)
    _close(layer(_seeded(2, 8, 7, 7)).detach(), x)


def test_spatial_order_counts_positions_first() -> None:
    chain = Chain.parse("(4,18)(8,4)")
    layer = ButterflyConv2d(chain, 8, 32, 3, order="spatial", bias=False)
    matrix = layer.dense_matrix().detach()
    kernel = matrix.reshape(32, 3, 3, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(columns_of(kernel, "spatial"), matrix)
    inputs = _seeded(2, 8, 6, 6)
    expected = nn.functional.conv2d(inputs, kernel)
    _close(layer(inputs).detach(), expected)
    with torch.inference_mode():
        _close(layer(inputs), expected)


@pytest.mark.parametrize(("size", "stride", "padding"), [(1, 1, 0), (1, 2, 0), (1, 2, 1), (3, 1, 1), (3, 2, 0)])
def test_one_dimension_and_single_places(size: int, stride: int, padding: int) -> None:
    chain = Chain.parse("(2,6)(4,4)(4,2)") if size == 3 else Chain.parse("(4,6)(8,8)")
    layer = ButterflyConv1d(chain, chain.n // size, 32, size, stride=stride, padding=padding)
    inputs = _seeded(3, layer.in_channels, 17)
    expected = layer.merge()(inputs).detach()
    _close(layer(inputs).detach(), expected)
    with torch.inference_mode():
        _close(layer(inputs), expected)
        for plan in plans(chain):
            layer.plan = plan
            _close(layer(inputs), expected)


def test_larger_chains_are_padded() -> None:
    """Three input channels and ten outputs have no small factors."""
    layer = ButterflyConv2d(Chain.parse("(2,9)(4,4)(2,1)"), 3, 10, 3, padding=1)
    assert layer.dense_weight().shape == (10, 3, 3, 3)
    inputs = _seeded(2, 3, 8, 8)
    expected = layer.merge()(inputs).detach()
    _close(layer(inputs).detach(), expected)
    with torch.inference_mode():
        _close(layer(inputs), expected)


@pytest.mark.parametrize("text", ["(2,3)(3,2)(2,2)", "12 <-(4,2,3)- 6 <-(2,4,3)- 12 <-(6,3,1)- 6"])
def test_gradients_are_those_of_the_product(text: str) -> None:
    chain = Chain.parse(text)
    layer = ButterflyLinear(chain).double()
    inputs = _seeded(3, chain.n, dtype=torch.float64).requires_grad_()
    for plan in (None, *plans(chain)):
        layer.plan = plan

        def forward(x: Tensor, *_: Tensor) -> Tensor:
            out: Tensor = layer(x)
            return out

        assert torch.autograd.gradcheck(forward, (inputs, *layer.parameters()))


def test_gradients_of_a_convolution_agree_with_the_dense_kernels() -> None:
    chain = Chain.parse("(2,9)(4,4)(4,2)")
    layer = ButterflyConv2d(chain, 8, 32, 3, padding=1, stride=2).double()
    inputs = _seeded(2, 8, 5, 5, dtype=torch.float64)
    layer(inputs).square().sum().backward()
    found = [weights.grad for weights in layer.factors]
    again = copy.deepcopy(layer)
    again.zero_grad()
    dense = nn.functional.conv2d(inputs, again.dense_weight(), again.bias, 2, 1)
    dense.square().sum().backward()  # type: ignore[no-untyped-call]
    for own, expected in zip(found, again.factors, strict=True):
        torch.testing.assert_close(own, expected.grad)


@pytest.mark.parametrize(
    "chain", [Chain.parse("(4,4)^4"), Chain.parse("(8,9)(2,2)^3(2,4)^2"), low_rank(256, 256, 16)], ids=str
)
def test_fresh_weights_keep_the_variance(chain: Chain) -> None:
    layer = ButterflyLinear(chain, bias=False)
    layer.reset_parameters(3)
    assert 0.85 < layer(_seeded(256, chain.n)).std() < 1.15
    layer.reset_parameters(3, gain=2.0)
    assert 1.7 < layer(_seeded(256, chain.n)).std() < 2.3


def test_seeds_decide_the_weights_and_nothing_else_is_drawn_from() -> None:
    state = torch.random.get_rng_state()
    chain = Chain.parse("(2,3)(4,2)")
    first, second, other = (ButterflyLinear(chain, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.dense_matrix(), second.dense_matrix())
    assert not torch.equal(first.dense_matrix(), other.dense_matrix())


def test_learns_a_matrix_of_its_kind() -> None:
    chain = Chain.parse("(4,4)(4,4)")
    teacher, student = (ButterflyLinear(chain, bias=False, seed=seed) for seed in (1, 2))
    inputs = _seeded(256, 16)
    targets = teacher(inputs).detach()
    optimizer = torch.optim.Adam(student.parameters(), 0.02)
    for _ in range(400):
        optimizer.zero_grad()
        loss = (student(inputs) - targets).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 1e-3 * targets.var()


@pytest.mark.parametrize("rows", [4, 256])
def test_inference_sees_every_change_of_the_weights(rows: int) -> None:
    """Merged and packed weights are kept between calls, but not beyond a change."""
    chain = Chain.parse("(4,4)^4")
    layer, inputs = ButterflyLinear(chain), _seeded(rows, 256)

    def agrees() -> None:
        with torch.no_grad():
            _close(layer(inputs), layer.merge()(inputs))

    agrees()
    layer.set_weights(weights_of(chain, 5, np.float32))
    agrees()
    layer.load_state_dict(ButterflyLinear(chain, seed=9).state_dict())
    agrees()
    layer.factors[1] = nn.Parameter(torch.randn_like(layer.factors[1]))
    agrees()
    with torch.no_grad():
        assert layer.bias is not None
        layer.bias.add_(1)
    agrees()
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    layer(inputs).sum().backward()
    optimizer.step()
    agrees()
    layer.factors[0].data.mul_(2)
    layer.eval()
    agrees()


def test_state_survives_a_file_a_copy_and_a_pickle(tmp_path: Path) -> None:
    chain = Chain.parse("(4,4)^4")
    layer, inputs = ButterflyLinear(chain).eval(), _seeded(4, 256)
    with torch.no_grad():
        expected = layer(inputs)
        torch.save(layer.state_dict(), tmp_path / "weights.pt")
        fresh = ButterflyLinear(chain, seed=7).eval()
        fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
        assert set(layer.state_dict()) == {"bias", "factors.0", "factors.1", "factors.2", "factors.3"}
        for other in (fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            torch.testing.assert_close(other(inputs), expected)
    assert len(pickle.dumps(layer)) < 5 * chain.parameters, "the merged matrix is 16 times as large as the chain"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types(dtype: torch.dtype) -> None:
    chain = Chain.parse("(2,9)(4,4)(4,2)")
    layers: list[tuple[Butterfly, Tensor]] = [
        (ButterflyLinear(chain), _seeded(32, 72)),
        (ButterflyConv2d(chain, 8, 32, 3, padding=1), _seeded(2, 8, 9, 9)),
    ]
    for layer, inputs in layers:
        expected = layer(inputs).detach()
        other = copy.deepcopy(layer).to(dtype)
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                outputs = other(inputs.to(dtype))
            assert outputs.dtype == dtype
            assert (outputs.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_autocast_is_respected() -> None:
    layer = ButterflyLinear(Chain.parse("(4,4)^4")).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(_seeded(64, 256)).dtype == torch.bfloat16


def test_weights_made_in_inference_mode() -> None:
    with torch.inference_mode():
        layer = ButterflyLinear(Chain.parse("(4,4)^4"))
        _close(layer(_seeded(64, 256)), layer.merge()(_seeded(64, 256)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when it first compiles
@pytest.mark.parametrize(
    "backend",
    [
        "eager",
        pytest.param(
            "inductor",
            marks=[pytest.mark.slow, pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")],
        ),
    ],
)
@pytest.mark.parametrize("text", ["(4,4)^4", "(2,9)(8,8)(4,4)"])
def test_compiles_as_one_graph(text: str, backend: str) -> None:
    chain = Chain.parse(text)
    layer: Butterfly
    if chain.n % 9:
        layer, inputs = ButterflyLinear(chain), _seeded(512, chain.n)
    else:
        layer, inputs = ButterflyConv2d(chain, 32, 64, 3, padding=1), _seeded(2, 32, 14, 14)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    with torch.inference_mode():
        _close(compiled(inputs), layer(inputs))
    _close(compiled(inputs).detach(), layer(inputs).detach())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ButterflyLinear(Chain.parse("(2,3)(4,2)"), in_features=7), "8 x 6 is too small for a layer of 8 x 7"),
        (lambda: ButterflyConv2d(Chain.parse("(2,9)(4,8)"), 8, 9, 3), "8 x 72 is too small for a layer of 9 x 72"),
        (lambda: ButterflyConv2d(Chain.parse("(2,9)(4,8)"), 8, 8, 3, order="fast"), "'fast' of columns is not known"),  # type: ignore[arg-type]
        (lambda: ButterflyLinear(Chain.parse("(2,3)(4,2)"))(torch.zeros(2, 5)), "5 numbers do not fit a layer of 6"),
        (lambda: ButterflyLinear(Chain.parse("(2,3)(4,2)")).set_weights([np.zeros((2, 2, 3, 1))]), "needs weights"),
    ],
)
def test_refuses_what_does_not_fit(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
