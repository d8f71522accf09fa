"""The bricks of explicit vectors: LLVM's portable instructions, as intrinsics of Numba emit them.

Numba has no vector type, and LLVM does not vectorise loops that look up tables. LLVM splits vectors to the width that
the processor has, and turns a gather into single loads where there is no such instruction: one source runs well on
AVX-512, AVX2 and NEON alike.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "I8",
    "I16",
    "I32",
    "I64",
    "call",
    "channels_of",
    "constant",
    "fill",
    "gather",
    "load",
    "shuffle",
    "store",
    "vector",
]

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))


def vector(element: Any, count: int) -> Any:
    """The type of ``count`` lanes."""
    return ir.VectorType(element, count)


def constant(kind: Any, value: int) -> Any:
    """A vector whose lanes all hold a number that is known when the code is made."""
    return ir.Constant(kind, [value] * kind.count)


def fill(builder: Any, kind: Any, scalar: Any) -> Any:
    """A vector whose lanes all hold ``scalar``, cut to their width."""
    if scalar.type.width > kind.element.width:
        scalar = builder.trunc(scalar, kind.element)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
    return shuffle(builder, one, one, [0] * kind.count)


def load(builder: Any, pointer: Any, index: Any, kind: Any) -> Any:
    """A vector from ``pointer[index]`` on, aligned like one element."""
    return builder.load(_address(builder, pointer, index, kind), align=pointer.type.pointee.width // 8)


def store(builder: Any, pointer: Any, index: Any, value: Any) -> None:
    """Write a vector to ``pointer[index]`` and on."""
    builder.store(value, _address(builder, pointer, index, value.type), align=pointer.type.pointee.width // 8)


def _address(builder: Any, pointer: Any, index: Any, target: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [index]), target.as_pointer())


def shuffle(builder: Any, first: Any, second: Any, order: Iterable[int]) -> Any:
    """Lanes of two vectors in any order; the second's are counted after the first's."""
    indices = list(order)
    return builder.shuffle_vector(first, second, ir.Constant(vector(I32, len(indices)), indices))


def channels_of(builder: Any, image: Any, at: Any, count: int, pixels: int) -> list[Any]:
    """The first three channels of ``pixels`` pixels from ``image[at]`` on, and the fourth where ``count`` is 4."""
    kind = vector(image.type.pointee, pixels)
    parts = [load(builder, image, builder.add(at, I64(pixels * i)), kind) for i in range(count)]
    parts += parts[: 4 - count]
    low, high = (shuffle(builder, parts[i], parts[i + 1], range(2 * pixels)) for i in (0, 2))
    return [shuffle(builder, low, high, range(channel, count * pixels, count)) for channel in range(count)]


def call(builder: Any, name: str, result: Any, *values: Any) -> Any:
    """Call one of LLVM's own functions."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def gather(builder: Any, table: Any, start: Any, addresses: Any) -> Any:
    """``table[start + address]`` for each of a vector of 64-bit addresses; the table holds 64-bit words."""
    count = addresses.type.count
    pointers = builder.gep(builder.gep(table, [start]), [addresses], source_etype=I64)
    # llvmlite does not know that a vector of indices makes a vector of pointers.
    pointers.type = vector(I64.as_pointer(), count)
    everywhere, nothing = constant(vector(I1, count), 1), ir.Constant(addresses.type, ir.Undefined)
    name = f"llvm.masked.gather.v{count}i64.v{count}p0"
    return call(builder, name, addresses.type, pointers, I32(8), everywhere, nothing)
