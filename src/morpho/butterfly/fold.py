"""Batch normalisation folded into the butterfly before it: one layer less, the same numbers."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from morpho.butterfly.layers import Butterfly
from morpho.errors import InputError

__all__ = ["fold_batchnorm"]

_Layer = TypeVar("_Layer", bound=Butterfly)


def fold_batchnorm(layer: _Layer, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> _Layer:
    """A copy of a layer that also does what the normalisation after it does in evaluation.

    Row ``(i, u)`` of the left-most factor is scaled, ``W[0, i, j, u] gamma[(i, u)] / sigma[(i, u)]``, and the bias
    becomes ``(b - mu) gamma / sigma + beta``.

    Args:
        layer: any butterfly; a linear one on inputs ``(B, in)``.
        norm: of as many channels as the layer has outputs, with running statistics.

    Raises:
        InputError: the numbers of channels differ, or the normalisation has no running statistics.

    >>> from morpho.butterfly import ButterflyLinear, Chain
    >>> layer = ButterflyLinear(Chain.parse("(2,3)(4,2)"), bias=False)
    >>> fold_batchnorm(layer, nn.BatchNorm1d(8)).bias.shape
    torch.Size([8])
    """
    outputs = layer.size[0]
    if norm.num_features != outputs:
        raise InputError(f"a normalisation of {norm.num_features} channels does not fit a layer of {outputs} outputs")
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise InputError("the normalisation has no running statistics: it cannot be folded into a layer")
    result = copy.deepcopy(layer)
    with torch.no_grad():
        scale = torch.rsqrt(variance + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight
        before = -mean if layer.bias is None else layer.bias - mean
        shift = before * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        last = result.factors[-1]
        rows = torch.ones(result.chain.m, dtype=last.dtype, device=last.device)  # rows that are cut off stay
        rows[:outputs] = scale
        last.mul_(rows.reshape(last.shape[1], 1, last.shape[3]))
        result.bias = nn.Parameter(shift.to(last.dtype))
    return result
