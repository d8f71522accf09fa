"""Bands cover a picture, whatever its size, and what happens in another thread is not lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.compiled.bands import SMALLEST_BAND, as_run, in_bands
from morpho.errors import InputError


@given(
    rows=st.integers(1, 3000),
    width=st.integers(1, 3000),
    threads=st.integers(1, 4),
    band=st.one_of(st.none(), st.integers(1, 10_000)),
)
def test_every_row_is_in_one_band(rows: int, width: int, threads: int, band: int | None) -> None:
    seen: list[tuple[int, int]] = []
    in_bands(rows, width, lambda top, bottom: seen.append((top, bottom)), threads=threads, band=band)
    seen.sort()
    assert seen[0][0] == 0
    assert seen[-1][1] == rows
    assert all(top < bottom for top, bottom in seen)
    assert [top for top, _ in seen[1:]] == [bottom for _, bottom in seen[:-1]]


def test_small_pictures_do_not_start_a_thread() -> None:
    names = set()
    in_bands(SMALLEST_BAND, 1, lambda top, bottom: names.add(threading.current_thread().name), threads=8)
    assert names == {threading.current_thread().name}


def test_every_thread_works() -> None:
    barrier = threading.Barrier(3, timeout=10)

    def work(top: int, bottom: int) -> None:
        barrier.wait()

    in_bands(3, 1, work, threads=3, band=1)


def test_a_failure_in_another_thread_is_told() -> None:
    caller, failed = threading.current_thread(), threading.Event()

    def work(top: int, bottom: int) -> None:
        if threading.current_thread() is caller:
            assert failed.wait(10)
        else:
            failed.set()
            raise MemoryError("too little")

    with pytest.raises(MemoryError, match="too little"):
        in_bands(100, 100, work, threads=2, band=1000)


def test_there_must_be_a_thread() -> None:
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        in_bands(1, 1, lambda top, bottom: None, threads=0)


def test_as_run_copies_nothing() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert as_run(image).shape == (20, 1, 3)
    assert np.shares_memory(as_run(image), image)
    assert as_run(image[:, ::2]).shape == (4, 3, 3)
    assert np.shares_memory(as_run(image[:, ::2]), image)
