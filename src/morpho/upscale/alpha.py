"""Pictures with transparency.

Two things go wrong when colour and alpha are simply upscaled side by side:

* The colour stored under fully transparent pixels, often black, is seen by the tables and darkens the rim of
  what is visible. So before upscaling, transparent pixels near the rim are given the mean colour of their
  nearest visible neighbours, ring by ring outwards: as far as a visible pixel of the result can see. The mean
  of all eight neighbours, rather than any one of them, because it does not depend on the order of a scan: a
  rotated picture still gives the rotated result. Colours are filled rather than multiplied by alpha, because
  multiplied colours lose bits and put a second set of edges into the picture, which the tables would sharpen.
  A picture without transparent pixels is not touched.
* Tables may turn an even 255 into 254, which nobody sees in a colour, but which makes an opaque picture
  translucent, and may leave a faint ghost beside an edge. So where a pixel and its eight neighbours are all
  opaque, or all transparent, the result is as well; everywhere else alpha goes through the same tables as the
  colours.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from morpho.upscale.reference import REACH
from morpho.upscale.tables import Tables

__all__ = ["fill_transparent", "reach", "upscale_with_alpha"]

#: How many output pixels are worked on at a time: the working memory is at most some 15 bytes for each.
BAND_PIXELS = 1 << 22
_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]

Pixels = NDArray[np.generic]


def reach(tables: Tables) -> int:
    """How many input pixels away an output pixel can see: two per stage, of that stage's pixel size."""
    total, size = Fraction(0), Fraction(1)
    for stage in tables.stages:
        total += REACH * size
        size /= stage.factor
    return ceil(total)


def upscale_with_alpha(image: Pixels, tables: Tables, run: Callable[[Pixels], Pixels]) -> Pixels:
    """Upscale a picture whose last channel is alpha, band by band.

    Args:
        image: ``(H, W, 2)`` or ``(H, W, 4)``, uint8 or uint16.
        tables: the stages.
        run: upscales an ``(H, W, C)`` array by these tables.

    Returns:
        ``(scale * H, scale * W, C)``; what does not depend on the bands.
    """
    height, width, channels = image.shape
    scale, rings = tables.scale, reach(tables) + 1
    margin = rings + reach(tables)
    rows = max(4 * margin, BAND_PIXELS // (scale * scale * width))
    result = np.empty((height * scale, width * scale, channels), dtype=image.dtype)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(top - margin, 0), min(bottom + margin, height)
        band = _upscale_band(image[first:last], scale, rings, run)
        result[top * scale : bottom * scale] = band[(top - first) * scale : (bottom - first) * scale]
    return result


def _upscale_band(image: Pixels, scale: int, rings: int, run: Callable[[Pixels], Pixels]) -> Pixels:
    result = run(fill_transparent(image, rings))
    opaque = 256**image.dtype.itemsize - 1
    alpha = image[..., -1]
    _pin(result[..., -1], _grow(alpha != opaque), scale, opaque)
    _pin(result[..., -1], _grow(alpha != 0), scale, 0)
    return result


def _pin(alpha: Pixels, others: NDArray[np.bool_], scale: int, value: int) -> None:
    """Set the children of every pixel that is not among ``others`` to ``value``."""
    height, width = others.shape
    children = alpha.reshape(height, scale, width, scale)
    np.copyto(children, value, where=~others[:, None, :, None], casting="unsafe")


def fill_transparent(image: Pixels, rings: int) -> Pixels:
    """Give transparent pixels near visible ones the mean colour of their nearest visible neighbours.

    Args:
        image: ``(H, W, C)``, alpha last; it is not changed.
        rings: how far from a visible pixel to go.

    Returns:
        The image itself where nothing is transparent, or nothing is visible; else a copy with other colours
        where alpha is 0.

    >>> row = np.array([[[200, 255], [0, 0], [0, 0], [0, 0]]], dtype=np.uint8)
    >>> fill_transparent(row, 2)[..., 0].tolist()
    [[200, 200, 200, 0]]
    """
    known = image[..., -1] != 0
    if known.all() or not known.any():
        return image
    filled = image.copy()
    for _ in range(rings):
        grown = _grow(known)
        ys, xs = np.nonzero(grown & ~known)
        if not ys.size:
            break
        filled[ys, xs, :-1] = _mean_of_known(filled, known, ys, xs)
        known = grown
    return filled


def _grow(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the eight neighbours of every pixel in the mask."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide


def _mean_of_known(
    image: Pixels, known: NDArray[np.bool_], ys: NDArray[np.intp], xs: NDArray[np.intp]
) -> NDArray[np.int64]:
    """The rounded mean colour of the known neighbours of each pixel; every pixel must have one."""
    height, width = known.shape
    total = np.zeros((ys.size, image.shape[2] - 1), dtype=np.int64)
    count = np.zeros((ys.size, 1), dtype=np.int64)
    for dy, dx in _NEIGHBOURS:
        y, x = ys + dy, xs + dx
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        y, x = np.where(inside, y, 0), np.where(inside, x, 0)
        used = (inside & known[y, x])[:, None]
        total += np.where(used, image[y, x, :-1].astype(np.int64), 0)
        count += used
    return (2 * total + count) // (2 * count)
