"""Grids as fields: a plain grid of values, and a multiresolution hash grid read by a small network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.arrays import Array, Arrays
from morpho.fields.model import LARGEST, Model, Shapes, Tensors, uniform
from morpho.fields.peers import Layered

__all__ = ["Grid", "HashGrid"]

#: The hash of a node is the exclusive or of its indices times these (Teschner et al., 2003).
_PRIMES = (1, 2654435761, 805459861)


@dataclass(frozen=True, kw_only=True)
class Grid(Model):
    """Values at the nodes of a regular grid, interpolated: the honest baseline of every field.

    The first and the last node of an axis lie at -1 and +1. Source of the comparison: "Grids Often Outperform
    Implicit Neural Representations at Compressing Dense Signals", 2025.

    Attributes:
        nodes: at most as many nodes in all.
        aspect: relative number of nodes of the axes, such as a picture's ``(height, width)``; equal where empty.
        interpolation: ``"linear"``, or ``"cubic"`` as Keys' (a = -1/2).

    >>> Grid(nodes=60, aspect=(2, 1)).counts(2), Grid(nodes=60).counts(3)
    ((12, 5), (3, 4, 5))
    """

    name: ClassVar[str] = "grid"
    size: ClassVar[str] = "nodes"
    published_rate: ClassVar[float] = 0.1
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"nodes": (1, LARGEST), "aspect": (1e-3, 1e6)}
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"interpolation": ("linear", "cubic")}

    nodes: int = 65536
    aspect: tuple[float, ...] = ()
    interpolation: str = "cubic"

    def counts(self, dimensions: int) -> tuple[int, ...]:
        """Return the nodes per axis: in proportion to ``aspect``, and as many as fit into ``nodes``."""
        aspect = self.aspect or (1.0,) * dimensions
        if len(aspect) != dimensions:
            raise InputError(f"the grid's aspect {aspect} has not one entry for each of the signal's {dimensions} axes")
        counts, left = [0] * dimensions, self.nodes
        for axes, axis in enumerate(sorted(range(dimensions), key=lambda k: aspect[k])):
            others = math.prod(aspect[k] for k in range(dimensions) if not counts[k])
            exact = (left / others) ** (1 / (dimensions - axes)) * aspect[axis]
            counts[axis] = min(max(1, math.floor(exact + 1e-6)), left)
            left //= counts[axis]
        return tuple(counts)

    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return ``nodes``, the values of all nodes, the last axis running fastest."""
        return {"nodes": (math.prod(self.counts(dimensions)), channels)}

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Return values of zero."""
        self.parameters(dimensions, channels)
        return {name: np.zeros(shape, np.float32) for name, shape in self.shapes(dimensions, channels).items()}

    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``."""
        counts = self.counts(coordinates.shape[1])
        axes = [self._taps(xp, coordinates[:, axis], count) for axis, count in enumerate(counts)]
        indices, weights = [], []
        for taps in product(*axes):
            index, weight = taps[0]
            for count, (further, factor) in zip(counts[1:], taps[1:], strict=True):
                index, weight = index * count + further, weight * factor
            indices.append(index)
            weights.append(weight)
        values = xp.take(tensors["nodes"], xp.cat(indices, 0)) * xp.cat(weights, 0)[:, None]
        return values.reshape(len(indices), len(coordinates), -1).sum(0)

    def _taps(self, xp: Arrays, x: Array, count: int) -> list[tuple[Array, Array]]:
        """Return the nodes of one axis that have a say at each point, with their weights."""
        position = xp.clip((x + 1) * ((count - 1) / 2), 0, count - 1)
        low = xp.clip(xp.floor(position), 0, max(count - 2, 0))
        t = position - low
        if self.interpolation == "linear":
            weights = {0: 1 - t, 1: t}
        else:  # Horner's form of Keys' kernel
            weights = {
                -1: t * (t * (1 - 0.5 * t) - 0.5),
                0: t * t * (1.5 * t - 2.5) + 1,
                1: t * (t * (2 - 1.5 * t) + 0.5),
                2: t * t * (0.5 * t - 0.5),
            }
        first = xp.integer(low)
        return [(xp.clip(first + step, 0, count - 1), weight) for step, weight in weights.items()]


@dataclass(frozen=True, kw_only=True)
class HashGrid(Layered):
    """A multiresolution hash grid and a ReLU network (Mueller et al., SIGGRAPH 2022, "Instant NGP").

    Level ``l`` of ``L`` is a grid of ``round(base (finest / base)^(l / (L - 1)))`` cells per axis whose nodes have
    ``features`` numbers each, interpolated linearly; a level that has more nodes than ``table`` shares its rows by a
    hash. All levels' features together are the network's input.

    Attributes:
        width: units of a hidden layer.
        layers: hidden layers and the head.
        levels: grids.
        features: numbers per node.
        table: the most rows that a level may have.
        base: cells per axis of the first level.
        finest: cells per axis of the last level.

    >>> HashGrid(levels=2, base=4, finest=16, table=100).rows(2)
    (25, 100)
    """

    name: ClassVar[str] = "hash-grid"
    size: ClassVar[str] = "table"
    published_rate: ClassVar[float] = 1e-2
    ranges: ClassVar[dict[str, tuple[float, float]]] = Layered.ranges | {
        "levels": (1, 32),
        "features": (1, 64),
        "table": (1, LARGEST),
        "base": (1, 2**16),
        "finest": (1, 2**16),
    }

    width: int = 64
    layers: int = 3
    levels: int = 8
    features: int = 2
    table: int = 32768
    base: int = 16
    finest: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.finest < self.base:
            raise InputError(
                f"hash-grid's finest level has {self.finest} cells and its base {self.base}: make it finer"
            )

    def cells(self) -> tuple[int, ...]:
        """Return the cells per axis of every level, the coarsest first."""
        steps = max(self.levels - 1, 1)
        return tuple(round(self.base * (self.finest / self.base) ** (level / steps)) for level in range(self.levels))

    def rows(self, dimensions: int) -> tuple[int, ...]:
        """Return the rows of every level's table."""
        return tuple(min((cells + 1) ** dimensions, self.table) for cells in self.cells())

    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return ``table``, the rows of all levels, ``layer.i`` and ``head``."""
        if dimensions > len(_PRIMES):
            raise InputError(f"hash-grid knows signals of at most {len(_PRIMES)} axes, not {dimensions}")
        table = {"table": (sum(self.rows(dimensions)), self.features)}
        return table | super().shapes(self.levels * self.features, channels)

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the table from U(-1e-4, 1e-4) and the network from uniform laws."""
        tensors = super().initial(dimensions, channels, random)
        return tensors | {"table": uniform(random, 1e-4, tensors["table"].shape)}

    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``."""
        return super().apply(xp, tensors, self._encode(xp, tensors["table"], coordinates))

    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return the positive part."""
        return xp.relu(z[0])

    def _encode(self, xp: Arrays, table: Array, x: Array) -> Array:
        """Return the features ``(N, levels features)``; every corner of every level is looked up at once."""
        points, dimensions = x.shape
        cells = xp.array([[[count]] for count in self.cells()], x)
        position = xp.clip(0.5 * x + 0.5, 0, 1)[None] * cells
        low = xp.minimum(xp.floor(position), cells - 1)
        part, node = position - low, xp.integer(low)
        indices, weights = [], []
        for corner in product((0, 1), repeat=dimensions):
            weight = 1
            for axis, upper in enumerate(corner):
                weight = weight * (part[..., axis] if upper else 1 - part[..., axis])
            indices.append(self._index(xp, node, corner))
            weights.append(weight)
        values = xp.take(table, xp.cat(indices, 0).reshape(-1)) * xp.cat(weights, 0).reshape(-1)[:, None]
        features = values.reshape(len(weights), self.levels, points, self.features).sum(0)
        return features.swapaxes(0, 1).reshape(points, self.levels * self.features)

    def _index(self, xp: Arrays, node: Array, corner: tuple[int, ...]) -> Array:
        """Return the row ``(levels, N)`` of a corner of each point's cell: in order, or hashed where rows are few."""
        dimensions, rows = len(corner), self.rows(len(corner))
        dense = sum((cells + 1) ** dimensions <= self.table for cells in self.cells())
        sides = xp.array([[cells + 1] for cells in self.cells()], node)
        plain, hashed = 0, 0
        for axis, upper in enumerate(corner):
            plain = plain * sides[:dense] + (node[:dense, :, axis] + upper)
            hashed = hashed ^ ((node[dense:, :, axis] + upper) * _PRIMES[axis])
        starts = xp.array([[sum(rows[:level])] for level in range(self.levels)], node)
        return xp.cat([plain, hashed % self.table], 0) + starts
