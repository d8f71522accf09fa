"""The bricks of compiled sine layers: range reduction, and polynomials instead of sines.

A phase ``t`` in turns is reduced to ``r = t - round(t)`` in [-0.5, 0.5], exactly. There ``sin(2 pi r)`` is ``r`` times
a polynomial in ``r^2``, and ``sin^2(pi r)`` is ``r^2`` times another, which also gives ``cos(2 pi r) = 1 - 2 sin^2(pi
r)``: one reduction and one polynomial each.
"""

# The code below is typed by Numba, where it is used.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numba
from numba import float32, float64

from morpho.compiled.pointers import OPTIONS

__all__ = ["FUSED", "ROUND64", "hill", "jit", "reduced", "sine"]

#: Products and sums in one instruction where the processor has it.
FUSED: dict[str, Any] = {**OPTIONS, "fastmath": {"contract"}}
jit: Any = numba.njit(**FUSED)

#: ``sin(2 pi r) / r`` and ``sin^2(pi r) / r^2`` as polynomials in ``r^2``, with least largest errors of 1e-7 and 6e-9.
_WAVE = 6.28318282, -41.34142139, 81.59618376, -76.58009951, 41.20539094, -12.27125676
_HILL = 9.86960292, -32.46958111, 42.72538473, -30.08595268, 12.99072854, -3.27294355
W0, W1, W2, W3, W4, W5 = (float32(number) for number in _WAVE)
H0, H1, H2, H3, H4, H5 = (float32(number) for number in _HILL)
#: Adding and taking away these rounds to whole numbers.
ROUND32, ROUND64 = float32(1.5 * 2**23), float64(1.5 * 2**52)


@jit
def reduced(t):
    """A phase in turns without its whole turns."""
    return t - ((t + ROUND32) - ROUND32)


@jit
def sine(r):
    """``sin(2 pi r)`` of a reduced phase."""
    u = r * r
    return r * (((((W5 * u + W4) * u + W3) * u + W2) * u + W1) * u + W0)


@jit
def hill(r):
    """``sin^2(pi r)`` of a reduced phase."""
    u = r * r
    return u * (((((H5 * u + H4) * u + H3) * u + H2) * u + H1) * u + H0)
