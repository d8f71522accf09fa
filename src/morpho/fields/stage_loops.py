"""The compiled loops of training on a processor: a stage of waves and masks, a layer of sines, and their derivatives.

Of the phases only the masks' sums are kept between the way forth and the way back; the waves' are a few products that
cost less than fetching them again. All phases are in turns, those of squared masks in half turns.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numba
from numba import float32, types

from morpho.fields.sine_loops import FUSED, hill, jit, reduced, sine

__all__ = ["BACK", "FORTH", "SINES", "SLOPES", "build"]

#: What there is to do: a stage's products, its derivatives, sines, or sines' derivatives.
FORTH, BACK, SINES, SLOPES = 0, 1, 2, 3
_ONE, _TWO = float32(1), float32(2)


def build() -> Any:
    """Compile ``run`` to a C function."""
    single, sizes = types.CPointer(float32), types.CPointer(types.int64)
    return numba.cfunc(types.void(*[single] * 7, sizes), **FUSED)(run)


def run(points, waves, phases, grads, out, tally, space, geometry):
    """Do ``geometry[3]`` for ``geometry[0]`` points of ``geometry[2]`` numbers, with ``geometry[1]`` units each.

    With ``u = points . waves``, where ``waves`` has a row of units for each number of a point and then one of biases,
    ``z = phases`` and ``g = grads``:

    * FORTH: ``out = sin(2 pi u) mask(z)``; ``mask(z)`` is ``sin^2(pi z)`` where ``geometry[4]`` is 1, else ``sin(2 pi
      z)``.
    * BACK: ``out = g sin(2 pi u) mask'``, with ``mask'`` the derivative in the angle, ``sin(2 pi z)`` or ``cos(2 pi
      z)``. To ``tally``, a row of units for each number of a point and two more, are added the sums over the points of
      ``d`` times the number, of ``d = g cos(2 pi u) mask(z)``, and of ``out``. ``space`` has room for two rows.
    * SINES: ``out = sin(2 pi z)``. SLOPES: ``out = g cos(2 pi z)``.
    """
    count, units, dimensions, job, squared = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
    for i in range(count):
        row, point = i * units, points + i * dimensions
        if job == SINES:
            for j in range(units):
                out[row + j] = sine(reduced(phases[row + j]))
        elif job == SLOPES:
            for j in range(units):
                out[row + j] = grads[row + j] * _cosine(reduced(phases[row + j]))
        else:
            _turns(point, dimensions, waves, units, space)
            if job == FORTH:
                _product(space, phases + row, units, squared, out + row)
            else:
                _slopes(space, phases + row, grads + row, units, squared, space + units, out + row)
                _add(point, dimensions, space + units, out + row, units, tally)


@jit
def _cosine(r):
    return _ONE - _TWO * hill(r)


@jit
def _turns(point, dimensions, waves, units, space):
    """Reduced phases of the waves at a point of two or three numbers."""
    bias = waves + dimensions * units
    first, second = point[0], point[1]
    if dimensions == 2:
        for j in range(units):
            space[j] = reduced(first * waves[j] + (second * waves[units + j] + bias[j]))
    else:
        third = point[2]
        for j in range(units):
            phase = first * waves[j] + (second * waves[units + j] + (third * waves[2 * units + j] + bias[j]))
            space[j] = reduced(phase)


@jit
def _product(turns, phases, units, squared, out):
    if squared:
        for j in range(units):
            out[j] = sine(turns[j]) * hill(reduced(phases[j]))
    else:
        for j in range(units):
            out[j] = sine(turns[j]) * sine(reduced(phases[j]))


@jit
def _slopes(turns, phases, grads, units, squared, for_waves, for_masks):
    """The derivatives in the angles of a point's waves and masks."""
    if squared:
        for j in range(units):
            for_waves[j] = grads[j] * _cosine(turns[j]) * hill(reduced(phases[j]))
        for j in range(units):
            for_masks[j] = grads[j] * sine(turns[j]) * sine(reduced(phases[j]))
    else:
        for j in range(units):
            for_waves[j] = grads[j] * _cosine(turns[j]) * sine(reduced(phases[j]))
        for j in range(units):
            for_masks[j] = grads[j] * sine(turns[j]) * _cosine(reduced(phases[j]))


@jit
def _add(point, dimensions, for_waves, for_masks, units, tally):
    """Add a point's derivatives to the sums over points."""
    for k in range(dimensions):
        number, row = point[k], tally + k * units
        for j in range(units):
            row[j] = row[j] + number * for_waves[j]
    waves, masks = tally + dimensions * units, tally + (dimensions + 1) * units
    for j in range(units):
        waves[j] = waves[j] + for_waves[j]
    for j in range(units):
        masks[j] = masks[j] + for_masks[j]
