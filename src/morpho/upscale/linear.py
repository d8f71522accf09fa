"""A stage as what it is for training: a linear map of its independent table values.

Which entries a pixel reads depends on the picture alone; what it gets is the sum of the 20 blocks it reads (3 MSB and
2 LSB kernels in 4 rotations). So a stage is a sparse matrix with 20 ones per pixel, applied to the *rows*: all
tables, turned for each rotation and flattened to one block of ``u x u`` corrections per row.

    rows      0 .. 49151    MSB: kernel H, D, B; within it rotation 0..3; within it the 4096 addresses
    rows  49152 .. 51199    LSB: kernel H, D; rotation 0..3; 256 addresses

Tables that mirror with the picture hold most values twice (see `morpho.upscale.symmetry`).
The *values* are one of each.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from morpho.upscale.symmetry import folded_size, unfold
from morpho.upscale.tables import LSB_KERNELS, LSB_WEIGHT, MSB_KERNELS, MSB_WEIGHT, Stage, rotate_offset

__all__ = ["MSB_ROWS", "OFFSETS", "READS", "ROWS", "LinearStage"]

MSB_ROWS = 4 * len(MSB_KERNELS) * 4096
ROWS = MSB_ROWS + 4 * len(LSB_KERNELS) * 256
#: Table entries that a pixel reads.
READS = 4 * (len(MSB_KERNELS) + len(LSB_KERNELS))
#: ``(READS, 2, 2)``: row and column offsets of the second and third pixel of each read; LSB reads have no third.
OFFSETS = np.array(
    [
        [rotate_offset(offsets[1], turn), rotate_offset(offsets[-1], turn)]
        for kernels in (MSB_KERNELS, LSB_KERNELS)
        for offsets in kernels.values()
        for turn in range(4)
    ]
)

Floats = NDArray[np.float64]


class LinearStage:
    """The map from a stage's independent values to its rows, and back.

    Attributes:
        factor: the stage's scale ``u``.
        size: the number of independent values.
        weights: ``(size,)``: sixths of a grey level that one unit of each value is worth, 2 or 3.
        positions: ``(ROWS, u * u)``: which value stands at each place of the rows.
        entries: ``(tables * entries * u * u,)``: which value stands at each place of the tables.
    """

    def __init__(self, factor: int) -> None:
        self.factor = factor
        msb = [("msb", k, (4096, factor, factor)) for k in MSB_KERNELS]
        lsb = [("lsb", k, (256, factor, factor)) for k in LSB_KERNELS]
        tables, weights, first = [], [], 0
        for branch, kernel, shape in (*msb, *lsb):
            count = folded_size(kernel, shape)
            tables.append(unfold(kernel, np.arange(first, first + count), shape))
            weights.append(np.full(count, MSB_WEIGHT if branch == "msb" else LSB_WEIGHT, np.float32))
            first += count
        self.size = first
        self.weights = np.concatenate(weights)
        self.entries = np.concatenate([table.ravel() for table in tables])
        self.positions = np.concatenate(
            [np.rot90(t, -turn, axes=(1, 2)).reshape(len(t), -1) for t in tables for turn in range(4)]
        )

    @classmethod
    @cache
    def of(cls, factor: int) -> LinearStage:
        """Return the map of a factor; it is made once.

        >>> LinearStage.of(2).size, LinearStage.of(2).positions.shape
        (30208, (51200, 4))
        """
        return cls(factor)

    def rows(self, values: Floats) -> NDArray[np.float32]:
        """Spread values in sixths of a grey level over the rows: ``(ROWS, u * u)``."""
        rows: NDArray[np.float32] = values.astype(np.float32)[self.positions]
        return rows

    def gather_gradient(self, rows: NDArray[np.floating]) -> Floats:
        """Undo `rows` in the sense of its transpose: the sum over all places of each value."""
        return np.bincount(self.positions.ravel(), rows.ravel(), minlength=self.size).astype(np.float64)

    def split(self, values: NDArray[np.generic]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Lay the values out as MSB ``(3, 4096, u, u)`` and LSB tables ``(2, 256, u, u)``."""
        whole, block = values[self.entries], (self.factor, self.factor)
        cut = len(MSB_KERNELS) * 4096 * self.factor**2
        return whole[:cut].reshape(-1, 4096, *block), whole[cut:].reshape(-1, 256, *block)

    def join(self, msb: NDArray[np.generic], lsb: NDArray[np.generic]) -> Floats:
        """Collect the values of tables, each as the mean of the places where it stands."""
        whole = np.concatenate([msb.ravel(), lsb.ravel()])
        return np.bincount(self.entries, whole, minlength=self.size) / self.multiplicity

    @property
    def multiplicity(self) -> Floats:
        """In how many places of the tables each value stands."""
        return np.bincount(self.entries, minlength=self.size).astype(np.float64)

    def to_stage(self, values: Floats) -> Stage:
        """Round values in sixths of a grey level to the int8 tables of a stage."""
        units = np.clip(np.rint(values / self.weights), -128, 127).astype(np.int8)
        msb, lsb = self.split(units)
        return Stage(self.factor, np.ascontiguousarray(msb, np.int8), np.ascontiguousarray(lsb, np.int8))

    def from_stage(self, stage: Stage) -> Floats:
        """Return the values of a stage's tables in sixths of a grey level."""
        return self.join(stage.msb, stage.lsb) * self.weights
