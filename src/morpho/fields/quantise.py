"""Weights as small integers: one step size per tensor, chosen where the squared error is least.

A step size has eight significant bits (it is a bfloat16) and an integer at most 16, so that their product is exact in
float32: whoever multiplies gets the same weights, and dividing them gives the same integers again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError

__all__ = [
    "BITS",
    "best_scale",
    "dequantise",
    "diverged",
    "integers",
    "is_scale",
    "quantise",
    "small_ones",
    "step_size",
    "widths",
]

#: The widths to which weights can be quantised.
BITS = range(2, 13)
#: Bits more for tensors that make up less than a 32nd of all weights: they cost little, and much hangs on each.
_EXTRA, _SMALL = 4, 32
#: The search for a step size looks at no more than these weights of a tensor.
_SEARCHED = 1 << 18

Weights = NDArray[np.float32]


def widths(shapes: Mapping[str, tuple[int, ...]], bits: int) -> dict[str, int]:
    """Return the bits for each tensor: ``bits``, and four more for those that are less than a 32nd of all weights.

    Those are biases and whatever reads coordinates, whose errors frequencies multiply.

    Raises:
        InputError: there are no such widths.

    >>> widths({"weight": (64, 64), "bias": (64,)}, 6)
    {'weight': 6, 'bias': 10}
    """
    if bits not in BITS:
        raise InputError(f"weights cannot have {bits} bits: choose {BITS[0]} to {BITS[-1]}, 16 or 32")
    return {name: bits + _EXTRA * small for name, small in small_ones(shapes).items()}


def small_ones(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, bool]:
    """Tell which tensors are less than a 32nd of all weights."""
    total = sum(math.prod(shape) for shape in shapes.values())
    return {name: math.prod(shape) * _SMALL < total for name, shape in shapes.items()}


def best_scale(weights: Weights, bits: int) -> float:
    """Return the step size, a bfloat16, with which the squared error of `quantise` is least.

    Large weights are clipped where that pays. The error is measured at step sizes an eighth of an octave apart, and
    then at every one near the best of them.

    Args:
        weights: any shape, finite.
        bits: the integers are at most ``2^(bits - 1) - 1`` in magnitude.

    Raises:
        InputError: a weight is no number, as after a fit that diverged.

    >>> best_scale(np.array([-0.75, 0.25, 0.5], np.float32), 3)
    0.25
    """
    flat = weights.ravel()[:: -(-weights.size // _SEARCHED)].astype(np.float64)
    largest, top = float(np.abs(weights).max(initial=0)), 2 ** (bits - 1) - 1
    if largest == 0:
        return 1.0
    if not math.isfinite(largest):
        raise diverged()
    coarse = {step_size(largest / top * 2 ** (-k / 8)) for k in range(-1, 8 * bits + 24)}
    scales, best = sorted(coarse), 0
    errors = [_error(flat, scale, top) for scale in scales]
    best = int(np.argmin(errors))
    low, high = scales[max(best - 1, 0)], scales[min(best + 1, len(scales) - 1)]
    fine = {step_size(low + (high - low) * k / 32) for k in range(33)}
    return min(sorted(fine), key=lambda scale: _error(flat, scale, top))


def quantise(weights: Weights, bits: int, scale: float | None = None) -> tuple[NDArray[np.int32], float]:
    """Return integers and a step size: ``round(w / scale)``, halves to even, clipped to ``2^(bits - 1) - 1``.

    Args:
        weights: any shape, finite.
        bits: 2 to 16.
        scale: the step size; by default `best_scale`.

    Raises:
        InputError: the step size is no positive bfloat16.

    >>> quantise(np.array([-0.75, 0.3, 0.6], np.float32), 3, 0.25)[0].tolist()
    [-3, 1, 2]
    """
    scale = best_scale(weights, bits) if scale is None else scale
    if not is_scale(scale):
        raise InputError(f"the step size {scale} is no positive bfloat16: take that of best_scale()")
    top = 2 ** (bits - 1) - 1
    levels = np.clip(np.rint(np.asarray(weights, np.float32) / np.float32(scale)), -top, top)
    return levels.astype(np.int32), scale


def dequantise(levels: NDArray[np.int32], scale: float) -> Weights:
    """Return ``levels * scale``, exactly.

    >>> dequantise(np.array([-3, 1]), 0.25).tolist()
    [-0.75, 0.25]
    """
    return levels.astype(np.float32) * np.float32(scale)


def integers(weights: Weights, scale: float) -> NDArray[np.int32] | None:
    """Return the integers of weights that are whole multiples of a step size; ``None`` where they are not.

    >>> integers(np.array([0.5, 0.25], np.float32), 0.25), integers(np.array([0.3], np.float32), 0.25)
    (array([2, 1], dtype=int32), None)
    """
    quotients = np.rint(weights / np.float32(scale))
    if not np.all(np.abs(quotients) < 2**15):  # also refuses NaN
        return None
    levels = quotients.astype(np.int32)
    return levels if np.array_equal(dequantise(levels, scale), weights) else None


def diverged() -> InputError:
    """Return what is raised where weights are no numbers."""
    return InputError("weights that are no numbers cannot be rounded: fit again with a lower learning rate")


def is_scale(scale: float) -> bool:
    """Tell whether a number is a step size: a positive bfloat16 from 2^-60 to 2^60.

    >>> is_scale(0.25), is_scale(0.1), is_scale(0.0)
    (True, False, False)
    """
    return 2**-60 <= scale <= 2**60 and step_size(scale) == scale


def step_size(scale: float) -> float:
    """Return the nearest step size: a bfloat16 from 2^-60 to 2^60.

    >>> step_size(0.1)
    0.10009765625
    """
    fraction, exponent = math.frexp(min(max(scale, 2**-60), 2**60))
    return math.ldexp(round(fraction * 256), exponent - 8)


def _error(flat: NDArray[np.float64], scale: float, top: int) -> float:
    levels = np.clip(np.rint(flat / scale), -top, top)
    levels *= scale
    levels -= flat
    return float(levels @ levels)
