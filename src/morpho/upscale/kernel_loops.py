"""The compiled loops of the table upscaler.

**Pairs.** In its four rotations a straight kernel sees the same pixels twice: what pixel ``p`` reads to its right is
what the last of those pixels reads to its left. One entry therefore holds the block of the first pixel (in the lower
bytes of its lanes) and the block of the last pixel (in the upper bytes), and one look-up serves both. A row of
entries is kept in a ring until the row of the last pixel comes up. Only the bent kernel B has nothing to share. So the
20 look-ups of a pixel become 12.

**Lanes.** Entries are unsigned bytes, 128 above their meaning, and summed in lanes of 16 bits. With twelve MSB entries
worth 2 and eight LSB entries worth 3, a lane reaches at most 255 * (12 * 2 + 8 * 3) + 1531 = 13771: it cannot overflow,
and subtracting ``BIAS`` with saturation at zero is already the lower clip.

**16 bits.** A state ``V`` is kept as ``unit * q + r`` with ``unit = 257``. The tables look at ``q`` and add to it, exactly
as for 8 bits; ``r`` is handed from parent to child unchanged, and becomes 0 where the child was clipped.

**Tiles.** A tile runs through all stages while it is in the second-level cache. Each stage also computes the rim that
the next one looks at, and mirrors its own state where the picture ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint16, uint32

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
    store_grey,
    store_lanes,
    store_words,
    turn_blocks,
)

__all__ = ["HALF", "MSB_SIZE", "run_band"]

jit: Any = njit(nogil=True, cache=True)

REACH = 2
TOP = 1530
BIAS = 128 * (2 * 12 + 3 * 8)
#: Largest tile of the last stage, in pixels it reads.
TILE_ROWS, TILE_COLUMNS = 64, 256
#: Unused columns around a row, because vectors run over its ends.
LEFT, RIGHT = 16, 64
#: Words from one MSB table to the next; the extra ones keep equal addresses of two tables off the same cache lines.
MSB_SIZE = 4096 + 72
LSB_SIZE = 256
#: Words of the tables that look along one axis: H, D, B and B turned around of the MSB branch; H and D of the LSB branch.
HALF = 4 * MSB_SIZE + 2 * LSB_SIZE


@jit
def run_band(image, out, top, bottom, factors, words, starts, unit):  # type: ignore[no-untyped-def]
    """Write the rows of ``out`` that belong to the image rows ``top`` to ``bottom``."""
    height, width, channels = image.shape
    stages = len(factors)
    scale = 1
    for factor in factors:
        scale *= factor
    tile_rows = max(1, TILE_ROWS * factors[-1] // scale)
    tile_columns = max(1, TILE_COLUMNS * factors[-1] // scale)
    rows, stride = _buffer(tile_rows, factors, scale), _buffer(tile_columns, factors, scale) + LEFT + RIGHT
    state = np.zeros((2 + channels, rows * stride), dtype=np.uint16)
    rest = np.zeros((2 + channels, rows * stride if unit > 1 else 1), dtype=np.uint16)
    nibbles = np.zeros(5 * rows * stride, dtype=np.uint16)
    ring = np.zeros(15 * stride, dtype=np.uint64)
    lows = np.empty((stages, 2), dtype=np.int64)
    highs = np.empty((stages, 2), dtype=np.int64)
    size = np.empty(2, dtype=np.int64)
    origin = np.empty(2, dtype=np.int64)
    for tile_top in range(top, bottom, tile_rows):
        tile_bottom = min(tile_top + tile_rows, bottom)
        _plan(tile_top, tile_bottom, height, 0, factors, scale, lows, highs)
        for tile_left in range(0, width, tile_columns):
            tile_right = min(tile_left + tile_columns, width)
            _plan(tile_left, tile_right, width, 1, factors, scale, lows, highs)
            for channel in range(channels):
                source = 0
                size[0], size[1] = height, width
                origin[:] = lows[0]
                _load(image, channel, state[0], rest[0], stride, lows[0], highs[0], unit)
                for s in range(stages):
                    target = 2 + channel if s == stages - 1 else 1 - source
                    _mirror(state[source], stride, origin, lows[s], highs[s], size)
                    at = _at(stride, origin, lows[s, 0], lows[s, 1])
                    run_rows, run_columns = highs[s, 0] - lows[s, 0], highs[s, 1] - lows[s, 1]
                    _run_stage(
                        state[source], at, run_rows, run_columns, stride, factors[s],
                        words[starts[s] : starts[s + 1]], nibbles, ring, state[target], unit > 1,
                    )
                    if unit > 1:
                        _carry_rest(rest[source], at, run_rows, run_columns, stride, factors[s], state[target], rest[target])
                    for axis in range(2):
                        origin[axis] = lows[s, axis] * factors[s]
                        size[axis] *= factors[s]
                    source = target
            at = _at(stride, origin, tile_top * scale, tile_left * scale)
            _store(
                state[2:], rest[2:], at, stride, out, tile_top * scale, tile_bottom * scale,
                tile_left * scale, tile_right * scale, unit,
            )


@jit
def _at(stride, origin, y, x):  # type: ignore[no-untyped-def]
    """Where pixel ``(y, x)`` lies in a plane whose first inner pixel is ``origin``."""
    return (y - origin[0] + REACH) * stride + LEFT + x - origin[1]


@jit
def _buffer(tile, factors, scale):  # type: ignore[no-untyped-def]
    """Pixels that a plane must hold along one axis so that every stage's tile fits, rim included."""
    need = tile * scale
    side = need
    for s in range(len(factors) - 1, -1, -1):
        own = need // factors[s] + 2
        side = max(side, own * factors[s])
        need = own + 2 * REACH
    return max(side, need) + 2 * REACH


@jit
def _plan(start, stop, length, axis, factors, scale, lows, highs):  # type: ignore[no-untyped-def]
    """The pixels that each stage must handle so that the next finds its neighbours."""
    low, high, size = start * scale, stop * scale, length * scale
    for s in range(len(factors) - 1, -1, -1):
        size //= factors[s]
        low //= factors[s]
        high = -(-high // factors[s])
        lows[s, axis] = low
        highs[s, axis] = high
        low, high = max(low - REACH, 0), min(high + REACH, size)


@jit
def _load(image, channel, state, rest, stride, low, high, unit):  # type: ignore[no-untyped-def]
    height, width, _ = image.shape
    left = max(low[1] - REACH, 0)
    for y in range(max(low[0] - REACH, 0), min(high[0] + REACH, height)):
        at = _at(stride, low, y, left)
        for x in range(min(high[1] + REACH, width) - left):
            value = uint32(6) * uint32(image[y, left + x, channel])
            if unit == 1:  # spares the division
                state[at + x] = uint16(value)
            else:
                state[at + x], rest[at + x] = uint16(value // uint32(unit)), uint16(value % uint32(unit))


@jit
def _reflect(i, length):  # type: ignore[no-untyped-def]
    if length == 1:
        return 0
    period = 2 * length - 2
    i %= period
    return min(i, period - i)


@jit
def _mirror(plane, stride, origin, low, high, size):  # type: ignore[no-untyped-def]
    """Fill what lies outside the picture from this stage's own state."""
    top, bottom = low[0] - REACH, high[0] + REACH
    left, right = low[1] - REACH, high[1] + REACH
    for x in range(left, right):
        if x < 0 or x >= size[1]:
            for y in range(max(top, 0), min(bottom, size[0])):
                plane[_at(stride, origin, y, x)] = plane[_at(stride, origin, y, _reflect(x, size[1]))]
    for y in range(top, bottom):
        if y < 0 or y >= size[0]:
            at, mirrored = _at(stride, origin, y, left), _at(stride, origin, _reflect(y, size[0]), left)
            for x in range(right - left):
                plane[at + x] = plane[mirrored + x]


@jit
def _run_stage(source, at, rows, columns, stride, factor, words, nibbles, ring, target, offset):  # type: ignore[no-untyped-def]
    plane = len(nibbles) // 5
    for y in range(-REACH, rows + REACH):
        for x in range(-REACH, columns + REACH, 32):
            split_nibbles(source, at + y * stride + x, nibbles, (y + REACH) * stride + LEFT + x, plane)
    # Blocks of factor 3 and 4 do not fit into a word, and a turn mixes their words: they have tables for both axes.
    groups, across = (factor, HALF) if factor > 2 else (1, 0)
    for group in range(groups):
        _run_group(
            source, at, rows, columns, stride, factor, group, words, group * 2 * HALF, group * 2 * HALF + across,
            nibbles, plane, ring, target, offset,
        )


@jit
def _msb(words, axis, table, nibbles, i, plane, second, third):  # type: ignore[no-untyped-def]
    """Entries of one MSB table for eight pixels; ``second`` and ``third`` lead to the other pixels of the kernel."""
    return gather(words, axis + table * MSB_SIZE, addresses3(nibbles, i, i + plane + second, i + 2 * plane + third))


@jit
def _lsb(words, axis, table, nibbles, i, plane, second):  # type: ignore[no-untyped-def]
    start = axis + 4 * MSB_SIZE + table * LSB_SIZE
    return gather(words, start, addresses2(nibbles, i + 3 * plane, i + 4 * plane + second))


@jit
def _run_group(
    source, at, rows, columns, stride, factor, group, words, along, across, nibbles, plane, ring, target, offset
):  # type: ignore[no-untyped-def]
    """One group of at most four children of every pixel."""
    bias, top = (BIAS - 1, TOP + 1) if offset else (BIAS, TOP)
    columns = (columns + 7) & -8
    down = stride
    for y in range(-REACH, rows):
        base = (y + REACH) * stride + LEFT
        # Ring rows: three of the MSB tables, whose last pixel is two rows below, and two of the LSB tables.
        new, old = ((y + 3) % 3) * 3 * stride + LEFT, ((y + 4) % 3) * 3 * stride + LEFT
        new_low, old_low = (9 + 3 * ((y + 2) % 2)) * stride + LEFT, (9 + 3 * ((y + 3) % 2)) * stride + LEFT
        # Of the pixels above and beside the tile only the last pixels of their kernels matter.
        for x in range(-8, columns + 8, columns + 8 if y >= 0 else 8):
            i = base + x
            store_words(ring, new + x, _msb(words, across, 0, nibbles, i, plane, down, 2 * down))
            store_words(ring, new + stride + x, _msb(words, along, 1, nibbles, i, plane, down + 1, 2 * down + 2))
            store_words(ring, new + 2 * stride + x, _msb(words, across, 1, nibbles, i, plane, down - 1, 2 * down - 2))
            store_words(ring, new_low + x, _lsb(words, across, 0, nibbles, i, plane, down))
            store_words(ring, new_low + stride + x, _lsb(words, along, 1, nibbles, i, plane, down + 1))
            store_words(ring, new_low + 2 * stride + x, _lsb(words, across, 1, nibbles, i, plane, down - 1))
        if y < 0:
            continue
        right = _msb(words, along, 0, nibbles, base - 8, plane, 1, 2)
        right_low = _lsb(words, along, 0, nibbles, base - 8, plane, 1)
        for x in range(0, columns, 8):
            i = base + x
            # Kernels H and D to the right and downwards right, and both turned around; then B and B turned around.
            before, right = right, _msb(words, along, 0, nibbles, i, plane, 1, 2)
            high = low_bytes(right) + high_bytes(shift_in(before, right, 2))
            pair = _msb(words, along, 1, nibbles, i, plane, down + 1, 2 * down + 2)
            store_words(ring, new + stride + x, pair)
            high = high + low_bytes(pair) + high_bytes(load_words(ring, old + stride + x - 2))
            high = high + _msb(words, along, 2, nibbles, i, plane, down + 2, 2 * down + 1)
            high = high + _msb(words, along, 3, nibbles, i, plane, -down - 2, -2 * down - 1)

            before_low, right_low = right_low, _lsb(words, along, 0, nibbles, i, plane, 1)
            low = low_bytes(right_low) + high_bytes(shift_in(before_low, right_low, 1))
            pair = _lsb(words, along, 1, nibbles, i, plane, down + 1)
            store_words(ring, new_low + stride + x, pair)
            low = low + low_bytes(pair) + high_bytes(load_words(ring, old_low + stride + x - 1))
            total = high + high + low + low + low

            # The same a quarter turn further: H downwards, D downwards left.
            pair = _msb(words, across, 0, nibbles, i, plane, down, 2 * down)
            store_words(ring, new + x, pair)
            high = low_bytes(pair) + high_bytes(load_words(ring, old + x))
            pair = _msb(words, across, 1, nibbles, i, plane, down - 1, 2 * down - 2)
            store_words(ring, new + 2 * stride + x, pair)
            high = high + low_bytes(pair) + high_bytes(load_words(ring, old + 2 * stride + x + 2))
            high = high + _msb(words, across, 2, nibbles, i, plane, 2 * down - 1, down - 2)
            high = high + _msb(words, across, 3, nibbles, i, plane, -2 * down + 1, -down + 2)

            pair = _lsb(words, across, 0, nibbles, i, plane, down)
            store_words(ring, new_low + x, pair)
            low = low_bytes(pair) + high_bytes(load_words(ring, old_low + x))
            pair = _lsb(words, across, 1, nibbles, i, plane, down - 1)
            store_words(ring, new_low + 2 * stride + x, pair)
            low = low + low_bytes(pair) + high_bytes(load_words(ring, old_low + 2 * stride + x + 1))
            turned = high + high + low + low + low
            if factor == 2:
                turned = turn_blocks(turned)

            children = clip_lanes(spread(source, at + y * stride + x) + total + turned, bias, top)
            j = (REACH + factor * y + group) * stride + LEFT + factor * x
            if factor == 2:
                store_lanes(target, j, children, 0, 2)
                store_lanes(target, j + stride, children, 2, 2)
            elif factor == 4:
                store_lanes(target, j, children, 0, 4)
            elif factor == 3:
                store_lanes(target, j, children, 0, 3)
            else:
                store_lanes(target, j, children, 0, 1)


@jit
def _carry_rest(rest, at, rows, columns, stride, factor, state, child_rest):  # type: ignore[no-untyped-def]
    """Undo the offset of one that tells a clipped 0 from a plain one, and hand the remainders down."""
    for y in range(rows * factor):
        j = (REACH + y) * stride + LEFT
        for x in range(columns * factor):
            value = state[j + x]
            clipped = value == 0 or value > TOP
            child_rest[j + x] = 0 if clipped else rest[at + (y // factor) * stride + x // factor]
            state[j + x] = min(max(value, 1) - 1, TOP)


@jit
def _store(state, rest, at, stride, out, top, bottom, left, right, unit):  # type: ignore[no-untyped-def]
    channels = out.shape[2]
    flat_out, flat_state, plane = out.reshape(-1), state.reshape(-1), state.shape[1]
    columns = right - left
    for y in range(top, bottom):
        i = at + (y - top) * stride
        done = 0
        if unit == 1:
            j = (y * out.shape[1] + left) * channels
            done = columns & -32
            for x in range(0, done, 32):
                if channels == 3:
                    store_grey(flat_out, j + 3 * x, flat_state, i + x, plane, 3)
                elif channels == 1:
                    store_grey(flat_out, j + x, flat_state, i + x, plane, 1)
                elif channels == 4:
                    store_grey(flat_out, j + 4 * x, flat_state, i + x, plane, 4)
                else:
                    store_grey(flat_out, j + 2 * x, flat_state, i + x, plane, 2)
        for x in range(done, columns):
            for c in range(channels):
                value = unit * np.int64(state[c, i + x])
                if unit > 1:
                    value += rest[c, i + x]
                out[y, left + x, c] = (value + 3) // 6
