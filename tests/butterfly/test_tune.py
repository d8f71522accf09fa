"""Tuning keeps a butterfly only where it was measured to be faster."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from morpho.butterfly import ButterflyConv2d, ButterflyLinear, Chain
from morpho.butterfly.tune import tune


def _model() -> nn.Sequential:
    return nn.Sequential(
        ButterflyConv2d(Chain.parse("(2,9)(4,4)(4,2)"), 8, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Sequential(ButterflyLinear(Chain.parse("(2,32)(4,4)"))),
    )


@pytest.mark.parametrize("faster", [True, False])
def test_layers_become_dense_where_that_is_faster(monkeypatch: pytest.MonkeyPatch, faster: bool) -> None:
    tuning = sys.modules[tune.__module__]  # the package's attribute of this name is the function
    monkeypatch.setattr(tuning, "_fastest", lambda layers, inputs, runs: [1.0, 0.5 if faster else 0.97])
    model = _model()
    sample = torch.randn(3, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    tuned = tune(model, sample)
    assert [(choice.name, choice.kept) for choice in tuned.choices] == [("0", faster), ("3.0", faster)]
    kinds = [type(tuned.model.get_submodule(name)) for name in ("0", "3.0")]
    assert kinds == ([ButterflyConv2d, ButterflyLinear] if faster else [nn.Conv2d, nn.Linear])
    assert isinstance(model[0], ButterflyConv2d) and model.training and not tuned.model.training
    with torch.no_grad():
        torch.testing.assert_close(tuned.model(sample), model.eval()(sample))


def test_large_sparse_layers_stay_and_tiny_ones_do_not() -> None:
    """Two hundred times fewer multiplications against one call of a tiny product."""
    large, tiny = ButterflyLinear(Chain.parse("(8,8)^4")), ButterflyLinear(Chain.parse("(2,2)^2"))
    assert type(tune(large, torch.zeros(64, 4096), runs=2).model) is ButterflyLinear
    assert type(tune(tiny, torch.zeros(1, 4), runs=20).model) is nn.Linear


def test_a_bare_layer_and_a_network_without_butterflies() -> None:
    assert tune(nn.Linear(2, 2), torch.zeros(1, 2)).choices == ()
    assert [choice.name for choice in tune(ButterflyLinear(Chain.parse("(2,2)^2")), torch.zeros(1, 4)).choices] == [""]
