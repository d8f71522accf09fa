"""What the compiled loops and their caller agree on."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BLOCK", "COLOUR_BITS", "EDGE_BITS", "FINE_BITS", "OFFSET_BITS", "ROWS", "SPACE", "STEP_BITS", "Way"]

#: Pixels whose places are found before their nodes are read.
BLOCK = 1024
#: Parts of a word: an offset is below 256 ** 3, a step at most 256 ** 2.
OFFSET_BITS, STEP_BITS = 24, 17
#: Trilinear: bits of a fraction; and by how many bits what lies along blue, and in the end along red, is cut.
FINE_BITS, EDGE_BITS, COLOUR_BITS = 20, 14, 31
#: Work space: rows of numbers for a block, and one vector of pixels.
ROWS = 6
SPACE = ROWS * BLOCK + 32


class Way(IntEnum):
    """How a table is applied.

    ``LEVELS``: each channel by itself. ``NARROW``: tetrahedral, 8 bits, all nodes in range; ``NARROW_CURVED``: the same
    behind curves or a domain. ``WIDE``: tetrahedral, all else. ``TRILINEAR``: all depths and values.
    """

    LEVELS = 0
    NARROW = 1
    NARROW_CURVED = 2
    WIDE = 3
    TRILINEAR = 4
