"""Explicit vectors for Numba: 32 lanes of 16 bits, read as eight words of four lanes.

Numba has no vector type, and LLVM does not vectorise loops that look up tables. The functions here emit LLVM's
portable vector instructions, so that one source runs well on AVX-512, AVX2 and NEON alike: LLVM splits the vectors to
the width that the processor has, and turns a gather into single loads where there is no such instruction. They can
only be called from compiled code.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

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
    "store_lanes",
    "store_grey",
    "store_words",
    "turn_blocks",
]

WORDS = 8
I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
LANE_VECTOR = ir.VectorType(I16, 4 * WORDS)
BYTE_VECTOR = ir.VectorType(I8, 4 * WORDS)
WORD_VECTOR = ir.VectorType(I64, WORDS)


class _Lanes(types.Type):  # type: ignore[misc]
    """32 unsigned lanes of 16 bits; sums wrap around, so the caller proves that they cannot."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


class _Addresses(types.Type):  # type: ignore[misc]
    """Eight table addresses."""

    def __init__(self) -> None:
        super().__init__(name="Addresses")


LANES, ADDRESSES = _Lanes(), _Addresses()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, LANE_VECTOR)


@register_model(_Addresses)
class _AddressesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, WORD_VECTOR)


def _element(context: Any, builder: Any, kind: Any, array: Any, index: Any, target: Any) -> Any:
    """Pointer to ``array[index]`` (one-dimensional, contiguous), as a pointer to ``target``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), target.as_pointer())


def _all(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


@intrinsic  # type: ignore[untyped-decorator]
def load_words(_context: Any, array: Any, index: Any) -> Any:
    """Eight words from ``array[index]`` on."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], *args, LANE_VECTOR)
        return builder.load(pointer, align=8)

    return LANES(array, types.intp), emit


@intrinsic  # type: ignore[untyped-decorator]
def store_words(_context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write eight words to ``array[index]`` and on."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], args[1], LANE_VECTOR)
        builder.store(args[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), emit


def _emit_addresses(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    narrow = ir.VectorType(I16, WORDS)
    total = None
    for index in args[1:]:
        pointer = _element(context, builder, signature.args[0], args[0], index, narrow)
        part = builder.load(pointer, align=2)
        total = part if total is None else builder.or_(total, part)
    return builder.zext(total, WORD_VECTOR)


@intrinsic  # type: ignore[untyped-decorator]
def addresses2(_context: Any, nibbles: Any, first: Any, second: Any) -> Any:
    """The bitwise or of two runs of eight 16-bit numbers."""
    return ADDRESSES(nibbles, types.intp, types.intp), _emit_addresses


@intrinsic  # type: ignore[untyped-decorator]
def addresses3(_context: Any, nibbles: Any, first: Any, second: Any, third: Any) -> Any:
    """The bitwise or of three runs of eight 16-bit numbers."""
    return ADDRESSES(nibbles, types.intp, types.intp, types.intp), _emit_addresses


@intrinsic  # type: ignore[untyped-decorator]
def gather(_context: Any, table: Any, start: Any, addresses: Any) -> Any:
    """``table[start + address]`` for eight addresses."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers_type = ir.VectorType(I64.as_pointer(), WORDS)
        base = _element(context, builder, signature.args[0], args[0], args[1], I64)
        # llvmlite does not know that a vector of indices makes a vector of pointers.
        pointers = builder.gep(base, [args[2]], source_etype=I64)
        pointers.type = pointers_type
        mask = ir.VectorType(I1, WORDS)
        kind = ir.FunctionType(WORD_VECTOR, [pointers_type, I32, mask, WORD_VECTOR])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{WORDS}i64.v{WORDS}p0")
        nothing = ir.Constant(WORD_VECTOR, ir.Undefined)
        return builder.bitcast(builder.call(function, [pointers, I32(8), _all(mask, 1), nothing]), LANE_VECTOR)

    return LANES(table, types.intp, addresses), emit


@intrinsic  # type: ignore[untyped-decorator]
def low_bytes(_context: Any, lanes: Any) -> Any:
    """The lower byte of every lane."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.and_(args[0], _all(LANE_VECTOR, 255))

    return LANES(lanes), emit


@intrinsic  # type: ignore[untyped-decorator]
def high_bytes(_context: Any, lanes: Any) -> Any:
    """The upper byte of every lane."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.lshr(args[0], _all(LANE_VECTOR, 8))

    return LANES(lanes), emit


@intrinsic  # type: ignore[untyped-decorator]
def _add(_context: Any, left: Any, right: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.add(*args)

    return LANES(left, right), emit


@overload(operator.add)  # type: ignore[untyped-decorator]
def _add_operator(left: Any, right: Any) -> Any:
    def add(left: Any, right: Any) -> Any:
        return _add(left, right)

    return add if left is LANES and right is LANES else None


@intrinsic  # type: ignore[untyped-decorator]
def turn_blocks(_context: Any, lanes: Any) -> Any:
    """Turn every word, taken as a 2x2 block, a quarter clockwise."""
    order = [4 * word + lane for word in range(WORDS) for lane in (2, 0, 3, 1)]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _shuffle(builder, args[0], args[0], order)

    return LANES(lanes), emit


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def shift_in(_context: Any, before: Any, current: Any, count: Any) -> Any:
    """The eight words that begin ``count`` words before ``current``, where ``before`` holds its predecessors."""
    words = count.literal_value

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, second = (builder.bitcast(lanes, WORD_VECTOR) for lanes in args[:2])
        mask = ir.Constant(ir.VectorType(I32, WORDS), list(range(WORDS - words, 2 * WORDS - words)))
        return builder.bitcast(builder.shuffle_vector(first, second, mask), LANE_VECTOR)

    return LANES(before, current, count), emit


@intrinsic  # type: ignore[untyped-decorator]
def spread(_context: Any, plane: Any, index: Any) -> Any:
    """Eight 16-bit numbers from ``plane[index]`` on, each in all four lanes of its word."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = builder.load(_element(context, builder, signature.args[0], *args, ir.VectorType(I16, WORDS)), align=2)
        mask = ir.Constant(ir.VectorType(I32, 4 * WORDS), [lane // 4 for lane in range(4 * WORDS)])
        return builder.shuffle_vector(values, values, mask)

    return LANES(plane, types.intp), emit


@intrinsic  # type: ignore[untyped-decorator]
def clip_lanes(_context: Any, lanes: Any, bias: Any, top: Any) -> Any:
    """``min(max(lane - bias, 0), top)`` for every lane."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bounds = []
        for scalar in args[1:]:
            one = builder.insert_element(ir.Constant(LANE_VECTOR, ir.Undefined), builder.trunc(scalar, I16), I32(0))
            bounds.append(builder.shuffle_vector(one, one, _all(ir.VectorType(I32, 4 * WORDS), 0)))
        kind = ir.FunctionType(LANE_VECTOR, [LANE_VECTOR, LANE_VECTOR])
        below = cgutils.get_or_insert_function(builder.module, kind, f"llvm.usub.sat.v{4 * WORDS}i16")
        above = cgutils.get_or_insert_function(builder.module, kind, f"llvm.umin.v{4 * WORDS}i16")
        return builder.call(above, [builder.call(below, [args[0], bounds[0]]), bounds[1]])

    return LANES(lanes, types.intp, types.intp), emit


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def store_lanes(_context: Any, plane: Any, index: Any, lanes: Any, first: Any, count: Any) -> Any:
    """Write ``count`` lanes of every word, from lane ``first`` on, to ``plane[index]`` and on."""
    picked = [4 * word + first.literal_value + i for word in range(WORDS) for i in range(count.literal_value)]

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = ir.Constant(ir.VectorType(I32, len(picked)), picked)
        target = ir.VectorType(I16, len(picked))
        pointer = _element(context, builder, signature.args[0], args[0], args[1], target)
        builder.store(builder.shuffle_vector(args[2], args[2], mask), pointer, align=2)
        return context.get_dummy_value()

    return types.void(plane, types.intp, lanes, first, count), emit


@intrinsic  # type: ignore[untyped-decorator]
def split_nibbles(_context: Any, state: Any, index: Any, nibbles: Any, target: Any, plane: Any) -> Any:
    """Split 32 states from ``state[index]`` on into the parts of table addresses.

    With ``n = state // 6`` and its nibbles ``h`` and ``l``, the planes of ``nibbles``, ``plane`` apart, receive
    ``256 h``, ``16 h``, ``h``, ``16 l`` and ``l``. Every part is in range for any state, so that an address made
    from parts never leaves its table, even where a vector runs over the end of a row.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        state = builder.load(_element(context, builder, signature.args[0], *args[:2], LANE_VECTOR), align=2)
        grey = _sixth(builder, state)
        middle = builder.and_(grey, _all(LANE_VECTOR, 0xF0))
        low = builder.and_(grey, _all(LANE_VECTOR, 0x0F))
        four = _all(LANE_VECTOR, 4)
        parts = (builder.shl(middle, four), middle, builder.lshr(middle, four), builder.shl(low, four), low)
        position = args[3]
        for part in parts:
            builder.store(part, _element(context, builder, signature.args[2], args[2], position, LANE_VECTOR), align=2)
            position = builder.add(position, args[4])
        return context.get_dummy_value()

    return types.void(state, types.intp, nibbles, types.intp, types.intp), emit


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def store_grey(_context: Any, out: Any, target: Any, state: Any, index: Any, plane: Any, channels: Any) -> Any:
    """Round 32 states of every channel to bytes, and write them interleaved to ``out[target]`` and on.

    The states of channel ``c`` begin at ``state[index + c * plane]``.
    """
    count = channels.literal_value
    pixels = 4 * WORDS

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        greys, position = [], args[3]
        for _ in range(count):
            states = builder.load(_element(context, builder, signature.args[2], args[2], position, LANE_VECTOR), align=2)
            greys.append(builder.trunc(_sixth(builder, builder.add(states, _all(LANE_VECTOR, 3))), BYTE_VECTOR))
            position = builder.add(position, args[4])
        greys += [greys[0]] * (-count % 2)
        pairs = [_shuffle(builder, *greys[i : i + 2], range(2 * pixels)) for i in range(0, len(greys), 2)]
        order = [c * pixels + pixel for pixel in range(pixels) for c in range(count)]
        mixed = _shuffle(builder, pairs[0], pairs[-1], order)
        pointer = _element(context, builder, signature.args[0], *args[:2], mixed.type)
        builder.store(mixed, pointer, align=1)
        return context.get_dummy_value()

    return types.void(out, types.intp, state, types.intp, types.intp, channels), emit


def _sixth(builder: Any, lanes: Any) -> Any:
    """``lane // 6``: 10923 / 65536 exceeds 1/6 by less than 1 / (6 * 1536), so it is exact below 1536."""
    wide = ir.VectorType(I32, 4 * WORDS)
    product = builder.mul(builder.zext(lanes, wide), _all(wide, 10923))
    return builder.trunc(builder.lshr(product, _all(wide, 16)), LANE_VECTOR)


def _shuffle(builder: Any, first: Any, second: Any, order: Any) -> Any:
    indices = list(order)
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, len(indices)), indices))
