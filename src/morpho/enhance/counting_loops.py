"""The compiled loops that count colours.

For a block of pixels, first the bins are found, 32 pixels at a time; then they are counted. Neighbours often share a
bin, and a count that was just written is slow to read again: eight histograms take the pixels in turn. They are of 16
bits, because that takes less of the first-level cache, and are added to the totals before they could overflow.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

import numba
from numba import int64, intp, types, uint8, uint16

from morpho.compiled.pointers import OPTIONS, code, intrinsic, jit
from morpho.compiled.vectors import I16, channels_of, constant, store, vector
from morpho.enhance.counting import BINS, BLOCK, ROW, TURNS

__all__ = ["build"]

_PIXELS = 32
#: Blocks after which a count may be near 65535.
_MOST_BLOCKS = (2**16 - TURNS) // (BLOCK // TURNS)

_SHORTS = vector(I16, _PIXELS)


def build() -> Any:
    """Compile ``run`` to a C function."""
    pixels8, pixels16, numbers = map(types.CPointer, (uint8, uint16, int64))
    return numba.cfunc(types.void(pixels8, pixels16, numbers, numbers, pixels16), **OPTIONS)(run)


def run(image8, image16, geometry, totals, space):
    """Add a run of pixels to the totals: ``BINS`` of upper nibbles, and where wanted ``BINS`` of lower ones.

    ``geometry``: pixels, channels, whether they have 16 bits, whether lower nibbles are wanted. ``space`` holds zeros.
    """
    count, channels, deep, low = geometry[0], geometry[1], geometry[2], geometry[3]
    if deep and channels == 3:
        _count(image16, 3, 8, count, low, totals, space)
    elif deep:
        _count(image16, 4, 8, count, low, totals, space)
    elif channels == 3:
        _count(image8, 3, 0, count, low, totals, space)
    else:
        _count(image8, 4, 0, count, low, totals, space)


@jit
def _count(image, channels, shift, count, low, totals, space):
    histograms = space + 2 * BLOCK
    blocks, first = 0, 0
    while first < count:
        size = min(BLOCK, count - first)
        whole = size // _PIXELS * _PIXELS
        for i in range(0, whole, _PIXELS):
            find_bins(image, channels * (first + i), channels, shift, space, i)
        for i in range(whole, size):
            _find_bin(image, channels * (first + i), channels, shift, space, i)
        _add(space, size, histograms)
        if low:
            _add(space + BLOCK, size, histograms + TURNS * ROW)
        first += BLOCK
        blocks += 1
        if blocks == _MOST_BLOCKS or first >= count:
            _empty(histograms, totals)
            if low:
                _empty(histograms + TURNS * ROW, totals + BINS)
            blocks = 0


@jit
def _find_bin(image, at, channels, shift, bins, i):
    red, green, blue = intp(image[at]) >> shift, intp(image[at + 1]) >> shift, intp(image[at + 2]) >> shift
    high = (red >> 4) << 8 | (green >> 4) << 4 | blue >> 4
    low = (red & 15) << 8 | (green & 15) << 4 | blue & 15
    if channels == 4 and image[at + 3] == 0:
        high = low = 4096
    bins[i] = uint16(high)
    bins[BLOCK + i] = uint16(low)


@intrinsic(prefer_literal=True)
def find_bins(_context: Any, image: Any, at: Any, channels: Any, shift: Any, bins: Any, index: Any) -> Any:
    """The bins of 32 pixels from ``image[at]`` on, written to ``bins[index]`` and on; the lower ones, a block later."""
    count, right = channels.literal_value, shift.literal_value

    def emit(builder: Any, image: Any, at: Any, _channels: Any, _shift: Any, bins: Any, index: Any) -> None:
        planes = channels_of(builder, image, at, count, _PIXELS)
        hidden = builder.icmp_unsigned("==", planes[3], constant(planes[3].type, 0)) if count == 4 else None
        if right:
            levels = [builder.lshr(plane, constant(_SHORTS, right)) for plane in planes[:3]]
        else:
            levels = [builder.zext(plane, _SHORTS) for plane in planes[:3]]
        four, mask = constant(_SHORTS, 4), constant(_SHORTS, 15)
        upper = [builder.lshr(level, four) for level in levels]
        lower = [builder.and_(level, mask) for level in levels]
        for start, (red, green, blue) in ((0, upper), (BLOCK, lower)):
            places = builder.or_(builder.or_(builder.shl(red, constant(_SHORTS, 8)), builder.shl(green, four)), blue)
            if hidden is not None:
                places = builder.select(hidden, constant(_SHORTS, 4096), places)
            store(builder, bins, builder.add(index, index.type(start)), places)

    return code(types.void, (image, types.intp, channels, shift, bins, types.intp), emit)


@jit
def _add(bins, size, histograms):
    """Count the bins of a block, in turns."""
    whole = size // TURNS * TURNS
    for i in range(0, whole, TURNS):
        for turn in range(TURNS):
            at = turn * ROW + intp(bins[i + turn])
            histograms[at] = uint16(histograms[at] + uint16(1))
    for i in range(whole, size):
        at = intp(bins[i])
        histograms[at] = uint16(histograms[at] + uint16(1))


@jit
def _empty(histograms, totals):
    for i in range(BINS):
        total = int64(0)
        for turn in range(TURNS):
            total += int64(histograms[turn * ROW + i])
            histograms[turn * ROW + i] = uint16(0)
        totals[i] += total
