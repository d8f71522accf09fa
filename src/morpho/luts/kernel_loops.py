"""The compiled loops that look up colours.

**Two phases.** For a block of pixels, first all places are found without a branch, then the nodes are read and summed.

**8 bits, colours in range**: vectors of 32 pixels; see ``vectors``.

**All else**: one pixel after another. For each channel and level a table holds one word: the fraction, the step from a
node to the next one along this channel's axis, and the cell's offset. The largest, middle and smallest of a pixel's
three words sort the fractions together with their axes, and the sum of the three ends in the offset of the cell's first
node.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numba
from numba import int32, int64, intp, types, uint8, uint16, uint64

from morpho.compiled.pointers import OPTIONS, cast, jit
from morpho.luts.kernel_layout import BLOCK, OFFSET_BITS, ROWS, STEP_BITS, Way
from morpho.luts.vectors import PIXELS, find_places, look_up
from morpho.luts.vectors_wide import blend, blend_cube

__all__ = ["build"]

LEVELS, NARROW, NARROW_CURVED, WIDE = (int(way) for way in (Way.LEVELS, Way.NARROW, Way.NARROW_CURVED, Way.WIDE))
_OFFSET_MASK, _STEP_MASK = uint64(2**OFFSET_BITS - 1), uint64(2**STEP_BITS - 1)
_STEP_SHIFT, _FRACTION_SHIFT = uint64(OFFSET_BITS), uint64(OFFSET_BITS + STEP_BITS)


def build() -> Any:
    """Compile ``run`` to a C function."""
    pixels8, pixels16, words, numbers = map(types.CPointer, (uint8, uint16, types.uint64, types.int64))
    signature = types.void(pixels8, pixels16, pixels8, pixels16, words, words, numbers, types.CPointer(int32))
    return numba.cfunc(signature, **OPTIONS)(run)


def run(image8, image16, out8, out16, words, nodes, geometry, space):
    """Look up a run of pixels.

    ``morpho.luts.kernel`` says what the addresses point to. Of two images, that of the right type is used.
    """
    way, deep, axis, count, channels = geometry[0], geometry[1], geometry[3], geometry[4], geometry[5]
    if way == LEVELS:
        if deep:
            _levels(image16, out16, words, 65536, geometry[2], count, channels)
        else:
            _levels(image8, out8, words, 256, geometry[2], count, channels)
    elif NARROW <= way <= NARROW_CURVED:
        _narrow(image8, out8, words, nodes, axis, way == NARROW, count, channels, space)
    elif way == WIDE:
        if deep:
            _wide(image16, out16, words, cast(nodes, int32), axis, 65535, count, channels, space)
        else:
            _wide(image8, out8, words, cast(nodes, int32), axis, 255, count, channels, space)
    elif deep:
        _trilinear(image16, out16, words, cast(nodes, int32), axis, 65535, count, channels)
    else:
        _trilinear(image8, out8, words, cast(nodes, int32), axis, 255, count, channels)


@jit
def _levels(image, out, words, levels, looked_up, count, channels):
    if looked_up == 3:
        for i in range(count):
            at = i * channels
            out[at] = words[intp(image[at])]
            out[at + 1] = words[levels + intp(image[at + 1])]
            out[at + 2] = words[2 * levels + intp(image[at + 2])]
    else:
        for i in range(count):
            out[i * channels] = words[intp(image[i * channels])]
    _copy_rest(image, out, 0, count, channels, looked_up)


@jit
def _copy_rest(image, out, first, count, channels, done):
    for c in range(done, channels):
        for i in range(first, first + count):
            out[i * channels + c] = image[i * channels + c]


@jit
def _place(image, words, levels, first, count, channels, total, space):
    """Offsets of the four corners and weights of three of them: six rows of numbers."""
    for i in range(count):
        at = (first + i) * channels
        red = words[intp(image[at])]
        green = words[levels + intp(image[at + 1])]
        blue = words[2 * levels + intp(image[at + 2])]
        high, low = max(max(red, green), blue), min(min(red, green), blue)
        together = red + green + blue
        middle = together - high - low
        corner = int64(together & _OFFSET_MASK)
        space[i] = int32(corner)
        space[BLOCK + i] = int32(corner + int64((high >> _STEP_SHIFT) & _STEP_MASK))
        space[2 * BLOCK + i] = int32(corner + total - int64((low >> _STEP_SHIFT) & _STEP_MASK))
        space[3 * BLOCK + i] = int32(high >> _FRACTION_SHIFT)
        space[4 * BLOCK + i] = int32(middle >> _FRACTION_SHIFT)
        space[5 * BLOCK + i] = int32(low >> _FRACTION_SHIFT)


@jit
def _narrow(image, out, positions, nodes, axis, linear, count, channels, space):
    places, spare = cast(space, uint16), cast(space + ROWS * BLOCK, uint8)
    first = 0
    while first < count:
        size = min(BLOCK, count - first)
        start = _find_places(image, first, size, channels, axis - 1, places) if linear else 0
        for i in range(start, size):
            for c in range(3):
                places[c * BLOCK + i] = uint16(positions[256 * c + intp(image[(first + i) * channels + c])])
        if channels == 3:
            _look_up(places, nodes, axis, image, out, first, size, 3, spare)
        else:
            _look_up(places, nodes, axis, image, out, first, size, 4, spare)
        first += BLOCK


@jit
def _find_places(image, first, size, channels, last, places):
    """Positions of whole vectors of pixels; returns of how many."""
    whole = size // PIXELS * PIXELS
    if channels == 3:
        for i in range(0, whole, PIXELS):
            find_places(image, 3 * (first + i), 3, last, places, i, BLOCK)
        return whole
    for i in range(0, whole, PIXELS):
        find_places(image, 4 * (first + i), 4, last, places, i, BLOCK)
    return whole


@jit
def _look_up(places, nodes, axis, image, out, first, size, channels, spare):
    """The last pixels of a picture are written where there is room for a whole vector, and copied from there."""
    for i in range(0, size, PIXELS):
        at, left = channels * (first + i), channels * (size - i)
        source, target, start = image, out, at
        if left < channels * PIXELS:
            source, target, start = spare, spare, 0
            for k in range(left):
                spare[k] = image[at + k]
        # Once in the code: it is long, and compiling it takes a second.
        look_up(places, i, BLOCK, nodes, axis, source, target, start, channels)
        if left < channels * PIXELS:
            for k in range(left):
                out[at + k] = spare[k]


@jit
def _wide(image, out, words, nodes, axis, peak, count, channels, space):
    total = axis * axis + axis + 1
    first = 0
    while first < count:
        size = min(BLOCK, count - first)
        _place(image, words, peak + 1, first, size, channels, total, space)
        for i in range(size):
            blend(nodes, space + i, space + (3 * BLOCK + i), BLOCK, total, peak, out, (first + i) * channels)
        _copy_rest(image, out, first, size, channels, 3)
        first += BLOCK


@jit
def _trilinear(image, out, words, nodes, axis, peak, count, channels):
    for i in range(count):
        at = i * channels
        red, green = words[intp(image[at])], words[peak + 1 + intp(image[at + 1])]
        blue = words[2 * (peak + 1) + intp(image[at + 2])]
        corner = intp((red + green + blue) & _OFFSET_MASK)
        parts = intp(red >> _FRACTION_SHIFT), intp(green >> _FRACTION_SHIFT), intp(blue >> _FRACTION_SHIFT)
        blend_cube(nodes, corner, axis, parts[0], parts[1], parts[2], peak, out, at)
    _copy_rest(image, out, 0, count, channels, 3)
