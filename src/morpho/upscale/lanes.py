"""Explicit vectors for Numba: 32 lanes of 16 bits, read as eight words of four lanes.

They can only be called from compiled code; `morpho.compiled.vectors` has the bricks that they are made of.
"""

# Numba reads the signatures of overloads itself, and wants them without annotations.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import operator
from typing import Any

from numba import types
from numba.extending import models, register_model

from morpho.compiled import vectors
from morpho.compiled.pointers import code, intrinsic, overload
from morpho.compiled.vectors import I8, I16, I32, I64, call, constant, fill, load, shuffle, store, vector

__all__ = [
    "addresses2",
    "addresses3",
    "clip_lanes",
    "gather",
    "high_bytes",
    "load_words",
    "low_bytes",
    "shift_in",
    "split_nibbles",
    "spread",
    "store_grey",
    "store_lanes",
    "store_words",
    "turn_blocks",
]

WORDS = 8
PIXELS = LANE_COUNT = 4 * WORDS
LANE_VECTOR = vector(I16, LANE_COUNT)
BYTE_VECTOR = vector(I8, LANE_COUNT)
WORD_VECTOR = vector(I64, WORDS)
NARROW_VECTOR = vector(I16, WORDS)


class _Vector(types.Type):
    """A vector of LLVM. Sums of lanes wrap around: the caller proves that they cannot."""

    def __init__(self, name: str, layout: Any) -> None:
        super().__init__(name=name)
        self.layout = layout


LANES, ADDRESSES = _Vector("Lanes", LANE_VECTOR), _Vector("Addresses", WORD_VECTOR)


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.layout)


def _sixth(builder: Any, lanes: Any) -> Any:
    """``lane // 6``, exact below 32768, as 10923 / 65536 exceeds 1/6 by 1 / (6 * 32768)."""
    wide = vector(I32, LANE_COUNT)
    product = builder.mul(builder.zext(lanes, wide), constant(wide, 10923))
    return builder.trunc(builder.lshr(product, constant(wide, 16)), LANE_VECTOR)


@intrinsic
def _add(_context: Any, left: Any, right: Any) -> Any:
    return code(LANES, (left, right), lambda builder, left, right: builder.add(left, right))


@overload(operator.add)
def _plus(left, right):
    return (lambda left, right: _add(left, right)) if left is LANES and right is LANES else None


@intrinsic
def load_words(_context: Any, words: Any, index: Any) -> Any:
    """Eight words from ``words[index]`` on."""
    return code(LANES, (words, types.intp), lambda builder, words, index: load(builder, words, index, LANE_VECTOR))


@intrinsic
def store_words(_context: Any, words: Any, index: Any, lanes: Any) -> Any:
    """Write eight words to ``words[index]`` and on."""
    return code(types.void, (words, types.intp, lanes), store)


def _emit_addresses(builder: Any, nibbles: Any, first: Any, *others: Any) -> Any:
    total = load(builder, nibbles, first, NARROW_VECTOR)
    for index in others:
        total = builder.or_(total, load(builder, nibbles, index, NARROW_VECTOR))
    return builder.zext(total, WORD_VECTOR)


@intrinsic
def addresses2(_context: Any, nibbles: Any, first: Any, second: Any) -> Any:
    """The bitwise or of two runs of eight 16-bit numbers."""
    return code(ADDRESSES, (nibbles, *[types.intp] * 2), _emit_addresses)


@intrinsic
def addresses3(_context: Any, nibbles: Any, first: Any, second: Any, third: Any) -> Any:
    """The bitwise or of three runs of eight 16-bit numbers."""
    return code(ADDRESSES, (nibbles, *[types.intp] * 3), _emit_addresses)


@intrinsic
def gather(_context: Any, table: Any, start: Any, addresses: Any) -> Any:
    """``table[start + address]`` for eight addresses."""

    def emit(builder: Any, table: Any, start: Any, addresses: Any) -> Any:
        return builder.bitcast(vectors.gather(builder, table, start, addresses), LANE_VECTOR)

    return code(LANES, (table, types.intp, addresses), emit)


@intrinsic
def low_bytes(_context: Any, lanes: Any) -> Any:
    """The lower byte of every lane."""
    return code(LANES, [lanes], lambda builder, lanes: builder.and_(lanes, constant(LANE_VECTOR, 255)))


@intrinsic
def high_bytes(_context: Any, lanes: Any) -> Any:
    """The upper byte of every lane."""
    return code(LANES, [lanes], lambda builder, lanes: builder.lshr(lanes, constant(LANE_VECTOR, 8)))


@intrinsic
def turn_blocks(_context: Any, lanes: Any) -> Any:
    """Turn every word, taken as a 2x2 block, a quarter clockwise."""
    order = [4 * word + lane for word in range(WORDS) for lane in (2, 0, 3, 1)]
    return code(LANES, [lanes], lambda builder, lanes: shuffle(builder, lanes, lanes, order))


@intrinsic(prefer_literal=True)
def shift_in(_context: Any, before: Any, lanes: Any, count: Any) -> Any:
    """The eight words that begin ``count`` words before ``lanes``; ``before`` holds the preceding ones."""
    order = range(LANE_COUNT - 4 * count.literal_value, 2 * LANE_COUNT - 4 * count.literal_value)

    def emit(builder: Any, before: Any, lanes: Any, _count: Any) -> Any:
        return shuffle(builder, before, lanes, order)

    return code(LANES, (before, lanes, count), emit)


@intrinsic
def spread(_context: Any, states: Any, index: Any) -> Any:
    """Eight 16-bit numbers from ``states[index]`` on, each in all four lanes of its word."""

    def emit(builder: Any, states: Any, index: Any) -> Any:
        values = load(builder, states, index, NARROW_VECTOR)
        return shuffle(builder, values, values, [lane // 4 for lane in range(LANE_COUNT)])

    return code(LANES, (states, types.intp), emit)


@intrinsic
def clip_lanes(_context: Any, lanes: Any, bias: Any, top: Any) -> Any:
    """``min(max(lane - bias, 0), top)`` for every lane."""

    def emit(builder: Any, lanes: Any, bias: Any, top: Any) -> Any:
        lowest, highest = (fill(builder, LANE_VECTOR, bound) for bound in (bias, top))
        above = call(builder, f"llvm.usub.sat.v{LANE_COUNT}i16", LANE_VECTOR, lanes, lowest)
        return call(builder, f"llvm.umin.v{LANE_COUNT}i16", LANE_VECTOR, above, highest)

    return code(LANES, (lanes, types.intp, types.intp), emit)


@intrinsic(prefer_literal=True)
def store_lanes(_context: Any, states: Any, index: Any, lanes: Any, first: Any, count: Any) -> Any:
    """Write ``count`` lanes of every word, from lane ``first`` on, to ``states[index]`` and on."""
    chosen = range(first.literal_value, first.literal_value + count.literal_value)
    order = [4 * word + lane for word in range(WORDS) for lane in chosen]

    def emit(builder: Any, states: Any, index: Any, lanes: Any, _first: Any, _count: Any) -> None:
        store(builder, states, index, shuffle(builder, lanes, lanes, order))

    return code(types.void, (states, types.intp, lanes, first, count), emit)


@intrinsic
def split_nibbles(_context: Any, states: Any, index: Any, nibbles: Any, target: Any, plane: Any) -> Any:
    """Split 32 states from ``states[index]`` on into the parts of table addresses.

    With ``n = state // 6`` and its nibbles ``h`` and ``l``, the five planes of ``nibbles``, ``plane`` apart,
    receive ``256 h``, ``16 h``, ``h``, ``16 l`` and ``l``. Every part is in range for any state, so that an
    address made of parts never leaves its table, even where a vector runs over the end of a row.
    """

    def emit(builder: Any, states: Any, index: Any, nibbles: Any, target: Any, plane: Any) -> None:
        grey = _sixth(builder, load(builder, states, index, LANE_VECTOR))
        four, middle = constant(LANE_VECTOR, 4), builder.and_(grey, constant(LANE_VECTOR, 0xF0))
        low = builder.and_(grey, constant(LANE_VECTOR, 0x0F))
        high = (builder.shl(middle, four), middle, builder.lshr(middle, four))
        for part in (*high, builder.shl(low, four), low):
            store(builder, nibbles, target, part)
            target = builder.add(target, plane)

    return code(types.void, (states, types.intp, nibbles, types.intp, types.intp), emit)


@intrinsic(prefer_literal=True)
def store_grey(_context: Any, out: Any, target: Any, states: Any, index: Any, plane: Any, channels: Any) -> Any:
    """Round 32 states of every channel to bytes, and write them interleaved to ``out[target]`` and on.

    The states of channel ``c`` begin at ``states[index + c * plane]``; ``channels`` is 1 to 4.
    """
    count = channels.literal_value

    def emit(builder: Any, out: Any, target: Any, states: Any, index: Any, plane: Any, _channels: Any) -> None:
        greys = []
        for _ in range(count):
            values = builder.add(load(builder, states, index, LANE_VECTOR), constant(LANE_VECTOR, 3))
            greys.append(builder.trunc(_sixth(builder, values), BYTE_VECTOR))
            index = builder.add(index, plane)
        # A shuffle takes two vectors of equal length: first two channels each are put behind one another.
        greys += greys[: -count % 2]
        joined = [shuffle(builder, greys[c], greys[c + 1], range(2 * PIXELS)) for c in range(0, count, 2)]
        order = [c * PIXELS + pixel for pixel in range(PIXELS) for c in range(count)]
        store(builder, out, target, shuffle(builder, joined[0], joined[-1], order))

    return code(types.void, (out, types.intp, states, types.intp, types.intp, channels), emit)
