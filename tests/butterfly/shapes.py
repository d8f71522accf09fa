"""Chains and matrices that several tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.butterfly import Chain, Factor

Matrix = NDArray[Any]

_DIGIT = st.sampled_from([1, 2, 3])


def weights_of(chain: Chain, seed: int = 0, dtype: Any = np.float64) -> list[Matrix]:
    """Normal weights."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(factor.shape).astype(dtype) for factor in chain.factors]


def gauss(m: int, n: int, seed: int = 0, dtype: Any = np.float64) -> Matrix:
    """A matrix of normal numbers."""
    return np.random.default_rng(seed).standard_normal((m, n)).astype(dtype)


def decaying(m: int, n: int, power: float, seed: int = 0) -> Matrix:
    """A matrix with the singular values ``i ** -power``."""
    left, _, right = np.linalg.svd(gauss(m, n, seed), full_matrices=False)
    matrix: Matrix = (left * np.arange(1.0, min(m, n) + 1) ** -power) @ right
    return matrix


def explicit(factor: Factor, weights: Matrix) -> Matrix:
    """A factor written out as a sum of Kronecker products, one for each weight."""
    g, r, s, t = factor.shape
    total = np.zeros((factor.p, factor.q))
    for b, i, j, u in np.ndindex(g, r, s, t):
        units = [unit(g, b, b), unit((r, s), i, j), unit(t, u, u)]
        total += weights[b, i, j, u] * np.kron(np.kron(units[0], units[1]), units[2])
    return total


def unit(size: int | tuple[int, int], row: int, column: int) -> Matrix:
    """A matrix with a single 1."""
    matrix = np.zeros((size, size) if isinstance(size, int) else size)
    matrix[row, column] = 1
    return matrix


@st.composite
def debuts(draw: st.DrawFn, longest: int = 4) -> Chain:
    """Deformable butterflies of small sizes."""
    pairs = draw(st.lists(st.tuples(_DIGIT, _DIGIT).filter(lambda p: p != (1, 1)), min_size=1, max_size=longest))
    return Chain.from_pairs(pairs)


@st.composite
def ranked(draw: st.DrawFn, longest: int = 4) -> Chain:
    """Chains of small sizes with any overlap ranks, made from the right."""
    length = draw(st.integers(2, longest))
    shapes, t, g = [], 1, draw(st.sampled_from([1, 2, 4]))
    ranks = [draw(_DIGIT) for _ in range(length - 1)]
    steps = [draw(st.sampled_from([1, 2])) for _ in range(length - 1)]
    merges = [draw(st.sampled_from([b for b in (1, 2, 4) if g % b == 0])) for _ in range(length - 2)]
    before = 1
    for k in range(length):
        last = k == length - 1
        r = draw(st.sampled_from([2, 3])) if last else ranks[k] * steps[k]
        # The blocks of the factor before that one block of this one takes in, times their overlap rank.
        b = 1 if k == 0 else (g if last else merges[k - 1])
        s = draw(st.sampled_from([2, 3])) if k == 0 else b * before
        while k and not last and g % b:
            b = 1
        g = g if k == 0 else g // b
        shapes.append((g, r, s, t))
        if not last:
            before, t = ranks[k], t * steps[k]
            following = [m for m in merges[k:] if g % m == 0]
            merges[k:] = following + [1] * (len(merges) - k - len(following))
    # A factor (1, 1) would only scale: make its input wider by one more row.
    return Chain(tuple(Factor(*shape) for shape in shapes if shape[1:3] != (1, 1)))
