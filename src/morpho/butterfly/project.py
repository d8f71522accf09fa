"""Project a dense matrix onto a chain: hierarchical truncated SVDs, then closed-form alternating least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from morpho.butterfly.als import als
from morpho.butterfly.chain import Chain
from morpho.butterfly.factor import Factor
from morpho.callable_module import make_callable
from morpho.errors import InputError

__all__ = ["Projection", "as_matrix", "hierarchical", "project", "split_left", "split_right"]

Matrix = NDArray[Any]

#: Columns of less than this part of the largest weight count as much as this: they are divided by it afterwards.
_LEAST_WEIGHT = 1e-4
#: A matrix is squared this often to find its leading eigenvector: its 256th power.
_SQUARINGS = 8


@dataclass(frozen=True)
class Projection:
    """A matrix in a chain's shape.

    Attributes:
        weights: an array ``(g, r, s, t)`` per factor, the right-most first, all of the same root mean square.
        error: relative Frobenius error ``||F - What|| / ||F||``, with weighted columns where weights were given; 0 for
            a matrix of zeros.
    """

    weights: list[Matrix]
    error: float


def project(matrix: Matrix, chain: Chain, *, sweeps: int = 3, column_weights: NDArray[Any] | None = None) -> Projection:
    """Approximate a matrix by a chain: ``min ||(F - R_N ... R_1) diag(w)||``, near the best.

    Hierarchical decompositions from both ends, of which the better one is polished by alternating least squares where
    the chain is a deformable butterfly. A matrix which is such a product is found exactly, and two factors of any
    overlap rank are optimal; `low_rank` is the truncated SVD. Sources: Lin et al., NeurIPS 2021; Le et al., arXiv
    2411.04506.

    Args:
        matrix: ``(m, n)``; float32 is worked on and returned in float32, all else in float64.
        chain: of that size.
        sweeps: of least squares, from right to left and back; each lowers the error or leaves it.
        column_weights: ``(n,)``, not negative: how much each column's error counts, such as the root mean square of
            the inputs that it meets.

    Raises:
        InputError: the shapes do not fit, or a number is not finite.

    >>> from morpho.butterfly import Chain
    >>> chain = Chain.parse("(2,2)^3")
    >>> hadamard = [[(-1) ** (i & j).bit_count() for j in range(8)] for i in range(8)]
    >>> project(np.array(hadamard), chain).error < 1e-12
    True
    """
    target = as_matrix(matrix, chain.m, chain.n)
    importance = None if column_weights is None else _importance(column_weights, target)
    scaled = target if importance is None else target * np.maximum(importance, _LEAST_WEIGHT)
    size = float(np.abs(scaled).max())
    scaled = scaled / size if size else scaled
    weights = _polished(scaled, chain, sweeps)
    if importance is not None:
        first = chain.factors[0]
        weights[0] = weights[0] / np.maximum(importance, _LEAST_WEIGHT).reshape(first.g, 1, first.s, 1)
    weights[-1] = weights[-1] * (size or 1)
    weights = balanced(weights)
    return Projection(weights, _error(target, chain.dense(weights), importance, size))


def hierarchical(matrix: Matrix, chain: Chain, *, direction: Literal["right", "left"]) -> list[Matrix]:
    """Split one factor after the other off a matrix, each by a truncated SVD of every sub-block.

    All factors but the last that is split off have orthonormal parts, so their errors add in quadrature:
    ``||F - What||^2 = ||F||^2 - ||W_last||^2``, at most ``sqrt(N - 1)`` times the best error. Source: Le et al.,
    arXiv 2411.04506.

    Args:
        matrix: ``(m, n)``, of floats.
        chain: of that size.
        direction: the end where it begins: ``right`` splits off the factor that meets the input first.

    Returns:
        An array ``(g, r, s, t)`` per factor, the right-most first.
    """
    return _from_right(matrix, chain) if direction == "right" else _from_left(matrix, chain)


def as_matrix(matrix: Matrix, m: int | None = None, n: int | None = None) -> Matrix:
    """Check a matrix, and make it float32 or float64.

    Raises:
        InputError: it has another shape, no numbers, or numbers that are not finite.
    """
    array = np.asarray(matrix)
    if array.ndim != 2 or not array.size or array.shape != (m or array.shape[0], n or array.shape[1]):
        wanted = "rows and columns" if m is None else f"{m} x {n} numbers"
        raise InputError(
            f"the matrix needs {wanted}, and its shape is {array.shape}: reshape it, or take another chain"
        )
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError("the matrix has numbers that are not finite: nothing approximates them")
    return array


def balanced(weights: Sequence[Matrix]) -> list[Matrix]:
    """Give all factors the same root mean square; their product stays."""
    sizes = np.array([np.sqrt(np.mean(np.square(array, dtype=np.float64))) for array in weights])
    if not sizes.all():
        return list(weights)
    mean = np.exp(np.log(sizes).mean())
    return [(array * (mean / size)).astype(array.dtype) for array, size in zip(weights, sizes, strict=True)]


def _polished(matrix: Matrix, chain: Chain, sweeps: int) -> list[Matrix]:
    """The better of both directions, polished where that can help."""
    found = hierarchical(matrix, chain, direction="right")
    if len(chain.factors) < 3:
        return found  # One split only: the truncated SVD of each of its sub-blocks is the best there is.
    other = hierarchical(matrix, chain, direction="left")
    if np.linalg.norm(other[0]) > np.linalg.norm(found[-1]):
        found = other
    if not chain.is_debut or sweeps < 1 or not found[-1].any() or not found[0].any():
        return found
    better = als(matrix, chain, balanced(found), sweeps)
    before, after = (np.linalg.norm(matrix - chain.dense(weights)) for weights in (found, better))
    return better if after < before else found


def _from_right(matrix: Matrix, chain: Chain) -> list[Matrix]:
    weights, rest = [], matrix
    for factor, rank in zip(chain.factors, chain.ranks, strict=False):
        found, rest = split_right(rest, factor, rank)
        weights.append(found)
    return [*weights, rest.reshape(chain.factors[-1].shape)]


def _from_left(matrix: Matrix, chain: Chain) -> list[Matrix]:
    weights, rest = [], matrix
    for factor, rank in zip(chain.factors[:0:-1], chain.ranks[::-1], strict=True):
        found, rest = split_left(rest, factor, rank)
        weights.append(found)
    return [rest.reshape(chain.factors[0].shape), *weights[::-1]]


def split_right(matrix: Matrix, factor: Factor, rank: int) -> tuple[Matrix, Matrix]:
    """Split ``matrix = rest @ factor``, where the factor is the next from the right and meets the rest by this rank.

    Returns:
        The factor's weights, and the weights of the rest, which is one block (g = 1) again; their shape is a detail.
    """
    g, r, s, t = factor.shape
    # For each e of r / rank, block of g and step of t the matrix over rows i to come and columns j is of low rank.
    blocks = matrix.reshape(-1, r // rank, g, s, t).transpose(1, 2, 4, 0, 3)
    vectors = _leading(blocks, rank)
    rest = np.ascontiguousarray((blocks @ vectors).transpose(3, 1, 4, 0, 2))
    return vectors.transpose(1, 4, 0, 3, 2).reshape(factor.shape), rest.reshape(rest.shape[0], -1)


def split_left(matrix: Matrix, factor: Factor, rank: int) -> tuple[Matrix, Matrix]:
    """Split ``matrix = factor @ rest``, where the factor is the next from the left and meets the rest by this rank.

    Returns:
        The factor's weights, and the weights of the rest, which has steps of one (t = 1) again; their shape is a
        detail.
    """
    g, r, s, t = factor.shape
    blocks = matrix.reshape(g, r, t, s // rank, -1).transpose(0, 3, 2, 4, 1)
    vectors = _leading(blocks, rank)
    rest = np.ascontiguousarray((blocks @ vectors).transpose(0, 1, 4, 2, 3))
    return vectors.transpose(0, 3, 1, 4, 2).reshape(factor.shape), rest.reshape(-1, rest.shape[-1])


def _leading(blocks: Matrix, rank: int) -> Matrix:
    """The leading right singular vectors ``(..., j, rank)`` of matrices ``(..., i, j)``; zeros beyond their rank."""
    rows, columns = blocks.shape[-2:]
    kept = min(rank, rows, columns)
    if columns == 1 or (columns == 2 and rank == 1):
        vectors = _leading_of_two(blocks) if columns == 2 else np.ones((*blocks.shape[:-2], 1, 1), blocks.dtype)
    elif columns <= 2 * rows or kept == columns:
        vectors = _top(_gram(blocks, rank), kept)
    else:
        # The Gram matrix of the rows is smaller: the columns' vectors are their images, made orthonormal.
        left = _top(_gram(blocks.swapaxes(-1, -2), rank), kept)
        vectors = _orthonormal(blocks.astype(left.dtype).swapaxes(-1, -2) @ left)
    missing = [(0, 0)] * (blocks.ndim - 1) + [(0, rank - kept)]
    return np.pad(vectors, missing).astype(blocks.dtype) if rank > kept else vectors.astype(blocks.dtype)


def _orthonormal(vectors: Matrix) -> Matrix:
    if vectors.shape[-1] > 1:
        basis: Matrix = np.linalg.qr(vectors)[0]
        return basis
    sizes = np.linalg.norm(vectors, axis=-2, keepdims=True)
    unit: Matrix = np.full_like(vectors, vectors.shape[-2] ** -0.5)
    np.divide(vectors, sizes, out=unit, where=sizes > 0)
    return unit


def _gram(blocks: Matrix, rank: int) -> Matrix:
    """``A^T A``; in float64 where more than the leading vector is wanted, as small values would be lost in float32."""
    exact = blocks if rank == 1 else blocks.astype(np.float64)
    return exact.swapaxes(-1, -2) @ exact


def _top(gram: Matrix, count: int) -> Matrix:
    """The eigenvectors ``(..., j, count)`` of the largest eigenvalues."""
    if count == 1:
        return _leading_by_powers(gram)
    vectors: Matrix = np.linalg.eigh(gram.astype(np.float64))[1][..., : -count - 1 : -1]
    return vectors


def _leading_by_powers(gram: Matrix) -> Matrix:
    """The leading eigenvectors by squaring the matrices, which is several times faster than solving for all.

    Next to an eigenvalue that is smaller by less than a hundredth the result may be a mixture of both vectors; the
    energy it holds is then as good as the same.
    """
    powers = gram
    for k in range(_SQUARINGS):
        if k % 3 == 0:
            sizes = np.trace(powers, axis1=-2, axis2=-1)[..., None, None]
            powers = powers / np.where(sizes > 0, sizes, 1)
        powers = powers @ powers
    largest = np.diagonal(powers, axis1=-2, axis2=-1).argmax(-1)[..., None, None]
    return _orthonormal(np.take_along_axis(powers, largest, -1))


def _leading_of_two(blocks: Matrix) -> Matrix:
    """The leading right singular vectors of matrices of two columns, by the angle of a plane rotation."""
    left, right = blocks[..., 0], blocks[..., 1]
    cross = np.einsum("...i,...i->...", left, right, dtype=np.float64)
    difference = np.einsum("...i,...i->...", left - right, left + right, dtype=np.float64)
    angle = np.arctan2(2 * cross, difference) / 2
    return np.stack([np.cos(angle), np.sin(angle)], -1)[..., None]


def _importance(column_weights: NDArray[Any], matrix: Matrix) -> Matrix:
    """Column weights, the largest made 1."""
    weights = np.asarray(column_weights, dtype=np.float64)
    if weights.shape != matrix.shape[1:] or not np.isfinite(weights).all() or weights.min() < 0:
        raise InputError(
            f"column weights need {matrix.shape[1]} numbers that are finite and not negative, one per column; "
            f"these have the shape {weights.shape}"
        )
    return (weights / (weights.max() or 1)).astype(matrix.dtype)


def _error(target: Matrix, found: Matrix, importance: Matrix | None, size: float) -> float:
    """The relative error, of matrices divided by their size: squares of small or large float32 are out of range."""
    weights = 1 if importance is None else importance
    whole = float(np.linalg.norm(target / (size or 1) * weights))
    return float(np.linalg.norm((target - found) / (size or 1) * weights)) / whole if whole else 0.0


make_callable(__name__, "project")
