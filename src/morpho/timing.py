"""How long several ways of doing one thing take, in one run; and whole commands, started cold."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Timing", "Way", "cold_command", "seconds", "threads_in_words", "time_in_turn", "time_once"]

#: How many threads a way uses, and the way itself.
Way: TypeAlias = tuple[int, Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long one way took.

    Attributes:
        method: what was timed.
        threads: how many threads it used.
        milliseconds: the median.
        fastest: the fastest run, in milliseconds.
        runs: how many were counted.
    """

    method: str
    threads: int
    milliseconds: float
    fastest: float
    runs: int


def time_in_turn(ways: Mapping[str, Way], runs: int) -> list[Timing]:
    """Time fast ways in turn, round by round, so that a drift of the machine's speed meets all alike.

    Every way runs once before it is counted.

    >>> time_in_turn({"nothing": (1, lambda: None)}, 3)[0].runs
    3
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for count in range(runs + 1):
        for name, (_, work) in ways.items():
            elapsed = seconds(work)
            if count:
                taken[name].append(elapsed)
    return [_timing(name, ways[name][0], values) for name, values in taken.items()]


def time_once(ways: Mapping[str, Way]) -> list[Timing]:
    """Time slow ways: each runs once to warm up and once to be counted."""
    return [_timing(name, threads, [seconds(work) for _ in range(2)][1:]) for name, (threads, work) in ways.items()]


def seconds(work: Callable[[], object]) -> float:
    """Run something and return how long it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def threads_in_words(count: int) -> str:
    """Say how many threads.

    >>> threads_in_words(1), threads_in_words(2)
    ('1 thread', '2 threads')
    """
    return f"{count} thread{'s' * (count > 1)}"


def cold_command(image: NDArray[np.uint8], verb: Sequence[str], *, runs: int = 5) -> dict[str, float]:
    """Time whole ``morpho`` processes that turn one BMP file (nothing to compress) into another, in seconds.

    Args:
        image: the picture, ``(H, W, 3)``.
        verb: the verb and its options, such as ``["upscale", "-m", "hklut-s-x4"]``.
        runs: counted runs; one more warms up.

    Returns:
        ``command``: the median of a process that reads, works and writes; ``python``: of one that only imports
        NumPy and Pillow, which no command can beat.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.bmp"), Path(folder, "out.bmp")
        Image.fromarray(image).save(source)
        run = [sys.executable, "-c", "import sys; from morpho.cli.app import main; sys.exit(main())"]
        words = [*verb, str(source), "-o", str(target), "--overwrite", "--quiet"]
        command = _median_seconds([*run, *words], runs)
        python = _median_seconds([sys.executable, "-c", "import numpy, PIL.Image"], runs)
    return {"command": command, "python": python}


def _timing(method: str, threads: int, taken: Sequence[float]) -> Timing:
    return Timing(
        method=method,
        threads=threads,
        milliseconds=round(1e3 * statistics.median(taken), 3),
        fastest=round(1e3 * min(taken), 3),
        runs=len(taken),
    )


def _median_seconds(command: Sequence[str], runs: int) -> float:
    def once() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)

    once()
    return round(statistics.median(seconds(once) for _ in range(runs)), 3)
