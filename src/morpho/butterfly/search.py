"""Search the chain for a matrix by how well it approximates these very weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.butterfly.allocate import allocate
from morpho.butterfly.chain import Chain, low_rank
from morpho.butterfly.factor import Factor
from morpho.butterfly.generate import Family, chains, least, padded, pareto
from morpho.butterfly.project import Matrix, Projection, as_matrix, project, split_left, split_right

__all__ = ["Candidate", "Family", "allocate", "best", "chains", "front", "padded", "pareto", "score"]

#: A front goes down to chains of about this much fewer parameters each.
_STEP = 1.3


@dataclass(frozen=True)
class Candidate:
    """A chain for a matrix.

    Attributes:
        chain: its shape.
        error: relative Frobenius error of a quick projection, or None where it was not measured.
    """

    chain: Chain
    error: float | None


def best(
    matrix: Matrix,
    *,
    budget: int,
    family: Family = "general",
    count: int = 200,
    polish: int = 6,
    column_weights: NDArray[Any] | None = None,
    max_factors: int = 6,
    max_width: int | None = None,
    first_rows: int | None = None,
) -> tuple[Candidate, Projection]:
    """Find the chain within a budget that approximates a matrix best, and the approximation.

    Promising chains are ranked by a hierarchical decomposition of the matrix, and the best few are polished. In the
    general family the truncated SVD of as many parameters is among them, so the error is at most its error.

    Args:
        matrix: ``(m, n)``.
        budget: the most parameters.
        family: ``debut`` for chains that lose no rank, ``general`` for any.
        count: how many chains are tried.
        polish: of how many of them the projection is polished, and of how many with three factors or more.
        column_weights: ``(n,)``, see `project`.
        max_factors: the longest chain.
        max_width: the largest width on the way.
        first_rows: the largest ``r`` of the first factor.

    Returns:
        The chain with its error, and its weights.

    Raises:
        InputError: no chain of the family has so few parameters, or the matrix is unusable.

    >>> identity = np.eye(16)
    >>> candidate, projection = best(identity, budget=128)
    >>> str(candidate.chain), round(projection.error, 6)
    ('16 <-(4,4,4)- 16 <-(4,4,1)- 16', 0.0)
    """
    target = as_matrix(matrix)
    m, n = target.shape
    tried = chains(
        m,
        n,
        budget=budget,
        count=count,
        family=family,
        max_factors=max_factors,
        max_width=max_width,
        first_rows=first_rows,
    )
    found = sorted(score(target, tried, column_weights=column_weights), key=_by_error)
    # Two factors are scored at their best; longer chains gain by least squares, so the best of these are polished too.
    longer = [candidate for candidate in found if candidate.chain.is_debut and len(candidate.chain.factors) > 2]
    kept = dict.fromkeys(candidate.chain for candidate in [*found[:polish], *longer[:polish]])
    polished = [(project(target, chain, column_weights=column_weights), chain) for chain in kept]
    projection, chain = min(polished, key=lambda pair: pair[0].error)
    return Candidate(chain, projection.error), projection


def front(
    matrix: Matrix,
    *,
    family: Family = "debut",
    column_weights: NDArray[Any] | None = None,
    count: int = 6,
    share: float = 0.5,
    max_factors: int = 5,
    max_width: int | None = None,
    first_rows: int | None = None,
) -> list[Candidate]:
    """Measure chains of many sizes and keep those that no smaller one beats; their errors fall.

    Args:
        matrix: ``(m, n)``.
        family: which chains.
        column_weights: ``(n,)``, see `project`.
        count: chains tried at each size, of which one is 1.3 times the last.
        share: the largest size, as a part of the matrix; a single dense factor, without error, is always the last.
        max_factors: the longest chain.
        max_width: the largest width on the way.
        first_rows: the largest ``r`` of the first factor.

    Raises:
        InputError: the matrix is unusable.
    """
    target = as_matrix(matrix)
    m, n = target.shape
    whole = Candidate(Chain((Factor(1, m, n, 1),)), 0.0)
    found = _svd_front(_weighted(target, column_weights)) if family in ("low_rank", "general") else []
    if family != "low_rank":
        limits = {"family": family, "max_factors": max_factors, "max_width": max_width}
        lowest = least(m, n, **limits)  # type: ignore[arg-type]
        tried: dict[Chain, None] = {}
        budget = float(lowest)
        while budget <= share * m * n:
            try_ = chains(m, n, budget=int(budget), count=count, first_rows=first_rows, **limits)  # type: ignore[arg-type]
            tried.update(dict.fromkeys(try_))
            budget *= _STEP
        found += score(target, [c for c in tried if not _is_svd(c)], column_weights=column_weights)
    return _falling([*found, whole])


def score(matrix: Matrix, tried: Sequence[Chain], *, column_weights: NDArray[Any] | None = None) -> list[Candidate]:
    """Measure the errors of hierarchical decompositions of a matrix, from its longer side and without the products.

    Chains that begin with the same factors share the work for these.

    Args:
        matrix: ``(m, n)``.
        tried: chains of that size.
        column_weights: ``(n,)``, see `project`.

    Returns:
        A candidate per chain, in the order given.
    """
    target = _weighted(as_matrix(matrix), column_weights)
    size = float(np.vdot(target, target))
    energies = np.zeros(len(tried))
    right = target.shape[0] > target.shape[1]
    ways = {}
    for k, chain in enumerate(tried):
        factors, ranks = (chain.factors, chain.ranks) if right else (chain.factors[::-1], chain.ranks[::-1])
        ways[k] = tuple(zip(factors, (*ranks, 0), strict=True))
    _descend(target, ways, energies, from_right=right)
    errors = np.sqrt(np.maximum(1 - energies / size, 0)) if size else energies
    return [Candidate(chain, float(error)) for chain, error in zip(tried, errors, strict=True)]


_Rest = tuple[tuple[Factor, int], ...]


def _descend(rest: Matrix, ways: dict[int, _Rest], energies: NDArray[np.float64], *, from_right: bool) -> None:
    """Split the next factor off for all chains that have the same one there; the last one holds the energy."""
    groups: dict[tuple[Factor, int], dict[int, _Rest]] = {}
    for k, way in ways.items():
        if len(way) == 1:
            energies[k] = float(np.vdot(rest, rest))
        else:
            groups.setdefault(way[0], {})[k] = way[1:]
    for (factor, rank), following in groups.items():
        after = (split_right if from_right else split_left)(rest, factor, rank)[1]
        _descend(after, following, energies, from_right=from_right)


def _svd_front(matrix: Matrix, most: int = 64) -> list[Candidate]:
    """Truncated SVDs of many ranks, their errors from the singular values."""
    m, n = matrix.shape
    squares = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    if not squares.sum():
        return [Candidate(low_rank(m, n, 1), 0.0)]
    last = max(min(m * n // (m + n), m, n), 1)
    ranks = np.unique(np.geomspace(1, last, most).round().astype(int))
    lost = np.append(squares[::-1].cumsum()[::-1], 0.0) / squares.sum()
    return [Candidate(low_rank(m, n, int(rank)), float(np.sqrt(lost[rank]))) for rank in ranks]


def _is_svd(chain: Chain) -> bool:
    return len(chain.factors) == 2 and chain == low_rank(chain.m, chain.n, chain.widths[1])


def _falling(found: Sequence[Candidate]) -> list[Candidate]:
    """Candidates by size, without those that are no better than a smaller one."""
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda one: (one.chain.parameters, _by_error(one))):
        if not kept or _by_error(candidate) < _by_error(kept[-1]):
            kept.append(candidate)
    return kept


def _by_error(candidate: Candidate) -> float:
    return np.inf if candidate.error is None else candidate.error


def _weighted(matrix: Matrix, column_weights: NDArray[Any] | None) -> Matrix:
    return matrix if column_weights is None else matrix * np.asarray(column_weights, matrix.dtype)
