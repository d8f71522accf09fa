"""The tables of an HKLUT upscaler: what they hold, and how they are addressed.

A stage of factor ``u`` looks at the high nibble of every pixel through three kernels of three pixels (H, D, B)
and at the low nibble through two kernels of two pixels (H, D). A kernel's table maps the nibbles it sees, the first
pixel slowest, to a ``u x u`` block of corrections; a high-nibble entry is worth thirds, a low-nibble one halves of a
grey level. Every kernel is applied in the four rotations of the picture, which together visit each of the 24
neighbours of a 5x5 window exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from morpho.errors import ArtifactError, InputError

__all__ = [
    "LSB_KERNELS",
    "LSB_WEIGHT",
    "MSB_KERNELS",
    "MSB_WEIGHT",
    "Stage",
    "Tables",
    "check_factors",
    "rotate_offset",
]

Offset = tuple[int, int]

#: Offsets (row, column) from the anchor pixel, in the unrotated frame.
MSB_KERNELS: dict[str, tuple[Offset, ...]] = {
    "H": ((0, 0), (0, 1), (0, 2)),
    "D": ((0, 0), (1, 1), (2, 2)),
    "B": ((0, 0), (1, 2), (2, 1)),
}
LSB_KERNELS: dict[str, tuple[Offset, ...]] = {"H": ((0, 0), (0, 1)), "D": ((0, 0), (1, 1))}

#: Sixths of a grey level that one unit of an entry is worth: 6 / (number of kernels of the branch).
MSB_WEIGHT = 6 // len(MSB_KERNELS)
LSB_WEIGHT = 6 // len(LSB_KERNELS)


def rotate_offset(offset: Offset, quarter_turns: int) -> Offset:
    """Turn an offset with the kernel: one quarter turn maps ``(dy, dx)`` to ``(dx, -dy)``.

    >>> [rotate_offset((0, 1), r) for r in range(4)]
    [(0, 1), (1, 0), (0, -1), (-1, 0)]
    """
    dy, dx = offset
    for _ in range(quarter_turns % 4):
        dy, dx = dx, -dy
    return dy, dx


def check_factors(factors: tuple[int, ...]) -> None:
    """Refuse a list of stage factors that no upscaler has.

    Raises:
        InputError: it is empty, or a factor is not 1 to 4.

    >>> check_factors((2, 1, 2))
    """
    if not factors or any(factor not in (1, 2, 3, 4) for factor in factors):
        raise InputError(f"the stage factors {factors} are not supported: use factors of 1 to 4")


@dataclass(frozen=True)
class Stage:
    """One upsampling stage.

    Attributes:
        factor: the stage's scale ``u``, 1 to 4.
        msb: int8 ``(3, 4096, u, u)``, kernels in the order of ``MSB_KERNELS``; address ``256 a + 16 b + c``.
        lsb: int8 ``(2, 256, u, u)``, kernels in the order of ``LSB_KERNELS``; address ``16 a + b``.

    Raises:
        ArtifactError: a table has another type or shape.
    """

    factor: int
    msb: NDArray[np.int8]
    lsb: NDArray[np.int8]

    def __post_init__(self) -> None:
        if not 1 <= self.factor <= 4:
            raise ArtifactError(f"a stage of factor {self.factor} is not supported: use a factor of 1 to 4")
        block = (self.factor, self.factor)
        for name, table, kernels, entries in (
            ("MSB", self.msb, len(MSB_KERNELS), 4096),
            ("LSB", self.lsb, len(LSB_KERNELS), 256),
        ):
            expected = (kernels, entries, *block)
            if table.dtype != np.int8 or table.shape != expected:
                raise ArtifactError(
                    f"the {name} tables of a stage of factor {self.factor} must be int8 {expected}, "
                    f"not {table.dtype} {table.shape}: these are not HKLUT tables of this form"
                )


@dataclass(frozen=True)
class Tables:
    """All stages of an upscaler, in the order in which they run."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not self.stages:
            raise ArtifactError("an upscaler needs at least one stage: the table file holds none")

    @property
    def scale(self) -> int:
        """The product of the stages' factors."""
        return prod(stage.factor for stage in self.stages)

    @property
    def nbytes(self) -> int:
        """Bytes that inference reads from: one per table entry."""
        return sum(stage.msb.nbytes + stage.lsb.nbytes for stage in self.stages)
