"""Choose each layer's fastest form by measuring it, instead of predicting it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from morpho.butterfly.layers import Butterfly, ButterflyConv1d, ButterflyConv2d, ButterflyLinear
from morpho.callable_module import make_callable

__all__ = ["Choice", "Tuned", "tune"]

_BUTTERFLIES = (ButterflyLinear, ButterflyConv1d, ButterflyConv2d)
#: A butterfly must be this much faster than the dense layer to stay: timings of small layers vary.
_MARGIN = 0.95


@dataclass(frozen=True)
class Choice:
    """What was measured for one layer.

    Attributes:
        name: of the layer.
        dense: seconds of the dense layer.
        butterfly: seconds of the butterfly.
        kept: whether the butterfly stays.
    """

    name: str
    dense: float
    butterfly: float
    kept: bool


@dataclass(frozen=True)
class Tuned:
    """A network for inference.

    Attributes:
        model: a copy in which butterflies that are no faster are dense layers.
        choices: one per butterfly that the sample went through.
    """

    model: nn.Module
    choices: tuple[Choice, ...]


def tune(model: nn.Module, sample: Tensor, *, runs: int = 15) -> Tuned:
    """Replace butterflies by dense layers wherever those are faster on inputs of this size.

    Both forms of each layer are timed in turn, and the fastest run of each counts. The result computes the same
    numbers as the network, up to rounding, in evaluation mode; it is for inference, and larger on disk.

    Args:
        model: a network with butterflies; it is left as it is.
        sample: inputs of the size that is going to be used.
        runs: of each form.
    """
    result = copy.deepcopy(model).eval()
    with torch.inference_mode():
        seen = _inputs(result, sample)
        choices = [_choose(result, name, inputs, runs) for name, inputs in seen.items()]
    for choice in choices:
        if not choice.kept:
            result = _with_dense(result, choice.name)
    return Tuned(result, tuple(choices))


def _inputs(model: nn.Module, sample: Tensor) -> dict[str, Tensor]:
    """What each butterfly is given for the sample."""
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(module: nn.Module, given: tuple[Any, ...]) -> None:
            seen[name] = given[0]

        return note

    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, Butterfly)]
    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers]
    try:
        model(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _choose(model: nn.Module, name: str, inputs: Tensor, runs: int) -> Choice:
    layer = model.get_submodule(name)
    assert isinstance(layer, _BUTTERFLIES)
    dense, butterfly = _fastest((layer.merge(), layer), inputs, runs)
    return Choice(name, dense, butterfly, kept=butterfly < _MARGIN * dense)


def _fastest(layers: Sequence[nn.Module], inputs: Tensor, runs: int) -> list[float]:
    best = [float("inf")] * len(layers)
    for _ in range(runs + 1):
        for k, layer in enumerate(layers):
            start = time.perf_counter()
            layer(inputs)
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def _with_dense(model: nn.Module, name: str) -> nn.Module:
    layer = model.get_submodule(name)
    assert isinstance(layer, _BUTTERFLIES)
    dense = layer.merge()
    if not name:
        return dense
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, dense)
    return model


make_callable(__name__, "tune")
