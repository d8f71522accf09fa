"""A lookup table in integers, for one bit depth: what the readable twin and the fast kernel both start from.

With the peak ``P`` (255 or 65535), an input level ``x`` lies at ``p = rint(P (N - 1) u)``, where ``u`` is ``x / P``
sent through curves and domains: in cell ``min(p // P, N - 2)``, at the fraction ``p - P cell`` from 0 to ``P``. Without
curves that is ``x (N - 1)``, exactly. A node holds its colour in 32nds of a level. Curves alone need no lattice: they
are rounded to levels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.luts.lut import Domain, Lut

__all__ = ["DEPTHS", "NODE_SCALE", "IntegerLut", "check_image"]

#: The peaks of the types that pixels can have.
DEPTHS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
#: Steps of a node's value per level. At 16 bits, the largest value of a `Lut` still fits 32 bits.
NODE_SCALE = 32


@dataclass(frozen=True, eq=False)
class IntegerLut:
    """A `Lut` for pixels of one depth.

    Attributes:
        peak: 255 or 65535.
        cells: ``(3, peak + 1)`` int64: for each channel and level, the cell's first node.
        fractions: ``(3, peak + 1)`` int64: how far into the cell, 0 to ``peak``.
        nodes: ``(N, N, N, 3)`` int32, or None where there are only curves.
        levels: ``(channels, peak + 1)`` int64: the curves' results where there is no lattice, else None.
    """

    peak: int
    cells: NDArray[np.int64] = field(repr=False)
    fractions: NDArray[np.int64] = field(repr=False)
    nodes: NDArray[np.int32] | None = field(repr=False)
    levels: NDArray[np.int64] | None = field(repr=False)

    @classmethod
    def of(cls, lut: Lut, dtype: np.dtype[np.generic]) -> IntegerLut:
        """Make a table ready for uint8 or uint16."""
        peak = DEPTHS[np.dtype(dtype)]
        values = np.repeat(np.arange(peak + 1, dtype=np.float64)[None] / peak, 3, axis=0)
        if lut.curves is not None:
            values = _through_curves(_within(values, lut.curves_domain), lut.curves)
        if lut.lattice is None:
            return cls.of_levels(np.rint(np.clip(values, 0, 1) * peak).astype(np.int64))
        count = len(lut.lattice)
        positions = np.rint(_within(values, lut.lattice_domain) * (peak * (count - 1))).astype(np.int64)
        cells = np.minimum(positions // peak, count - 2)
        scaled = lut.lattice * (peak * NODE_SCALE)
        nodes = np.rint(scaled, out=scaled).astype(np.int32)
        return cls(peak, cells, positions - peak * cells, nodes, None)

    @classmethod
    def of_levels(cls, levels: NDArray[np.int64]) -> IntegerLut:
        """Make a table without a lattice: ``(channels, peak + 1)`` levels."""
        nothing = np.zeros((len(levels), 0), dtype=np.int64)
        return cls(levels.shape[1] - 1, nothing, nothing, None, levels)

    @property
    def fine(self) -> NDArray[np.int64]:
        """The fractions in steps of ``2 ** -20`` of a cell, as trilinear interpolation takes them."""
        return ((self.fractions << 20) + self.peak // 2) // self.peak

    @property
    def in_range(self) -> bool:
        """Whether all nodes are colours from black to white, so that nothing is clipped."""
        return self.nodes is not None and self.nodes.min() >= 0 and self.nodes.max() <= self.peak * NODE_SCALE


def check_image(image: NDArray[np.generic]) -> None:
    """Refuse what is not an ``(H, W, C)`` picture of uint8 or uint16 with at least three channels.

    Raises:
        InputError: says what the array is instead.
    """
    if image.ndim != 3 or image.dtype not in DEPTHS or 0 in image.shape or image.shape[2] < 3:
        raise InputError(
            f"colours are looked up in a non-empty (H, W, 3 or more) array of uint8 or uint16, "
            f"not {image.dtype} {image.shape}"
        )


def _within(values: NDArray[np.float64], domain: Domain) -> NDArray[np.float64]:
    """Map a domain to 0..1, and clamp what lies beyond. Values: ``(3, n)``."""
    low, high = (np.array(bound, dtype=np.float64)[:, None] for bound in (domain.low, domain.high))
    inside: NDArray[np.float64] = np.clip((values - low) / (high - low), 0, 1)
    return inside


def _through_curves(values: NDArray[np.float64], curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation; plain arithmetic, so that it gives the same on every machine."""
    places = values * (len(curves) - 1)
    first = np.minimum(places.astype(np.int64), len(curves) - 2)
    fraction = places - first
    low, high = (np.stack([curves[first[c] + step, c] for c in range(3)]) for step in (0, 1))
    result: NDArray[np.float64] = low + (high - low) * fraction
    return result
