"""Mirror symmetry of tables, and the smaller form that it allows.

An upscaler turns with the picture by construction, since every kernel is applied in four rotations. It also
mirrors with the picture where each table has the symmetry of its kernel's own axis:

    H  (0,0) (0,1) (0,2)   an up-down flip keeps the pixels:    T[a, b, c, i, j] = T[a, b, c, u-1-i, j]
    D  (0,0) (1,1) (2,2)   a transposition keeps the pixels:    T[a, b, c, i, j] = T[a, b, c, j, i]
    B  (0,0) (1,2) (2,1)   a transposition swaps the last two:  T[a, b, c, i, j] = T[a, c, b, j, i]

Any other reflection of the picture is one of these followed by a rotation, so it adds no condition. A
symmetric table holds nearly every value twice; ``fold`` keeps one of each, in the order of the flattened
table.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold", "is_symmetric", "mirror", "unfold"]


def mirror(kernel: str, table: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the table that acts as ``table`` does in a mirrored picture.

    Args:
        kernel: ``H``, ``D`` or ``B``.
        table: ``(entries, u, u)``; 4096 entries for B, any number for the others.

    Returns:
        A view or copy of the same shape; mirroring twice gives the table back.

    >>> mirror("H", np.arange(4).reshape(1, 2, 2)).tolist()
    [[[2, 3], [0, 1]]]
    >>> mirror("D", np.arange(4).reshape(1, 2, 2)).tolist()
    [[[0, 2], [1, 3]]]
    """
    if kernel == "H":
        return table[:, ::-1, :]
    flipped = table.swapaxes(1, 2)
    if kernel == "B":
        flipped = flipped.reshape(16, 16, 16, *flipped.shape[1:]).swapaxes(1, 2).reshape(flipped.shape)
    return flipped


def is_symmetric(kernel: str, table: NDArray[np.generic]) -> bool:
    """Whether the table gives a mirrored result for a mirrored picture.

    >>> is_symmetric("D", np.array([[[1, 2], [2, 3]]]))
    True
    """
    return np.array_equal(table, mirror(kernel, table))


def fold(kernel: str, table: NDArray[np.generic]) -> NDArray[np.generic]:
    """Keep one of every two equal values of a symmetric table ``(entries, u, u)``, as a flat array.

    >>> fold("D", np.array([[[1, 2], [2, 3]]])).tolist()
    [1, 2, 3]
    """
    kept, _ = _indices(kernel, table.shape)
    return table.ravel()[kept]


def unfold(kernel: str, folded: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Undo `fold`: ``unfold(kernel, fold(kernel, table), table.shape)`` equals a symmetric ``table``.

    Raises:
        ValueError: ``folded`` has not as many values as `folded_size` says.
    """
    kept, source = _indices(kernel, shape)
    if folded.shape != kept.shape:
        raise ValueError(f"a folded {kernel} table of shape {shape} holds {kept.size} values, not {folded.shape}")
    return folded[source].reshape(shape)


def folded_size(kernel: str, shape: tuple[int, ...]) -> int:
    """Count the values that `fold` keeps of a table of this shape.

    >>> [folded_size(kernel, (4096, 2, 2)) for kernel in "HDB"]
    [8192, 12288, 8448]
    """
    return _indices(kernel, shape)[0].size


@cache
def _indices(kernel: str, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which flat positions are kept, and for each position of the table where its value is among those."""
    here = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    first = np.minimum(here, mirror(kernel, here)).ravel()
    kept = first == here.ravel()
    return np.flatnonzero(kept), (np.cumsum(kept) - 1)[first]
