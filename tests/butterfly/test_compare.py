"""Ways to make a network smaller are compared at equal numbers of parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from morpho import nets
from morpho.butterfly.compare import METHODS, narrow_options, smaller
from morpho.butterfly.convert import count_parameters
from morpho.butterfly.layers import Butterfly
from morpho.butterfly.prune import count_kept
from morpho.butterfly.train import RECIPES, Recipe
from morpho.datasets import Dataset, Labelled
from morpho.errors import InputError

_SIZES = (64, 48, 32, 10)
_RECIPE = replace(RECIPES["mlp-digits"], options={"sizes": _SIZES})
_TOTAL = 64 * 48 + 48 * 32 + 32 * 10 + 48 + 32 + 10


def _data(count: int = 70, shape: tuple[int, ...] = (1, 8, 8)) -> Dataset:
    random = torch.Generator().manual_seed(0)
    inputs = torch.randint(256, (count, *shape), generator=random).to(torch.uint8)
    part = Labelled(inputs, torch.arange(count) % 10, tuple("0123456789"))
    return Dataset("noise", part, part)


def _teacher() -> nn.Module:
    return nets.build("mlp", sizes=_SIZES, seed=5)


def _butterflies(model: nn.Module) -> list[Butterfly]:
    return [layer for layer in model.modules() if isinstance(layer, Butterfly)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_every_method_keeps_the_budget(method: str, share: float) -> None:
    budget, teacher = int(share * _TOTAL), _teacher()
    before = [weights.clone() for weights in teacher.parameters()]
    made = smaller(method, _RECIPE, _data(), teacher, budget)
    assert 0.9 * budget <= made.parameters <= budget
    assert made.model(torch.rand(3, 1, 8, 8)).shape == (3, 10)
    found = count_parameters(made.model) if method != "pruned" else count_kept(made.model)
    assert made.parameters == found
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))
    assert bool(_butterflies(made.model)) == (method not in ("pruned", "narrow"))


def test_families_and_beginnings_are_as_named() -> None:
    budget, teacher = int(0.3 * _TOTAL), _teacher()
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    models = {name: smaller(name, _RECIPE, _data(), teacher, budget).model for name in METHODS}
    chains = {name: [layer.chain for layer in _butterflies(model)] for name, model in models.items()}
    assert all(chain.is_debut for name in ("debut", "debut-random") for chain in chains[name])
    assert all(len(chain.factors) <= 2 for name in ("monarch", "svd") for chain in chains[name])
    assert all(factor.g == factor.t == 1 for chain in chains["svd"] for factor in chain.factors)
    assert any(factor.g > 1 for chain in chains["general"] for factor in chain.factors)
    assert any(chain.widths[1] < 10 and len(chain.factors) == 2 for chain in chains["svd"])
    wanted = teacher(x).detach()
    off = {name: float((model(x).detach() - wanted).norm()) for name, model in models.items()}
    assert off["debut"] < off["debut-random"]
    assert off["pruned"] < off["narrow"]


def test_projections_see_the_data() -> None:
    """A constant pixel of zero needs no weights; another batch would give other chains or factors."""
    dark = _data()
    dark.train.inputs[:, :, :4] = 0
    budget, teacher = int(0.3 * _TOTAL), _teacher()
    first, second = (smaller("debut", _RECIPE, data, teacher, budget).model for data in (_data(), dark))
    ways = [
        [(layer.chain, layer.dense_matrix().detach()) for layer in _butterflies(model)] for model in (first, second)
    ]
    assert any(a[0] != b[0] or not torch.equal(a[1], b[1]) for a, b in zip(*ways, strict=True))


def test_the_seed_is_that_of_fresh_weights() -> None:
    budget, teacher = int(0.3 * _TOTAL), _teacher()
    for method in ("debut-random", "narrow"):
        made = [smaller(method, _RECIPE, _data(), teacher, budget, seed=seed).model for seed in (1, 1, 2)]
        first, same, other = (torch.cat([w.detach().flatten() for w in model.parameters()]) for model in made)
        assert torch.equal(first, same)
        assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("recipe", "name"),
    [(_RECIPE, "sizes"), (RECIPES["lenet-mnist"], "widths"), (RECIPES["cnn-cifar10"], "widths")],
    ids=["mlp", "lenet", "airbench"],
)
def test_narrow_networks_are_narrower(recipe: Recipe, name: str) -> None:
    shapes = {"mlp": (1, 8, 8), "lenet": (1, 28, 28), "airbench": (3, 32, 32)}
    data = _data(12, shapes[recipe.net])
    total = count_parameters(nets.build(recipe.net, **recipe.options))
    found = narrow_options(recipe, data, total // 3)
    model = nets.build(recipe.net, **{**recipe.options, **found})
    assert 0.25 * total < count_parameters(model) <= total // 3
    default = {"lenet": (8, 16, 128, 64)}.get(recipe.net)
    old: Any = recipe.options.get(name, default)
    if recipe.net == "mlp":
        assert (found[name][0], found[name][-1]) == (old[0], old[-1])
        found, old = {name: found[name][1:-1]}, old[1:-1]
    assert all(new < before for new, before in zip(found[name], old, strict=True))
    ratios = [new / before for new, before in zip(found[name], old, strict=True)]
    assert max(ratios) - min(ratios) < 0.1


def test_enough_room_leaves_the_network_as_wide() -> None:
    assert narrow_options(_RECIPE, _data(), _TOTAL) == {"sizes": _SIZES}


def test_what_is_refused() -> None:
    data, teacher = _data(), _teacher()
    with pytest.raises(InputError, match="the method 'magic' is not known: use one of debut, debut-random"):
        smaller("magic", _RECIPE, data, teacher, 1000)
    with pytest.raises(InputError, match="no narrower mlp has 50 parameters or less"):
        smaller("narrow", _RECIPE, data, teacher, 50)
    with pytest.raises(InputError, match="50 parameters are too few"):
        smaller("pruned", _RECIPE, data, teacher, 50)
    with pytest.raises(InputError, match="cannot be met"):
        smaller("debut", _RECIPE, data, teacher, 50)
    with pytest.raises(InputError, match="a resnet8 has no option for its widths"):
        narrow_options(Recipe(net="resnet8", dataset="cifar10"), data, 1000)
