"""Lookup tables and pictures made up for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.luts import Domain, Lut

__all__ = ["DOMAINS", "graded", "make_curves", "make_lattice", "make_picture"]

DOMAINS = [
    Domain(),
    Domain((-0.5, 0.0, 0.25), (1.5, 2.0, 0.75)),
    Domain((0.1, 0.2, -3.0), (0.11, 1.0, 7.0)),
]


def make_lattice(nodes: int, kind: str, seed: int) -> NDArray[np.float64]:
    """The identity, noise between black and white, its extremes, or noise far beyond them."""
    rng = np.random.default_rng(seed)
    shape = (nodes, nodes, nodes, 3)
    if kind == "identity":
        return Lut.identity(nodes).lattice  # type: ignore[return-value]
    if kind == "extremes":
        return rng.choice([0.0, 1.0], shape)
    if kind == "wild":
        return rng.choice([-1000.0, -1.0, 0.5, 2.0, 1000.0], shape) * rng.random(shape)
    if kind == "white":
        return np.ones(shape)
    return rng.random(shape)


def make_curves(samples: int, kind: str, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    if kind == "wild":
        return rng.normal(0.5, 2.0, (samples, 3))
    return np.linspace(0, 1, samples)[:, None] ** rng.uniform(0.4, 2.5, 3)


def make_picture(shape: tuple[int, ...], dtype: Any, kind: str = "noise", seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    peak = np.iinfo(dtype).max
    if kind == "black" or kind == "white":
        return np.full(shape, 0 if kind == "black" else peak, dtype=dtype)
    if kind == "grey":
        return np.repeat(rng.integers(0, peak, (*shape[:-1], 1), dtype, endpoint=True), shape[-1], axis=-1)
    if kind == "extremes":
        return rng.choice(np.array([0, peak // 2, peak - 1, peak], dtype=dtype), shape)
    return rng.integers(0, peak, shape, dtype, endpoint=True)


def graded(nodes: int = 33, seed: int = 3) -> Lut:
    """A look as a colourist makes one: curves, crosstalk between channels, a little roughness."""
    rng = np.random.default_rng(seed)
    lattice = Lut.identity(nodes).lattice
    assert lattice is not None
    mixed = lattice**0.8 @ np.array([[1.1, -0.1, 0.05], [-0.05, 0.95, 0.1], [0.05, 0.1, 0.8]])
    return Lut(np.clip(mixed + rng.normal(0, 0.01, mixed.shape), 0, 1))
