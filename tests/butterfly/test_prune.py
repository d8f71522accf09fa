"""Magnitude pruning: how many weights are kept, which, and that the others stay away."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from morpho.butterfly.prune import count_kept, prune
from morpho.errors import InputError
from morpho.training import Fit, fit
from tests.training.problems import rings, shuffled

#: Numbers of `built` in all, and those of them that are not weights of layers.
ALL, FIXED, LAYERS = 24 + 4 + 8 + 12 + 3 + 96 + 2, 4 + 8 + 3 + 2, 3


def built(seed: int = 0) -> nn.Sequential:
    """Takes pictures ``(2, 2, 10)``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        points = nn.Sequential(nn.Conv1d(4, 3, 1), nn.Flatten())
        return nn.Sequential(nn.Conv2d(2, 4, (1, 3)), nn.BatchNorm2d(4), nn.Flatten(2), points, nn.Linear(48, 2))


def weights_of(model: nn.Module) -> list[Tensor]:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)]
    return [layer.weight.detach() for layer in layers]


def flat(model: nn.Module) -> Tensor:
    return torch.cat([weight.flatten() for weight in weights_of(model)])


@pytest.mark.parametrize("parameters", [FIXED + LAYERS, 40, 84, ALL - 1, ALL])
def test_exactly_the_asked_count_is_kept(parameters: int) -> None:
    model = built()
    assert sum(parameter.numel() for parameter in model.parameters()) == ALL
    pruned = prune(model, parameters=parameters)
    assert count_kept(pruned) == parameters
    assert int((flat(pruned) != 0).sum()) == parameters - FIXED


def test_more_than_there_are() -> None:
    model = built()
    pruned = prune(model, parameters=10 * ALL)
    assert count_kept(pruned) == count_kept(model) == ALL
    assert torch.equal(flat(pruned), flat(model))


@given(parameters=st.integers(FIXED + LAYERS, ALL), seed=st.integers(0, 5))
def test_the_largest_of_all_layers_together_are_kept(parameters: int, seed: int) -> None:
    model = built(seed)
    before, after = flat(model), flat(prune(model, parameters=parameters))
    kept = after != 0
    assert torch.equal(after[kept], before[kept])
    assert kept.all() or before[kept].abs().min() >= before[~kept].abs().max()


def test_a_layer_of_small_weights_loses_more() -> None:
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    with torch.no_grad():
        for factor, weight in zip((1.0, 100.0), model.parameters(), strict=True):
            weight.copy_(torch.linspace(1, 2, 100).reshape(10, 10) * factor * torch.tensor([1, -1] * 5))
    for parameters, counts in ((50, [0, 50]), (100, [0, 100]), (130, [30, 100])):
        pruned = weights_of(prune(model, parameters=parameters))
        assert [int((weight != 0).sum()) for weight in pruned] == counts


def test_equal_weights_are_counted_too() -> None:
    layer = nn.Linear(8, 8)
    nn.init.constant_(layer.weight, 0.5)
    pruned = prune(layer, parameters=8 + 20)
    assert count_kept(pruned) == 28
    assert int((flat(pruned) != 0).sum()) == 20


def test_the_network_itself_stays() -> None:
    model = built()
    before = copy.deepcopy(model.state_dict())
    pruned = prune(model, parameters=40)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    plain = [(a, b) for a, b in zip(model.parameters(), prune(model, parameters=40).parameters(), strict=True)]
    assert not {a.data_ptr() for a, _ in plain} & {b.data_ptr() for _, b in plain}
    norms = [dict(one.named_parameters())["1.weight"] for one in (model, pruned)]
    assert torch.equal(norms[0], norms[1])


def test_it_computes_with_what_is_kept() -> None:
    model, inputs = built().eval(), torch.rand(3, 2, 2, 10, generator=torch.Generator().manual_seed(0))
    pruned = prune(model, parameters=50)
    by_hand = copy.deepcopy(model)
    for mine, theirs in zip(weights_of(by_hand), weights_of(pruned), strict=True):
        mine[theirs == 0] = 0
    torch.testing.assert_close(pruned(inputs), by_hand(inputs))
    assert not torch.allclose(pruned(inputs), model(inputs))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_masks_stay_in_training(tmp_path: Path, optimizer: str) -> None:
    model, other = (nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3)) for _ in range(2))
    pruned = prune(model, parameters=35 + 60)
    before = flat(pruned)
    plan = Fit(epochs=3, optimizer=optimizer, learning_rate=0.05, averaging="ema", average=0.5)  # type: ignore[arg-type]
    trained = fit(pruned, plan, shuffled(*rings(64), 16), steps_per_epoch=4, folder=tmp_path, device="cpu")
    after = flat(trained)
    assert torch.equal(after != 0, before != 0)
    assert count_kept(trained) == 95
    kept = before != 0
    assert (after[kept] - before[kept]).abs().min() > 0
    again = prune(other, parameters=95)
    again.load_state_dict(trained.state_dict())  # masks travel with the weights
    assert torch.equal(flat(again), after)


def test_pruning_again() -> None:
    model = built()
    twice = prune(prune(model, parameters=60), parameters=30)
    assert count_kept(twice) == 30
    assert torch.equal(flat(twice), flat(prune(model, parameters=30)))


@pytest.mark.parametrize("parameters", [-1, 0, FIXED, FIXED + LAYERS - 1])
def test_impossible_budgets(parameters: int) -> None:
    complaint = (
        f"{parameters} parameters are too few: biases and normalisations alone have {FIXED}, and 3 layers .* 20$"
    )
    with pytest.raises(InputError, match=complaint):
        prune(built(), parameters=parameters)


def test_nothing_to_prune() -> None:
    with pytest.raises(InputError, match="a BatchNorm1d has no Linear or Conv layer to prune"):
        prune(nn.BatchNorm1d(4), parameters=8)
