"""Explicit vectors for Numba: 32 lanes of 16 bits, read as eight words of four lanes.

Numba has no vector type, and LLVM does not vectorise loops that look up tables. The functions here emit
LLVM's portable vector instructions, so that one source runs well on AVX-512, AVX2 and NEON alike: LLVM splits
vectors to the width that the processor has, and turns a gather into single loads where there is no such
instruction. They can only be called from compiled code.
"""

# Numba reads the signatures of overloads itself, and wants them without annotations.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from morpho.compiled.pointers import code, intrinsic, overload

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
I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
LANE_VECTOR = ir.VectorType(I16, LANE_COUNT)
BYTE_VECTOR = ir.VectorType(I8, LANE_COUNT)
WORD_VECTOR = ir.VectorType(I64, WORDS)
NARROW_VECTOR = ir.VectorType(I16, WORDS)


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


def _element(builder: Any, pointer: Any, index: Any, target: Any) -> Any:
    """The address of ``pointer[index]``, as that of a ``target``."""
    return builder.bitcast(builder.gep(pointer, [index]), target.as_pointer())


def _load(builder: Any, pointer: Any, index: Any, target: Any) -> Any:
    return builder.load(_element(builder, pointer, index, target), align=pointer.type.pointee.width // 8)


def _store(builder: Any, pointer: Any, index: Any, value: Any) -> None:
    builder.store(value, _element(builder, pointer, index, value.type), align=pointer.type.pointee.width // 8)


def _all(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _shuffle(builder: Any, first: Any, second: Any, order: Iterable[int]) -> Any:
    indices = list(order)
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, len(indices)), indices))


def _fill(builder: Any, vector: Any, scalar: Any) -> Any:
    """A vector whose lanes all hold ``scalar``, cut to their width."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), builder.trunc(scalar, vector.element), I32(0))
    return _shuffle(builder, one, one, [0] * vector.count)


def _call(builder: Any, name: str, result: Any, *values: Any) -> Any:
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def _sixth(builder: Any, lanes: Any) -> Any:
    """``lane // 6``, exact below 32768, as 10923 / 65536 exceeds 1/6 by 1 / (6 * 32768)."""
    wide = ir.VectorType(I32, LANE_COUNT)
    product = builder.mul(builder.zext(lanes, wide), _all(wide, 10923))
    return builder.trunc(builder.lshr(product, _all(wide, 16)), LANE_VECTOR)


@intrinsic
def _add(_context: Any, left: Any, right: Any) -> Any:
    return code(LANES, (left, right), lambda builder, left, right: builder.add(left, right))


@overload(operator.add)
def _plus(left, right):
    return (lambda left, right: _add(left, right)) if left is LANES and right is LANES else None


@intrinsic
def load_words(_context: Any, words: Any, index: Any) -> Any:
    """Eight words from ``words[index]`` on."""
    return code(LANES, (words, types.intp), lambda builder, words, index: _load(builder, words, index, LANE_VECTOR))


@intrinsic
def store_words(_context: Any, words: Any, index: Any, lanes: Any) -> Any:
    """Write eight words to ``words[index]`` and on."""
    return code(types.void, (words, types.intp, lanes), _store)


def _emit_addresses(builder: Any, nibbles: Any, first: Any, *others: Any) -> Any:
    total = _load(builder, nibbles, first, NARROW_VECTOR)
    for index in others:
        total = builder.or_(total, _load(builder, nibbles, index, NARROW_VECTOR))
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
        pointers = builder.gep(builder.gep(table, [start]), [addresses], source_etype=I64)
        # llvmlite does not know that a vector of indices makes a vector of pointers.
        pointers.type = ir.VectorType(I64.as_pointer(), WORDS)
        everywhere, nothing = _all(ir.VectorType(I1, WORDS), 1), ir.Constant(WORD_VECTOR, ir.Undefined)
        name = f"llvm.masked.gather.v{WORDS}i64.v{WORDS}p0"
        entries = _call(builder, name, WORD_VECTOR, pointers, I32(8), everywhere, nothing)
        return builder.bitcast(entries, LANE_VECTOR)

    return code(LANES, (table, types.intp, addresses), emit)


@intrinsic
def low_bytes(_context: Any, lanes: Any) -> Any:
    """The lower byte of every lane."""
    return code(LANES, [lanes], lambda builder, lanes: builder.and_(lanes, _all(LANE_VECTOR, 255)))


@intrinsic
def high_bytes(_context: Any, lanes: Any) -> Any:
    """The upper byte of every lane."""
    return code(LANES, [lanes], lambda builder, lanes: builder.lshr(lanes, _all(LANE_VECTOR, 8)))


@intrinsic
def turn_blocks(_context: Any, lanes: Any) -> Any:
    """Turn every word, taken as a 2x2 block, a quarter clockwise."""
    order = [4 * word + lane for word in range(WORDS) for lane in (2, 0, 3, 1)]
    return code(LANES, [lanes], lambda builder, lanes: _shuffle(builder, lanes, lanes, order))


@intrinsic(prefer_literal=True)
def shift_in(_context: Any, before: Any, lanes: Any, count: Any) -> Any:
    """The eight words that begin ``count`` words before ``lanes``; ``before`` holds the preceding ones."""
    order = range(LANE_COUNT - 4 * count.literal_value, 2 * LANE_COUNT - 4 * count.literal_value)

    def emit(builder: Any, before: Any, lanes: Any, _count: Any) -> Any:
        return _shuffle(builder, before, lanes, order)

    return code(LANES, (before, lanes, count), emit)


@intrinsic
def spread(_context: Any, states: Any, index: Any) -> Any:
    """Eight 16-bit numbers from ``states[index]`` on, each in all four lanes of its word."""

    def emit(builder: Any, states: Any, index: Any) -> Any:
        values = _load(builder, states, index, NARROW_VECTOR)
        return _shuffle(builder, values, values, [lane // 4 for lane in range(LANE_COUNT)])

    return code(LANES, (states, types.intp), emit)


@intrinsic
def clip_lanes(_context: Any, lanes: Any, bias: Any, top: Any) -> Any:
    """``min(max(lane - bias, 0), top)`` for every lane."""

    def emit(builder: Any, lanes: Any, bias: Any, top: Any) -> Any:
        lowest, highest = (_fill(builder, LANE_VECTOR, bound) for bound in (bias, top))
        above = _call(builder, f"llvm.usub.sat.v{LANE_COUNT}i16", LANE_VECTOR, lanes, lowest)
        return _call(builder, f"llvm.umin.v{LANE_COUNT}i16", LANE_VECTOR, above, highest)

    return code(LANES, (lanes, types.intp, types.intp), emit)


@intrinsic(prefer_literal=True)
def store_lanes(_context: Any, states: Any, index: Any, lanes: Any, first: Any, count: Any) -> Any:
    """Write ``count`` lanes of every word, from lane ``first`` on, to ``states[index]`` and on."""
    chosen = range(first.literal_value, first.literal_value + count.literal_value)
    order = [4 * word + lane for word in range(WORDS) for lane in chosen]

    def emit(builder: Any, states: Any, index: Any, lanes: Any, _first: Any, _count: Any) -> None:
        _store(builder, states, index, _shuffle(builder, lanes, lanes, order))

    return code(types.void, (states, types.intp, lanes, first, count), emit)


@intrinsic
def split_nibbles(_context: Any, states: Any, index: Any, nibbles: Any, target: Any, plane: Any) -> Any:
    """Split 32 states from ``states[index]`` on into the parts of table addresses.

    With ``n = state // 6`` and its nibbles ``h`` and ``l``, the five planes of ``nibbles``, ``plane`` apart,
    receive ``256 h``, ``16 h``, ``h``, ``16 l`` and ``l``. Every part is in range for any state, so that an
    address made of parts never leaves its table, even where a vector runs over the end of a row.
    """

    def emit(builder: Any, states: Any, index: Any, nibbles: Any, target: Any, plane: Any) -> None:
        grey = _sixth(builder, _load(builder, states, index, LANE_VECTOR))
        four, middle = _all(LANE_VECTOR, 4), builder.and_(grey, _all(LANE_VECTOR, 0xF0))
        low = builder.and_(grey, _all(LANE_VECTOR, 0x0F))
        high = (builder.shl(middle, four), middle, builder.lshr(middle, four))
        for part in (*high, builder.shl(low, four), low):
            _store(builder, nibbles, target, part)
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
            values = builder.add(_load(builder, states, index, LANE_VECTOR), _all(LANE_VECTOR, 3))
            greys.append(builder.trunc(_sixth(builder, values), BYTE_VECTOR))
            index = builder.add(index, plane)
        # A shuffle takes two vectors of equal length: first two channels each are put behind one another.
        greys += greys[: -count % 2]
        joined = [_shuffle(builder, greys[c], greys[c + 1], range(2 * PIXELS)) for c in range(0, count, 2)]
        order = [c * PIXELS + pixel for pixel in range(PIXELS) for c in range(count)]
        _store(builder, out, target, _shuffle(builder, joined[0], joined[-1], order))

    return code(types.void, (out, types.intp, states, types.intp, types.intp, channels), emit)
