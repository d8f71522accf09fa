"""The bench times every way, and each of them does the same work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from morpho.luts import apply, bench
from morpho.timing import Timing


@pytest.mark.parametrize("threads", [1, 2])
def test_times_every_way(threads: int) -> None:
    pytest.importorskip("PyOpenColorIO")
    timed = bench.timings(bench.picture(64, 48), bench.look(9), threads=threads, runs=2)
    counts = ["2 threads"] * (threads == 2) + ["1 thread"]
    ways = ["tetrahedral", "trilinear"]
    assert [row.method for row in timed] == [
        *(f"morpho, {way}, {depth} bit, {count}" for way in ways for depth in (8, 16) for count in counts),
        *(f"OpenColorIO, {way}, 8 bit, {count}" for way in ways for count in counts),
        "Pillow, trilinear, 8 bit, 1 thread",
        "NumPy twin, tetrahedral, 8 bit",
    ]
    assert all(row.threads == (2 if "2 threads" in row.method else 1) for row in timed)
    assert all(0 < row.fastest <= row.milliseconds < 10_000 for row in timed)
    assert [row.runs for row in timed] == [2] * (len(timed) - 1) + [1]


def test_without_the_others_only_our_own_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(bench, "import_module", missing)
    timed = bench.timings(bench.picture(8, 8), bench.look(66), threads=1, runs=1, slow=False)
    assert {row.method.partition(",")[0] for row in timed} == {"morpho"}


def test_all_ways_do_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of timing them, look at what they return or write."""
    pytest.importorskip("PyOpenColorIO")
    image, lut = bench.picture(70, 51), bench.look()
    written: list[Any] = []
    real = np.empty_like

    def empty_like(array: Any) -> Any:
        written.append(real(array))
        return written[-1]

    def run(ways: Any, runs: int) -> list[Timing]:
        for name, (_, work) in ways.items():
            for array in written:
                array[:] = 1
            returned = work()
            bits = 16 if "16 bit" in name else 8
            wanted = image if bits == 8 else image.astype(np.uint16) * 257
            expected = apply(wanted, lut, interpolation="trilinear" if "trilinear" in name else "tetrahedral")
            result = np.asarray(returned) if returned is not None else next(a for a in written if (a != 1).any())
            assert np.abs(result.astype(int) - expected).max() <= 1, name
        return []

    monkeypatch.setattr(bench.np, "empty_like", empty_like)  # type: ignore[attr-defined]
    monkeypatch.setattr(bench, "time_in_turn", run)
    bench.timings(image, lut, threads=2, runs=1, slow=False)
