"""The compiled loops of sine layers, as the decoder needs them.

Phases that come from coordinates are summed and reduced in float64, since they reach dozens of turns; the mask of a
SCONE, ``sin^2(pi r)``, is one polynomial, without a square (see ``sine_loops``).
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numba
from numba import float32, float64, types

from morpho.fields.sine_loops import FUSED, ROUND64, hill, jit, reduced, sine

__all__ = ["build"]


def build() -> Any:
    """Compile ``run`` to a C function."""
    single, double, sizes = (types.CPointer(kind) for kind in (float32, float64, types.int64))
    signature = types.void(double, double, double, single, single, single, single, sizes)
    return numba.cfunc(signature, **FUSED)(run)


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
                phases[j] = reduced(sums[i * units + j] * factor + bias[j])
        if job == 0:
            for j in range(units):
                row[j] = sine(phases[j])
            continue
        _phases(points + i * dimensions, dimensions, waves, units, space)
        if squared:
            for j in range(units):
                row[j] = sine(space[j]) * hill(phases[j])
        else:
            for j in range(units):
                row[j] = sine(space[j]) * sine(phases[j])


@jit
def _phases(point, dimensions, table, units, space):
    """Reduced phases of a row of units at a point of two or three numbers."""
    bias = table + dimensions * units
    first, second = point[0], point[1]
    if dimensions == 2:
        for j in range(units):
            t = first * table[j] + (second * table[units + j] + bias[j])
            space[j] = float32(t - ((t + ROUND64) - ROUND64))
    else:
        third = point[2]
        for j in range(units):
            t = first * table[j] + (second * table[units + j] + (third * table[2 * units + j] + bias[j]))
            space[j] = float32(t - ((t + ROUND64) - ROUND64))
