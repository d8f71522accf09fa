"""The compiled loops of the table upscaler."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64, uintp

jit: Any = njit(nogil=True, cache=True)

REACH = 2
BIAS = 128 * (2 * 12 + 3 * 8)
TILE = 64


@jit
def run_band(image, out, top, bottom, factors, words, starts, unit):  # type: ignore[no-untyped-def]
    """Write the rows of ``out`` that belong to the image rows ``top`` to ``bottom``."""
    height, width, channels = image.shape
    stages = len(factors)
    scale = 1
    for factor in factors:
        scale *= factor
    tile = max(1, TILE * factors[-1] // scale)
    side = _largest_side(tile, factors, scale)
    one = np.empty((side, side), dtype=np.int32)
    two = np.empty((side, side), dtype=np.int32)
    lows = np.empty((stages, 2), dtype=np.int64)
    highs = np.empty((stages, 2), dtype=np.int64)
    size = np.empty(2, dtype=np.int64)
    for tile_top in range(top, bottom, tile):
        for tile_left in range(0, width, tile):
            tile_bottom = min(tile_top + tile, bottom)
            tile_right = min(tile_left + tile, width)
            _plan(tile_top, tile_bottom, height, 0, factors, scale, lows, highs)
            _plan(tile_left, tile_right, width, 1, factors, scale, lows, highs)
            for channel in range(channels):
                src, dst = one, two
                oy, ox = lows[0, 0] - REACH, lows[0, 1] - REACH
                _load(image, channel, src, oy, ox, highs[0, 0] + REACH, highs[0, 1] + REACH)
                size[0], size[1] = height, width
                for s in range(stages):
                    _mirror(src, oy, ox, lows[s], highs[s], size)
                    f = factors[s]
                    _run_stage(src, oy, ox, lows[s], highs[s], f, words[starts[s] : starts[s + 1]], unit, dst)
                    src, dst = dst, src
                    oy, ox = lows[s, 0] * f - REACH, lows[s, 1] * f - REACH
                    size *= f
                for y in range(tile_top * scale, tile_bottom * scale):
                    for x in range(tile_left * scale, tile_right * scale):
                        out[y, x, channel] = (src[y - oy, x - ox] + 3) // 6


@jit
def _largest_side(tile, factors, scale):  # type: ignore[no-untyped-def]
    need = tile * scale
    side = 0
    for s in range(len(factors) - 1, -1, -1):
        own = need // factors[s] + 2
        side = max(side, own * factors[s] + 2 * REACH)
        need = own + 2 * REACH
    return max(side, need)


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
def _reflect(i, length):  # type: ignore[no-untyped-def]
    if length == 1:
        return 0
    period = 2 * length - 2
    i %= period
    return min(i, period - i)


@jit
def _load(image, channel, plane, oy, ox, y1, x1):  # type: ignore[no-untyped-def]
    height, width, _ = image.shape
    for y in range(max(oy, 0), min(y1, height)):
        for x in range(max(ox, 0), min(x1, width)):
            plane[y - oy, x - ox] = 6 * np.int32(image[y, x, channel])


@jit
def _mirror(plane, oy, ox, low, high, size):  # type: ignore[no-untyped-def]
    """Fill what lies outside the picture in this stage's own state."""
    top, bottom = low[0] - REACH, high[0] + REACH
    left, right = low[1] - REACH, high[1] + REACH
    for x in range(left, right):
        if x < 0 or x >= size[1]:
            mirrored = _reflect(x, size[1])
            for y in range(max(top, 0), min(bottom, size[0])):
                plane[y - oy, x - ox] = plane[y - oy, mirrored - ox]
    for y in range(top, bottom):
        if y < 0 or y >= size[0]:
            mirrored = _reflect(y, size[0])
            for x in range(left, right):
                plane[y - oy, x - ox] = plane[mirrored - oy, x - ox]


@jit
def _run_stage(src, oy, ox, low, high, factor, words, unit, dst):  # type: ignore[no-untyped-def]
    lanes = factor if factor > 2 else factor * factor
    count = factor * factor // lanes
    step = 4096 * count
    for y in range(low[0], high[0]):
        for x in range(low[1], high[1]):
            value = src[y - oy, x - ox]
            n = value // (6 * unit)
            for word in range(count):
                total = uint64(0)
                at = word * 4096
                for turn in range(4):
                    dy, dx = 0, 1
                    if turn == 1:
                        dy, dx = 1, 0
                    elif turn == 2:
                        dy, dx = 0, -1
                    elif turn == 3:
                        dy, dx = -1, 0
                    cy, cx = dx, -dy
                    for k in range(3):
                        ay, ax, by, bx = dy, dx, 2 * dy, 2 * dx
                        if k == 1:
                            ay, ax, by, bx = dy + cy, dx + cx, 2 * dy + 2 * cy, 2 * dx + 2 * cx
                        if k == 2:
                            ay, ax, by, bx = cy + 2 * dy, cx + 2 * dx, 2 * cy + dy, 2 * cx + dx
                        a = src[y - oy + ay, x - ox + ax] // (6 * unit)
                        b = src[y - oy + by, x - ox + bx] // (6 * unit)
                        total += words[uintp(at + 256 * (n >> 4) + 16 * (a >> 4) + (b >> 4))]
                        at += step
                at += word * 256 - word * 4096
                for turn in range(4):
                    dy, dx = 0, 1
                    if turn == 1:
                        dy, dx = 1, 0
                    elif turn == 2:
                        dy, dx = 0, -1
                    elif turn == 3:
                        dy, dx = -1, 0
                    cy, cx = dx, -dy
                    for k in range(2):
                        ay, ax = dy + k * cy, dx + k * cx
                        a = src[y - oy + ay, x - ox + ax] // (6 * unit)
                        total += words[uintp(at + 16 * (n & 15) + (a & 15))]
                        at += step // 16
                for lane in range(lanes):
                    delta = np.int64((total >> uint64(16 * lane)) & uint64(65535)) - BIAS
                    i = word * lanes + lane
                    py = REACH + (y - low[0]) * factor + i // factor
                    px = REACH + (x - low[1]) * factor + i % factor
                    dst[py, px] = min(max(value + unit * delta, 0), 1530 * unit)
