"""The few array operations that fields are written in, so that one `apply` runs in NumPy, in torch and in the decoder.

Whatever is not here (sums, products, matrix products, slices, shapes) is spelled with the arrays' own operators.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

__all__ = ["NUMPY", "Affine", "Array", "Arrays", "torch_arrays"]

#: A NumPy array or a torch tensor.
Array: TypeAlias = Any
#: The weight and the bias of a linear map.
Affine: TypeAlias = tuple[Array, Array]


class Arrays:
    """Operations on NumPy arrays; the readable reference for every other namespace.

    A namespace keeps the number type of what it gets: float32 stays float32, float64 stays float64. The first group
    is primitive; the second is made of it, and a namespace may replace those by something faster that is equal.
    """

    def sin(self, x: Array) -> Array:
        """Return the sine of an angle in radians."""
        return np.sin(x)

    def cos(self, x: Array) -> Array:
        """Return the cosine of an angle in radians."""
        return np.cos(x)

    def exp(self, x: Array) -> Array:
        """Return e^x."""
        return np.exp(x)

    def abs(self, x: Array) -> Array:
        """Return the magnitude."""
        return np.abs(x)

    def relu(self, x: Array) -> Array:
        """Return the positive part."""
        return np.maximum(x, 0)

    def clip(self, x: Array, low: float, high: float) -> Array:
        """Return ``x`` with what lies outside ``[low, high]`` moved to the bound."""
        return np.clip(x, low, high)

    def minimum(self, x: Array, y: Array) -> Array:
        """Return the smaller of both, entry by entry."""
        return np.minimum(x, y)

    def floor(self, x: Array) -> Array:
        """Return the largest whole number that is not above, in the number type of ``x``."""
        return np.floor(x)

    def integer(self, x: Array) -> Array:
        """Return whole numbers as 64-bit integers, to be used as an index."""
        return x.astype(np.int64)

    def cat(self, parts: list[Array], axis: int) -> Array:
        """Join arrays along an axis."""
        return np.concatenate(parts, axis=axis)

    def take(self, table: Array, index: Array) -> Array:
        """Return rows ``(N, C)`` of a table ``(K, C)`` at integers ``(N,)``."""
        return np.take(table, index, axis=0)

    def array(self, values: list[Any], like: Array) -> Array:
        """Return numbers, in nested lists, as an array in the number type and on the device of ``like``."""
        return np.array(values, dtype=like.dtype)

    def constant(self, x: Array) -> Array:
        """Return ``x`` without its history: no gradient flows through it."""
        return x

    def linear(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return ``x weight^T + bias``: ``(N, k)``, ``(m, k)``, ``(m,)`` -> ``(N, m)``."""
        return x @ weight.T + bias

    def sine(self, z: Array, omega: float) -> Array:
        """Return ``sin(omega z)``."""
        return self.sin(omega * z)

    def collage(self, basis: Array, omega: float, z: Array, omega0: float) -> Array:
        """Return ``sin(omega basis) * sin(omega0 z)^2``, the stage of `morpho.fields.model.Scone`."""
        mask = self.sine(z, omega0)
        return self.sine(basis, omega) * (mask * mask)

    def stage(self, x: Array, basis: Affine, omega: float, h: Array, mask: Affine, omega0: float) -> Array:
        """Return `collage` of a basis that is a linear map of ``x`` and a mask that is one of ``h``."""
        return self.collage(self.linear(x, *basis), omega, self.linear(h, *mask), omega0)

    def sine_stage(self, x: Array, basis: Affine, omega: float, h: Array, mask: Affine, omega0: float) -> Array:
        """Return `stage` with the sine itself as mask: ``sin(omega (A x + a)) * sin(omega0 (W h + b))``."""
        return self.sine(self.linear(x, *basis), omega) * self.sine(self.linear(h, *mask), omega0)

    def bell(self, z: Array) -> Array:
        """Return ``exp(-z^2)``, and ``e^-40`` where it would be smaller.

        That is below the resolution of float64 beside 1; without a bound, products of such numbers are subnormal, and
        a training step takes ten times longer.
        """
        return self.exp(-self.clip(z * z, 0, 40))


#: Plain NumPy.
NUMPY = Arrays()


def torch_arrays() -> Arrays:
    """Return the namespace of torch, whose results are differentiable; torch is imported here.

    >>> torch_arrays() is torch_arrays()
    True
    """
    arrays: Arrays = import_module("morpho.fields.differentiable").TORCH
    return arrays
