"""Lookup tables at full speed: equal to :mod:`morpho.luts.reference`, byte for byte.

This file brings tables into the form that the loops read. The loops are in ``kernel_loops``, the vectors that they are
made of in ``vectors``; ``native`` keeps them compiled, so that Numba is imported only where they have never run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.compiled import native
from morpho.compiled.bands import as_run, in_bands
from morpho.errors import InputError
from morpho.luts.integers import NODE_SCALE, IntegerLut
from morpho.luts.kernel_layout import OFFSET_BITS, SPACE, STEP_BITS, Way
from morpho.luts.reference import Interpolation

__all__ = ["Kernel"]

Pixels = NDArray[np.generic]


@cache
def _run_function() -> Callable[..., None]:
    names = ("kernel_loops", "kernel_layout", "vectors", "vectors_wide")
    sources = tuple(Path(__file__).with_name(f"{name}.py") for name in names)
    return native.load("morpho.luts.kernel_loops", sources, pointers=8)


class Kernel:
    """A table in the form that the compiled loops read.

    Args:
        lut: what to apply. Where it has only levels, a picture may have fewer channels than three.
        interpolation: between the nodes.
    """

    def __init__(self, lut: IntegerLut, interpolation: Interpolation = "tetrahedral") -> None:
        deep = lut.peak > 255
        self._dtype = np.dtype(np.uint16 if deep else np.uint8)
        self._nodes: NDArray[np.generic] = np.zeros(0, dtype=np.uint64)
        if lut.nodes is None:
            assert lut.levels is not None
            way, count, self._words = Way.LEVELS, 0, lut.levels.astype(np.uint64)
        elif interpolation == "tetrahedral" and lut.in_range and not deep:
            count, self._words = len(lut.nodes), (lut.cells * lut.peak + lut.fractions).astype(np.uint64)
            linear = (self._words == np.arange(256, dtype=np.uint64) * np.uint64(count - 1)).all()
            way, self._nodes = Way.NARROW if linear else Way.NARROW_CURVED, _short_lanes(lut.nodes)
        else:
            way = Way.WIDE if interpolation == "tetrahedral" else Way.TRILINEAR
            fractions = lut.fractions if interpolation == "tetrahedral" else lut.fine
            count, self._words, self._nodes = len(lut.nodes), _words(lut, fractions), _long_lanes(lut.nodes)
        self._geometry = (int(way), int(deep), len(self._words), count)
        self._tables = tuple(table.ctypes.data for table in (self._words, self._nodes))

    def __call__(
        self, image: Pixels, *, threads: int | None = None, band: int | None = None, out: Pixels | None = None
    ) -> Pixels:
        """Look up every pixel's colour, on several threads.

        Args:
            image: ``(H, W, C)`` of the table's depth, C at most 4; any strides, may be read-only. A channel after
                the third is copied.
            threads: how many threads share the bands; by default one per usable core.
            band: pixels that a thread takes at a time, to whole rows; the result does not depend on it.
            out: where to write: an array of the image's shape and type, C-contiguous; the image itself, or apart
                from it.

        Returns:
            An array of the same shape and type (``out`` where given).

        Raises:
            InputError: an argument is unusable.
        """
        self._check(image)
        result = _output(image, out)
        source = as_run(image)
        target = result.reshape(source.shape)
        run = _run_function()  # here, so that no two threads compile it

        def work(top: int, bottom: int) -> None:
            self._run(run, source[top:bottom], target[top:bottom])

        in_bands(source.shape[0], source.shape[1], work, threads=threads, band=band)
        return result

    def _check(self, image: Pixels) -> None:
        channels = len(self._words)
        if image.ndim != 3 or image.dtype != self._dtype or 0 in image.shape or not channels <= image.shape[2] <= 4:
            raise InputError(
                f"this table is for non-empty {self._dtype} pictures (H, W, {channels} to 4), "
                f"not {image.dtype} {image.shape}"
            )

    def _run(self, run: Callable[..., None], image: Pixels, out: Pixels) -> None:
        pixels = np.require(image, requirements=["C", "A"])  # copies only what is not so
        size = (pixels.shape[0] * pixels.shape[1], pixels.shape[2])
        geometry, space = np.array([*self._geometry, *size], dtype=np.int64), np.zeros(SPACE, dtype=np.int32)
        source, target = pixels.ctypes.data, out.ctypes.data
        run(source, source, target, target, *self._tables, geometry.ctypes.data, space.ctypes.data)


def _words(lut: IntegerLut, fractions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """For each channel and level: fraction, step and offset, from the highest bits down."""
    assert lut.nodes is not None
    count = len(lut.nodes)
    steps = np.array([[count * count], [count], [1]], dtype=np.int64)
    words = (fractions << (OFFSET_BITS + STEP_BITS)) | (steps << OFFSET_BITS) | (steps * lut.cells)
    return words.astype(np.uint64)


def _short_lanes(nodes: NDArray[np.int32]) -> NDArray[np.generic]:
    """Three channels of a node in 16 bits each of one word, each with what rounds the sum of four."""
    lanes = np.zeros((nodes.size // 3, 4), dtype=np.uint16)
    np.add(nodes.reshape(-1, 3), NODE_SCALE // 2, out=lanes[:, :3], casting="unsafe")
    return lanes


def _long_lanes(nodes: NDArray[np.int32]) -> NDArray[np.generic]:
    """Three channels of a node in 32 bits each of two words."""
    lanes = np.zeros((nodes.size // 3, 4), dtype=np.int32)
    lanes[:, :3] = nodes.reshape(-1, 3)
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
