"""The tables of an enhancer (ICELUT, Yang et al. 2024), as integers.

    colour of 12 bits -> 2 G features            `msb`, and `lsb` for the lower nibbles
    two mean features -> N weights, G times      `groups`
    N weights         -> a lattice of colours    `own`, `mix`, `rest`: N basis lattices, factorised as in CLUT-Net

`morpho.enhance.predict` says what they compute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morpho.errors import ArtifactError

__all__ = [
    "BASIS_LIMIT",
    "COLORS",
    "FEATURE_RANGE",
    "FEATURE_UNIT",
    "GROUP_UNIT",
    "MIX_UNIT",
    "MOST_BASES",
    "MOST_CELLS",
    "MOST_GROUPS",
    "MOST_RANK",
    "MOST_SIDE",
    "OWN_UNIT",
    "REST_UNIT",
    "Tables",
]

#: Colours of 12 bits, four per channel.
COLORS = 4096
#: What one step of an entry is worth: features, weights, and the three factors of the basis.
FEATURE_UNIT, GROUP_UNIT = 1 / 8, 1 / 64
OWN_UNIT, MIX_UNIT, REST_UNIT = 1 / 2**14, 1 / 2**11, 1 / 2**14
#: Mean features go from -16 to 16; so many table units.
FEATURE_RANGE = 256
BASIS_LIMIT = 2**15 - 1
#: Bounds for files from elsewhere: more than any published model has.
MOST_GROUPS, MOST_BASES, MOST_RANK, MOST_CELLS, MOST_SIDE = 32, 64, 64, 128, 4096


@dataclass(frozen=True, eq=False)
class Tables:
    """What an enhancer reads.

    Attributes:
        msb: ``(4096, 2 G)`` int8: features of the upper nibbles, entry ``256 r + 16 g + b``, in eighths.
        lsb: the same for the lower nibbles, or None.
        groups: ``(G, L, L, N)`` int8: weights by the two mean features of a group, in units of 1/64. With L a power
            of two plus one the table is interpolated; with L a power of two, as published, the nearest entry counts.
        own: ``(D, K)`` int16, D a power of two plus one: basis along a channel's own axis, in units of 2^-14.
        mix: ``(N, K, 3, R)`` int16: how the bases are made, per output channel, in units of 2^-11.
        rest: ``(R, D * D)`` int16: basis over the two other axes (in the order red, green, blue), units of 2^-14.
        thumbnail: side of the square of sampled pixels that is looked at; 0 for the whole picture.

    Raises:
        ArtifactError: shapes or types do not fit each other.
    """

    msb: NDArray[np.int8]
    groups: NDArray[np.int8]
    own: NDArray[np.int16]
    mix: NDArray[np.int16]
    rest: NDArray[np.int16]
    lsb: NDArray[np.int8] | None = None
    thumbnail: int = 0

    def __post_init__(self) -> None:
        groups, levels, bases = self._read_groups()
        nodes, rank = self._read_own()
        expected: dict[str, tuple[int, ...]] = {
            "msb": (COLORS, 2 * groups),
            "groups": (groups, levels, levels, bases),
            "own": (nodes, rank),
            "mix": (bases, rank, 3, len(self.rest)),
            "rest": (len(self.rest), nodes**2),
        }
        if self.lsb is not None:
            expected["lsb"] = expected["msb"]
        for name, shape in expected.items():
            array = getattr(self, name)
            dtype = np.int8 if name in ("msb", "lsb", "groups") else np.int16
            if array.shape != shape or array.dtype != dtype:
                raise ArtifactError(
                    f"the table {name!r} must be {np.dtype(dtype)} {shape}, not {array.dtype} {array.shape}: "
                    "get the file again"
                )
        if not 0 <= self.thumbnail <= MOST_SIDE:
            raise ArtifactError(f"the thumbnail {self.thumbnail} is out of range: get the file again")

    def _read_groups(self) -> tuple[int, int, int]:
        shape = self.groups.shape
        if self.groups.ndim != 4 or not 1 <= shape[0] <= MOST_GROUPS or not 1 <= shape[3] <= MOST_BASES:
            raise ArtifactError(f"the table 'groups' has the shape {shape}, which no enhancer has: get the file again")
        cells = shape[1] - shape[1] % 2
        if not 2 <= cells <= FEATURE_RANGE or cells & (cells - 1):
            raise ArtifactError(f"the table 'groups' has {shape[1]} levels, not 2^k or 2^k + 1: get the file again")
        return shape[0], shape[1], shape[3]

    def _read_own(self) -> tuple[int, int]:
        nodes, rank = self.own.shape if self.own.ndim == 2 else (0, 0)
        cells = nodes - 1
        if not 2 <= cells <= MOST_CELLS or cells & (cells - 1) or not 1 <= rank <= MOST_RANK:
            raise ArtifactError(f"the table 'own' has the shape {self.own.shape}, not (2^k + 1, K): get the file again")
        if self.rest.ndim != 2 or not 1 <= len(self.rest) <= MOST_RANK:
            raise ArtifactError(f"the table 'rest' has the shape {self.rest.shape}, not (R, D * D): get the file again")
        return nodes, rank

    @property
    def features(self) -> int:
        """Features per colour, two per group."""
        return int(self.msb.shape[1])

    @property
    def nodes(self) -> int:
        """Nodes per axis of the lattice."""
        return len(self.own)

    @property
    def nbytes(self) -> int:
        """Bytes that inference reads from."""
        tables = (self.msb, self.lsb, self.groups, self.own, self.mix, self.rest)
        return sum(table.nbytes for table in tables if table is not None)
