"""A lookup table applied in plain NumPy: the definition that the fast kernel must reproduce byte for byte.

All in integers: `morpho.luts.integers` says what cells, fractions and nodes are. With the peak ``P``:

* **Tetrahedral**. With the fractions in falling order, ``f1 >= f2 >= f3``, the four corners are the cell's first node,
  one step along the axis of ``f1``, a second one along that of ``f2``, and the cell's last node. Their weights are
  ``P - f1``, ``f1 - f2``, ``f2 - f3`` and ``f3``, which sum to ``P``. The result is ``(S + 16 P) // (32 P)`` for the
  weighted sum ``S``. Equal fractions give the same sum in either order.
* **Trilinear**. With the fractions ``f`` in steps of ``2 ** -20`` of a cell: along blue, ``n0 (2 ** 20 - f) + n1 f``,
  cut by 14 bits; the same of the results along green, cut by 20 bits; and along red, rounded to a multiple of
  ``2 ** 31``, which is a level.

Results are clipped to ``0..P``. Divisions and cuts round down.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from morpho.luts.integers import NODE_SCALE, IntegerLut, check_image

__all__ = ["Interpolation", "apply"]

Interpolation = Literal["tetrahedral", "trilinear"]
Integers = NDArray[np.int64]

#: Pixels that are worked on at a time: a few hundred bytes of memory for each.
BLOCK = 1 << 16


def apply(
    image: NDArray[np.generic], lut: IntegerLut, *, interpolation: Interpolation = "tetrahedral"
) -> NDArray[np.generic]:
    """Look up every pixel's colour.

    Args:
        image: ``(H, W, C)``, of the depth of ``lut``; RGB first, further channels are copied.
        lut: what to apply.
        interpolation: between the nodes.

    Returns:
        An array of the same shape and type.

    Raises:
        InputError: the array is no picture.
    """
    check_image(image)
    result = image.copy()
    flat, out = image.reshape(-1, image.shape[2]), result.reshape(-1, image.shape[2])
    run = _levels if lut.nodes is None else _tetrahedral if interpolation == "tetrahedral" else _trilinear
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK, :3].T
        out[start : start + BLOCK, :3] = np.clip(run(block, lut), 0, lut.peak)
    return result


def _levels(pixels: NDArray[np.generic], lut: IntegerLut) -> Integers:
    assert lut.levels is not None
    return np.stack([lut.levels[c, pixels[c]] for c in range(3)], axis=1)


def _place(pixels: NDArray[np.generic], lut: IntegerLut) -> tuple[Integers, Integers]:
    """The cells and the fractions, ``(3, n)`` each, of ``(3, n)`` pixels."""
    cells = np.stack([lut.cells[c, pixels[c]] for c in range(3)])
    fractions = np.stack([lut.fractions[c, pixels[c]] for c in range(3)])
    return cells, fractions


def _tetrahedral(pixels: NDArray[np.generic], lut: IntegerLut) -> Integers:
    assert lut.nodes is not None
    corner, fractions = _place(pixels, lut)
    falling = np.argsort(-fractions, axis=0, kind="stable")
    ordered = np.take_along_axis(fractions, falling, axis=0)
    bounds = [np.full(len(corner[0]), lut.peak), *ordered, np.zeros(len(corner[0]), dtype=np.int64)]
    total = np.zeros((len(corner[0]), 3), dtype=np.int64)
    for step in range(4):
        weight = bounds[step] - bounds[step + 1]
        total += weight[:, None] * lut.nodes[corner[0], corner[1], corner[2]]
        if step < 3:
            corner = corner + (np.arange(3)[:, None] == falling[step])
    return (total + lut.peak * NODE_SCALE // 2) // (lut.peak * NODE_SCALE)


def _trilinear(pixels: NDArray[np.generic], lut: IntegerLut) -> Integers:
    assert lut.nodes is not None
    nodes, fine = lut.nodes.astype(np.int64), lut.fine
    r, g, b = (lut.cells[c, pixels[c]] for c in range(3))
    red, green, blue = (fine[c, pixels[c]][:, None] for c in range(3))

    def between(low: Integers, high: Integers, fraction: Integers) -> Integers:
        return low * (2**20 - fraction) + high * fraction

    faces = []
    for i in (0, 1):
        edges = [between(nodes[r + i, g + j, b], nodes[r + i, g + j, b + 1], blue) >> 14 for j in (0, 1)]
        faces.append(between(edges[0], edges[1], green) >> 20)
    return (between(faces[0], faces[1], red) + 2**30) >> 31
