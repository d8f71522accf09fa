"""Plain pointers for Numba, and how functions are compiled that need nothing from Python.

Code that is built of pointers, whole numbers and vectors alone, all in one function, can neither raise nor
count references. LLVM then drops what Numba adds for both, and the rest can be kept and loaded without Numba
(see ``native``).
"""

# Numba reads the signatures of overloads itself, and wants them without annotations.
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numba
from llvmlite import ir
from numba import extending, types

__all__ = ["OPTIONS", "cast", "code", "intrinsic", "jit", "overload"]

#: For functions that cannot raise: divisors are never 0, and all calls end up in one function.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "forceinline": True}
# Numba's own types describe these decorators as Python sees them, not as compiled code calls what they make.
jit: Any = numba.njit(**OPTIONS)
intrinsic: Any = extending.intrinsic
overload: Any = extending.overload


def code(result: Any, parameters: Iterable[Any], emit: Callable[..., Any]) -> tuple[Any, Any]:
    """What an intrinsic returns: its signature, and a generator that calls ``emit(builder, *values)``."""

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        value = emit(builder, *values)
        return context.get_dummy_value() if result is types.void else value

    return result(*parameters), generate


@intrinsic
def _get(_context: Any, pointer: Any, index: Any) -> Any:
    def emit(builder: Any, pointer: Any, index: Any) -> Any:
        return builder.load(builder.gep(pointer, [index]))

    return code(pointer.dtype, (pointer, types.intp), emit)


@intrinsic
def _set(_context: Any, pointer: Any, index: Any, value: Any) -> Any:
    def emit(builder: Any, pointer: Any, index: Any, value: Any) -> None:
        builder.store(value, builder.gep(pointer, [index]))

    return code(types.void, (pointer, types.intp, pointer.dtype), emit)


@intrinsic
def _advance(_context: Any, pointer: Any, count: Any) -> Any:
    return code(pointer, (pointer, types.intp), lambda builder, pointer, count: builder.gep(pointer, [count]))


@overload(operator.getitem)
def _get_item(pointer, index):
    return (lambda pointer, index: _get(pointer, index)) if isinstance(pointer, types.CPointer) else None


@overload(operator.setitem)
def _set_item(pointer, index, value):
    return (lambda pointer, index, value: _set(pointer, index, value)) if isinstance(pointer, types.CPointer) else None


@overload(operator.add)
def _plus(left, right):
    if isinstance(left, types.CPointer) and isinstance(right, types.Integer):
        return lambda left, right: _advance(left, right)
    return None


@intrinsic
def cast(_context: Any, pointer: Any, kind: Any) -> Any:
    """The same address, as that of integers of another type."""
    target = ir.IntType(kind.dtype.bitwidth).as_pointer()

    def emit(builder: Any, pointer: Any, _kind: Any) -> Any:
        return builder.bitcast(pointer, target)

    return code(types.CPointer(kind.dtype), (pointer, kind), emit)
