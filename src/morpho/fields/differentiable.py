"""The array operations of fields on torch tensors, differentiable in every input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from morpho.fields.arrays import Affine, Arrays
from morpho.fields.coarse import product

__all__ = ["TORCH", "TorchArrays"]


class TorchArrays(Arrays):
    """`morpho.fields.arrays.Arrays` on torch tensors."""

    #: Whether the matrix products of gradients may be of bfloat16, see `morpho.fields.coarse`.
    coarse = False

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
        values: Tensor = functional.linear(x, weight, bias)
        return values

    def stage(self, x: Tensor, basis: Affine, omega: float, h: Tensor, mask: Affine, omega0: float) -> Tensor:
        """Return SCONE's stage; a quarter faster than step by step where the weights want gradients and ``x`` none."""
        if x.requires_grad or not _trains(basis, mask) or torch.is_autocast_enabled(x.device.type):
            plain: Tensor = super().stage(x, basis, omega, h, mask, omega0)
            return plain
        options = omega, h, *mask, omega0, True, self.coarse
        return _Stage.apply(x, *basis, *options)  # type: ignore[no-untyped-call, no-any-return]

    def sine_stage(self, x: Tensor, basis: Affine, omega: float, h: Tensor, mask: Affine, omega0: float) -> Tensor:
        """Return the stage with sines as masks, as fast as `stage`."""
        if x.requires_grad or not _trains(basis, mask) or torch.is_autocast_enabled(x.device.type):
            plain: Tensor = super().sine_stage(x, basis, omega, h, mask, omega0)
            return plain
        options = omega, h, *mask, omega0, False, self.coarse
        return _Stage.apply(x, *basis, *options)  # type: ignore[no-untyped-call, no-any-return]


def _trains(*maps: Affine) -> bool:
    """Tell whether weights want gradients: where they do not, functional transforms of the coordinates must work."""
    return any(part.requires_grad for both in maps for part in both)


class _Stage(torch.autograd.Function):
    """SCONE's stage in few passes over memory: the frequencies ride on the matrix products, and products on their left.

    With ``u = omega (A x + a)`` and ``z = omega0 (W h + b)``, ``y = sin(u) sin(z)^2`` has the derivatives
    ``dy/du = cos(u) sin(z)^2`` and ``dy/dz = 2 sin(u) sin(z) cos(z)``; without the square, ``dy/dz = sin(u) cos(z)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        a: Tensor,
        a0: Tensor,
        omega: float,
        h: Tensor,
        w: Tensor,
        w0: Tensor,
        omega0: float,
        squared: bool,
        coarse: bool,
    ) -> Tensor:
        u = torch.addmm(a0, x, a.T, beta=omega, alpha=omega)
        z = torch.addmm(w0, h, w.T, beta=omega0, alpha=omega0)
        wave, mask = torch.sin(u), torch.sin(z)
        ctx.save_for_backward(x, h, w, u, z, wave, mask)
        ctx.options = omega, omega0, squared, coarse
        return (wave * mask).mul_(mask) if squared else wave * mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, h, w, u, z, wave, mask = ctx.saved_tensors
        omega, omega0, squared, coarse = ctx.options
        masked, factor = (grad * mask, 2 * omega0) if squared else (grad, omega0)
        du = torch.cos(u).mul_(masked).mul_(mask)
        dz = torch.cos(z).mul_(masked).mul_(wave)
        for_h = product(dz, w * factor, coarse) if ctx.needs_input_grad[4] else None
        for_basis = torch.mm(x.T, du).mul_(omega).T, du.sum(0).mul_(omega)
        for_mask = product(dz.T, h, coarse).mul_(factor), dz.sum(0).mul_(factor)
        return None, *for_basis, None, for_h, *for_mask, None, None, None


#: torch.
TORCH = TorchArrays()
