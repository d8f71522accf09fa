"""Products of factors in torch: with each other, and with columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from morpho.butterfly.factor import Factor

__all__ = ["from_rows", "merge", "multiply", "to_rows", "with_columns"]


def multiply(left: Factor, left_weights: Tensor, right: Factor, right_weights: Tensor) -> Tensor:
    """Multiply two neighbours, differentiably; see `morpho.butterfly.factor.multiply`."""
    product = left.after(right)
    rank, b, d = right.r * right.t // left.t, right.g // left.g, left.t // right.t
    first = right_weights.reshape(left.g, 1, b, rank, d, right.s, right.t)
    second = left_weights.reshape(left.g, left.r, b, rank, d, 1, right.t)
    if rank == 1:
        joined = (second * first)[:, :, :, 0].transpose(2, 3)
    else:
        joined = torch.einsum("gicket,gckejt->giecjt", second[:, :, :, :, :, 0], first[:, 0])
    return joined.reshape(product.shape)


def merge(factors: Sequence[Factor], weights: Sequence[Tensor]) -> tuple[Factor, Tensor]:
    """Multiply neighbours out, the right-most first: the product's pattern and its weights."""

    def step(right: tuple[Factor, Tensor], left: tuple[Factor, Tensor]) -> tuple[Factor, Tensor]:
        return left[0].after(right[0]), multiply(*left, *right)

    return reduce(step, zip(factors, weights, strict=True))


def with_columns(pattern: Factor, weights: Tensor, columns: Tensor) -> Tensor:
    """Multiply a factor by columns ``(q, B)``, which gives ``(p, B)``: one batched product of small matrices."""
    g, r, s, t = pattern.shape
    x = columns.reshape(g, s, t, -1)
    if t == 1:
        return torch.bmm(weights[:, :, :, 0], x[:, :, 0]).reshape(pattern.p, -1)
    if g == 1:
        y = torch.bmm(weights[0].permute(2, 0, 1), x[0].transpose(0, 1))
        return y.transpose(0, 1).reshape(pattern.p, -1)
    y = torch.bmm(weights.permute(0, 3, 1, 2).reshape(g * t, r, s), x.transpose(1, 2).reshape(g * t, s, -1))
    return y.reshape(g, t, r, -1).transpose(1, 2).reshape(pattern.p, -1)


def from_rows(pattern: Factor, weights: Tensor, rows: Tensor) -> Tensor:
    """Multiply the right-most factor by inputs ``(B, q)``, which gives columns ``(p, B)``, without a copy."""
    blocks = rows.reshape(-1, pattern.g, pattern.s).permute(1, 2, 0)
    return torch.bmm(weights[:, :, :, 0], blocks).reshape(pattern.p, -1)


def to_rows(pattern: Factor, weights: Tensor, columns: Tensor) -> Tensor:
    """Multiply the left-most factor by columns ``(q, B)``, which gives outputs ``(B, p)``, with one copy."""
    x = columns.reshape(pattern.s, pattern.t, -1)
    y = torch.bmm(x.permute(1, 2, 0), weights[0].permute(2, 1, 0))  # (t, B, r)
    return y.permute(1, 2, 0).reshape(-1, pattern.p)
