"""The form in which the compiled loops read tables: blocks turned, paired and packed into words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morpho.upscale.tables import Stage, Tables

__all__ = ["HALF", "LSB_SIZE", "MSB_SIZE", "pack"]

#: Words from one MSB table to the next; the extra ones keep equal addresses of two tables off one cache set.
MSB_SIZE = 4096 + 72
LSB_SIZE = 256
#: Words of the tables that look along one axis: MSB H, D, B and its half turn; LSB H and D.
HALF = 4 * MSB_SIZE + 2 * LSB_SIZE


def pack(tables: Tables) -> tuple[NDArray[np.uint64], list[int]]:
    """Turn tables into words of four lanes.

    Returns:
        The words of all stages behind one another, and the index at which each stage starts.
    """
    packed = [_pack_stage(stage) for stage in tables.stages]
    starts = [sum(part.size for part in packed[:i]) for i in range(len(packed))]
    return np.concatenate(packed), starts


def _pack_stage(stage: Stage) -> NDArray[np.uint64]:
    """For every group of at most four children: the tables along one axis and, where needed, across."""
    factor = stage.factor
    msb = stage.msb.reshape(3, 16, 16, 16, factor, factor)
    lsb = stage.lsb.reshape(2, 16, 16, factor, factor)
    packed = np.zeros((_groups(factor), 2 if factor > 2 else 1, HALF), dtype=np.uint64)
    for axis in range(packed.shape[1]):
        high = [
            _paired(msb[0], axis),
            _paired(msb[1], axis),
            _turned(msb[2], axis),
            _turned(msb[2], axis + 2),
        ]
        low = [_paired(lsb[0], axis), _paired(lsb[1], axis)]
        for i, table in enumerate(high):
            packed[:, axis, i * MSB_SIZE : i * MSB_SIZE + 4096] = _words(table, factor)
        for i, table in enumerate(low, start=-len(low)):
            packed[:, axis, HALF + i * LSB_SIZE :][:, :LSB_SIZE] = _words(table, factor)
    return packed.ravel()


def _turned(table: NDArray[np.int8], quarter_turns: int) -> NDArray[np.uint16]:
    """Blocks in the picture's frame, as bytes that are 128 above their meaning."""
    return (np.rot90(table, -quarter_turns, axes=(-2, -1)).view(np.uint8) ^ np.uint8(128)).astype(np.uint16)


def _paired(table: NDArray[np.int8], axis: int) -> NDArray[np.uint16]:
    """Of a straight kernel: the first pixel's block; in the upper byte that of the last, looking back."""
    pixels = range(table.ndim - 2)
    back = _turned(table, axis + 2).transpose(*reversed(pixels), -2, -1)
    return _turned(table, axis) | back << np.uint16(8)


def _groups(factor: int) -> int:
    """A block of factor 1 or 2 is one group of lanes; of a larger one, each row is a group."""
    return 1 if factor < 3 else factor


def _words(blocks: NDArray[np.uint16], factor: int) -> NDArray[np.uint64]:
    """``(groups, entries)`` words."""
    groups = _groups(factor)
    used = blocks.reshape(-1, groups, factor * factor // groups).transpose(1, 0, 2)
    lanes = np.zeros((*used.shape[:2], 4), dtype=np.uint16)
    lanes[:, :, : used.shape[2]] = used
    return lanes.view(np.uint64)[:, :, 0]
