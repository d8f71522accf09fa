"""The coder loses nothing, comes near the entropy, and refuses what it did not write.

`test_format.py` holds a decoder made of the format's description, which reads the same bytes.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.errors import ArtifactError, InputError
from morpho.fields.entropy import MOST_PER_BYTE, decode, encode

_levels = st.lists(st.integers(-(2**16) + 1, 2**16 - 1) | st.integers(-3, 3), max_size=40)


@given(st.lists(st.tuples(_levels, st.integers(0, 1)), max_size=5))
def test_there_and_back(tensors: list[tuple[list[int], int]]) -> None:
    sets = [which for _, which in tensors]
    code = encode([np.array(levels, np.int32) for levels, _ in tensors], sets)
    found = decode(code, [len(levels) for levels, _ in tensors], sets)
    assert [levels.tolist() for levels in found] == [levels for levels, _ in tensors]


def _entropy(levels: NDArray[np.int32]) -> float:
    counts = np.unique(levels, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum() / 8)


@pytest.mark.parametrize(("size", "spread", "over"), [(60_000, 15, 1.003), (60_000, 1.2, 1.003), (2400, 12, 1.02)])
@pytest.mark.parametrize("law", ["normal", "laplace"])
def test_rate_is_near_the_entropy(size: int, spread: float, over: float, law: str) -> None:
    random = np.random.default_rng(3)
    levels = np.rint(getattr(random, law)(0, spread, size)).astype(np.int32)
    assert len(encode([levels], [0])) <= over * _entropy(levels) + 8


def test_carries_reach_back() -> None:
    # Likely bits and then the least likely one make runs of 255, over which a carry runs.
    for seed in range(60):
        levels = (np.random.default_rng(seed).random(4000) < 0.002).astype(np.int32) * 65535
        assert np.array_equal(decode(encode([levels], [0]), [4000], [0])[0], levels)


def test_bytes_of_zeros_are_bounded() -> None:
    zeros = np.zeros(1_000_000, np.int32)
    code = encode([zeros], [0])
    assert len(code) * MOST_PER_BYTE >= len(zeros) > len(code) * MOST_PER_BYTE * 0.9
    assert not decode(code, [len(zeros)], [0])[0].any()


def test_many_weights_from_few_bytes_are_refused_at_once() -> None:
    with pytest.raises(ArtifactError, match="cannot hold"):
        decode(bytes(1000), [2**28], [0])
    with pytest.raises(ArtifactError, match="cannot hold"):
        decode(bytes(1000), [MOST_PER_BYTE * 1000, 1], [0, 1])


@given(st.binary(max_size=60), st.lists(st.integers(0, 50), max_size=4))
def test_any_bytes_decode_or_are_refused(code: bytes, sizes: list[int]) -> None:
    try:
        found = decode(code, sizes, [i % 2 for i in range(len(sizes))])
    except ArtifactError:
        return
    assert [len(levels) for levels in found] == sizes
    assert all(np.abs(levels).max(initial=0) < 2**16 for levels in found)


@pytest.mark.parametrize("change", [-1, -4, 1, 9])
def test_code_of_another_length_is_refused(change: int) -> None:
    levels = np.random.default_rng(0).integers(-9, 9, 500).astype(np.int32)
    code = encode([levels], [1])
    code = code[:change] if change < 0 else code + bytes(change)
    with pytest.raises(ArtifactError, match="end before or after"):
        decode(code, [500], [1])


def test_large_integers_are_refused() -> None:
    for level in (2**16, -(2**16), -(2**31)):  # the last has no magnitude in 32 bits
        with pytest.raises(InputError, match=r"below 2\^16"):
            encode([np.array([level], np.int32)], [0])


def test_speed() -> None:
    levels = np.rint(np.random.default_rng(0).normal(0, 15, 200_000)).astype(np.int32)
    code = encode([levels], [0])
    start = time.thread_time()
    decode(code, [200_000], [0])
    assert time.thread_time() - start < 1  # 0.02 s, where it is measured on its own
