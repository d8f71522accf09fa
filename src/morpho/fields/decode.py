"""Fields at full speed, without torch: tiles of points over threads, and sine layers as compiled loops.

A model's own `apply` runs here, in a namespace whose matrix products are NumPy's and whose sine layers and SCONE stages
are the loops of ``decode_loops``. It agrees with `morpho.fields.arrays.NUMPY` in float32, and is nearer to float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from morpho.compiled import native
from morpho.compiled.bands import in_bands
from morpho.compiled.blas import single_threaded
from morpho.fields.arrays import Affine, Array, Arrays
from morpho.fields.model import Model

__all__ = ["FAST", "Decoder", "Floats"]

#: Numbers in the widest layer's activations of a tile, about.
_TILE = 1 << 17

Values = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.floating[Any]]


@cache
def _run_function() -> Callable[..., None]:
    sources = tuple(Path(__file__).with_name(f"{name}.py") for name in ("decode_loops", "sine_loops"))
    return native.load("morpho.fields.decode_loops", sources, pointers=8)


class Fast(Arrays):
    """NumPy in float32, with compiled sine layers; for everything else, and for float64, NumPy's own."""

    def sine(self, z: Array, omega: float) -> Array:
        """Return ``sin(omega z)``."""
        if z.dtype != np.float32 or not z.flags.c_contiguous or not z.ndim or not z.size:
            return super().sine(z, omega)
        out, bias = np.empty_like(z), np.zeros(z.shape[-1] + 1, np.float32)
        bias[-1] = omega / math.tau
        _run(out.reshape(-1, z.shape[-1]), sums=z, bias=bias)
        return out

    def linear(self, x: Array, weight: Array, bias: Array) -> Array:
        """Return ``x weight^T + bias``, the bias added in place."""
        product = x @ weight.T
        product += bias
        return product

    def stage(self, x: Array, basis: Affine, omega: float, h: Array, mask: Affine, omega0: float) -> Array:
        """Return ``sin(omega (A x + a)) * sin(omega0 (W h + b))^2``."""
        if not _compiled(x):
            return super().stage(x, basis, omega, h, mask, omega0)
        return _stage(x, basis, omega, h, mask, omega0 / math.pi, squared=True)

    def sine_stage(self, x: Array, basis: Affine, omega: float, h: Array, mask: Affine, omega0: float) -> Array:
        """Return ``sin(omega (A x + a)) * sin(omega0 (W h + b))``."""
        if not _compiled(x):
            return super().sine_stage(x, basis, omega, h, mask, omega0)
        return _stage(x, basis, omega, h, mask, omega0 / math.tau, squared=False)


#: The namespace of the decoder.
FAST = Fast()


class Decoder:
    """A model with its weights as a function of arrays: bounded memory, several threads.

    Args:
        model: the function.
        tensors: its weights, float32 or float64.

    Attributes:
        points: how many points go through the model together: their activations stay in a core's second-level cache.
    """

    def __init__(self, model: Model, tensors: Mapping[str, Floats]) -> None:
        self._model, self._tensors = model, tensors
        widest = max((min(tensor.shape) for tensor in tensors.values() if tensor.ndim > 1), default=1)
        self.points = min(max(_TILE // widest, 256), 8192)

    def __call__(self, coordinates: Floats, channels: int, *, threads: int | None = None) -> Floats:
        """Return the values ``(N, channels)`` at coordinates ``(N, d)``, in the number type of both.

        Args:
            coordinates: any N.
            channels: how many numbers a value has.
            threads: how many share the points; by default one per usable core.
        """
        out = np.empty((len(coordinates), channels), coordinates.dtype)

        def work(start: int, stop: int) -> None:
            for first in range(start, stop, self.points):
                last = min(first + self.points, stop)
                out[first:last] = self.tile(coordinates[first:last])

        if len(out):
            self.share(len(out), self.points, work, threads)
        return out

    @staticmethod
    def share(count: int, at_once: int, work: Callable[[int, int], None], threads: int | None) -> None:
        """Call ``work(start, stop)`` for parts of ``count`` things, on several threads."""
        with single_threaded():
            in_bands(count, 1, work, threads=threads, band=8 * at_once)

    def tile(self, coordinates: Floats) -> Floats:
        """Return the values at a tile's points, on the calling thread; numbers beyond all bounds are no numbers."""
        with np.errstate(over="ignore", invalid="ignore"):
            values: Floats = self._model.apply(FAST, self._tensors, coordinates)
        return values


def _compiled(x: Array) -> bool:
    """Tell whether the loops know such points."""
    return x.dtype == np.float32 and x.shape[1] in (2, 3) and len(x) > 0


def _stage(x: Array, basis: Affine, omega: float, h: Array, mask: Affine, factor: float, *, squared: bool) -> Values:
    """Compute a stage of waves and masks; ``factor`` turns the masks' sums into turns, or half turns for squares."""
    points, waves = np.ascontiguousarray(x, np.float64), _table(basis, omega / math.tau)
    out = np.empty((len(x), len(basis[1])), np.float32)
    if h is x:
        _run(out, points=points, waves=waves, masks=_table(mask, factor), squared=squared)
    else:
        bias = (np.append(mask[1].astype(np.float64), 1) * factor).astype(np.float32)
        _run(out, points=points, waves=waves, sums=h @ mask[0].T, bias=bias, squared=squared)
    return out


def _table(affine: Affine, factor: float) -> NDArray[np.float64]:
    """Weights and biases as rows of units, one for each number of a point and one of biases."""
    weight, bias = affine
    return np.ascontiguousarray(np.concatenate([weight.T, bias[None]]), np.float64) * factor


_NONE64, _NONE32 = np.zeros(1), np.zeros(1, np.float32)


def _run(
    out: Values,
    *,
    points: NDArray[np.float64] = _NONE64,
    waves: NDArray[np.float64] = _NONE64,
    masks: NDArray[np.float64] | None = None,
    sums: Values = _NONE32,
    bias: Values | None = None,
    squared: bool = False,
) -> None:
    """Compute a layer; ``decode_loops`` says what from."""
    units = out.shape[1]
    job = 0 if points is _NONE64 else 1 if masks is None else 2
    geometry = np.array([len(out), units, points.shape[-1], job, squared], np.int64)
    masks = _NONE64 if masks is None else masks
    bias = np.zeros(units + 1, np.float32) if bias is None else bias
    space = np.empty(2 * units, np.float32)
    arrays = (points, waves, masks, sums, bias, out, space, geometry)
    _run_function()(*(array.ctypes.data for array in arrays))
