"""What a table does to colours, in numbers, and what is wrong with it.

A level is 1/255, a step of 8-bit pictures, throughout.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.images.color import delta_e2000, srgb_to_lab
from morpho.luts.lut import Domain, Lut
from morpho.luts.operations import evaluate, grid

__all__ = ["Report", "RoundTrip", "measure", "round_trip"]

#: A step down of less than this is rounding: files have six decimals.
_STEP = 1e-6
#: A tetrahedron whose volume shrinks below this part is flat: six decimals do not tell its sign.
_FLAT = 1e-5
#: Nodes of the grid of colours on which a table is compared with doing nothing.
_NODES = 33
#: Layers of cells whose volumes are computed at a time.
_SLAB = 16


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a table does to colours.

    Attributes:
        title: its name.
        nodes: of the lattice, per axis; None without one.
        samples: of each curve; None without curves.
        lattice_domain: the lattice's input range.
        curves_domain: the curves' input range.
        lowest: the least value in the last table, per channel.
        highest: the greatest.
        outside: share of the values that are outside 0..1 and will be cut off in a picture.
        steps_down: steps between neighbouring nodes, along the axis of the output's own channel, that go down:
            more red in makes less red out. In curves, steps between samples.
        steps_down_share: their share of all such steps.
        grey_steps_down: steps along the grey ramp of 256 levels at which a channel goes down, out of 765.
        curvature_mean: mean second difference between neighbouring nodes, in levels: 0 is perfectly smooth.
        curvature_max: the largest, which is where banding shows.
        folded: share of the lattice's tetrahedra that are turned inside out, so that different colours become
            equal and no table can undo it.
        flat: share of those that are squeezed flat, as by clipping.
        invertible: whether another table could undo this one: nothing folded or flat, curves that rise or fall.
        change_mean: mean deviation from the input over a grid of colours, in levels, after clipping.
        change_max: the largest.
        delta_e_mean: the same as CIEDE2000, taking both as sRGB; 1 is just noticeable.
        delta_e_max: the largest.
    """

    title: str
    nodes: int | None
    samples: int | None
    lattice_domain: Domain | None
    curves_domain: Domain | None
    lowest: tuple[float, float, float]
    highest: tuple[float, float, float]
    outside: float
    steps_down: int
    steps_down_share: float
    grey_steps_down: int
    curvature_mean: float
    curvature_max: float
    folded: float
    flat: float
    invertible: bool
    change_mean: float
    change_max: float
    delta_e_mean: float
    delta_e_max: float

    def record(self) -> dict[str, Any]:
        """The fields as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """How well one table undoes another: what is left of a grid of colours after both.

    Attributes:
        mean: mean deviation from the input, in levels.
        max: the largest.
        within_one_level: share of the colours that come back within one level in each channel.
        delta_e_mean: mean CIEDE2000 to the input.
    """

    mean: float
    max: float
    within_one_level: float
    delta_e_mean: float


def measure(lut: Lut) -> Report:
    """Measure a table.

    >>> dim = measure(Lut(Lut.identity(17).lattice * 0.5))
    >>> dim.highest, dim.steps_down, dim.change_max, dim.invertible
    ((0.5, 0.5, 0.5), 0, 127.5, True)
    """
    last = lut.curves if lut.lattice is None else lut.lattice
    assert last is not None
    colors = last.reshape(-1, 3)
    axes = _own_steps(lut)
    down = sum(int((steps < -_STEP).sum()) for steps in axes)
    curvature = [(float(np.abs(bend).mean()), float(np.abs(bend).max())) for bend in _bends(last) if bend.size]
    folded, flat = _volumes(lut.lattice)
    change, delta_e = _deviation(*_before_and_after(lut))
    return Report(
        title=lut.title,
        nodes=lut.nodes,
        samples=None if lut.curves is None else len(lut.curves),
        lattice_domain=None if lut.lattice is None else lut.lattice_domain,
        curves_domain=None if lut.curves is None else lut.curves_domain,
        lowest=_triple(colors.min(axis=0)),
        highest=_triple(colors.max(axis=0)),
        outside=float(((colors < 0) | (colors > 1)).mean()),
        steps_down=down,
        steps_down_share=down / sum(steps.size for steps in axes),
        grey_steps_down=_grey_steps_down(lut),
        curvature_mean=255 * sum(mean for mean, _ in curvature) / max(len(curvature), 1),
        curvature_max=255 * max((largest for _, largest in curvature), default=0.0),
        folded=folded,
        flat=flat,
        invertible=folded == flat == 0 and _curves_are_strict(lut),
        change_mean=float(change.mean()),
        change_max=float(change.max()),
        delta_e_mean=float(delta_e.mean()),
        delta_e_max=float(delta_e.max()),
    )


def round_trip(first: Lut, second: Lut) -> RoundTrip:
    """Measure how well ``second`` undoes ``first``; between them lies a picture, which cuts values off at 0 and 1.

    >>> negative = Lut(1 - Lut.identity(9).lattice)
    >>> round_trip(negative, negative).within_one_level
    1.0
    """
    before, between = _before_and_after(first)
    change, delta_e = _deviation(before, evaluate(second, between).clip(0, 1))
    return RoundTrip(
        mean=float(change.mean()),
        max=float(change.max()),
        within_one_level=float((change.max(axis=-1) <= 1).mean()),
        delta_e_mean=float(delta_e.mean()),
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _own_steps(lut: Lut) -> list[NDArray[np.float64]]:
    """The steps of each output channel along the input of the same channel."""
    steps = [] if lut.curves is None else [np.diff(lut.curves, axis=0)]
    if lut.lattice is not None:
        steps += [np.diff(lut.lattice[..., channel], axis=channel) for channel in range(3)]
    return steps


def _grey_steps_down(lut: Lut) -> int:
    ramp = np.repeat(np.arange(256)[:, None] / 255, 3, axis=1)
    return int((np.diff(evaluate(lut, ramp), axis=0) < -_STEP).sum())


def _bends(table: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Second differences along each input axis, one at a time: of a large lattice they are large too."""
    for axis in range(table.ndim - 1):
        yield np.diff(table, 2, axis=axis)


def _volumes(lattice: NDArray[np.float64] | None) -> tuple[float, float]:
    """Which shares of the tetrahedra are turned inside out, and flat."""
    if lattice is None:
        return 0.0, 0.0
    cells = len(lattice) - 1
    folded = flat = 0
    for start in range(0, cells, _SLAB):
        for order in itertools.permutations(range(3)):
            volume = _volume(lattice[start : start + _SLAB + 1], order) * cells**3
            folded += int((volume < -_FLAT).sum())
            flat += int((np.abs(volume) <= _FLAT).sum())
    return folded / (6 * cells**3), flat / (6 * cells**3)


def _volume(lattice: NDArray[np.float64], order: tuple[int, ...]) -> NDArray[np.float64]:
    """The Jacobian determinants of the tetrahedra whose edges follow the axes in this order, per unit cell."""
    corner, edges = [0, 0, 0], [lattice[:-1, :-1, :-1]] * 3
    before = edges[0]
    for axis in order:
        corner[axis] = 1
        after = lattice[tuple(slice(c, size - 1 + c) for c, size in zip(corner, lattice.shape, strict=False))]
        edges[axis], before = after - before, after
    volume: NDArray[np.float64] = (edges[0] * np.cross(edges[1], edges[2])).sum(axis=-1)
    return volume


def _curves_are_strict(lut: Lut) -> bool:
    if lut.curves is None:
        return True
    steps = np.diff(lut.curves, axis=0)
    return bool(((steps > 0).all(axis=0) | (steps < 0).all(axis=0)).all())


def _before_and_after(lut: Lut) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    before = grid(_NODES)
    return before, evaluate(lut, before).clip(0, 1)


def _deviation(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """In levels per channel, and as CIEDE2000."""
    return 255 * np.abs(after - before), delta_e2000(srgb_to_lab(before), srgb_to_lab(after))
