"""The bench runs on small pictures, and counts what it says it counts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morpho import timing
from morpho.cli.app import main
from morpho.images import sample
from morpho.upscale import Upscaler, bench
from tests.upscale.synthetic import card, random_tables, save_tables


@pytest.fixture
def upscaler() -> Upscaler:
    return Upscaler(random_tables(2, 2, symmetric=True), card("mine"))


@pytest.mark.parametrize("size", [(1, 1), (32, 24), (256, 256), (300, 700), (960, 540)])
def test_the_picture_has_any_size_and_is_always_the_same(size: tuple[int, int]) -> None:
    width, height = size
    picture = bench.picture(width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, bench.picture(width, height))


def test_the_picture_is_the_sample_mirrored_with_a_little_noise() -> None:
    photo, large = sample().pixels.astype(int), bench.picture(700, 300).astype(int)
    for part, original in (
        (large[:256, :256], photo),
        (large[:256, 256:512], photo[:, ::-1]),
        (large[256:, :256], photo[:-45:-1]),
        (large[:256, 512:], photo[:, :188]),
    ):
        difference = np.abs(part - original)
        assert difference.max() == 2
        assert 1 < difference.mean() < 1.3


@pytest.mark.parametrize("threads", [1, 2])
def test_times_every_way(upscaler: Upscaler, threads: int) -> None:
    timed = bench.timings(upscaler, bench.picture(32, 24), threads=threads, runs=1)
    by_name = {row.method: row for row in timed}
    ways = [
        *["morpho mine, 2 threads"] * (threads == 2),
        "morpho mine, 1 thread",
        "Pillow bicubic",
        "Pillow Lanczos",
        "torch eager, same tables",
        "NumPy twin, same tables",
    ]
    assert list(by_name) == ways
    assert all(0 < row.fastest <= row.milliseconds < 10_000 for row in timed)
    assert {row.runs for row in timed} == {1}
    assert by_name[ways[0]].threads == threads
    assert by_name["Pillow bicubic"].threads == 1


def test_runs_are_counted_without_the_first(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only the work moves: the first run of each way takes a hundred times as long."""
    ticks, seen = iter(range(10_000)), []

    def time(work: Any) -> float:
        first = work not in seen
        seen.append(work)
        return 100.0 if first else 1.0 + next(ticks) % 3

    monkeypatch.setattr(timing, "seconds", time)
    timed = bench.timings(upscaler, bench.picture(8, 8), threads=1, runs=4)
    assert [row.runs for row in timed] == [4, 4, 4, 1, 1]
    assert all(1000 <= row.fastest <= row.milliseconds <= 3000 for row in timed)


def test_the_cold_command_is_one_that_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run in this process, where synthetic tables stand in for those that are shipped."""
    save_tables(tmp_path, 2, 2, name="hklut-s-x4")
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path)
    ran = []

    def run(command: list[str], **options: Any) -> None:
        assert options["check"]
        ran.append(command[3:])
        if ran[-1]:
            target = Path(ran[-1][ran[-1].index("-o") + 1])
            assert main(ran[-1]) == 0
            assert target.stat().st_size == 54 + 3 * 128 * 96

    monkeypatch.setattr(subprocess, "run", run)
    seconds = bench.cold_command(bench.picture(32, 24), runs=2)
    assert set(seconds) == {"command", "python"}
    assert len([words for words in ran if words]) == 3  # one to warm up
    assert len(ran) == 6
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_cold_command(data_root: Path) -> None:
    """In processes of its own, with the tables that are shipped."""
    from morpho.artifacts import shipped

    if not shipped("hklut-s-x4"):
        pytest.skip("no tables are shipped yet")
    seconds = bench.cold_command(bench.picture(32, 24), runs=1)
    assert 0.02 < seconds["python"] < seconds["command"] < 30


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize(("side", "most"), [(600, 60), (2500, 200)])
def test_little_memory_beyond_the_result(tmp_path: Path, side: int, most: float) -> None:
    """Up to 100 megapixels; however much the calling process holds, whose peak its children inherit."""
    tables = save_tables(tmp_path, 2, 2)
    ballast = np.ones(700_000_000, np.uint8)
    used = bench.peak_memory(str(tables), side=side)
    assert ballast[0] == 1
    assert used["result"] == 16 * side * side / 1e6
    assert -5 < used["extra"] < most
