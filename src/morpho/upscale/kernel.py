"""HKLUT inference at full speed: equal to :mod:`morpho.upscale.reference`, byte for byte.

This file cuts the picture into bands and hands them to threads. The loops are in ``kernel_loops`` and
``kernel_planes``, the vectors that they are made of in ``lanes``, the form of their tables in
``kernel_tables``; ``native`` keeps them compiled, so that Numba is imported only where they have never run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.upscale import native
from morpho.upscale.kernel_tables import pack
from morpho.upscale.reference import REACH, UNITS, check_image
from morpho.upscale.tables import Tables

__all__ = ["upscale"]

#: Largest tile of the last stage, in pixels it reads: with its work space it fits the second-level cache.
TILE_ROWS, TILE_COLUMNS = 64, 256
#: Columns of a plane beyond its tile, because vectors run over the ends of rows.
SPARE_COLUMNS = 80


def upscale(
    image: NDArray[np.generic],
    tables: Tables,
    *,
    threads: int | None = None,
    band_rows: int | None = None,
    out: NDArray[np.generic] | None = None,
) -> NDArray[np.generic]:
    """Upscale every channel of a picture by itself, on several threads.

    Args:
        image: ``(H, W, C)``, uint8 or uint16, H and W at least 1; any strides, may be read-only.
        tables: the stages.
        threads: how many threads share the bands; by default one per usable core.
        band_rows: input rows that a thread takes at a time; the result does not depend on it.
        out: where to write: ``(scale * H, scale * W, C)`` of the image's type, C-contiguous, and apart
            from the image.

    Returns:
        ``(scale * H, scale * W, C)`` of the same type (``out`` where given).

    Raises:
        InputError: an argument is unusable.
    """
    check_image(image)
    result = _output(image, tables.scale, out)
    workers = _count("threads", threads, _usable_cores())
    # Four bands per thread, so that a thread which lost its core for a while does not hold up the rest.
    rows = _count("band_rows", band_rows, max(32, -(-len(image) // (4 * workers))))
    bands = [(top, min(top + rows, len(image))) for top in range(0, len(image), rows)]
    words, starts = pack(tables)
    factors = [stage.factor for stage in tables.stages]

    def run(band: tuple[int, int]) -> None:
        _run_band(image, result, words, starts, factors, *band)

    if workers == 1 or len(bands) == 1:
        for band in bands:
            run(band)
    else:
        _run_band_function()  # so that the threads need not wait for one another
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, bands))
    return result


def _output(image: NDArray[np.generic], scale: int, out: NDArray[np.generic] | None) -> NDArray[np.generic]:
    shape = (image.shape[0] * scale, image.shape[1] * scale, image.shape[2])
    if out is None:
        return np.empty(shape, dtype=image.dtype)
    if (
        out.shape != shape
        or out.dtype != image.dtype
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        raise InputError(
            f"out must be a writeable C-contiguous {image.dtype} array {shape}, not {out.dtype} {out.shape}"
        )
    if np.may_share_memory(image, out):
        raise InputError("out must not overlap the image: give another array")
    return out


def _count(name: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if value < 1:
        raise InputError(f"{name} must be at least 1, not {value}")
    return value


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _run_band_function() -> Callable[..., None]:
    here = Path(__file__).parent
    sources = tuple(
        here / f"{name}.py"
        for name in ("kernel_loops", "kernel_planes", "kernel_tables", "lanes", "pointers", "native")
    )
    return native.load("morpho.upscale.kernel_loops", sources, pointers=10)


def _run_band(
    image: NDArray[np.generic],
    out: NDArray[np.generic],
    words: NDArray[np.uint64],
    starts: list[int],
    factors: list[int],
    top: int,
    bottom: int,
) -> None:
    height, width, channels = image.shape
    unit, scale = UNITS[image.dtype], int(np.prod(factors))
    tile_rows = max(1, min(TILE_ROWS * factors[-1] // scale, bottom - top))
    tile_columns = max(1, min(TILE_COLUMNS * factors[-1] // scale, width))
    rows, stride = _side(tile_rows, factors), _side(tile_columns, factors) + SPARE_COLUMNS
    # The compiled code counts on contiguous rows; only the band and the rows it looks at are ever copied.
    first_row = max(0, top - (REACH + 1) * len(factors))
    pixels = np.ascontiguousarray(image[first_row : bottom + (REACH + 1) * len(factors)])
    state = np.zeros((2 + channels) * rows * stride, dtype=np.uint16)
    rest = np.zeros_like(state if unit > 1 else state[:0])
    # Places beyond a row's end are looked up, too: they must hold nibbles, so nothing here may be left unset.
    nibbles = np.zeros(5 * rows * stride, dtype=np.uint16)
    ring = np.zeros(15 * stride, dtype=np.uint64)
    picture = [top, bottom, first_row, height, width, channels, unit, scale]
    tiles = [tile_rows, tile_columns, rows * stride, stride, len(factors)]
    work = [0] * (4 * len(factors) + 4)
    geometry = np.array([*picture, *tiles, *factors, *starts, *work], dtype=np.int64)
    arrays = (pixels, pixels, out, out, words, geometry, state, rest, nibbles, ring)
    _run_band_function()(*(array.ctypes.data for array in arrays))


def _side(tile: int, factors: list[int]) -> int:
    """Pixels along one axis of a plane that holds the largest of the tiles of all stages, with their rims."""
    need = side = tile * int(np.prod(factors))
    for factor in reversed(factors):
        own = need // factor + 2
        side = max(side, own * factor)
        need = own + 2 * REACH
    return max(side, need) + 2 * REACH
