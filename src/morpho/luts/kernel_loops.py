"""The compiled loops that look up colours.

**Two phases.** For a block of pixels, first all places and weights are computed without a branch, then the nodes are
loaded and summed.

**Words.** For each channel and level a table holds one word: the fraction, the step from a node to the next one along
this channel's axis, and the cell's offset. The largest, middle and smallest of a pixel's three words sort the
fractions together with their axes, and the sum of the three ends in the offset of the cell's first node.

**Lanes.** At 8 bits, three channels share a word of 21 bits each: a node is at most 8160 + 16, and weights sum to 255.
The added 16 round the result, since 255 of them are half of the divisor.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numba
from numba import int32, int64, intp, types, uint8, uint16, uint64

from morpho.compiled.pointers import OPTIONS, jit

__all__ = ["BLOCK", "LANE_BITS", "OFFSET_BITS", "STEP_BITS", "build"]

#: Pixels of a block.
BLOCK = 1024
#: Parts of a word: an offset is below 256 ** 3, a step at most 256 ** 2.
OFFSET_BITS, STEP_BITS = 24, 17
LANE_BITS = 21

_OFFSET_MASK, _STEP_MASK = uint64(2**OFFSET_BITS - 1), uint64(2**STEP_BITS - 1)
_STEP_SHIFT, _FRACTION_SHIFT = uint64(OFFSET_BITS), uint64(OFFSET_BITS + STEP_BITS)


def build() -> Any:
    """Compile ``run`` to a C function."""
    pixels8, pixels16, words, nodes = map(types.CPointer, (uint8, uint16, types.uint64, types.int32))
    signature = types.void(
        pixels8, pixels16, pixels8, pixels16, words, words, nodes, types.CPointer(types.int64), nodes
    )
    return numba.cfunc(signature, **OPTIONS)(run)


def run(image8, image16, out8, out16, words, lanes, nodes, geometry, space):
    """Look up a run of pixels.

    ``morpho.luts.kernel`` says what the addresses point to. Of two images, that of the right type is used.
    """
    way = geometry[0]
    if way == 0:
        _levels(image8, out8, words, 256, geometry)
    elif way == 1:
        _levels(image16, out16, words, 65536, geometry)
    elif way == 2:
        _narrow(image8, out8, words, lanes, geometry, space)
    elif way == 3:
        _wide(image8, out8, words, nodes, 255, geometry, space)
    elif way == 4:
        _wide(image16, out16, words, nodes, 65535, geometry, space)
    elif way == 5:
        _trilinear(image8, out8, words, nodes, 255, geometry)
    else:
        _trilinear(image16, out16, words, nodes, 65535, geometry)


@jit
def _levels(image, out, words, levels, geometry):
    count, channels, looked_up = geometry[1], geometry[2], geometry[3]
    for i in range(count):
        for c in range(channels):
            at = i * channels + c
            out[at] = words[c * levels + intp(image[at])] if c < looked_up else image[at]


@jit
def _copy_rest(image, out, first, count, channels):
    for c in range(3, channels):
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
def _narrow(image, out, words, lanes, geometry, space):
    count, channels, total = geometry[1], geometry[2], geometry[4]
    first = 0
    while first < count:
        size = min(BLOCK, count - first)
        _place(image, words, 256, first, size, channels, total, space)
        for i in range(size):
            f1, f2, f3 = uint64(space[3 * BLOCK + i]), uint64(space[4 * BLOCK + i]), uint64(space[5 * BLOCK + i])
            corner = intp(space[i])
            sums = (
                lanes[corner] * (uint64(255) - f1)
                + lanes[intp(space[BLOCK + i])] * (f1 - f2)
                + lanes[intp(space[2 * BLOCK + i])] * (f2 - f3)
                + lanes[corner + total] * f3
            )
            at = (first + i) * channels
            for c in range(3):
                # Half the divisor, 8160, is in the nodes.
                lane = (sums >> uint64(LANE_BITS * c)) & uint64(2**LANE_BITS - 1)
                out[at + c] = uint8(lane // uint64(8160))
        _copy_rest(image, out, first, size, channels)
        first += BLOCK


@jit
def _clip(value, divisor, peak):
    """The rounded quotient, from 0 to ``peak``."""
    value = min(max(value + divisor // 2, 0), divisor * peak)
    return uint64(value) // uint64(divisor)


@jit
def _wide(image, out, words, nodes, peak, geometry, space):
    count, channels, total = geometry[1], geometry[2], geometry[4]
    first = 0
    while first < count:
        size = min(BLOCK, count - first)
        _place(image, words, peak + 1, first, size, channels, total, space)
        for i in range(size):
            f1, f2, f3 = int64(space[3 * BLOCK + i]), int64(space[4 * BLOCK + i]), int64(space[5 * BLOCK + i])
            corner, second, third = 4 * intp(space[i]), 4 * intp(space[BLOCK + i]), 4 * intp(space[2 * BLOCK + i])
            at = (first + i) * channels
            for c in range(3):
                value = (
                    nodes[corner + c] * (peak - f1)
                    + nodes[second + c] * (f1 - f2)
                    + nodes[third + c] * (f2 - f3)
                    + nodes[corner + 4 * total + c] * f3
                )
                out[at + c] = _clip(value, 32 * peak, peak)
        _copy_rest(image, out, first, size, channels)
        first += BLOCK


@jit
def _trilinear(image, out, words, nodes, peak, geometry):
    count, channels = geometry[1], geometry[2]
    along_red, along_green = 4 * geometry[5], 4 * geometry[6]
    for i in range(count):
        at = i * channels
        red, green = words[intp(image[at])], words[peak + 1 + intp(image[at + 1])]
        blue = words[2 * (peak + 1) + intp(image[at + 2])]
        corner = 4 * int64((red + green + blue) & _OFFSET_MASK)
        r, g, b = int64(red >> _FRACTION_SHIFT), int64(green >> _FRACTION_SHIFT), int64(blue >> _FRACTION_SHIFT)
        for c in range(3):
            near = _face(nodes, corner + c, along_green, g, b, peak)
            far = _face(nodes, corner + along_red + c, along_green, g, b, peak)
            out[at + c] = _clip(near * (peak - r) + far * r, peak * peak, peak)
    _copy_rest(image, out, 0, count, channels)


@jit
def _face(nodes, at, along_green, green, blue, peak):
    """Between four nodes, in parts of a level."""
    low = nodes[at] * (peak - blue) + nodes[at + 4] * blue
    high = nodes[at + along_green] * (peak - blue) + nodes[at + along_green + 4] * blue
    return (low * (peak - green) + high * green + 16 * peak) // (32 * peak)
