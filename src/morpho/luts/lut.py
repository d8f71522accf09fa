"""A lookup table of colours: curves per channel, a lattice over all three, or the curves before the lattice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError

__all__ = ["LARGEST", "MOST_NODES", "MOST_SAMPLES", "Domain", "Lut"]

#: Nodes per axis of a lattice, and samples of a curve, at most: the bounds of the .cube format.
MOST_NODES, MOST_SAMPLES = 256, 65536
#: Values beyond are no colours: they would only hide a damaged file.
LARGEST = 1000.0


@dataclass(frozen=True)
class Domain:
    """Which input values the first and the last sample stand for, per channel; input beyond is clamped.

    Raises:
        InputError: a bound is not finite, or an interval is empty.
    """

    low: tuple[float, float, float] = (0.0, 0.0, 0.0)
    high: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        bounds = np.array([self.low, self.high], dtype=np.float64)
        if bounds.shape != (2, 3) or not np.isfinite(bounds).all() or not (bounds[0] < bounds[1]).all():
            raise InputError(f"the domain {self.low} to {self.high} must be finite and grow in each channel")


@dataclass(frozen=True, eq=False)
class Lut:
    """Colours in, colours out: sRGB values from 0 to 1, as in a ``.cube`` file.

    Input is clamped to the curves' domain and goes through them by linear interpolation; what comes out is
    clamped to the lattice's domain and goes through it by tetrahedral interpolation (or trilinear, where asked
    for). At least one of the two is there.

    Attributes:
        lattice: ``(N, N, N, 3)`` float64, N from 2 to 256: ``lattice[r, g, b]`` is the colour for the input
            ``low + (r, g, b) / (N - 1) * (high - low)``. Values may lie outside 0..1.
        curves: ``(M, 3)`` float64, M from 2 to 65536: one curve per channel.
        lattice_domain: the lattice's input range.
        curves_domain: the curves' input range.
        title: the name in a file.

    Raises:
        InputError: an array has another shape, or holds values that are not finite.

    >>> Lut.identity(17).lattice.shape
    (17, 17, 17, 3)
    """

    lattice: NDArray[np.float64] | None = field(default=None, repr=False)
    curves: NDArray[np.float64] | None = field(default=None, repr=False)
    lattice_domain: Domain = Domain()
    curves_domain: Domain = Domain()
    title: str = ""

    def __post_init__(self) -> None:
        if self.lattice is None and self.curves is None:
            raise InputError("a lookup table needs curves or a lattice: give at least one of them")
        if self.lattice is not None:
            nodes = self.lattice.shape[0] if self.lattice.ndim else 0
            _check("lattice", self.lattice, (nodes,) * 3 + (3,), nodes, MOST_NODES)
        if self.curves is not None:
            samples = self.curves.shape[0] if self.curves.ndim else 0
            _check("curves", self.curves, (samples, 3), samples, MOST_SAMPLES)

    @classmethod
    def identity(cls, nodes: int = 33) -> Lut:
        """The lattice that changes nothing.

        Args:
            nodes: per axis, 2 to 256.

        Raises:
            InputError: the count is out of range.
        """
        if not 2 <= nodes <= MOST_NODES:
            raise InputError(f"a lattice has 2 to {MOST_NODES} nodes per axis, not {nodes}")
        axis = np.arange(nodes) / (nodes - 1)
        return cls(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1))

    @property
    def nodes(self) -> int | None:
        """Nodes per axis of the lattice, or None."""
        return None if self.lattice is None else len(self.lattice)

    @property
    def is_plain(self) -> bool:
        """Whether it is a lattice of domain 0 to 1 alone."""
        return self.curves is None and self.lattice_domain == Domain()


def _check(what: str, array: NDArray[Any], shape: tuple[int, ...], length: int, most: int) -> None:
    if array.shape != shape or array.dtype != np.float64 or not 2 <= length <= most:
        raise InputError(
            f"the {what} must be float64 with 2 to {most} samples per axis, not {array.dtype} {array.shape}"
        )
    # min and max instead of abs: no copy of a large lattice.
    if not (array.min() >= -LARGEST and array.max() <= LARGEST):
        raise InputError(f"the {what} holds values that are not finite or beyond +-{LARGEST:g}: no colours")
