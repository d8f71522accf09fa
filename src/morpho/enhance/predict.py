"""From a picture's colours to its look, in integers: the same on every machine.

Let ``c`` count the picture's 12-bit colours, P pixels in all.

    mean feature   f = sum_i c[i] T[i] / P, over both nibbles' tables         in 1/256 of a table's unit
    weights        w = sum_g G_g(f[2g], f[2g + 1])                            bilinear between a table's entries
    lattice        V_c = identity + sum_n w_n (own . mix_nc . rest)           per output channel c
    look           V clamped to 0..1, and made to rise along its own axis and along the greys

The paper computes ``f`` on a thumbnail of 32 x 32 pixels. It is a mean over pixels, and a colour has but 4096 values:
the histogram of the whole picture gives it exactly, and without the noise of sampling.

Sums are exact whatever their order, since they stay below 2^53 in float64: the matrix products may run through BLAS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.enhance.tables import FEATURE_RANGE, Tables

__all__ = ["ONE", "fuse", "identity", "mean_features", "monotone", "weights"]

Integers = NDArray[np.int64]
#: The colour value 1.0 in a lattice.
ONE = 2**20
#: Bits behind the point of a mean feature, beyond the unit of the tables.
_FEATURE_BITS = 8
#: What a weight's unit is worth after `weights`: 2^-14.
_WEIGHT_BITS = 8
#: Corrections beyond, in units of 2^-20, cannot be meant; the bound keeps every sum exact.
_LARGEST = 2**30


def mean_features(tables: Tables, msb: Integers, lsb: Integers | None = None) -> Integers:
    """Mean features of a picture, in 1/256 of the tables' unit, rounded half up.

    Args:
        tables: the tables.
        msb: ``(4096,)`` how often each colour of upper nibbles occurs, at least one in all.
        lsb: the same for lower nibbles; needed where the tables have such a branch.

    Returns:
        ``(2 G,)`` int64.
    """
    pixels = int(msb.sum())
    total = msb @ tables.msb.astype(np.int64)
    if tables.lsb is not None and lsb is not None:
        total = total + lsb @ tables.lsb.astype(np.int64)
    return np.asarray((total * 2 ** (_FEATURE_BITS + 1) + pixels) // (2 * pixels))


def weights(tables: Tables, features: Integers) -> Integers:
    """Weights of the basis lattices, in units of 2^-14.

    Args:
        tables: the tables.
        features: ``(2 G,)`` from `mean_features`.

    Returns:
        ``(N,)`` int64.
    """
    levels = tables.groups.shape[1]
    interpolated = levels % 2 == 1
    cell = FEATURE_RANGE * 2**_FEATURE_BITS // (levels - levels % 2)
    position = np.clip(features + FEATURE_RANGE // 2 * 2**_FEATURE_BITS, 0, FEATURE_RANGE * 2**_FEATURE_BITS)
    if not interpolated:
        nearest = np.minimum((position + cell // 2) // cell, levels - 1)
        at = nearest.reshape(-1, 2)
        chosen = tables.groups[np.arange(len(at)), at[:, 0], at[:, 1]].astype(np.int64)
        return np.asarray(chosen.sum(axis=0) << _WEIGHT_BITS)
    low = np.minimum(position // cell, levels - 2)
    fraction = position - low * cell
    total = np.zeros(tables.groups.shape[3], dtype=np.int64)
    for group, ((i, j), (y, x)) in enumerate(zip(low.reshape(-1, 2), fraction.reshape(-1, 2), strict=True)):
        table = tables.groups[group, i : i + 2, j : j + 2].astype(np.int64)
        along = table[:, 0] * (cell - x) + table[:, 1] * x
        total += along[0] * (cell - y) + along[1] * y
    return _round_shift_integers(total, cell * cell >> _WEIGHT_BITS)


def fuse(tables: Tables, chosen: Integers, *, strength: int = 1024) -> Integers:
    """The lattice of a picture: clamped to 0..1, rising along each channel's own axis and along the greys.

    Args:
        tables: the tables.
        chosen: ``(N,)`` from `weights`.
        strength: 0 (identity) to 1024 (all of it).

    Returns:
        ``(D, D, D, 3)`` int64 from 0 to `ONE`, by input red, green and blue.
    """
    nodes, rank = tables.own.shape
    mixed = np.tensordot(chosen.astype(np.float64), tables.mix.astype(np.float64), axes=1)  # (K, 3, R), 2^-25
    mixed = _round_shift(mixed, 9)  # 2^-16
    planes = np.clip(_round_shift(mixed @ tables.rest.astype(np.float64), 10), -_LARGEST, _LARGEST)  # 2^-20
    cubes = tables.own.astype(np.float64) @ planes.reshape(rank, -1)  # 2^-34, each channel's own axis first
    cubes = _round_shift(cubes, 14).reshape(nodes, 3, nodes * nodes)
    cubes += np.arange(nodes)[:, None, None] * float(ONE // (nodes - 1))
    clamped = np.clip(cubes, 0, ONE, out=cubes).astype(np.int32).reshape(nodes, 3, nodes, nodes)
    lattice = _by_color(_rising(clamped))
    if strength == 1024:
        return lattice
    neutral = identity(nodes)
    return neutral + ((lattice - neutral) * strength + 512 >> 10)


def identity(nodes: int) -> Integers:
    """The lattice that changes nothing; ``nodes - 1`` must divide `ONE`."""
    axis = np.arange(nodes, dtype=np.int64) * (ONE // (nodes - 1))
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def monotone(lattice: Integers) -> Integers:
    """Make every output channel rise (or stay) along its own input axis, and from grey to lighter grey.

    The mean of the least rising lattice above and of the greatest one below, rounded down: what rises already is not
    touched, and a dent is filled half from below, half from above.
    """
    return _by_color(_rising(np.stack([np.moveaxis(lattice[..., c], c, 0) for c in range(3)], axis=1)))


def _by_color(cubes: NDArray[Any]) -> Integers:
    """``(D, 3, D, D)``, each channel's own axis first and the two others in their order, as ``(D, D, D, 3)``."""
    nodes = len(cubes)
    lattice = np.empty((nodes, nodes, nodes, 3), dtype=np.int64)
    for channel in range(3):
        lattice[..., channel] = np.moveaxis(cubes[:, channel], 0, channel)
    return lattice


def _rising(values: NDArray[Any]) -> NDArray[Any]:
    """`monotone` for cubes ``(D, 3, D, D)`` whose own axes come first."""
    above, below = values.copy(), values.copy()
    last = len(values) - 1
    if (values[1:] < values[:-1]).any():  # hardly ever in what was trained
        for i in range(1, last + 1):  # three times as fast as accumulate(), which walks along the axis
            np.maximum(above[i], above[i - 1], out=above[i])
            np.minimum(below[last - i], below[last - i + 1], out=below[last - i])
    # From grey to grey; what a grey gains, those behind it on its own axis must follow.
    for i in range(1, last + 1):
        j = last - i
        np.maximum(above[i:, :, i, i], above[i - 1, :, i - 1, i - 1], out=above[i:, :, i, i])
        np.minimum(below[: j + 1, :, j, j], below[j + 1, :, j + 1, j + 1], out=below[: j + 1, :, j, j])
    above += below
    above >>= 1
    return above


def _round_shift(values: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """``round(values / 2^bits)``, half up, in place; exact, since the values are integers below 2^53."""
    values *= 2.0**-bits
    values += 0.5
    return np.floor(values, out=values)


def _round_shift_integers(values: Integers, divisor: int) -> Integers:
    return (values + divisor // 2) // divisor
