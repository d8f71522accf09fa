"""What can be done with tables of colours: evaluate, resample, compose, blend.

All of it in float64, at leisure; `morpho.luts.Engine` is what applies a table to pictures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.luts.lut import Domain, Lut

__all__ = ["blend", "compose", "evaluate", "folded_nodes", "grid", "mix", "resample"]

#: Colours evaluated at a time: the working arrays stay in the cache.
_BLOCK = 1 << 16
#: Samples of curves that are made from other curves, at least.
_SAMPLES = 4096
#: Nodes of a lattice that curves are folded into, at least.
_NODES = 65


def evaluate(lut: Lut, colors: NDArray[Any]) -> NDArray[np.float64]:
    """What a table makes of colours: curves by linear, the lattice by tetrahedral interpolation.

    Args:
        lut: the table.
        colors: ``(..., 3)`` floats, sRGB from 0 to 1; beyond the table's domain they are clamped to it.

    Returns:
        ``(..., 3)`` float64; outside 0..1 where the table is.

    Raises:
        InputError: the last axis is not RGB, or a value is NaN.

    >>> evaluate(Lut.identity(5), np.array([0.1, 0.7, 0.35])).round(12).tolist()
    [0.1, 0.7, 0.35]
    """
    colors = np.asarray(colors, np.float64)
    if colors.shape[-1:] != (3,) or np.isnan(colors).any():
        raise InputError(f"colours are arrays (..., 3) of numbers, but this is {colors.shape}, or holds NaN")
    lattice = None if lut.lattice is None else np.ascontiguousarray(lut.lattice)
    flat = colors.reshape(-1, 3)
    result = np.empty_like(flat)
    for start in range(0, len(flat), _BLOCK):
        block = flat[start : start + _BLOCK]
        if lut.curves is not None:
            block = _through_curves(lut.curves, _position(block, lut.curves_domain, len(lut.curves)))
        if lattice is not None:
            block = _through_lattice(lattice, _position(block, lut.lattice_domain, len(lattice)))
        result[start : start + _BLOCK] = block
    return result.reshape(colors.shape)


def _position(colors: NDArray[np.float64], domain: Domain, samples: int) -> NDArray[np.float64]:
    """Where colours lie among samples, from 0 to ``samples - 1``."""
    low, high = np.array(domain.low), np.array(domain.high)
    position: NDArray[np.float64] = ((colors - low) / (high - low)).clip(0, 1) * (samples - 1)
    return position


def _cells(position: NDArray[np.float64], samples: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    cell = np.minimum(position.astype(np.intp), samples - 2)
    return cell, position - cell


def _through_curves(curves: NDArray[np.float64], position: NDArray[np.float64]) -> NDArray[np.float64]:
    cell, fraction = _cells(position, len(curves))
    channels = np.arange(3)
    low, high = curves[cell, channels], curves[cell + 1, channels]
    return low + fraction * (high - low)


def _through_lattice(lattice: NDArray[np.float64], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a tetrahedron are met on the way from a cell's low corner to its high one.

    The way goes along the axis of the largest fraction first, along that of the smallest last.
    """
    nodes = len(lattice)
    cell, fraction = _cells(position, nodes)
    strides = np.array([nodes * nodes, nodes, 1])
    order = np.argsort(-fraction, axis=1, kind="stable")
    steps = strides[order]
    falling = np.take_along_axis(fraction, order, axis=1)
    flat = lattice.reshape(-1, 3)
    corner = cell @ strides
    value = flat[corner] * (1 - falling[:, :1])
    for axis in range(3):
        corner = corner + steps[:, axis]
        below = falling[:, axis + 1] if axis < 2 else 0.0
        value += flat[corner] * (falling[:, axis] - below)[:, None]
    return np.asarray(value)


def grid(nodes: int, domain: Domain | None = None) -> NDArray[np.float64]:
    """The colours of a lattice that changes nothing: ``(nodes, nodes, nodes, 3)``.

    Raises:
        InputError: the count is not 2 to 256.
    """
    lattice = Lut.identity(nodes).lattice
    assert lattice is not None
    if domain is None:
        return lattice
    low, high = np.array(domain.low), np.array(domain.high)
    colors: NDArray[np.float64] = low + lattice * (high - low)
    return colors


def resample(lut: Lut, nodes: int, *, keep_curves: bool = False) -> Lut:
    """A table as a lattice of another size.

    The result equals the table at its own nodes, and nearly between them; everywhere, where ``nodes - 1`` is a
    multiple of the old count and the domains are kept, for then the old tetrahedra are only divided.

    Args:
        lut: the table.
        nodes: per axis, 2 to 256.
        keep_curves: keep curves and domains, and change the lattice behind them; else they are folded into one
            lattice of domain 0 to 1, which every program reads.

    Raises:
        InputError: the count is out of range.

    >>> resample(Lut(curves=np.array([[0.0] * 3, [0.5] * 3])), 3).lattice[2, 1, 0].tolist()
    [0.5, 0.25, 0.0]
    """
    if keep_curves and lut.lattice is not None:
        plain = replace(lut, curves=None)
        return replace(lut, lattice=evaluate(plain, grid(nodes, lut.lattice_domain)))
    if lut.is_plain and lut.nodes == nodes:
        return lut
    return Lut(evaluate(lut, grid(nodes)), title=lut.title)


def compose(first: Lut, second: Lut, nodes: int | None = None) -> Lut:
    """One table that does what two do, one after the other.

    Args:
        first: what is applied first. Its curves, and the domains of both, are kept.
        second: what is applied to the result.
        nodes: of the lattice; by default as many as the larger of the two has.

    Returns:
        The composed table: equal at the first one's nodes where their count is kept, and exact everywhere
        where the first has no lattice and the second no curves.

    Raises:
        InputError: the count is out of range.
    """
    title = " + ".join(title for title in (first.title, second.title) if title)
    if first.lattice is None:
        assert first.curves is not None
        curves = first.curves if second.curves is None else _curve_of_curve(first, second)
        lut = Lut(second.lattice, curves, second.lattice_domain, first.curves_domain, title)
        return lut if nodes is None or lut.lattice is None else resample(lut, nodes, keep_curves=True)
    count = nodes or max(first.nodes or 0, second.nodes or 0)
    between = evaluate(replace(first, curves=None), grid(count, first.lattice_domain))
    return replace(first, lattice=evaluate(second, between), title=title)


def _curve_of_curve(first: Lut, second: Lut) -> NDArray[np.float64]:
    """The second's curves after the first's, with enough samples that their kinks are kept well."""
    assert first.curves is not None and second.curves is not None
    samples = max(_SAMPLES, len(first.curves), len(second.curves))
    inner = np.repeat(np.linspace(0, 1, samples)[:, None] * (len(first.curves) - 1), 3, axis=1)
    outer = _through_curves(first.curves, inner)
    return _through_curves(second.curves, _position(outer, second.curves_domain, len(second.curves)))


def mix(lut: Lut, strength: float) -> Lut:
    """A weaker form of a table: ``(1 - strength) * colour + strength * table(colour)``.

    Args:
        lut: the table.
        strength: 0 changes nothing, 1 is the table itself.

    Returns:
        A table; a plain lattice, and plain curves, are mixed exactly, others are folded into a lattice first.

    Raises:
        InputError: the strength is not within 0 to 1.

    >>> mix(Lut(np.zeros((2, 2, 2, 3))), 0.25).lattice[1, 1, 1].tolist()
    [0.75, 0.75, 0.75]
    """
    _check_weight("strength", strength)
    if strength == 1:
        return lut
    if lut.lattice is None and lut.curves is not None and lut.curves_domain == Domain():
        line = np.linspace(0, 1, len(lut.curves))[:, None]
        return replace(lut, curves=(1 - strength) * line + strength * lut.curves)
    return replace(blend(Lut.identity(2), lut, strength), title=lut.title)


def blend(first: Lut, second: Lut, weight: float) -> Lut:
    """What lies between two tables: ``(1 - weight) * first(colour) + weight * second(colour)``.

    Args:
        first: the table of weight 0.
        second: the table of weight 1.
        weight: from 0 to 1.

    Returns:
        A plain lattice with the nodes of the larger one.

    Raises:
        InputError: the weight is not within 0 to 1.
    """
    _check_weight("weight", weight)
    nodes = max(folded_nodes(first), folded_nodes(second))
    one, two = (resample(lut, nodes).lattice for lut in (first, second))
    assert one is not None and two is not None
    title = " + ".join(lut.title for lut in (first, second) if lut.title)
    return Lut((1 - weight) * one + weight * two, title=title)


def folded_nodes(lut: Lut) -> int:
    """How many nodes a plain lattice needs to stand for a table: those it has, or more where there are curves.

    >>> folded_nodes(Lut.identity(17)), folded_nodes(Lut(curves=np.eye(3)))
    (17, 65)
    """
    return lut.nodes if lut.nodes is not None and lut.curves is None else max(lut.nodes or 0, _NODES)


def _check_weight(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"the {name} {value:g} is out of range: give 0 to 1")
