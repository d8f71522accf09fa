"""Times are counted as they are said to be: by a clock that only the work moves."""

from __future__ import annotations

from typing import Any

import pytest

from morpho import timing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows; the work adds to it."""
    now = [0.0]
    monkeypatch.setattr("morpho.timing.time.perf_counter", lambda: now[0])
    return now


def test_the_first_run_does_not_count_and_ways_take_turns(clock: list[float]) -> None:
    order: list[str] = []

    def way(name: str, *lengths: float) -> Any:
        left = iter(lengths)

        def work() -> None:
            order.append(name)
            clock[0] += next(left)

        return work

    rows = timing.time_in_turn({"a": (2, way("a", 99, 1, 5, 2)), "b": (1, way("b", 99, 4, 4, 7))}, 3)
    assert order == ["a", "b"] * 4
    assert [(row.method, row.threads, row.milliseconds, row.fastest, row.runs) for row in rows] == [
        ("a", 2, 2000, 1000, 3),
        ("b", 1, 4000, 4000, 3),
    ]


def test_slow_ways_are_warmed_up_once(clock: list[float]) -> None:
    lengths = iter([50.0, 3.0])

    def work() -> None:
        clock[0] += next(lengths)

    [row] = timing.time_once({"slow": (1, work)})
    assert (row.milliseconds, row.fastest, row.runs) == (3000, 3000, 1)
