"""The array operations of fields on torch tensors, differentiable in every input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from morpho.fields.arrays import Arrays

__all__ = ["TORCH", "TorchArrays"]


class TorchArrays(Arrays):
    """`morpho.fields.arrays.Arrays` on torch tensors."""

    def sin(self, x: Tensor) -> Tensor:
        """Return the sine of an angle in radians."""
        return torch.sin(x)

    def cos(self, x: Tensor) -> Tensor:
        """Return the cosine of an angle in radians."""
        return torch.cos(x)

    def exp(self, x: Tensor) -> Tensor:
        """Return e^x."""
        return torch.exp(x)

    def abs(self, x: Tensor) -> Tensor:
        """Return the magnitude."""
        return torch.abs(x)

    def relu(self, x: Tensor) -> Tensor:
        """Return the positive part."""
        return torch.relu(x)

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        """Return ``x`` with what lies outside ``[low, high]`` moved to the bound."""
        return torch.clamp(x, low, high)

    def minimum(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the smaller of both, entry by entry."""
        return torch.minimum(x, y)

    def floor(self, x: Tensor) -> Tensor:
        """Return the largest whole number that is not above, in the number type of ``x``."""
        return torch.floor(x)

    def integer(self, x: Tensor) -> Tensor:
        """Return whole numbers as 64-bit integers, to be used as an index."""
        return x.long()

    def cat(self, parts: list[Tensor], axis: int) -> Tensor:
        """Join tensors along an axis."""
        return torch.cat(parts, dim=axis)

    def take(self, table: Tensor, index: Tensor) -> Tensor:
        """Return rows of a table; as an embedding, whose backward pass is much faster than that of ``table[index]``."""
        return functional.embedding(index, table)

    def array(self, values: list[Any], like: Tensor) -> Tensor:
        """Return numbers, in nested lists, as a tensor in the number type and on the device of ``like``."""
        return torch.tensor(values, dtype=like.dtype, device=like.device)

    def constant(self, x: Tensor) -> Tensor:
        """Return ``x`` without its history: no gradient flows through it."""
        return x.detach()

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return ``x weight^T + bias``."""
        return functional.linear(x, weight, bias)


#: torch.
TORCH = TorchArrays()
