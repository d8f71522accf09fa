"""The compiled inner loops of training: which rows each pixel reads, their sums, and the way back.

All work on ``(pixels, READS)`` row numbers. `morpho.upscale.model` has the same in plain torch, for GPUs and as the
readable truth that tests compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from morpho.machine import cores
from morpho.upscale.linear import MSB_ROWS, OFFSETS, READS, ROWS

__all__ = ["addresses", "gather", "gram", "in_parts", "pull_slopes", "scatter"]

T = TypeVar("T")
Addresses = NDArray[np.uint16]
Floats = NDArray[np.float32]
#: Float32 sums of more terms than this lose digits: they are moved into float64.
_BLOCK = 1 << 20


def addresses(grey: NDArray[np.uint8], *, threads: int | None = None) -> Addresses:
    """Row numbers that each pixel reads.

    Args:
        grey: ``(planes, H, W)`` grey levels; each plane is mirrored at its edges.
        threads: how many threads; by default one per usable core.

    Returns:
        ``(planes * H * W, READS)``.
    """
    planes, height, width = grey.shape
    result = np.empty((planes, height, width, READS), np.uint16)
    rows, columns = (np.pad(np.arange(n), 2, mode="reflect").astype(np.uint32) for n in (height, width))
    in_parts(lambda part: _addresses(grey[part], rows, columns, _OFFSETS, result[part]), planes, threads)
    return result.reshape(-1, READS)


def gather(where: Addresses, rows: Floats, *, threads: int | None = None) -> Floats:
    """Sum the rows that each pixel reads: ``(pixels, columns)``; the columns are a multiple of four."""
    result = np.empty((len(where), rows.shape[1]), np.float32)
    in_parts(lambda part: _gather(where[part], rows, result[part]), len(where), threads)
    return result


def scatter(where: Addresses, errors: Floats, *, threads: int | None = None) -> NDArray[np.float64]:
    """Apply the transpose of `gather`: add each pixel's errors to the rows that it reads; ``(ROWS, columns)``."""
    return sum(in_parts(lambda part: _sum_blocks(_scatter, where[part], errors[part]), len(where), threads))  # type: ignore[return-value]


def gram(where: Addresses, rows: Floats, *, threads: int | None = None) -> NDArray[np.float64]:
    """`scatter` of `gather`, in one pass: the normal equations of the least-squares problem."""

    def part_of(part: slice) -> NDArray[np.float64]:
        total = np.zeros(rows.shape)
        for start in range(part.start, part.stop, _BLOCK):
            block = np.zeros(rows.shape, np.float32)
            _gram(where[start : min(start + _BLOCK, part.stop)], rows, block)
            total += block
        return total

    return sum(in_parts(part_of, len(where), threads))  # type: ignore[return-value]


def pull_slopes(
    where: Addresses,
    slopes: Floats,
    errors: Floats,
    shape: tuple[int, int, int],
    *,
    threads: int | None = None,
) -> Floats:
    """Gradient of the pixels through the MSB entries that they select, given each entry's slope.

    Args:
        where: ``(planes * H * W, READS)``.
        slopes: ``(MSB_ROWS, 3, columns)``: what one unit more of the first, second or third pixel adds.
        errors: ``(planes * H * W, columns)``.
        shape: ``(planes, H, W)``.
        threads: how many threads; by default one per usable core.

    Returns:
        ``shape``; what falls outside the picture is dropped.
    """
    result = np.zeros(shape, np.float32)
    where, errors = where.reshape(*shape, READS), errors.reshape(*shape, -1)
    in_parts(lambda p: _pull_slopes(where[p], slopes, errors[p], _OFFSETS, result[p]), shape[0], threads)
    return result


def in_parts(work: Callable[[slice], T], length: int, threads: int | None = None) -> list[T]:
    """Cut ``range(length)`` into one slice per thread and run ``work`` on each."""
    threads = max(1, min(length, threads or cores()))
    cuts = [length * i // threads for i in range(threads + 1)]
    parts = [slice(a, b) for a, b in pairwise(cuts)]
    if threads == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def _sum_blocks(
    kernel: Callable[[Addresses, Floats, Floats], None], where: Addresses, errors: Floats
) -> NDArray[np.float64]:
    total = np.zeros((ROWS, errors.shape[1]))
    for start in range(0, len(where), _BLOCK):
        block = np.zeros(total.shape, np.float32)
        kernel(where[start : start + _BLOCK], errors[start : start + _BLOCK], block)
        total += block
    return total


_OFFSETS = OFFSETS.astype(np.int64)
_MSB_READS = MSB_ROWS // 4096


@njit(nogil=True, cache=True)
def _addresses(grey, rows, columns, offsets, result):  # type: ignore[no-untyped-def]
    planes, height, width = grey.shape
    padded = np.empty((height + 4, width + 4), np.int64)
    for plane in range(planes):
        for y in range(height + 4):
            for x in range(width + 4):
                padded[y, x] = grey[plane, rows[y], columns[x]]
        for y in range(height):
            for x in range(width):
                centre = padded[y + 2, x + 2]
                for read in range(_MSB_READS):
                    second = padded[y + 2 + offsets[read, 0, 0], x + 2 + offsets[read, 0, 1]] >> 4
                    third = padded[y + 2 + offsets[read, 1, 0], x + 2 + offsets[read, 1, 1]] >> 4
                    result[plane, y, x, read] = read * 4096 + (centre >> 4) * 256 + second * 16 + third
                for read in range(_MSB_READS, READS):
                    second = padded[y + 2 + offsets[read, 0, 0], x + 2 + offsets[read, 0, 1]] & 15
                    base = MSB_ROWS + (read - _MSB_READS) * 256
                    result[plane, y, x, read] = base + (centre & 15) * 16 + second


# Four columns at a time in local variables: the compiler keeps them in registers, where a loop over the columns
# would go through memory at every read.
@njit(nogil=True, cache=True, fastmath=True)
def _gather(where, rows, result):  # type: ignore[no-untyped-def]
    for column in range(0, rows.shape[1], 4):
        for pixel in range(where.shape[0]):
            a = b = c = d = np.float32(0)
            for read in range(READS):
                row = where[pixel, read]
                a += rows[row, column]
                b += rows[row, column + 1]
                c += rows[row, column + 2]
                d += rows[row, column + 3]
            result[pixel, column] = a
            result[pixel, column + 1] = b
            result[pixel, column + 2] = c
            result[pixel, column + 3] = d


@njit(nogil=True, cache=True, fastmath=True)
def _scatter(where, errors, result):  # type: ignore[no-untyped-def]
    for column in range(0, errors.shape[1], 4):
        for pixel in range(where.shape[0]):
            a, b = errors[pixel, column], errors[pixel, column + 1]
            c, d = errors[pixel, column + 2], errors[pixel, column + 3]
            for read in range(READS):
                row = where[pixel, read]
                result[row, column] += a
                result[row, column + 1] += b
                result[row, column + 2] += c
                result[row, column + 3] += d


@njit(nogil=True, cache=True, fastmath=True)
def _gram(where, rows, result):  # type: ignore[no-untyped-def]
    for column in range(0, rows.shape[1], 4):
        for pixel in range(where.shape[0]):
            a = b = c = d = np.float32(0)
            for read in range(READS):
                row = where[pixel, read]
                a += rows[row, column]
                b += rows[row, column + 1]
                c += rows[row, column + 2]
                d += rows[row, column + 3]
            for read in range(READS):
                row = where[pixel, read]
                result[row, column] += a
                result[row, column + 1] += b
                result[row, column + 2] += c
                result[row, column + 3] += d


@njit(nogil=True, cache=True, fastmath=True)
def _pull_slopes(where, slopes, errors, offsets, result):  # type: ignore[no-untyped-def]
    planes, height, width, _ = where.shape
    for plane in range(planes):
        for y in range(height):
            for x in range(width):
                for read in range(_MSB_READS):
                    row = where[plane, y, x, read]
                    for pixel in range(3):
                        at_y, at_x = y, x
                        if pixel > 0:
                            at_y += offsets[read, pixel - 1, 0]
                            at_x += offsets[read, pixel - 1, 1]
                        if 0 <= at_y < height and 0 <= at_x < width:
                            pulled = np.float32(0)
                            for column in range(0, errors.shape[3], 4):
                                pulled += (
                                    slopes[row, pixel, column] * errors[plane, y, x, column]
                                    + slopes[row, pixel, column + 1] * errors[plane, y, x, column + 1]
                                    + slopes[row, pixel, column + 2] * errors[plane, y, x, column + 2]
                                    + slopes[row, pixel, column + 3] * errors[plane, y, x, column + 3]
                                )
                            result[plane, at_y, at_x] += pulled
