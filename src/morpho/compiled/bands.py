"""Pictures cut into bands of rows, and threads that share them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.machine import cores

__all__ = ["as_run", "in_bands"]

#: Pixels of a band, at least: fewer are done before another thread has started.
SMALLEST_BAND = 1 << 16

Pixels = NDArray[np.generic]


def as_run(image: Pixels) -> Pixels:
    """A contiguous ``(H, W, C)`` picture as ``(H W, 1, C)``, so that a band may end anywhere; others as they are."""
    return image.reshape(-1, 1, image.shape[2]) if image.flags.c_contiguous else image


def in_bands(
    rows: int, width: int, work: Callable[[int, int], None], *, threads: int | None = None, band: int | None = None
) -> None:
    """Call ``work(top, bottom)`` for bands that cover a picture, on several threads.

    The calling thread works, too, so that small pictures do not wait for another to start.

    Args:
        rows: of the picture.
        width: of a row, in pixels.
        work: compiled code that lets other threads run.
        threads: at most; by default one per usable core.
        band: pixels of a band, to whole rows; by default a quarter of a thread's share.

    Raises:
        InputError: there is no thread.
    """
    workers = cores() if threads is None else threads
    if workers < 1:
        raise InputError(f"threads must be at least 1, not {workers}")
    # Four bands per thread: one that loses its core does not hold up the others.
    size = max(1, (band or max(SMALLEST_BAND, rows * width // (4 * workers))) // width)
    waiting = deque((top, min(top + size, rows)) for top in range(0, rows, size))
    helpers = min(workers, len(waiting)) - 1
    if helpers < 1:
        _run_all(waiting, work)
        return
    with ThreadPoolExecutor(helpers) as pool:
        others = [pool.submit(_run_all, waiting, work) for _ in range(helpers)]
        _run_all(waiting, work)
        for other in others:
            other.result()


def _run_all(waiting: deque[tuple[int, int]], work: Callable[[int, int], None]) -> None:
    while True:
        try:
            band = waiting.popleft()
        except IndexError:
            return
        work(*band)
