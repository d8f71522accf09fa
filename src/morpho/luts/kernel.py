"""Lookup tables at full speed: equal to :mod:`morpho.luts.reference`, byte for byte.

This file brings tables into the form that the loops read, cuts the picture into bands and hands them to threads. The
loops are in ``kernel_loops``; ``native`` keeps them compiled, so that Numba is imported only where they have never run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.compiled import native
from morpho.errors import InputError
from morpho.luts.integers import IntegerLut
from morpho.luts.reference import Interpolation
from morpho.machine import cores

__all__ = ["Kernel"]

#: Pixels that a thread takes at a time.
BAND = 1 << 16
BLOCK, OFFSET_BITS, STEP_BITS, LANE_BITS = 1024, 24, 17, 21

Pixels = NDArray[np.generic]


@cache
def _run_function() -> Callable[..., None]:
    sources = (Path(__file__).with_name("kernel_loops.py"),)
    return native.load("morpho.luts.kernel_loops", sources, pointers=9)


class Kernel:
    """A table in the form that the compiled loops read.

    Args:
        lut: what to apply. Where it has only levels, a picture may have fewer channels than three.
        interpolation: between the nodes.
    """

    def __init__(self, lut: IntegerLut, interpolation: Interpolation = "tetrahedral") -> None:
        self._dtype = np.dtype(np.uint8 if lut.peak == 255 else np.uint16)
        self._lanes = np.zeros(0, dtype=np.uint64)
        self._nodes = np.zeros(0, dtype=np.int32)
        deep = lut.peak > 255
        if lut.nodes is None:
            assert lut.levels is not None
            self._way, self._steps, self._words = int(deep), (0, 0, 0), lut.levels.astype(np.uint64)
            return
        count = len(lut.nodes)
        self._steps = (count * count + count + 1, count * count, count)
        self._words = _words(lut, count)
        if interpolation == "trilinear":
            self._way = 5 + deep
        else:
            self._way = 2 if lut.in_range and not deep else 3 + deep
        if self._way == 2:
            self._lanes = _lanes(lut.nodes)
        else:
            self._nodes = np.zeros((count**3, 4), dtype=np.int32)
            self._nodes[:, :3] = lut.nodes.reshape(-1, 3)

    def __call__(
        self, image: Pixels, *, threads: int | None = None, band: int = BAND, out: Pixels | None = None
    ) -> Pixels:
        """Look up every pixel's colour, on several threads.

        Args:
            image: ``(H, W, C)`` of the table's depth; any strides, may be read-only. Channels after the third are
                copied.
            threads: how many threads share the bands; by default one per usable core.
            band: pixels that a thread takes at a time, to whole rows; the result does not depend on it.
            out: where to write: an array of the image's shape and type, C-contiguous; the image itself, or apart
                from it.

        Returns:
            An array of the same shape and type (``out`` where given).

        Raises:
            InputError: an argument is unusable.
        """
        if image.ndim != 3 or image.dtype != self._dtype or 0 in image.shape or image.shape[2] < len(self._words):
            raise InputError(
                f"this table is for non-empty {self._dtype} pictures (H, W, {len(self._words)} or more), "
                f"not {image.dtype} {image.shape}"
            )
        result = _output(image, out)
        workers = cores() if threads is None else threads
        if workers < 1:
            raise InputError(f"threads must be at least 1, not {workers}")
        source, target = image, result
        if image.flags.c_contiguous:  # then a row of pixels may end anywhere
            source, target = (array.reshape(-1, 1, image.shape[2]) for array in (image, result))
        rows = max(1, band // source.shape[1])
        bands = [(top, min(top + rows, len(source))) for top in range(0, len(source), rows)]
        _share(bands, min(workers, len(bands)), lambda top, bottom: self._run(source[top:bottom], target[top:bottom]))
        return result

    def _run(self, image: Pixels, out: Pixels) -> None:
        pixels = np.require(image, requirements=["C", "A"])  # copies only what is not so
        looked_up = len(self._words)
        geometry = np.array(
            [self._way, pixels.shape[0] * pixels.shape[1], pixels.shape[2], looked_up, *self._steps], dtype=np.int64
        )
        space = np.empty(6 * BLOCK, dtype=np.int32)
        arrays = (pixels, pixels, out, out, self._words, self._lanes, self._nodes, geometry, space)
        _run_function()(*(array.ctypes.data for array in arrays))


def _words(lut: IntegerLut, count: int) -> NDArray[np.uint64]:
    """For each channel and level: fraction, step and offset, from the highest bits down."""
    steps = np.array([[count * count], [count], [1]], dtype=np.int64)
    words = (lut.fractions << (OFFSET_BITS + STEP_BITS)) | (steps << OFFSET_BITS) | (steps * lut.cells)
    return words.astype(np.uint64)


def _lanes(nodes: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Three channels of a node in one word, each with what rounds the sum of four."""
    lanes = np.zeros(nodes.size // 3, dtype=np.uint64)
    for c in range(3):
        lanes |= (nodes[..., c].ravel() + 16).astype(np.uint64) << np.uint64(c * LANE_BITS)
    return lanes


def _output(image: Pixels, out: Pixels | None) -> Pixels:
    if out is None:
        return np.empty(image.shape, dtype=image.dtype)
    if out.shape != image.shape or out.dtype != image.dtype or not out.flags.carray:
        raise InputError(
            f"out must be a writeable C-contiguous {image.dtype} array {image.shape}, not {out.dtype} {out.shape}"
        )
    if np.may_share_memory(image, out) and (out.ctypes.data, out.strides) != (image.ctypes.data, image.strides):
        raise InputError("out must not overlap the image: give the image itself or another array")
    return out


def _share(bands: list[tuple[int, int]], workers: int, run: Callable[[int, int], None]) -> None:
    """Run all bands; the calling thread works, too, so that small pictures do not wait for another to start."""
    waiting = deque(bands)

    def work() -> None:
        while True:
            try:
                band = waiting.popleft()
            except IndexError:
                return
            run(*band)

    if workers <= 1:
        return work()
    with ThreadPoolExecutor(workers - 1) as pool:
        others = [pool.submit(work) for _ in range(workers - 1)]
        work()
        for other in others:
            other.result()
