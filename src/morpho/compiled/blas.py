"""NumPy's matrix products on the calling thread alone, for work that has threads of its own.

OpenBLAS, which comes with NumPy, splits every product over all cores and lets idle threads spin. Several threads that
multiply small matrices then wait for one another: on a busy machine they take several times as long as one thread.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock

__all__ = ["single_threaded"]

#: How builds of OpenBLAS call the two functions: NumPy's own, and those of others.
_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")

_lock, _users, _before = Lock(), 0, 1


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let NumPy's matrix products use one thread each; where there is no OpenBLAS, change nothing.

    This holds for the whole process, until the last of several users has finished.

    >>> with single_threaded():
    ...     pass
    """
    global _users, _before
    getter, setter = _functions()
    with _lock:
        if not _users:
            _before = getter()
            setter(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                setter(_before)


@cache
def _functions() -> tuple[Callable[[], int], Callable[[int], object]]:
    """OpenBLAS's functions that tell and set its threads, found through the NumPy module that is linked with it."""
    try:
        library = ctypes.CDLL(str(import_module("numpy._core._multiarray_umath").__file__))
    except (ImportError, OSError):
        return (lambda: 1), (lambda _: None)
    for name in _NAMES:
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return (lambda: 1), (lambda _: None)
