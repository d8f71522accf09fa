"""What ``kernel`` and ``kernel_loops`` agree on: sizes, and the places of the numbers that describe a product."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["EACH", "HEAD", "LANES", "Place", "Source"]

#: Columns of a tile.
LANES = 16


class Source(IntEnum):
    """How the input lies in memory."""

    #: Columns side by side, one feature after the other: pictures ``(N, C, places)``.
    COLUMNS = 0
    #: One column after the other, its features side by side: a batch ``(B, features)``.
    ROWS = 1
    #: Pictures with their padding, whose windows are the columns.
    WINDOWS = 2


class Place(IntEnum):
    """Where a number is in the geometry."""

    #: A `Source`.
    KIND = 0
    #: Columns of one picture.
    COLUMNS = 1
    #: Tiles of one picture.
    TILES = 2
    #: Numbers of an input column.
    FEATURES = 3
    #: Numbers that the first factor takes: the rest are zeros.
    PADDED = 4
    #: From one picture to the next.
    IMAGE = 5
    #: From one feature to the next (columns), one column to the next (rows), or one block to the next (windows).
    STRIDE = 6
    #: Numbers of an output column.
    OUTPUTS = 7
    #: From one output picture to the next.
    OUT_IMAGE = 8
    #: From one output feature (or, in rows, column) to the next.
    OUT_STRIDE = 9
    #: How many there are.
    FACTORS = 10
    #: From one half of the work space to the other.
    OTHER = 11


#: The geometry's first factor is here; each has ``g, r, s, t`` and where its weights begin.
HEAD, EACH = len(Place), 5
