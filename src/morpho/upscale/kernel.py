"""HKLUT inference at full speed: equal to :mod:`morpho.upscale.reference`, byte for byte.

This file cuts the picture into bands and hands them to threads. The loops are in ``kernel_loops`` and
``kernel_planes``, the vectors that they are made of in ``lanes``, the form of their tables in
``kernel_tables``; ``native`` keeps them compiled, so that Numba is imported only where they have never run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.compiled import native
from morpho.compiled.bands import in_bands
from morpho.errors import InputError
from morpho.machine import cores
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
    workers = _count("threads", threads, cores())
    job = _Job(image, result, tables)
    rows = _count("band_rows", band_rows, job.default_band_rows(workers))
    in_bands(len(image), image.shape[1], job.run, threads=workers, band=rows * image.shape[1])
    return result


def _output(image: NDArray[np.generic], scale: int, out: NDArray[np.generic] | None) -> NDArray[np.generic]:
    shape = (image.shape[0] * scale, image.shape[1] * scale, image.shape[2])
    if out is None:
        return np.empty(shape, dtype=image.dtype)
    if out.shape != shape or out.dtype != image.dtype or not out.flags.carray:
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


@cache
def _run_band_function() -> Callable[..., None]:
    here = Path(__file__).parent
    sources = tuple(here / f"{name}.py" for name in ("kernel_loops", "kernel_planes", "kernel_tables", "lanes"))
    return native.load("morpho.upscale.kernel_loops", sources, pointers=10)


class _Job:
    """One picture to upscale: everything that its bands have in common."""

    def __init__(self, image: NDArray[np.generic], out: NDArray[np.generic], tables: Tables) -> None:
        self.image, self.out = image, out
        self.factors = [stage.factor for stage in tables.stages]
        self.words, self.starts = pack(tables)
        self.unit, self.scale = UNITS[image.dtype], tables.scale
        self.tile_rows = max(1, TILE_ROWS * self.factors[-1] // self.scale)
        self.tile_columns = max(1, min(TILE_COLUMNS * self.factors[-1] // self.scale, image.shape[1]))
        self.run_band = _run_band_function()
        self.spare: list[_WorkSpace] = []

    def default_band_rows(self, workers: int) -> int:
        """Whole tiles, four bands per thread: one that loses its core does not hold up the others."""
        tiles = -(-self.image.shape[0] // self.tile_rows)
        return self.tile_rows * max(1, tiles // (4 * workers))

    def run(self, top: int, bottom: int) -> None:
        """Upscale the rows from ``top`` to ``bottom``."""
        try:
            space = self.spare.pop()
        except IndexError:
            space = _WorkSpace(self)
        # The compiled code counts on contiguous, aligned rows; only the band and its surroundings are copied.
        halo = (REACH + 1) * len(self.factors)
        first_row = max(0, top - halo)
        pixels = np.require(self.image[first_row : bottom + halo], requirements=["C", "A"])
        place = [top, bottom, first_row, *self.image.shape, self.unit, self.scale]
        tile = [self.tile_rows, self.tile_columns, space.plane, space.stride, len(self.factors)]
        bounds = [0] * (4 * len(self.factors) + 4)
        geometry = np.array([*place, *tile, *self.factors, *self.starts, *bounds], dtype=np.int64)
        arrays = (pixels, pixels, self.out, self.out, self.words, geometry, *space.arrays)
        self.run_band(*(array.ctypes.data for array in arrays))
        self.spare.append(space)


class _WorkSpace:
    """What one thread needs to run a tile through all stages."""

    def __init__(self, job: _Job) -> None:
        planes = 2 + job.image.shape[2]  # two that the stages use in turns, and the result of each channel
        self.stride = _side(job.tile_columns, job.factors) + SPARE_COLUMNS
        self.plane = _side(min(job.tile_rows, job.image.shape[0]), job.factors) * self.stride
        self.arrays = (
            np.zeros(planes * self.plane, dtype=np.uint16),  # states
            np.zeros(planes * self.plane if job.unit > 1 else 0, dtype=np.uint16),  # their remainders
            # Parts of addresses. Those beyond a row's end are used, too: none may be left unset.
            np.zeros(5 * self.plane, dtype=np.uint16),
            np.zeros(15 * self.stride, dtype=np.uint64),  # the ring of paired entries
        )


def _side(tile: int, factors: list[int]) -> int:
    """Pixels along one axis of a plane that holds the largest of the tiles of all stages, with their rims."""
    need = side = tile * int(np.prod(factors))
    for factor in reversed(factors):
        own = need // factor + 2
        side = max(side, own * factor)
        need = own + 2 * REACH
    return max(side, need) + 2 * REACH
