"""Products in torch are the chain's matrix: whatever the batch, and however weights came in and were changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from morpho.butterfly import ButterflyConv1d, ButterflyConv2d, ButterflyLinear, Chain, low_rank
from morpho.butterfly import layers as room
from morpho.butterfly.layers import Butterfly
from morpho.butterfly.plan import dense_plan, plans
from morpho.butterfly.products import merge
from tests.butterfly.shapes import debuts, gauss, ranked, weights_of

#: Rank 2 between the first two factors.
_RANKED = Chain.parse("12 <-(4,2,3)- 6 <-(2,4,3)- 12 <-(6,3,1)- 6")
#: One that is multiplied out, one whose merging is a matrix product, and one for the compiled loops.
_CHAINS = (Chain.parse("(2,2)^3"), low_rank(64, 64, 4), Chain.parse("(4,4)^4"))


def _seeded(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def _in_numpy(layer: Butterfly, inputs: Tensor) -> Tensor:
    """Inputs times the chain's matrix, in NumPy and float64."""
    weights = [factor.detach().double().numpy() for factor in layer.factors]
    m, n = layer.size
    product = inputs.double().numpy() @ layer.chain.dense(weights)[:m, :n].T
    bias = 0.0 if layer.bias is None else layer.bias.detach().double().numpy()
    return torch.from_numpy(np.asarray(product + bias)).to(inputs.dtype)


def _agrees(layer: Butterfly, inputs: Tensor) -> None:
    with torch.no_grad():
        found = layer(inputs)
    torch.testing.assert_close(found, _in_numpy(layer, inputs), atol=1e-3, rtol=1e-4)


@given(st.one_of(debuts(), ranked()), st.sampled_from([(), (2, 3), (511,), (513,), (0,), (1,)]))
@settings(max_examples=40)
def test_any_batch_by_any_plan(chain: Chain, batch: tuple[int, ...]) -> None:
    """Beyond 512 columns, inputs are worked on in parts."""
    layer = ButterflyLinear(chain).double()
    inputs = _seeded(*batch, chain.n, dtype=torch.float64)
    expected = _in_numpy(layer, inputs)
    for plan in (None, *plans(chain)):
        layer.plan = plan
        torch.testing.assert_close(layer(inputs).detach(), expected)
        with torch.no_grad():
            torch.testing.assert_close(layer(inputs), expected)


def test_parts_of_a_large_batch_are_put_together_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    original = room.from_rows  # type: ignore[attr-defined]

    def counted(pattern: Any, weights: Tensor, rows: Tensor) -> Tensor:
        counts.append(rows.shape[0])
        return original(pattern, weights, rows)

    monkeypatch.setattr(room, "from_rows", counted)
    layer = ButterflyLinear(_RANKED)
    layer.plan = plans(_RANKED)[-1]
    inputs = _seeded(600, _RANKED.n)
    torch.testing.assert_close(layer(inputs).detach(), _in_numpy(layer, inputs), atol=1e-5, rtol=1e-5)
    assert counts == [256, 256, 88]


@given(ranked())
@settings(max_examples=25)
def test_gradients_of_merging(chain: Chain) -> None:
    weights = [torch.from_numpy(array) for array in weights_of(chain)]
    direction = torch.from_numpy(gauss(chain.m, chain.n))
    given_, own = ([w.clone().requires_grad_() for w in weights] for _ in range(2))
    merged = merge(chain.factors, given_)[1].reshape(chain.m, chain.n)
    (merged * direction).sum().backward()  # type: ignore[no-untyped-call]
    layer = ButterflyLinear(chain, bias=False).double()
    layer.set_weights([w.detach() for w in own])
    layer.plan = plans(chain)[-1]
    (layer(torch.eye(chain.n, dtype=torch.float64)).T * direction).sum().backward()
    for first, second in zip(given_, layer.factors, strict=True):
        torch.testing.assert_close(first.grad, second.grad)


@pytest.mark.parametrize("order", ["channel", "spatial"])
@pytest.mark.parametrize("text", ["(3,6)(2,2)(2,2)", "(2,12)(6,2)"])
def test_gradients_of_convolutions(text: str, order: Any) -> None:
    """Windows of 2 x 3: of one channel with three outputs, and of two channels; by every plan that is possible."""
    chain = Chain.parse(text)
    layer = ButterflyConv2d(chain, chain.n // 6, 11, (2, 3), stride=(2, 1), padding=1, order=order).double()
    inputs = _seeded(2, chain.n // 6, 3, 4, dtype=torch.float64).requires_grad_()

    def forward(x: Tensor, *_: Tensor) -> Tensor:
        out: Tensor = layer(x)
        return out

    for plan in (plans(chain)[0], plans(chain)[-1]):
        layer.plan = plan
        assert torch.autograd.gradcheck(forward, (inputs, *layer.parameters()))


# --- the first product of a convolution -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "channels", "groups"),
    [
        ("(1,9)(4,4)(4,2)", 8, [8]),  # depthwise, one output per channel
        ("(3,9)(4,4)(2,6)", 24, [24, 24, 24]),  # three outputs per channel, one by one
        ("(2,18)(4,4)(4,2)", 16, [8]),  # two channels at a time
        ("(4,27)(4,2)(2,4)", 24, [8]),
    ],
)
def test_first_product_is_a_convolution_in_groups(
    monkeypatch: pytest.MonkeyPatch, text: str, channels: int, groups: list[int]
) -> None:
    chain = Chain.parse(text)
    layer = ButterflyConv2d(chain, channels, chain.m, 3, padding=1, stride=(1, 2))
    layer.plan = plans(chain)[-1]
    used: list[int] = []
    original = nn.functional.conv2d

    def noted(*values: Any) -> Tensor:
        used.append(values[-1])
        return original(*values)

    inputs = _seeded(2, channels, 5, 7)
    expected = layer.merge()(inputs).detach()
    monkeypatch.setattr(nn.functional, "conv2d", noted)
    torch.testing.assert_close(layer(inputs).detach(), expected, atol=1e-4, rtol=1e-4)
    assert used == groups
    assert layer(inputs).is_contiguous()


def test_dense_convolutions_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ButterflyConv1d(Chain.parse("(2,3)(4,4)"), 4, 8, 3)
    layer.plan = dense_plan(layer.chain)
    inputs = _seeded(2, 4, 9)
    expected = layer.merge()(inputs).detach()
    monkeypatch.setattr(room, "with_columns", None)
    torch.testing.assert_close(layer(inputs).detach(), expected, atol=1e-5, rtol=1e-5)


# --- kept products never outlive the weights ------------------------------------------------------------------------


def _assign(layer: Butterfly) -> None:
    """Memory is freed and used again for the next weights."""
    for seed in range(5, 11):
        layer.load_state_dict(ButterflyLinear(layer.chain, seed=seed).state_dict(), assign=True)


def _step(layer: Butterfly, optimizer: torch.optim.Optimizer) -> None:
    layer.zero_grad()
    layer(_seeded(4, layer.chain.n).to(layer.factors[0].dtype)).square().sum().backward()
    optimizer.step()


def _edit(layer: Butterfly) -> None:
    with torch.no_grad():
        layer.factors[-1][0, 0].mul_(-3)


def _edit_in_inference(layer: Butterfly) -> None:
    with torch.inference_mode():
        layer.factors[0].mul_(-3)


def _average(layer: Butterfly) -> None:
    mean = torch.optim.swa_utils.AveragedModel(ButterflyLinear(layer.chain, seed=8))
    for seed in (9, 10):
        mean.update_parameters(ButterflyLinear(layer.chain, seed=seed))
    layer.load_state_dict(mean.module.state_dict())


_CHANGES: dict[str, Callable[[Butterfly], Any]] = {
    "sgd": lambda layer: _step(layer, torch.optim.SGD(layer.parameters(), 1e-3)),
    "adamw, all at once": lambda layer: _step(layer, torch.optim.AdamW(layer.parameters(), 0.1, foreach=True)),
    "adamw, fused": lambda layer: _step(layer, torch.optim.AdamW(layer.parameters(), 0.1, fused=True)),
    "state": lambda layer: layer.load_state_dict(ButterflyLinear(layer.chain, seed=9).state_dict()),
    "state, assigned": _assign,
    "projection": lambda layer: layer.set_weights(weights_of(layer.chain, 5, np.float32)),
    "new draw": lambda layer: layer.reset_parameters(7),
    "in place": _edit,
    "in place, in inference mode": _edit_in_inference,
    "a new parameter": lambda layer: layer.factors.__setitem__(0, nn.Parameter(-layer.factors[0].detach())),
    "a vector": lambda layer: nn.utils.vector_to_parameters(
        torch.linspace(-1, 1, sum(p.numel() for p in layer.parameters())), layer.parameters()
    ),
    "a mean": _average,
    "data, then a mode": lambda layer: (layer.factors[0].data.mul_(2), layer.eval()),
}


@pytest.mark.parametrize("change", _CHANGES)
@pytest.mark.parametrize("chain", _CHAINS, ids=str)
def test_no_call_answers_with_old_weights(chain: Chain, change: str) -> None:
    layer, inputs = ButterflyLinear(chain, seed=3), _seeded(64, chain.n)
    for plan in (None, plans(chain)[0], plans(chain)[-1]):
        layer.plan = plan
        _agrees(layer, inputs)
        before = layer.dense_matrix().detach()
        _CHANGES[change](layer)
        if plan is None:
            assert not torch.equal(before, layer.dense_matrix())
        _agrees(layer, inputs)


@pytest.mark.parametrize("chain", _CHAINS, ids=str)
def test_types_there_and_back(chain: Chain) -> None:
    layer, inputs = ButterflyLinear(chain), _seeded(64, chain.n)
    _agrees(layer, inputs)
    _agrees(layer.double(), inputs.double())
    _edit(layer)
    _agrees(layer, inputs.double())
    _agrees(layer.float(), inputs)


@pytest.mark.parametrize("chain", _CHAINS, ids=str)
def test_products_that_were_merged_under_autocast_stay_there(chain: Chain) -> None:
    layer, inputs = ButterflyLinear(chain), _seeded(64, chain.n)
    for plan in (None, *plans(chain)):
        layer.plan = plan
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            layer(inputs)
        _agrees(layer, inputs)


@pytest.mark.parametrize("chain", _CHAINS, ids=str)
def test_weights_of_inference_mode_are_merged_each_time(chain: Chain) -> None:
    """They do not count their changes."""
    with torch.inference_mode():
        layer, inputs = ButterflyLinear(chain), _seeded(64, chain.n)
        _agrees(layer, inputs)
        for change in ("projection", "new draw", "state", "in place"):
            _CHANGES[change](layer)
            _agrees(layer, inputs)


def test_the_memory_of_kept_products_is_not_given_to_other_weights() -> None:
    """Whether an allocator would do so is luck: what a product is known by must stay taken as long as it is kept."""
    torch_layer, loop_layer = (ButterflyLinear(Chain.parse("(4,4)^4")) for _ in range(2))
    torch_layer.plan = plans(torch_layer.chain)[-1]
    for layer in (torch_layer, loop_layer):
        with torch.no_grad():
            layer(_seeded(64, 256))
        layer.load_state_dict(ButterflyLinear(layer.chain, seed=9).state_dict(), assign=True)
        entries: list[Any] = [*layer._kept.values(), *([layer._packed] if layer._packed else [])]
        assert len(entries) == 1
        (state, _, held), now = entries[0], {weights.data_ptr() for weights in layer.parameters()}
        taken = {address for address, _, _ in state[1:]}
        assert taken == {tensor.data_ptr() for tensor in held}
        assert not taken & now


def test_merged_products_are_kept_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else inference would be slow, or its memory grow with the sizes it has met."""
    layer = ButterflyLinear(Chain.parse("(4,4)^4")).eval()
    calls: list[int] = []
    original = room.merge  # type: ignore[attr-defined]

    def counted(*values: Any) -> Any:
        calls.append(1)
        return original(*values)

    monkeypatch.setattr(room, "merge", counted)
    with torch.inference_mode():
        for plan in (*plans(layer.chain), None):
            layer.plan = plan
            layer(_seeded(64, 256))
            first = len(calls)
            layer(_seeded(64, 256))
            assert len(calls) == first
            assert len(layer._kept) <= 4
    assert first > 0


def test_copies_and_files_are_whole_layers(tmp_path: Path) -> None:
    layer = ButterflyConv2d(Chain.parse("(2,9)(4,4)(4,2)"), 8, 32, 3, padding=1).eval()
    inputs = _seeded(1, 8, 9, 9)
    with torch.no_grad():
        expected = layer(inputs)
    torch.save(layer, tmp_path / "layer.pt")
    copied, loaded = copy.deepcopy(layer), torch.load(tmp_path / "layer.pt", weights_only=False)
    numbers = sum(weights.numel() for weights in layer.parameters())
    assert (tmp_path / "layer.pt").stat().st_size < 4 * numbers + 20_000
    _edit(layer)
    for other in (copied, loaded):
        with torch.no_grad():
            torch.testing.assert_close(other(inputs), expected)
            _edit(other)
            torch.testing.assert_close(other(inputs), layer(inputs))
