"""How often each colour of four bits per channel occurs in a picture: what the enhancer sees of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.compiled import native
from morpho.compiled.bands import as_run, in_bands
from morpho.errors import InputError

__all__ = ["count_colors"]

#: How the loops work: bins, the last one for pixels that are not counted; histograms that take turns, and how far apart
#: they are (equal bins of two do not share a cache set); pixels of a block; 16-bit numbers of work space: the upper and
#: the lower bins of a block, and the histograms of both.
BINS, TURNS, ROW, BLOCK = 4096 + 1, 8, 4096 + 96, 1024
SPACE = 2 * BLOCK + 2 * TURNS * ROW

#: Pixels that a thread takes at a time: counting fewer takes no longer than to start another thread.
_BAND = 1 << 20

Counts = NDArray[np.int64]


def count_colors(
    pixels: NDArray[np.generic], *, low: bool = True, threads: int | None = None
) -> tuple[Counts, Counts | None]:
    """Count colours by the upper, and by the lower four bits of their channels.

    Args:
        pixels: ``(H, W, 3 or 4)`` uint8 or uint16, RGB; any strides, may be read-only. Of 16 bits, the upper eight
            count. Where there is alpha, fully transparent pixels do not.
        low: whether to count the lower bits.
        threads: how many threads to use; by default one per usable core.

    Returns:
        ``msb``, of 4096: how many pixels have the index ``256 (R >> 4) + 16 (G >> 4) + (B >> 4)``; and ``lsb``: how
        many have ``256 (R & 15) + 16 (G & 15) + (B & 15)``, or None where it is not wanted.

    Raises:
        InputError: the array is no such picture.

    >>> msb, lsb = count_colors(np.array([[[0x12, 0x34, 0x56]]], dtype=np.uint8))
    >>> hex(msb.argmax()), hex(lsb.argmax())
    ('0x135', '0x246')
    """
    if (
        pixels.ndim != 3
        or pixels.dtype not in (np.uint8, np.uint16)
        or 0 in pixels.shape
        or pixels.shape[2] not in (3, 4)
    ):
        raise InputError(
            f"colours are counted in a non-empty (H, W, 3 or 4) array of uint8 or uint16, "
            f"not {pixels.dtype} {pixels.shape}"
        )
    source, totals = as_run(pixels), list[Counts]()
    run = _run_function()  # here, so that no two threads compile it

    def work(top: int, bottom: int) -> None:
        totals.append(_count(run, source[top:bottom], low))

    in_bands(source.shape[0], source.shape[1], work, threads=threads, band=_BAND)
    msb, lsb = sum(totals[1:], start=totals[0])[:, : BINS - 1]
    return msb, lsb if low else None


@cache
def _run_function() -> Callable[..., None]:
    sources = tuple(Path(__file__).with_name(name) for name in ("counting_loops.py", "counting.py"))
    return native.load("morpho.enhance.counting_loops", sources, pointers=5)


def _count(run: Callable[..., None], pixels: NDArray[np.generic], low: bool) -> Counts:
    pixels = np.require(pixels, requirements=["C", "A"])  # copies only what is not so
    height, width, channels = pixels.shape
    geometry = np.array([height * width, channels, pixels.itemsize > 1, low], dtype=np.int64)
    totals, space = np.zeros((2, BINS), dtype=np.int64), np.zeros(SPACE, dtype=np.uint16)
    addresses = (array.ctypes.data for array in (pixels, pixels, geometry, totals, space))
    run(*addresses)
    return totals
