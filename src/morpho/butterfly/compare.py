"""Ways to make a network smaller, at equal numbers of parameters: butterflies beside their controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypeAlias

from torch import nn

from morpho.butterfly.convert import Initialise, convert, count_parameters
from morpho.butterfly.prune import count_kept, prune
from morpho.butterfly.search import Family
from morpho.butterfly.train import Recipe, built
from morpho.datasets import Dataset
from morpho.errors import InputError
from morpho.nets import NAMES
from morpho.training.fit import as_float

__all__ = ["METHODS", "Smaller", "narrow_options", "smaller"]

#: Recipe, data, teacher, budget and seed to a smaller network.
_Method: TypeAlias = Callable[[Recipe, Dataset, nn.Module, int, int], nn.Module]


@dataclass(frozen=True)
class Smaller:
    """A network made smaller, before it is trained on.

    Attributes:
        model: the network.
        parameters: how many it has; of a pruned one those that are not masked.
    """

    model: nn.Module
    parameters: int


def smaller(method: str, recipe: Recipe, data: Dataset, teacher: nn.Module, budget: int, *, seed: int = 0) -> Smaller:
    """Make a network smaller by one of `METHODS`, to at most so many parameters.

    Args:
        method: ``debut``, ``debut-random`` (not projected), ``general``, ``monarch``, ``svd``, ``pruned``, ``narrow``.
        recipe: of the network.
        data: its data.
        teacher: the trained dense network.
        budget: parameters, biases and normalisations included.
        seed: of random weights.

    Raises:
        InputError: the method is not known, or the budget cannot be met.
    """
    if method not in METHODS:
        raise InputError(f"the method {method!r} is not known: use one of {', '.join(METHODS)}")
    model = METHODS[method](recipe, data, teacher, budget, seed)
    return Smaller(model, count_kept(model))


def narrow_options(recipe: Recipe, data: Dataset, budget: int) -> Mapping[str, Any]:
    """Options of the recipe's network with which it has at most so many parameters, all its widths scaled alike.

    Raises:
        InputError: even the narrowest network has more.
    """
    options = {}
    for percent in range(100, 0, -1):
        scaled = _scaled(recipe, percent / 100)
        if count_parameters(built(recipe, data, **scaled)) <= budget:
            options = scaled
            break
    if not options:
        raise InputError(f"no narrower {recipe.net} has {budget} parameters or less")
    return options


def _scaled(recipe: Recipe, factor: float) -> dict[str, Any]:
    """The recipe's options with all inner widths multiplied, at least 1."""
    name = "sizes" if recipe.net == "mlp" else "widths"
    default = signature(NAMES[recipe.net].make).parameters.get(name)
    if default is None:
        raise InputError(f"a {recipe.net} has no option for its widths: compare without the narrower network")
    widths = list(recipe.options.get(name, default.default))
    inner = slice(1, -1) if recipe.net == "mlp" else slice(None)
    widths[inner] = [max(1, round(width * factor)) for width in widths[inner]]
    return {name: tuple(widths)}


def _narrow(recipe: Recipe, data: Dataset, teacher: nn.Module, budget: int, seed: int) -> nn.Module:
    return built(recipe, data, seed=seed, **narrow_options(recipe, data, budget))


def _pruned(recipe: Recipe, data: Dataset, teacher: nn.Module, budget: int, seed: int) -> nn.Module:
    return prune(teacher, parameters=budget)


def _converted(family: Family, initialise: Initialise) -> _Method:
    def method(recipe: Recipe, data: Dataset, teacher: nn.Module, budget: int, seed: int) -> nn.Module:
        sample = as_float(data.train.inputs[:64])
        return convert(
            teacher,
            budget=budget,
            family=family,
            keep=recipe.keep,
            single=recipe.single,
            initialise=initialise,
            sample=sample,
            seed=seed,
        ).model

    return method


#: By name; all but ``narrow`` begin with the teacher's weights.
METHODS: dict[str, _Method] = {
    "debut": _converted("debut", "project"),
    "debut-random": _converted("debut", "random"),
    "general": _converted("general", "project"),
    "monarch": _converted("monarch", "project"),
    "svd": _converted("low_rank", "project"),
    "pruned": _pruned,
    "narrow": _narrow,
}
