"""The vectors of `kernel_loops`: sixteen columns side by side, as intrinsics of Numba emit them.

They can only be called from compiled code. LLVM splits the vectors to the width that the processor has.
"""

# mypy: allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from morpho.butterfly.kernel_layout import LANES
from morpho.compiled.pointers import code, intrinsic
from morpho.compiled.vectors import I64, shuffle, vector

__all__ = ["add_copy", "add_up", "copy", "slide", "turn_in", "turn_out"]

_FLOAT = ir.FloatType()
_VECTOR = vector(_FLOAT, LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)
_ALIGN = 4

Builder = Any
Value = Any


@intrinsic(prefer_literal=True)
def add_up(
    _context: Any, weights: Any, rows: Any, steps: Any, source: Any, stride: Any, target: Any, apart: Any
) -> Any:
    """``target[i] = sum_j weights[j, i] source[j]`` for a literal number of rows ``i``; all are vectors of columns.

    Vectors of the source are ``stride`` numbers apart, those of the target ``apart``; there is at least one step.
    """
    count = rows.literal_value

    def emit(builder: Builder, *values: Value) -> None:
        weights, _, steps, source, stride, target, apart = values

        def place(step: Value) -> Value:
            return builder.gep(source, [builder.mul(step, stride)])

        for i, total in enumerate(_sums(builder, weights, count, steps, place)):
            _store(builder, builder.gep(target, [builder.mul(apart, I64(i))]), total)

    return code(types.void, (weights, rows, types.intp, source, types.intp, target, types.intp), emit)


@intrinsic(prefer_literal=True)
def slide(_context: Any, weights: Any, rows: Any, steps: Any, source: Any, offsets: Any, target: Any) -> Any:
    """Like `add_up`, from sources at any offsets to targets that lie one after the other."""
    count = rows.literal_value

    def emit(builder: Builder, *values: Value) -> None:
        weights, _, steps, source, offsets, target = values

        def place(step: Value) -> Value:
            return builder.gep(source, [builder.load(builder.gep(offsets, [step]))])

        for i, total in enumerate(_sums(builder, weights, count, steps, place)):
            _store(builder, _offset(builder, target, LANES * i), total)

    return code(types.void, (weights, rows, types.intp, source, offsets, target), emit)


@intrinsic
def turn_in(_context: Any, source: Any, stride: Any, last: Any, target: Any) -> Any:
    """Write sixteen numbers of each of sixteen rows as sixteen vectors of columns; rows after the last are like it."""

    def emit(builder: Builder, source: Value, stride: Value, last: Value, target: Value) -> None:
        rows = []
        for i in range(LANES):
            row = builder.select(builder.icmp_signed("<", I64(i), last), I64(i), last)
            rows.append(_load(builder, builder.gep(source, [builder.mul(stride, row)])))
        for i, column in enumerate(_transposed(builder, rows)):
            _store(builder, _offset(builder, target, LANES * i), column)

    return code(types.void, (source, types.intp, types.intp, target), emit)


@intrinsic
def turn_out(_context: Any, source: Any, bias: Any, target: Any, stride: Any) -> Any:
    """Add sixteen biases to sixteen vectors of columns and write them as sixteen rows."""

    def emit(builder: Builder, source: Value, bias: Value, target: Value, stride: Value) -> None:
        columns = [
            builder.fadd(_load(builder, _offset(builder, source, LANES * i)), _fill(builder, _offset(builder, bias, i)))
            for i in range(LANES)
        ]
        for i, row in enumerate(_transposed(builder, columns)):
            _store(builder, builder.gep(target, [builder.mul(stride, I64(i))]), row)

    return code(types.void, (source, bias, target, types.intp), emit)


@intrinsic
def copy(_context: Any, source: Any, target: Any) -> Any:
    """Copy a vector."""

    def emit(builder: Builder, source: Value, target: Value) -> None:
        _store(builder, target, _load(builder, source))

    return code(types.void, (source, target), emit)


@intrinsic
def add_copy(_context: Any, source: Any, bias: Any, target: Any) -> Any:
    """Copy a vector and add one number to all of it."""

    def emit(builder: Builder, source: Value, bias: Value, target: Value) -> None:
        _store(builder, target, builder.fadd(_load(builder, source), _fill(builder, bias)))

    return code(types.void, (source, bias, target), emit)


def _sums(builder: Builder, weights: Value, count: int, steps: Value, place: Callable[[Value], Value]) -> list[Value]:
    """A loop over steps that adds up products of the vector at a step's place with ``count`` weights."""
    before, loop = builder.block, builder.append_basic_block("sum")
    builder.branch(loop)
    builder.position_at_end(loop)
    step, weight = builder.phi(steps.type), builder.phi(weights.type)
    sums = [builder.phi(_VECTOR) for _ in range(count)]
    numbers = _load(builder, place(step))
    added = [_added(builder, sums[i], numbers, _offset(builder, weight, i)) for i in range(count)]
    following = [builder.add(step, I64(1)), _offset(builder, weight, count), *added]
    starts = [I64(0), weights, *[_ZERO] * count]
    for phi, start, then in zip((step, weight, *sums), starts, following, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(then, loop)
    end = builder.append_basic_block("summed")
    builder.cbranch(builder.icmp_signed("<", following[0], steps), loop, end)
    builder.position_at_end(end)
    return added


def _added(builder: Builder, total: Value, numbers: Value, weight: Value) -> Value:
    """``total + weight * numbers``, in one rounding where the processor can."""
    product = builder.fmul(numbers, _fill(builder, weight), flags=("contract",))
    return builder.fadd(total, product, flags=("contract",))


def _transposed(builder: Builder, rows: list[Value]) -> list[Value]:
    """Rows as columns: interleaved with those half the square away, as often as it takes to halve that to one."""
    half = LANES // 2
    low = [place for i in range(half) for place in (i, LANES + i)]
    high = [place + half for place in low]
    size = LANES
    while size > 1:
        rows = [shuffle(builder, rows[i], rows[i + half], order) for i in range(half) for order in (low, high)]
        size //= 2
    return rows


def _fill(builder: Builder, pointer: Value) -> Value:
    """A vector whose lanes all hold the number at an address."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), builder.load(pointer), ir.IntType(32)(0))
    return shuffle(builder, one, one, [0] * LANES)


def _offset(builder: Builder, pointer: Value, count: int) -> Value:
    return builder.gep(pointer, [I64(count)])


def _load(builder: Builder, pointer: Value) -> Value:
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=_ALIGN)


def _store(builder: Builder, pointer: Value, value: Value) -> None:
    builder.store(value, builder.bitcast(pointer, _VECTOR.as_pointer()), align=_ALIGN)
