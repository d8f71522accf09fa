"""The vectors of all other lookups: one pixel at a time, its channels in four 64-bit lanes, of which one is idle.

They can only be called from compiled code.
"""

# Numba reads the signatures of overloads itself, and wants them without annotations.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from morpho.compiled.pointers import code, intrinsic
from morpho.compiled.vectors import I32, I64, call, constant, fill, load, vector
from morpho.luts.kernel_layout import COLOUR_BITS, EDGE_BITS, FINE_BITS

__all__ = ["blend", "blend_cube"]

_LANES = 4
_LONGS = vector(I64, _LANES)

Builder = Any
Value = Any


@intrinsic(prefer_literal=True)
def blend(
    _context: Any, nodes: Any, corners: Any, weights: Any, row: Any, total: Any, peak: Any, out: Any, at: Any
) -> Any:
    """A colour between the four corners of a tetrahedron, written to ``out[at]`` and on.

    Three corners' offsets are at ``corners``, ``row`` after one another, and three fractions in falling order at
    ``weights``; the fourth corner is ``total`` after the first.
    """
    top = peak.literal_value
    bits = top.bit_length()

    def emit(
        builder: Builder,
        nodes: Value,
        corners: Value,
        weights: Value,
        row: Value,
        total: Value,
        _peak: Value,
        out: Value,
        at: Value,
    ) -> None:
        places = [_number(builder, corners, builder.mul(row, I64(i))) for i in range(3)]
        places.append(builder.add(places[0], total))
        falling = [I64(top), *(_number(builder, weights, builder.mul(row, I64(i))) for i in range(3)), I64(0)]
        sums = constant(_LONGS, 16 * top)
        for i, place in enumerate(places):
            weight = fill(builder, _LONGS, builder.sub(falling[i], falling[i + 1]))
            sums = builder.add(sums, builder.mul(_node(builder, nodes, place), weight))
        # Divided by 32 and by the peak, which is one less than a power of two.
        value = builder.lshr(_clipped(builder, sums, 32 * top * top), constant(_LONGS, 5))
        quotient = builder.add(value, builder.lshr(value, constant(_LONGS, bits)))
        _write(builder, builder.lshr(builder.add(quotient, constant(_LONGS, 1)), constant(_LONGS, bits)), out, at)

    parameters = (nodes, corners, weights, types.intp, types.intp, peak, out, types.intp)
    return code(types.void, parameters, emit)


@intrinsic(prefer_literal=True)
def blend_cube(
    _context: Any,
    nodes: Any,
    corner: Any,
    axis: Any,
    red: Any,
    green: Any,
    blue: Any,
    peak: Any,
    out: Any,
    at: Any,
) -> Any:
    """A colour between the eight corners of a cell, written to ``out[at]`` and on."""
    top = peak.literal_value

    def emit(
        builder: Builder,
        nodes: Value,
        corner: Value,
        axis: Value,
        red: Value,
        green: Value,
        blue: Value,
        _peak: Value,
        out: Value,
        at: Value,
    ) -> None:
        steps = [(I64(0), I64(1)), (I64(0), axis), (I64(0), builder.mul(axis, axis))]
        pairs = [
            (fill(builder, _LONGS, builder.sub(I64(1 << FINE_BITS), part)), fill(builder, _LONGS, part))
            for part in (blue, green, red)
        ]

        def between(dimension: int, place: Value) -> Value:
            """Along the first axes, from blue on."""
            if dimension < 0:
                return _node(builder, nodes, place)
            ends = [between(dimension - 1, builder.add(place, step)) for step in steps[dimension]]
            low, high = (builder.mul(end, weight) for end, weight in zip(ends, pairs[dimension], strict=True))
            both = builder.add(low, high)
            if dimension == 2:
                both = builder.add(both, constant(_LONGS, 1 << COLOUR_BITS - 1))
            return builder.ashr(both, constant(_LONGS, (EDGE_BITS, FINE_BITS, COLOUR_BITS)[dimension]))

        _write(builder, _clipped(builder, between(2, corner), top), out, at)

    numbers = [types.intp] * 5
    return code(types.void, (nodes, *numbers, peak, out, types.intp), emit)


def _number(builder: Builder, numbers: Value, index: Value) -> Value:
    return builder.zext(builder.load(builder.gep(numbers, [index])), I64)


def _node(builder: Builder, nodes: Value, place: Value) -> Value:
    lanes = load(builder, nodes, builder.mul(place, I64(_LANES)), vector(I32, _LANES))
    return builder.sext(lanes, _LONGS)


def _clipped(builder: Builder, value: Value, top: int) -> Value:
    above = call(builder, f"llvm.smax.v{_LANES}i64", _LONGS, value, constant(_LONGS, 0))
    return call(builder, f"llvm.smin.v{_LANES}i64", _LONGS, above, constant(_LONGS, top))


def _write(builder: Builder, colour: Value, out: Value, at: Value) -> None:
    """Three lanes, one by one: what follows may be another thread's."""
    narrow = builder.trunc(colour, vector(out.type.pointee, _LANES))
    for channel in range(3):
        value = builder.extract_element(narrow, ir.Constant(I32, channel))
        builder.store(value, builder.gep(out, [builder.add(at, I64(channel))]))
