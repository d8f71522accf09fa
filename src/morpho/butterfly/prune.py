"""Magnitude pruning, the control that keeps single weights: small files in principle, no speed in practice."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from morpho.callable_module import make_callable
from morpho.errors import InputError

__all__ = ["count_kept", "prune"]


class _Masked(nn.Module):
    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.mask: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def prune(model: nn.Module, *, parameters: int) -> nn.Module:
    """Keep the largest weights of all Linear and Conv layers together, so that a copy has this many numbers.

    The others are masked to zero and stay zero in training. Biases and normalisations are kept and counted.

    Args:
        model: any network.
        parameters: of the result, those that are not masked.

    Raises:
        InputError: there is no such layer, or what is not pruned leaves less than one weight per layer.

    >>> count_kept(prune(nn.Linear(10, 10), parameters=30))
    30
    """
    result = copy.deepcopy(model)
    layers = [m for m in result.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)]
    if not layers:
        raise InputError(f"a {type(model).__name__} has no Linear or Conv layer to prune")
    weights = [layer.weight for layer in layers]
    fixed = sum(p.numel() for p in result.parameters()) - sum(weight.numel() for weight in weights)
    kept = parameters - fixed
    if kept < len(layers):
        raise InputError(
            f"{parameters} parameters are too few: biases and normalisations alone have {fixed}, and "
            f"{len(layers)} layers need weights: use at least {fixed + len(layers)}"
        )
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    chosen = torch.zeros_like(sizes, dtype=torch.bool)
    chosen[sizes.topk(min(kept, len(sizes))).indices] = True
    for layer, part in zip(layers, torch.split(chosen, [weight.numel() for weight in weights]), strict=True):
        mask = part.reshape(layer.weight.shape).to(layer.weight)
        parametrize.register_parametrization(layer, "weight", _Masked(mask))
    return result


def count_kept(model: nn.Module) -> int:
    """Count parameters of a pruned network that are not masked."""
    total = sum(parameter.numel() for parameter in model.parameters())
    stacks = [module for module in model.modules() if isinstance(module, parametrize.ParametrizationList)]
    masks = [[step.mask for step in stack if isinstance(step, _Masked)] for stack in stacks]
    # A network that was pruned twice has two masks per weight.
    return total - sum(int((torch.stack(several).prod(0) == 0).sum()) for several in masks if several)


make_callable(__name__, "prune")
