"""The compiled loops of the table upscaler.

**Pairs.** In its four rotations a straight kernel sees the same pixels twice: what a pixel reads to its right
is what the last pixel it reads finds to its left. One entry therefore holds the block of the first pixel (in
the lower bytes of its lanes) and the block of the last one (in the upper bytes), and one look-up serves both.
A row of entries is kept in a ring until the row of the last pixel comes up. Only the bent kernel B has
nothing to share. The 20 look-ups of a pixel become 12.

**Lanes.** Entries are unsigned bytes, 128 above their meaning, and summed in lanes of 16 bits. With twelve
MSB entries worth 2 and eight LSB entries worth 3, a lane reaches at most 255 * (12 * 2 + 8 * 3) + 1531 =
13771: it cannot overflow, and subtracting ``BIAS`` with saturation at zero is already the lower clip.

**16 bits.** A state ``V`` is kept as ``unit * q + r`` with ``unit = 257``. The tables look at ``q`` and add
to it, exactly as for 8 bits; ``r`` is handed from parent to child unchanged, and becomes 0 where the child
was clipped.

**Tiles.** A tile runs through all stages while it is in the second-level cache. Each stage also computes the
rim that the next one looks at, and mirrors its own state where the picture ends. The inner pixels of a tile
begin in row ``REACH`` and column ``LEFT`` of a plane.
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numba
from numba import types, uint8, uint16

from morpho.compiled.pointers import OPTIONS, jit
from morpho.upscale.kernel_planes import (
    LEFT,
    REACH,
    TOP,
    carry_rest,
    load8,
    load16,
    mirror,
    position,
    store8,
    store16,
)
from morpho.upscale.kernel_tables import HALF, LSB_SIZE, MSB_SIZE
from morpho.upscale.lanes import (
    addresses2,
    addresses3,
    clip_lanes,
    gather,
    high_bytes,
    load_words,
    low_bytes,
    shift_in,
    split_nibbles,
    spread,
    store_lanes,
    store_words,
    turn_blocks,
)

__all__ = ["build"]

BIAS = 128 * (2 * 12 + 3 * 8)


def build() -> Any:
    """Compile ``run_band`` to a C function."""
    pixels8, pixels16, words, numbers = map(types.CPointer, (uint8, uint16, types.uint64, types.int64))
    signature = types.void(pixels8, pixels16, pixels8, pixels16, words, numbers, *[pixels16] * 3, words)
    return numba.cfunc(signature, **OPTIONS)(run_band)


def run_band(image8, image16, out8, out16, words, geometry, states, rests, nibbles, ring):
    """Write the rows of the output that belong to one band of the image.

    ``morpho.upscale.kernel`` says what the addresses point to. Of two images, that of the right type is used.
    """
    top, bottom, first_row, height = geometry[0], geometry[1], geometry[2], geometry[3]
    width, channels, unit, scale = geometry[4], geometry[5], geometry[6], geometry[7]
    tile_rows, tile_columns, plane, stride = geometry[8], geometry[9], geometry[10], geometry[11]
    stages, factors, starts = geometry[12], geometry + 13, geometry + 13 + geometry[12]
    # Work space: the pixels that each stage handles, as (y, x) of the first and of the one behind the last.
    lows, highs = starts + stages, starts + 3 * stages
    origin, size = starts + 5 * stages, starts + 5 * stages + 2
    tile_top = top
    while tile_top < bottom:
        tile_bottom = min(tile_top + tile_rows, bottom)
        _plan(tile_top, tile_bottom, height, factors, stages, scale, lows, highs)
        tile_left = 0
        while tile_left < width:
            tile_right = min(tile_left + tile_columns, width)
            _plan(tile_left, tile_right, width, factors, stages, scale, lows + 1, highs + 1)
            for channel in range(channels):
                source = 0
                size[0], size[1], origin[0], origin[1] = height, width, lows[0], lows[1]
                if unit == 1:
                    load8(image8, first_row, channel, channels, states, stride, lows, highs, size)
                else:
                    load16(image16, first_row, channel, channels, states, rests, stride, lows, highs, size)
                for s in range(stages):
                    # Two planes in turns, and at last the channel's own.
                    target = (2 + channel) * plane if s == stages - 1 else plane - source
                    low, high, factor = lows + 2 * s, highs + 2 * s, factors[s]
                    rows, columns = high[0] - low[0], high[1] - low[1]
                    at = source + position(stride, origin, low[0], low[1])
                    mirror(states + source, stride, origin, low, high, size)
                    _split_rows(states + at, rows, columns, stride, nibbles, plane)
                    # A block of factor 3 or 4 does not fit into a word, and a turn would mix its words:
                    # its rows are run one by one, with tables for both axes.
                    for group in range(factor if factor > 2 else 1):
                        along = words + starts[s] + group * 2 * HALF
                        across = along + (HALF if factor > 2 else 0)
                        _run_group(
                            states + at, rows, columns, stride, along, across, nibbles, plane, ring,
                            states + target, factor, group, unit > 1,
                        )  # fmt: skip
                    if unit > 1:
                        carry_rest(rests + at, rows, columns, stride, states + target, rests + target, factor)
                    for axis in range(2):
                        origin[axis], size[axis] = low[axis] * factor, size[axis] * factor
                    source = target
            columns = (tile_right - tile_left) * scale
            for y in range(tile_top * scale, tile_bottom * scale):
                at = 2 * plane + position(stride, origin, y, tile_left * scale)
                i = (y * width + tile_left) * scale * channels
                if unit == 1:
                    store8(states + at, plane, out8 + i, columns, channels)
                else:
                    store16(states + at, rests + at, plane, out16 + i, columns, channels)
            tile_left = tile_right
        tile_top = tile_bottom


@jit
def _plan(start, stop, length, factors, stages, scale, lows, highs):
    """The pixels that each stage must handle along one axis so that the next finds its neighbours."""
    low, high, size = start * scale, stop * scale, length * scale
    for i in range(stages):
        s = stages - 1 - i
        size //= factors[s]
        low //= factors[s]
        high = (high + factors[s] - 1) // factors[s]
        lows[2 * s] = low
        highs[2 * s] = high
        low, high = max(low - REACH, 0), min(high + REACH, size)


@jit
def _split_rows(states, rows, columns, stride, nibbles, plane):
    for y in range(-REACH, rows + REACH):
        for x in range(-REACH, columns + REACH, 32):
            split_nibbles(states, y * stride + x, nibbles, (y + REACH) * stride + LEFT + x, plane)


@jit
def _msb(words, table, nibbles, i, plane, second, third):
    """Entries of one MSB table for eight pixels; ``second`` and ``third`` lead to their neighbours."""
    return gather(words, table * MSB_SIZE, addresses3(nibbles, i, i + plane + second, i + 2 * plane + third))


@jit
def _lsb(words, table, nibbles, i, plane, second):
    start = 4 * MSB_SIZE + table * LSB_SIZE
    return gather(words, start, addresses2(nibbles, i + 3 * plane, i + 4 * plane + second))


@jit
def _both(pairs, ring, new, old):
    """The parts of new entries that are for these pixels, and of old ones whose last pixels they are."""
    store_words(ring, new, pairs)
    return low_bytes(pairs) + high_bytes(load_words(ring, old))


@jit
def _prepare_pairs(along, across, nibbles, i, plane, d, ring, msb, lsb, stride):
    """Keep the entries of eight pixels that only their last pixels, in the tile, have a use for."""
    store_words(ring, msb, _msb(across, 0, nibbles, i, plane, d, 2 * d))
    store_words(ring, msb + stride, _msb(along, 1, nibbles, i, plane, d + 1, 2 * d + 2))
    store_words(ring, msb + 2 * stride, _msb(across, 1, nibbles, i, plane, d - 1, 2 * d - 2))
    store_words(ring, lsb, _lsb(across, 0, nibbles, i, plane, d))
    store_words(ring, lsb + stride, _lsb(along, 1, nibbles, i, plane, d + 1))
    store_words(ring, lsb + 2 * stride, _lsb(across, 1, nibbles, i, plane, d - 1))


@jit
def _run_group(states, rows, columns, stride, along, across, nibbles, plane, ring, target, factor, group, offset):
    """One group of at most four children of every pixel.

    With ``offset``, children are one too large and clipped one later, which marks the clipped ones.
    """
    bias, top = (BIAS - 1, TOP + 1) if offset else (BIAS, TOP)
    columns = (columns + 7) & -8
    d = stride  # leads one row down
    for y in range(-REACH, rows):
        # The ring has three rows for each MSB pair, whose last pixel is two rows below, two for an LSB pair.
        new, old = ((y + 3) % 3) * 3 * stride + LEFT, ((y + 4) % 3) * 3 * stride + LEFT
        newl, oldl = (9 + 3 * ((y + 2) % 2)) * stride + LEFT, (9 + 3 * ((y + 3) % 2)) * stride + LEFT
        row = (y + REACH) * stride + LEFT
        step = columns + 8 if y >= 0 else 8
        for k in range((columns + 8) // step + 1):
            x = k * step - 8
            _prepare_pairs(along, across, nibbles, row + x, plane, d, ring, new + x, newl + x, stride)
        if y < 0:
            continue
        pairs = _msb(along, 0, nibbles, row - 8, plane, 1, 2)
        pairsl = _lsb(along, 0, nibbles, row - 8, plane, 1)
        for x in range(0, columns, 8):
            i = row + x
            # H to the right, D to the lower right, both paired with their half turns; B and its half turn.
            before, pairs = pairs, _msb(along, 0, nibbles, i, plane, 1, 2)
            high = low_bytes(pairs) + high_bytes(shift_in(before, pairs, 2))
            diagonal = _msb(along, 1, nibbles, i, plane, d + 1, 2 * d + 2)
            high = high + _both(diagonal, ring, new + stride + x, old + stride + x - 2)
            high = high + _msb(along, 2, nibbles, i, plane, d + 2, 2 * d + 1)
            high = high + _msb(along, 3, nibbles, i, plane, -d - 2, -2 * d - 1)
            beforel, pairsl = pairsl, _lsb(along, 0, nibbles, i, plane, 1)
            low = low_bytes(pairsl) + high_bytes(shift_in(beforel, pairsl, 1))
            diagonal = _lsb(along, 1, nibbles, i, plane, d + 1)
            low = low + _both(diagonal, ring, newl + stride + x, oldl + stride + x - 1)
            straight = high + high + low + low + low

            # The same a quarter turn further: H downwards, D to the lower left.
            high = _both(_msb(across, 0, nibbles, i, plane, d, 2 * d), ring, new + x, old + x)
            diagonal = _msb(across, 1, nibbles, i, plane, d - 1, 2 * d - 2)
            high = high + _both(diagonal, ring, new + 2 * stride + x, old + 2 * stride + x + 2)
            high = high + _msb(across, 2, nibbles, i, plane, 2 * d - 1, d - 2)
            high = high + _msb(across, 3, nibbles, i, plane, -2 * d + 1, -d + 2)
            low = _both(_lsb(across, 0, nibbles, i, plane, d), ring, newl + x, oldl + x)
            diagonal = _lsb(across, 1, nibbles, i, plane, d - 1)
            low = low + _both(diagonal, ring, newl + 2 * stride + x, oldl + 2 * stride + x + 1)
            turned = high + high + low + low + low
            if factor == 2:
                turned = turn_blocks(turned)

            children = clip_lanes(spread(states, y * stride + x) + straight + turned, bias, top)
            j = (REACH + factor * y + group) * stride + LEFT + factor * x
            if factor == 1:
                store_lanes(target, j, children, 0, 1)
            elif factor == 2:
                store_lanes(target, j, children, 0, 2)
                store_lanes(target, j + stride, children, 2, 2)
            elif factor == 3:
                store_lanes(target, j, children, 0, 3)
            else:
                store_lanes(target, j, children, 0, 4)
