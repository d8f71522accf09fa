"""The vectors of the 8-bit lookup: 32 pixels at a time.

**16 bits** hold a position (a level's is at most ``255 * 255``), a fraction, a weight, and one less than the step from
a node to its neighbour. Offsets of nodes need 32: there the pixels of even and of odd number go apart, because those
are the lower and the upper halves of the lanes, at the price of a mask and a shift.

**Nodes** are words of four such lanes: red, green, blue and nothing. Eight are gathered at a time, from each corner of
the eight pixels' tetrahedra. Two corners' lanes are put beside each other, so that a product with a pair of weights and
the sum of neighbours, which is one instruction on many processors, handles both.

**Rounding**. Weights sum to 255, and every node holds 16 more than its value: that is half of the divisor, 32 * 255.

These functions can only be called from compiled code.
"""

# Numba reads the signatures of overloads itself, and wants them without annotations.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

from numba import types

from morpho.compiled.pointers import code, intrinsic
from morpho.compiled.vectors import (
    I8,
    I16,
    I32,
    I64,
    call,
    channels_of,
    constant,
    fill,
    gather,
    load,
    shuffle,
    store,
    vector,
)

__all__ = ["PIXELS", "find_places", "look_up"]

PIXELS = 32
#: Of 32 pixels: those of even number, or the others; and half of those, whose nodes are gathered together.
_HALF, _QUARTER = 16, 8
_SHORTS, _WORDS = vector(I16, PIXELS), vector(I32, _HALF)
_LOWER = 0xFFFF

Builder = Any
Value = Any


@intrinsic(prefer_literal=True)
def find_places(_context: Any, image: Any, at: Any, channels: Any, last: Any, places: Any, index: Any, row: Any) -> Any:
    """Positions of 32 pixels from ``image[at]`` on, without curves: level times ``last``, the last node's number.

    They are written to ``places[index]`` and on; each channel is ``row`` after the one before. ``channels`` is 3 or 4.
    """
    count = channels.literal_value

    def emit(builder: Any, image: Any, at: Any, _channels: Any, last: Any, places: Any, index: Any, row: Any) -> None:
        for levels in channels_of(builder, image, at, count, PIXELS)[:3]:
            positions = builder.mul(builder.zext(levels, _SHORTS), fill(builder, _SHORTS, last))
            store(builder, places, index, positions)
            index = builder.add(index, row)

    return code(types.void, (image, types.intp, channels, types.intp, places, types.intp, types.intp), emit)


@intrinsic(prefer_literal=True)
def look_up(
    _context: Any,
    places: Any,
    index: Any,
    row: Any,
    nodes: Any,
    count: Any,
    image: Any,
    out: Any,
    at: Any,
    channels: Any,
) -> Any:
    """Colours of the 32 pixels whose positions begin at ``places[index]``, written to ``out[at]`` and on.

    ``nodes`` are words of 16-bit lanes, ``count`` to each axis. With four channels, the fourth is that of ``image``.
    """
    per_pixel = channels.literal_value

    def emit(
        builder: Any,
        places: Any,
        index: Any,
        row: Any,
        nodes: Any,
        count: Any,
        image: Any,
        out: Any,
        at: Any,
        _channels: Any,
    ) -> None:
        cells, fractions = _cells(builder, places, index, row, count)
        square = builder.mul(count, count)
        steps = _steps(builder, fractions, builder.sub(square, I64(1)), builder.sub(count, I64(1)))
        weights = _weights(builder, fractions)
        # From the first corner one step on, and from the last one step back; steps are one less than they are.
        last = builder.add(builder.add(square, count), I64(1))
        starts = (I64(0), I64(1), builder.sub(last, I64(1)), last)
        colours = []
        for half in range(2):
            corners = _corners(builder, half, cells, steps, count)
            pairs = [_pair(builder, half, *weights[i : i + 2]) for i in (0, 2)]
            quarters = [_colours(builder, quarter, corners, pairs, nodes, starts) for quarter in range(2)]
            upper = builder.shl(quarters[1], constant(_SHORTS, 8))
            colours.append(builder.bitcast(builder.or_(quarters[0], upper), vector(I8, 2 * PIXELS)))
        _write(builder, colours, image, out, at, per_pixel)

    parameters = (places, types.intp, types.intp, nodes, types.intp, image, out, types.intp, channels)
    return code(types.void, parameters, emit)


def _cells(builder: Builder, places: Value, index: Value, row: Value, count: Value) -> tuple[list[Value], list[Value]]:
    """The cells' numbers, along red and green together and along blue; and the three fractions: 16-bit lanes."""
    last = fill(builder, _SHORTS, builder.sub(count, I64(2)))
    cells, fractions = [], []
    for _ in range(3):
        position = load(builder, places, index, _SHORTS)
        cell = builder.udiv(position, constant(_SHORTS, 255))
        cells.append(call(builder, f"llvm.umin.v{PIXELS}i16", _SHORTS, cell, last))
        fractions.append(builder.sub(position, builder.mul(cells[-1], constant(_SHORTS, 255))))
        index = builder.add(index, row)
    return [builder.add(builder.mul(cells[0], fill(builder, _SHORTS, count)), cells[1]), cells[2]], fractions


def _extreme(builder: Builder, name: str, first: Value, second: Value) -> Value:
    return call(builder, f"llvm.{name}.v{PIXELS}i16", _SHORTS, first, second)


def _weights(builder: Builder, fractions: list[Value]) -> list[Value]:
    """Four weights: 16-bit lanes."""
    red, green, blue = fractions
    larger, smaller = (_extreme(builder, name, red, green) for name in ("umax", "umin"))
    high, low = _extreme(builder, "umax", larger, blue), _extreme(builder, "umin", smaller, blue)
    middle = _extreme(builder, "umax", smaller, _extreme(builder, "umin", larger, blue))
    bounds = [constant(_SHORTS, 255), high, middle, low]
    return [*(builder.sub(bounds[i], bounds[i + 1]) for i in range(3)), low]


def _steps(builder: Builder, fractions: list[Value], along_red: Value, along_green: Value) -> list[Value]:
    """One less than the steps along the axes of the largest and of the smallest fraction: 16-bit lanes.

    It does not matter which of two equal fractions is taken: the corner between them has no weight.
    """
    red, green, blue = fractions
    red_step, green_step = (fill(builder, _SHORTS, step) for step in (along_red, along_green))
    blue_step = constant(_SHORTS, 0)
    steps = []
    for order in (">=", "<="):

        def first(one: Value, other: Value, order: str = order) -> Value:
            return builder.icmp_unsigned(order, one, other)

        of_two = builder.select(first(red, green), red_step, green_step)
        extreme = _extreme(builder, "umax" if order == ">=" else "umin", red, green)
        steps.append(builder.select(first(extreme, blue), of_two, blue_step))
    return steps


def _half(builder: Builder, half: int, lanes: Value) -> Value:
    """The 16-bit lanes of even number, or the others, as 32-bit lanes."""
    words = builder.bitcast(lanes, _WORDS)
    if half:
        return builder.lshr(words, constant(_WORDS, 16))
    return builder.and_(words, constant(_WORDS, _LOWER))


def _corners(builder: Builder, half: int, cells: list[Value], steps: list[Value], count: Value) -> list[Value]:
    """For each of the four corners, how far from its start the node is: 32-bit lanes."""
    row, cell, up, down = (_half(builder, half, lanes) for lanes in (*cells, *steps))
    first = builder.add(builder.mul(row, fill(builder, _WORDS, count)), cell)
    return [first, builder.add(first, up), builder.sub(first, down), first]


def _pair(builder: Builder, half: int, first: Value, second: Value) -> Value:
    """Two weights of each pixel in the lower and the upper half of 32-bit lanes."""
    low, high = (builder.bitcast(lanes, _WORDS) for lanes in (first, second))
    if half:
        low = builder.lshr(low, constant(_WORDS, 16))
        high = builder.and_(high, constant(_WORDS, _LOWER << 16))
    else:
        low = builder.and_(low, constant(_WORDS, _LOWER))
        high = builder.shl(high, constant(_WORDS, 16))
    return builder.or_(low, high)


def _colours(builder: Builder, quarter: int, corners: Any, pairs: Any, nodes: Value, starts: Any) -> Value:
    """Eight pixels' colours, in the lower bytes of 16-bit lanes: see `_place` for their order."""
    chosen = range(quarter * _QUARTER, (quarter + 1) * _QUARTER)
    entries = []
    for corner, start in zip(corners, starts, strict=True):
        places = builder.sext(shuffle(builder, corner, corner, chosen), vector(I64, _QUARTER))
        entries.append(builder.bitcast(gather(builder, nodes, start, places), _SHORTS))
    sums = []
    for parity in range(2):
        lanes = [8 * i + 4 * parity + lane for i in range(_QUARTER // 2) for lane in range(4)]
        beside = [place for lane in lanes for place in (lane, lane + PIXELS)]
        pixels = [chosen[2 * i + parity] for i in range(_QUARTER // 2) for _ in range(4)]
        products = [
            _dot(
                builder,
                shuffle(builder, entries[2 * i], entries[2 * i + 1], beside),
                builder.bitcast(shuffle(builder, pairs[i], pairs[i], pixels), _SHORTS),
            )
            for i in range(2)
        ]
        sums.append(builder.add(*products))
    low = builder.lshr(sums[0], constant(_WORDS, 5))
    high = builder.and_(builder.shl(sums[1], constant(_WORDS, 11)), constant(_WORDS, _LOWER << 16))
    return builder.udiv(builder.bitcast(builder.or_(low, high), _SHORTS), constant(_SHORTS, 255))


def _dot(builder: Builder, first: Value, second: Value) -> Value:
    """Products of 16-bit lanes, neighbours summed: 32-bit lanes."""
    wide = vector(I32, PIXELS)
    products = builder.mul(builder.sext(first, wide), builder.sext(second, wide))
    even, odd = (shuffle(builder, products, products, range(parity, PIXELS, 2)) for parity in range(2))
    return builder.add(even, odd)


def _place(pixel: int, channel: int) -> int:
    """The byte that holds a channel of a pixel, in the two halves behind one another.

    Halves differ in the pixel's lowest bit, quarters in the highest, which is the upper or lower byte of a lane. In a
    quarter, pairs of pixels follow each other; the lanes of a pair alternate.
    """
    half, number = pixel % 2, pixel // 2
    quarter, pair, parity = number // _QUARTER, number % _QUARTER // 2, number % 2
    return 64 * half + 16 * pair + 4 * channel + 2 * parity + quarter


def _write(builder: Builder, halves: list[Value], image: Value, out: Value, at: Value, channels: int) -> None:
    """Colours in their order; and the fourth channel of the image."""
    chosen = [_place(pixel, channel) for pixel in range(PIXELS) for channel in range(channels)]
    for start in range(0, len(chosen), 64):
        part = chosen[start : start + 64]
        colours = shuffle(builder, halves[0], halves[1], part)
        place = builder.add(at, I64(start))
        if channels == 4:
            old = load(builder, image, place, colours.type)
            colours = shuffle(builder, colours, old, [i if i % 4 < 3 else i + 64 for i in range(64)])
        store(builder, out, place, colours)
