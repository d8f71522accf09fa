"""The one loop over pixels that NumPy cannot do: undoing PNG's row filters."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["unfilter"]


def _unfilter(filtered: NDArray[Any], step: int, out: NDArray[Any]) -> int:
    """Undo the filters of PNG (sections 9.2 to 9.4): each byte was stored minus a guess from its neighbours.

    Args:
        filtered: ``(rows, 1 + n)`` bytes; the first of each row is its filter, 0 to 4.
        step: bytes per pixel, which is how far the left neighbour is.
        out: ``(rows, n)`` bytes, filled in.

    Returns:
        -1, or the row whose filter is unknown.
    """
    rows, n = out.shape
    above = np.zeros(n, np.uint8)
    for y in range(rows):
        kind = filtered[y, 0]
        line = filtered[y, 1:]
        row = out[y]
        if kind > 4:
            return y
        if kind == 0:
            row[:] = line
        elif kind == 2:
            for x in range(n):
                row[x] = line[x] + above[x]
        else:
            for x in range(n):
                left = np.int32(row[x - step]) if x >= step else np.int32(0)
                up = np.int32(above[x])
                if kind == 1:
                    guess = left
                elif kind == 3:
                    guess = (left + up) >> 1
                else:
                    corner = np.int32(above[x - step]) if x >= step else np.int32(0)
                    to_left, to_up, to_corner = (
                        abs(up - corner),
                        abs(left - corner),
                        abs(left + up - 2 * corner),
                    )
                    if to_left <= to_up and to_left <= to_corner:  # noqa: SIM108
                        guess = left
                    else:
                        guess = up if to_up <= to_corner else corner
                row[x] = np.uint8((np.int32(line[x]) + guess) & 255)
        above = row
    return -1


def _compile() -> Any:
    """Compile on first use; keep the machine code on disk unless no folder for it is writable."""
    try:
        return numba.njit(cache=True, nogil=True)(_unfilter)
    except RuntimeError:
        return numba.njit(nogil=True)(_unfilter)


unfilter = _compile()
