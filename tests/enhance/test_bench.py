"""The bench runs on small pictures, and times what it says it times."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morpho.cli.app import main
from morpho.enhance import Enhancer, bench
from tests.enhance.synthetic import brightening, card, save_tables


@pytest.fixture
def enhancer() -> Enhancer:
    return Enhancer(brightening(), card("mine"))


@pytest.mark.parametrize("threads", [1, 2])
def test_times_every_step(enhancer: Enhancer, threads: int) -> None:
    timed = bench.timings(enhancer, bench.picture(32, 24), threads=threads, runs=1)
    both = ["2 threads", "1 thread"] if threads == 2 else ["1 thread"]
    steps = ["histogram", "tables", "look applied", "morpho mine"]
    expected = [f"{step}, {used}" for step in steps for used in (both if step != "tables" else ["1 thread"])]
    assert [row.method for row in timed] == [*expected, "Pillow autocontrast"]
    assert all(0 < row.fastest <= row.milliseconds < 10_000 for row in timed)
    assert {row.runs for row in timed} == {1}
    assert timed[0].threads == threads


def test_the_steps_make_the_whole(enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: dict[str, Any] = {}

    def keep(found: dict[str, Any], runs: int) -> list[Any]:
        ways.update(found)
        return []

    monkeypatch.setattr(bench, "time_in_turn", keep)
    image = bench.picture(32, 24)
    bench.timings(enhancer, image, threads=1)
    work = {name: way[1]() for name, way in ways.items()}
    assert work["histogram, 1 thread"][0].sum() == 32 * 24
    look = enhancer.lut(image).lattice
    assert look is not None
    np.testing.assert_array_equal(work["tables, 1 thread"] / 2**20, look)
    np.testing.assert_array_equal(work["look applied, 1 thread"], enhancer(image))
    np.testing.assert_array_equal(work["morpho mine, 1 thread"], enhancer(image))


def test_the_cold_command_is_one_that_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run in this process, where synthetic tables stand in for those that are shipped."""
    save_tables(tmp_path)
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path)
    ran = []

    def run(command: list[str], **options: Any) -> None:
        ran.append(command[3:])
        if ran[-1]:
            assert main(ran[-1]) == 0
            assert Path(ran[-1][ran[-1].index("-o") + 1]).stat().st_size == 54 + 3 * 32 * 24

    monkeypatch.setattr(subprocess, "run", run)
    assert set(bench.cold_command(bench.picture(32, 24), runs=1)) == {"command", "python"}
    assert len([words for words in ran if words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
