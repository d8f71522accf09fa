"""Alternating least squares in closed form: in a deformable butterfly every weight's best value is one quotient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.butterfly.chain import Chain
from morpho.butterfly.factor import Factor
from morpho.errors import InputError

__all__ = ["als"]

Matrix = NDArray[Any]


def als(matrix: Matrix, chain: Chain, weights: Sequence[Matrix], sweeps: int) -> list[Matrix]:
    """Lower ``||F - R_N ... R_1||`` factor by factor; a sweep goes from right to left and back.

    Every entry of the product is one product of weights, one of each factor, so that the least squares problem of one
    factor falls apart into scalars. With the product ``L`` of the factors to its left and ``R`` to its right:
    ``W[b,i,j,u] = sum_{a,c} F[a,i,u,b,j,c] L[a,b,i,u] R[b,j,u,c] / (sum_a L[a,b,i,u]^2 sum_c R[b,j,u,c]^2)``.
    A weight whose denominator vanishes stays. Source: Lin et al., NeurIPS 2021, who solve the problem by
    pseudo-inverses.

    Args:
        matrix: ``(m, n)``, best near unit size.
        chain: a deformable butterfly of that size.
        weights: where to begin, an array ``(g, r, s, t)`` per factor, the right-most first.
        sweeps: how often.

    Raises:
        InputError: the chain has an overlap rank above 1, or the weights are not its.
    """
    chain.check(weights)
    if not chain.is_debut:
        raise InputError(
            f"the chain {chain} has overlap ranks above 1: only deformable butterflies are fitted like this"
        )
    factors, current = chain.factors, list(weights)
    for _ in range(sweeps if len(factors) > 1 else 0):
        lefts = _lefts(chain, current)
        rights = [np.ones((factors[0].g, factors[0].s, 1, 1), matrix.dtype)]
        for k, factor in enumerate(factors):
            current[k] = _even(_best(matrix, factor, lefts[k], rights[k], current[k]))
            if k + 1 < len(factors):
                rights.append(_grown_right(factors[k + 1], rights[k], current[k]))
        left = lefts[-1]
        for k in range(len(factors) - 1, -1, -1):
            current[k] = _best(matrix, factors[k], left, rights[k], current[k])
            if k:
                current[k] = _even(current[k])
                left = _grown_left(factors[k - 1], left, current[k])
    return current


def _lefts(chain: Chain, weights: Sequence[Matrix]) -> list[Matrix]:
    """For each factor the product of those to its left, as ``[a, b, i, u]``."""
    last = chain.factors[-1]
    lefts = [np.ones((1, 1, last.r, last.t), weights[-1].dtype)]
    for k in range(len(weights) - 1, 0, -1):
        lefts.append(_grown_left(chain.factors[k - 1], lefts[-1], weights[k]))
    return lefts[::-1]


def _grown_left(following: Factor, left: Matrix, weights: Matrix) -> Matrix:
    """``L'[(a,i), (b,j), i', u'] = L[a,b,i,(i',u')] W[b,i,j,(i',u')]`` for the factor to the right."""
    product = left.transpose(0, 2, 1, 3)[:, :, :, None] * weights.transpose(1, 0, 2, 3)
    return product.reshape(-1, following.g, following.r, following.t)


def _grown_right(following: Factor, right: Matrix, weights: Matrix) -> Matrix:
    """``R'[b', j', (i,u), (j,c)] = W[b,i,j,u] R[b,j,u,c]`` with ``b = (b', j')`` for the factor to the left."""
    product = weights.transpose(0, 1, 3, 2)[..., None] * right.transpose(0, 2, 1, 3)[:, None]
    return product.reshape(following.g, following.s, following.t, -1)


def _best(matrix: Matrix, factor: Factor, left: Matrix, right: Matrix, before: Matrix) -> Matrix:
    """The best weights of one factor, all others fixed."""
    g, r, s, t = factor.shape
    a, c = left.shape[0], right.shape[3]
    # One product with the rows' vector for each (i, u, b); columns (j, c) lie side by side.
    blocks = matrix.reshape(a, r, t, g, s * c).transpose(1, 2, 3, 0, 4)
    rows = (left.transpose(2, 3, 1, 0)[..., None, :] @ blocks).reshape(r, t, g, s, c)
    numerator = np.einsum("iubjc,bjuc->biju", rows, right)
    sizes = np.einsum("abiu,abiu->biu", left, left)[:, :, None] * np.einsum("bjuc,bjuc->bju", right, right)[:, None]
    least = np.finfo(matrix.dtype).eps ** 2 * sizes.max()
    found: Matrix = np.divide(numerator, sizes, out=before.astype(matrix.dtype), where=sizes > least)
    return found


def _even(weights: Matrix) -> Matrix:
    """Unit root mean square: the size goes to the factor that is solved for next."""
    size = np.sqrt(np.mean(np.square(weights)))
    return weights / size if size else weights
