"""A chain of factors times many columns at full speed, on processors, in float32, without gradients.

Tiles of columns are handed to threads here. The loops are in ``kernel_loops``, the vectors they are made of in
``kernel_lanes``; ``native`` keeps them compiled, so that Numba is imported only where they have never run.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.butterfly.factor import Factor
from morpho.butterfly.kernel_layout import LANES, Place, Source
from morpho.compiled import native
from morpho.compiled.bands import in_bands

__all__ = ["Job", "Packed", "pack", "predicted_seconds", "run"]

#: Weights are packed in blocks of so many rows.
_BLOCKS = (8, 4, 2, 1)
#: Seconds, fitted to thirteen chains within a quarter: per instruction; per number of a column that is read or written
#: for good; per vector that is written on the way; and what a product costs to start.
_STEP, _OUTSIDE, _INSIDE, _START = 4.6e-10, 2.3e-9, 1.3e-9, 2.5e-5
#: Multiply-adds that are worth a thread.
_WORTH = 1 << 22
#: Of how many different jobs the sizes are kept.
_REMEMBERED = 64


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be multiplied, as `Place` says, in numbers of float32.

    Attributes:
        kind: how the input lies in memory.
        images: pictures; 1 for rows.
        columns: of each picture.
        features: numbers per input column; what the chain takes beyond them is zero.
        image: from one input picture to the next.
        stride: from one input feature, column or block to the next.
        outputs: numbers per output column.
        offsets: of windows: where the numbers of a block's window are.
    """

    kind: Source
    images: int
    columns: int
    features: int
    image: int
    stride: int
    outputs: int
    offsets: tuple[int, ...] = ()


class Packed:
    """Weights of a chain in the order in which they are read.

    Attributes:
        weights: of all factors, one after the other.
        patterns: the factors, the right-most first.
    """

    def __init__(self, weights: NDArray[np.float32], patterns: Sequence[Factor]) -> None:
        self.weights, self.patterns = weights, tuple(patterns)
        self.address: int = weights.ctypes.data
        self._geometries: dict[Job, _Geometry] = {}

    def geometry(self, job: Job) -> _Geometry:
        """What the loops have to know; kept for jobs that come again."""
        known = self._geometries.get(job)
        if known is None:
            if len(self._geometries) >= _REMEMBERED:
                self._geometries.clear()
            known = self._geometries[job] = _Geometry(self, job)
        return known


def pack(patterns: Sequence[Factor], weights: Sequence[NDArray[Any]]) -> Packed:
    """Order weights: block after block, in it diagonal after diagonal, in it eight rows after eight."""
    parts = []
    for factor, array in zip(patterns, weights, strict=True):
        turned = array.astype(np.float32, copy=False).transpose(0, 3, 2, 1).reshape(-1, factor.s, factor.r)
        groups = [turned[:, :, a:b].reshape(len(turned), -1) for a, b in _groups(factor.r)]
        parts.append(np.concatenate(groups, axis=1).ravel())
    return Packed(np.concatenate(parts), patterns)


def run(packed: Packed, job: Job, source: int, bias: int, target: int, *, threads: int = 1) -> None:
    """Multiply; the arguments are addresses of float32 numbers.

    Args:
        packed: the factors.
        job: sizes and strides.
        source: of the input; windows may be read up to `LANES` numbers beyond its end.
        bias: ``outputs`` numbers.
        target: ``(columns, outputs)`` where the input lies in rows, otherwise ``(images, outputs, columns)``.
        threads: at most.
    """
    geometry, function = packed.geometry(job), _function()

    def work(first: int, last: int) -> None:
        span, space = (ctypes.c_int64 * 2)(first, last), _SPACE.of(geometry.room)
        function(source, packed.address, bias, target, geometry.address, geometry.offsets_address, span, space)

    useful = min(threads, max(geometry.tiles * LANES * len(packed.weights) // _WORTH, 1))
    if useful == 1:
        work(0, geometry.tiles)
    else:
        in_bands(geometry.tiles, 1, work, threads=useful, band=-(-geometry.tiles // (2 * useful)))


def predicted_seconds(patterns: Sequence[Factor], columns: int) -> float:
    """Roughly how long the product takes on one thread."""
    moved = _OUTSIDE * (patterns[0].q + patterns[-1].p) + _INSIDE * sum(pattern.p for pattern in patterns)
    return _START + -(-columns // LANES) * (moved + _STEP * sum(map(_steps, patterns)))


@cache
def _steps(pattern: Factor) -> float:
    """Instructions of one factor for a tile: a load and as many multiply-adds as rows, two at once; and the stores."""
    sizes = [end - start for start, end in _groups(pattern.r)]
    return sum(pattern.g * pattern.t * (4 + size + pattern.s * (size + 1) / 2) for size in sizes)


class _Space(threading.local):
    """A thread's work space, kept: fresh memory costs more than a small product."""

    def __init__(self) -> None:
        self.numbers = np.empty(0, np.float32)

    def of(self, count: int) -> int:
        """The address of so many numbers, on a line of the cache."""
        if len(self.numbers) < count + LANES:
            self.numbers = np.empty(count + LANES, np.float32)
        begin: int = self.numbers.ctypes.data
        return begin + -begin % (4 * LANES)


_SPACE = _Space()


class _Geometry:
    """Sizes and strides for the loops, as `Place` says, and how much there is to do."""

    def __init__(self, packed: Packed, job: Job) -> None:
        each = -(-job.columns // LANES)
        inner = [pattern.p for pattern in packed.patterns]
        # Windows stay where they are; all else is copied to a tile first.
        widest = max(inner if job.kind == Source.WINDOWS else [packed.patterns[0].q, *inner])
        head = {
            Place.KIND: job.kind,
            Place.COLUMNS: job.columns,
            Place.TILES: each,
            Place.FEATURES: job.features,
            Place.PADDED: packed.patterns[0].q,
            Place.IMAGE: job.image,
            Place.STRIDE: job.stride,
            Place.OUTPUTS: job.outputs,
            Place.OUT_IMAGE: job.outputs * job.columns,
            Place.OUT_STRIDE: job.outputs if job.kind == Source.ROWS else job.columns,
            Place.FACTORS: len(packed.patterns),
            Place.OTHER: LANES * widest,
        }
        self.tiles, self.room = job.images * each, 2 * widest * LANES
        self._numbers = np.array([*(head[place] for place in Place), *_factors(packed.patterns)], dtype=np.int64)
        self._offsets = np.array(job.offsets or (0,), dtype=np.int64)
        self.address: int = self._numbers.ctypes.data
        self.offsets_address: int = self._offsets.ctypes.data


def _factors(patterns: Sequence[Factor]) -> Iterator[int]:
    """For each factor ``g, r, s, t`` and where its weights begin."""
    start = 0
    for pattern in patterns:
        yield from (*pattern.shape, start)
        start += pattern.parameters


def _groups(r: int) -> list[tuple[int, int]]:
    """Rows in eights, then in four, two and one, as far as there are any."""
    bounds = list(range(0, r - r % 8 + 1, 8))
    for size in _BLOCKS[1:]:
        if r & size:
            bounds.append(bounds[-1] + size)
    return list(pairwise(bounds))


@cache
def _function() -> Callable[..., None]:
    here = Path(__file__).parent
    sources = tuple(here / f"{name}.py" for name in ("kernel_loops", "kernel_lanes", "kernel_layout"))
    return native.load("morpho.butterfly.kernel_loops", sources, pointers=8)
