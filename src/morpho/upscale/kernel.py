"""HKLUT inference at full speed: equal to :mod:`morpho.upscale.reference`, byte for byte.

This file prepares the tables, cuts the picture into bands and hands them to threads; the loops themselves are in
``kernel_loops``, which is imported at the first call because importing Numba takes a third of a second.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.upscale.reference import UNITS, check_image
from morpho.upscale.tables import Stage, Tables

__all__ = ["upscale"]


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
        out: where to write: ``(scale * H, scale * W, C)`` of the image's type, C-contiguous, not overlapping the image.

    Returns:
        ``(scale * H, scale * W, C)`` of the same type (``out`` where given).

    Raises:
        InputError: an argument is unusable.
    """
    check_image(image)
    result = _output(image, tables.scale, out)
    workers = _count("threads", threads, _usable_cores())
    rows = _count("band_rows", band_rows, _default_band_rows(image.shape[0], workers))
    bands = [(top, min(top + rows, image.shape[0])) for top in range(0, image.shape[0], rows)]
    loops = _loops()
    unit = UNITS[image.dtype]
    factors = np.array([stage.factor for stage in tables.stages], dtype=np.int64)
    words, starts = _pack(tables, loops.HALF, loops.MSB_SIZE)

    def run(band: tuple[int, int]) -> None:
        loops.run_band(image, result, band[0], band[1], factors, words, starts, unit)

    if workers == 1 or len(bands) == 1:
        for band in bands:
            run(band)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, bands))
    return result


def _output(image: NDArray[np.generic], scale: int, out: NDArray[np.generic] | None) -> NDArray[np.generic]:
    shape = (image.shape[0] * scale, image.shape[1] * scale, image.shape[2])
    if out is None:
        return np.empty(shape, dtype=image.dtype)
    if out.shape != shape or out.dtype != image.dtype or not out.flags.c_contiguous or not out.flags.writeable:
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


def _default_band_rows(height: int, workers: int) -> int:
    """Four bands per thread, so that a thread which lost its core for a while does not hold up the rest."""
    return max(32, -(-height // (4 * workers)))


def _pack(tables: Tables, half: int, msb_size: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """All stages' words behind one another, and where each stage starts."""
    packed = [_pack_stage(stage, half, msb_size) for stage in tables.stages]
    starts = np.cumsum([0, *(part.size for part in packed)], dtype=np.int64)
    return np.concatenate(packed), starts


def _pack_stage(stage: Stage, half: int, msb_size: int) -> NDArray[np.uint64]:
    """For every group of at most four children: the tables along one axis and, where the loops need them, across."""
    factor = stage.factor
    msb = stage.msb.reshape(3, 16, 16, 16, factor, factor)
    lsb = stage.lsb.reshape(2, 16, 16, factor, factor)
    packed = np.zeros((_groups(factor), 2 if factor > 2 else 1, half), dtype=np.uint64)
    for axis in range(packed.shape[1]):
        pairs = [_paired(msb[0], axis), _paired(msb[1], axis), _turned(msb[2], axis), _turned(msb[2], axis + 2)]
        for i, table in enumerate(pairs):
            packed[:, axis, i * msb_size : i * msb_size + 4096] = _words(table, factor)
        for i in range(2):
            start = 4 * msb_size + 256 * i
            packed[:, axis, start : start + 256] = _words(_paired(lsb[i], axis), factor)
    return packed.ravel()


def _turned(table: NDArray[np.int8], quarter_turns: int) -> NDArray[np.uint16]:
    """Blocks in the picture's frame, as bytes that are 128 above their meaning."""
    return (np.rot90(table, -quarter_turns, axes=(-2, -1)).view(np.uint8) ^ np.uint8(128)).astype(np.uint16)


def _paired(table: NDArray[np.int8], axis: int) -> NDArray[np.uint16]:
    """Of a straight kernel: the first pixel's block, and above it that of the last pixel, which looks back."""
    pixels = range(table.ndim - 2)
    back = _turned(table, axis + 2).transpose(*reversed(pixels), -2, -1)
    return _turned(table, axis) | back << 8


def _groups(factor: int) -> int:
    return 1 if factor < 3 else factor


def _words(blocks: NDArray[np.uint16], factor: int) -> NDArray[np.uint64]:
    """``(groups, entries)`` words: a block of factor 1 or 2 is one group, of a larger one each row is a group."""
    groups = _groups(factor)
    used = blocks.reshape(-1, groups, factor * factor // groups).transpose(1, 0, 2)
    lanes = np.zeros((*used.shape[:2], 4), dtype=np.uint16)
    lanes[:, :, : used.shape[2]] = used
    return lanes.view(np.uint64)[:, :, 0]


def _loops() -> ModuleType:
    """Import the compiled loops, with a place for their cache that can be written."""
    _settle_cache_folder()
    from morpho.upscale import kernel_loops

    return kernel_loops


def _settle_cache_folder() -> None:
    if "NUMBA_CACHE_DIR" in os.environ or os.access(Path(__file__).parent, os.W_OK):
        return
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "morpho" / "numba"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="morpho-numba-"))
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
