"""Integers as few bytes: an adaptive binary range coder, made of whole numbers alone.

**An integer** is a run of bits: is it nonzero; is it negative; is its exponent ``e = floor(log2 |q|)`` above 0, above
1, ... (up to 15, with which it ends without a 0); then the ``e`` bits below the highest one. All have models, but for
those after the third of the last group, which are taken as even.

**A model** is the probability ``p`` of a 0, in units of 2^-22, and the number ``n`` of bits that it has seen, at most
1000. It starts with ``p = 2^21`` and ``n`` of `START`. After a 1, ``p -= floor(p / (n + 2))``; after a 0, ``p +=
floor((2^22 - p) / (n + 2))``; then ``n += 1``. The exponents have a model each, and for each ``e`` there are seven for
the first three bits below, one for each beginning.

**Tensors** are coded one after the other, each with one of two sets of models. Before a tensor, the ``n`` of its set
is lowered to at most `KEPT`, so that what was learned counts as the beginning.

**The coder** is the one of LZMA with 15 bits: a 0 takes the lower ``(range >> 15) * s`` of the range, ``s = p >> 7``
within 2^8 .. 2^15 - 2^8, an even bit takes ``range >> 1``. Range and code have 32 bits; below 2^24 a byte is shifted
in. The first byte of LZMA's, which is always 0, is not written, so a decoder starts with four.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.compiled import native
from morpho.errors import ArtifactError, InputError

__all__ = ["KEPT", "MOST_PER_BYTE", "START", "decode", "encode"]

#: How many bits a new model pretends to have seen: a flag of zero, a sign, exponents, and the bits below them.
START = (0, 8, 0, 12)
#: How many bits a model still knows at the start of the next tensor.
KEPT = 60
#: A byte stands for fewer integers than these; see the least probability in ``coder_loops``.
MOST_PER_BYTE = 720

_MODELS = 18 + 16 * 8
_BEGIN_ENCODE = (2**32 - 1, -1, 0, 0, 0, 0, 1)

Levels = NDArray[np.int32]


def encode(tensors: Sequence[Levels], sets: Sequence[int]) -> bytes:
    """Code tensors of integers.

    Args:
        tensors: integers below 2^16 in magnitude.
        sets: 0 or 1 for each: tensors of a set are alike.

    Raises:
        InputError: an integer is too large.

    >>> code = encode([np.array([0, 1, -2, 0, 7]), np.array([300])], [0, 1])
    >>> [levels.tolist() for levels in decode(code, [5, 1], [0, 1])]
    [[0, 1, -2, 0, 7], [300]]
    """
    if any(np.abs(levels, dtype=np.int64).max(initial=0) >= 2**16 for levels in tensors):
        raise InputError("the integers to code must be below 2^16 in magnitude")
    # An integer is at most 34 bits, and no bit costs more than seven.
    out = np.zeros(16 + 30 * sum(levels.size for levels in tensors), np.uint8)
    coder = _Coder(_BEGIN_ENCODE, out)
    for levels, which in zip(tensors, sets, strict=True):
        coder.run(0, np.ascontiguousarray(levels, np.int32).ravel(), which)
    coder.run(2, np.zeros(1, np.int32), 0)
    return out[: int(coder.state[1])].tobytes()


def decode(code: bytes, sizes: Sequence[int], sets: Sequence[int]) -> list[Levels]:
    """Decode what `encode` made.

    Args:
        code: all of it.
        sizes: how many integers each tensor has.
        sets: as they were encoded with.

    Raises:
        ArtifactError: the code ends too early or goes on afterwards, or is too short for so many integers.
    """
    if sum(sizes) > MOST_PER_BYTE * len(code):
        raise ArtifactError(f"{len(code)} bytes cannot hold {sum(sizes)} weights: the file is damaged")
    octets = np.frombuffer(code, np.uint8)
    coder = _Coder((2**32 - 1, 4, len(code), int.from_bytes(code[:4].ljust(4, b"\0"), "big"), 0, 0, 0), octets)
    found = []
    for size, which in zip(sizes, sets, strict=True):
        found.append(np.zeros(size, np.int32))
        coder.run(1, found[-1], which)
        if coder.state[1] > len(code):
            break
    if coder.state[1] != len(code):
        raise ArtifactError("the weights end before or after their code does: the file is damaged")
    return found


@cache
def _run_function() -> Callable[..., None]:
    return native.load("morpho.fields.coder_loops", (Path(__file__).with_name("coder_loops.py"),), pointers=5)


class _Coder:
    """The state of a coder, and its two sets of models."""

    def __init__(self, state: Sequence[int], octets: NDArray[np.uint8]) -> None:
        self.state, self._octets, self._sets = np.array(state, np.int64), octets, [_models(), _models()]
        self._call = _run_function()

    def run(self, job: int, levels: Levels, which: int) -> None:
        """Encode, decode or finish, after the set's models have forgotten most of what they saw."""
        models, task = self._sets[which], np.array([job, levels.size], np.int64)
        np.minimum(models[:, 1], KEPT, out=models[:, 1])
        arrays: tuple[NDArray[Any], ...] = (levels, models, self._octets, self.state, task)
        self._call(*(array.ctypes.data for array in arrays))


def _models() -> NDArray[np.int64]:
    """146 models as ``(probability, bits seen)``: zero, sign, 16 exponents, 16 trees of 8."""
    seen = np.repeat(np.array(START), (1, 1, 16, 128))
    return np.stack([np.full(_MODELS, 2**21), seen], axis=1).astype(np.int64)
