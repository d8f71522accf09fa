"""The compiled loops that code integers: an adaptive binary range coder.

``morpho.fields.entropy`` describes the code. Everything here is whole numbers, so every machine gets the same bytes.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numba
from numba import int32, types

from morpho.compiled.pointers import OPTIONS, jit

__all__ = ["build"]

#: Places in the coder's state. One that encodes uses LOW, HELD and PENDING, one that decodes END and CODE.
RANGE, AT, END, CODE, LOW, HELD, PENDING = 0, 1, 2, 3, 4, 5, 6
#: A probability has 22 bits, of which the coder uses 15; a model remembers at most LIMIT bits.
WHOLE, LIMIT = 1 << 22, 1000
#: No bit is taken to be likelier than 127/128, so that few bytes cannot stand for a great many weights.
LEAST, MOST = 1 << 8, (1 << 15) - (1 << 8)
#: Models: zero or not, sign, then for each exponent whether it goes on, and the tree of three bits that follow.
ZERO, SIGN, MORE, TREE, EXPONENTS = 0, 1, 2, 18, 16
BYTE, TOP, MASK = 1 << 24, 1 << 32, (1 << 32) - 1


def build() -> Any:
    """Compile ``run`` to a C function."""
    levels, numbers, octets = types.CPointer(int32), types.CPointer(types.int64), types.CPointer(types.uint8)
    return numba.cfunc(types.void(levels, numbers, octets, numbers, numbers), **OPTIONS)(run)


def run(levels, models, octets, state, job):
    """Encode (job[0] is 0) or decode (1) ``job[1]`` integers, or finish encoding (2)."""
    if job[0] == 0:
        for i in range(job[1]):
            _encode(levels[i], models, octets, state)
    elif job[0] == 1:
        for i in range(job[1]):
            levels[i] = _decode(models, octets, state)
    else:
        for _ in range(5):
            _shift(octets, state)


@jit
def _encode(level, models, octets, state):
    _put(level != 0, ZERO, models, octets, state)
    if level == 0:
        return
    _put(level < 0, SIGN, models, octets, state)
    size, exponent = abs(level), 0
    while size >> (exponent + 1) != 0:
        _put(1, MORE + exponent, models, octets, state)
        exponent += 1
    if exponent < EXPONENTS - 1:
        _put(0, MORE + exponent, models, octets, state)
    node = 1
    for k in range(exponent - 1, -1, -1):
        bit = (size >> k) & 1
        if node < 8:
            _put(bit, TREE + 8 * exponent + node, models, octets, state)
            node = 2 * node + bit
        else:
            _put_even(bit, octets, state)


@jit
def _decode(models, octets, state):
    if _get(ZERO, models, octets, state) == 0:
        return 0
    negative = _get(SIGN, models, octets, state)
    exponent = 0
    while exponent < EXPONENTS - 1 and _get(MORE + exponent, models, octets, state) == 1:
        exponent += 1
    size, node = 1, 1
    for _ in range(exponent):
        if node < 8:
            bit = _get(TREE + 8 * exponent + node, models, octets, state)
            node = 2 * node + bit
        else:
            bit = _get_even(octets, state)
        size = 2 * size + bit
    return -size if negative else size


@jit
def _share(models, model):
    """The part of the range, of 2^15, that stands for a bit 0."""
    return min(max(models[2 * model] >> 7, LEAST), MOST)


@jit
def _learn(bit, models, model):
    """Move the probability of a 0 towards what was seen, by one part in the number of bits seen."""
    chance, seen = models[2 * model], models[2 * model + 1]
    models[2 * model] = chance - chance // (seen + 2) if bit else chance + (WHOLE - chance) // (seen + 2)
    models[2 * model + 1] = min(seen + 1, LIMIT)


@jit
def _put(bit, model, models, octets, state):
    _narrow(bit, (state[RANGE] >> 15) * _share(models, model), octets, state)
    _learn(bit, models, model)


@jit
def _put_even(bit, octets, state):
    _narrow(bit, state[RANGE] >> 1, octets, state)


@jit
def _narrow(bit, bound, octets, state):
    if bit:
        state[LOW] += bound
        state[RANGE] -= bound
    else:
        state[RANGE] = bound
    while state[RANGE] < BYTE:
        state[RANGE] <<= 8
        _shift(octets, state)


@jit
def _shift(octets, state):
    """Write the highest byte of what is known, once no carry can change it any more."""
    low = state[LOW]
    if low < MASK - (BYTE - 1) or low >= TOP:
        carry = low >> 32
        while state[PENDING] > 0:
            if state[AT] >= 0:  # the first byte is always 0, and not written
                octets[state[AT]] = (state[HELD] + carry) & 255
            state[AT] += 1
            state[HELD] = 255
            state[PENDING] -= 1
        state[HELD] = (low >> 24) & 255
    state[PENDING] += 1
    state[LOW] = (low << 8) & MASK


@jit
def _get(model, models, octets, state):
    bit = _split((state[RANGE] >> 15) * _share(models, model), octets, state)
    _learn(bit, models, model)
    return bit


@jit
def _get_even(octets, state):
    return _split(state[RANGE] >> 1, octets, state)


@jit
def _split(bound, octets, state):
    bit = 0
    if state[CODE] < bound:
        state[RANGE] = bound
    else:
        bit = 1
        state[CODE] -= bound
        state[RANGE] -= bound
    while state[RANGE] < BYTE:
        state[RANGE] <<= 8
        state[CODE] = (state[CODE] << 8) & MASK
        if state[AT] < state[END]:
            state[CODE] |= octets[state[AT]]
        state[AT] += 1
    return bit
