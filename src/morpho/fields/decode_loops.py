"""The compiled loops of sine layers: phases in turns, range reduction, and polynomials instead of sines.

A phase ``t`` in turns is reduced to ``r = t - round(t)`` in [-0.5, 0.5], exactly. There ``sin(2 pi r)`` is ``r`` times
a polynomial in ``r^2``, and ``sin^2(pi r)``, the mask of a SCONE, is ``r^2`` times another: one reduction and one
polynomial, without a square. Phases that come from coordinates are summed and reduced in float64, since they reach
dozens of turns.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numba
from numba import float32, float64, types

from morpho.compiled.pointers import OPTIONS

__all__ = ["build"]

#: Products and sums in one instruction where the processor has it.
_FUSED: dict[str, Any] = {**OPTIONS, "fastmath": {"contract"}}
jit: Any = numba.njit(**_FUSED)

#: ``sin(2 pi r) / r`` and ``sin^2(pi r) / r^2`` as polynomials in ``r^2``, with least largest errors of 1e-7 and 6e-9.
_WAVE = 6.28318282, -41.34142139, 81.59618376, -76.58009951, 41.20539094, -12.27125676
_HILL = 9.86960292, -32.46958111, 42.72538473, -30.08595268, 12.99072854, -3.27294355
W0, W1, W2, W3, W4, W5 = (float32(number) for number in _WAVE)
H0, H1, H2, H3, H4, H5 = (float32(number) for number in _HILL)
#: Adding and taking away these rounds to whole numbers.
_ROUND32, _ROUND64 = float32(1.5 * 2**23), float64(1.5 * 2**52)


def build() -> Any:
    """Compile ``run`` to a C function."""
    single, double, sizes = (types.CPointer(kind) for kind in (float32, float64, types.int64))
    signature = types.void(double, double, double, single, single, single, single, sizes)
    return numba.cfunc(signature, **_FUSED)(run)


def run(points, waves, masks, sums, bias, out, space, geometry):
    """Compute a layer for ``geometry[0]`` points: ``geometry[1]`` units each, of points with ``geometry[2]`` numbers.

    ``geometry[3]`` says what, with ``s = sums * bias[units] + bias`` and ``w = points . waves``: 0 for ``out = sin(2 pi
    s)``, 1 for ``out = sin(2 pi w) * mask(s)``, 2 for ``out = sin(2 pi w) * mask(points . masks)``. ``mask(s)`` is
    ``sin^2(pi s)`` where ``geometry[4]`` is 1, else ``sin(2 pi s)``. ``waves`` and ``masks`` hold a row of units for
    each number of a point, then one of biases, all in turns. ``space`` has room for two rows of units.
    """
    count, units, dimensions, job, squared = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
    factor, phases = bias[units], space + units
    for i in range(count):
        row = out + i * units
        if job == 2:
            _phases(points + i * dimensions, dimensions, masks, units, phases)
        else:
            for j in range(units):
                phases[j] = _reduced(sums[i * units + j] * factor + bias[j])
        if job == 0:
            for j in range(units):
                row[j] = _sine(phases[j])
            continue
        _phases(points + i * dimensions, dimensions, waves, units, space)
        if squared:
            for j in range(units):
                row[j] = _sine(space[j]) * _hill(phases[j])
        else:
            for j in range(units):
                row[j] = _sine(space[j]) * _sine(phases[j])


@jit
def _phases(point, dimensions, table, units, space):
    """Reduced phases of a row of units at a point of two or three numbers."""
    bias = table + dimensions * units
    first, second = point[0], point[1]
    if dimensions == 2:
        for j in range(units):
            t = first * table[j] + (second * table[units + j] + bias[j])
            space[j] = float32(t - ((t + _ROUND64) - _ROUND64))
    else:
        third = point[2]
        for j in range(units):
            t = first * table[j] + (second * table[units + j] + (third * table[2 * units + j] + bias[j]))
            space[j] = float32(t - ((t + _ROUND64) - _ROUND64))


@jit
def _reduced(t):
    return t - ((t + _ROUND32) - _ROUND32)


@jit
def _sine(r):
    u = r * r
    return r * (((((W5 * u + W4) * u + W3) * u + W2) * u + W1) * u + W0)


@jit
def _hill(r):
    u = r * r
    return u * (((((H5 * u + H4) * u + H3) * u + H2) * u + H1) * u + H0)
