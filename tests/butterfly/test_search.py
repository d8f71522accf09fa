"""Searches find what an exhaustive search finds on small sizes, and stay within budgets on large ones."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.butterfly import Chain, low_rank
from morpho.butterfly.generate import Family, block_low_rank, chains, freedom, least, padded, pareto
from morpho.butterfly.project import hierarchical, project
from morpho.butterfly.search import best, front, score
from morpho.errors import InputError
from tests.butterfly.shapes import decaying, gauss, weights_of

FAMILIES: list[Family] = ["debut", "general", "monarch", "low_rank"]


def _factorisations(size: int, length: int) -> Iterator[tuple[int, ...]]:
    if length == 1:
        yield (size,)
        return
    for first in range(1, size + 1):
        if size % first == 0:
            for rest in _factorisations(size // first, length - 1):
                yield (first, *rest)


@lru_cache
def _every(m: int, n: int, longest: int) -> list[Chain]:
    """All deformable butterflies of a size."""
    found = []
    for length in range(1, longest + 1):
        for rows, columns in itertools.product(_factorisations(m, length), _factorisations(n, length)):
            pairs = list(zip(rows, columns, strict=True))
            if (1, 1) not in pairs:
                found.append(Chain.from_pairs(pairs))
    return found


def _triple(chain: Chain) -> tuple[int, int, int]:
    return chain.parameters, max(chain.widths), len(chain.factors)


@pytest.mark.parametrize(("m", "n"), [(8, 9), (9, 14), (8, 12), (16, 18), (12, 5), (1, 12), (30, 1), (7, 11), (24, 24)])
@pytest.mark.parametrize("narrow", [None, 1])
@pytest.mark.parametrize("wide", [None, 30])
def test_the_front_is_that_of_all_chains(m: int, n: int, narrow: int | None, wide: int | None) -> None:
    floor = min(m, n) if narrow is None else narrow
    triples = {
        _triple(chain)
        for chain in _every(m, n, 4)
        if min(chain.widths) >= floor and (wide is None or max(chain.widths) <= wide)
    }
    expected = {
        mine
        for mine in triples
        if not any(other != mine and all(o <= a for o, a in zip(other, mine, strict=True)) for other in triples)
    }
    found = pareto(m, n, max_factors=4, max_width=wide, min_width=narrow)
    assert {_triple(chain) for chain in found} == expected
    assert len(found) == len(expected)
    assert all((chain.m, chain.n) == (m, n) for chain in found)


@pytest.mark.parametrize(("m", "n"), [(512, 4608), (1024, 1024), (43, 4096), (256, 2304), (4096, 256)])
def test_fronts_are_found_at_once(m: int, n: int) -> None:
    start = time.thread_time()
    found = pareto(m, n)
    assert time.thread_time() - start < 1
    assert [chain.parameters for chain in found] == sorted(chain.parameters for chain in found)
    assert found[-1].parameters == m * n


def test_the_cheapest_chain_of_a_vgg_layer() -> None:
    assert pareto(512, 4608)[0].parameters == least(512, 4608) == 13824


@given(st.integers(1, 40), st.integers(1, 60), st.floats(0.05, 1), st.sampled_from(FAMILIES))
def test_chains_stay_within_the_budget(m: int, n: int, share: float, family: Family) -> None:
    budget = int(share * m * n)
    if m * n == 1 or budget < least(m, n, family=family, max_width=4 * max(m, n)):
        with pytest.raises(InputError, match=r"the fewest are|has no chain"):
            chains(m, n, budget=budget, family=family)
        return
    found = chains(m, n, budget=budget, family=family, count=20)
    assert 1 <= len(found) <= 20
    assert len(set(found)) == len(found)
    for chain in found:
        assert (chain.m, chain.n) == (m, n)
        assert chain.parameters <= budget
        assert max(chain.widths) <= 4 * max(m, n)
        if family in ("debut", "monarch"):
            assert chain.is_debut
            assert min(chain.widths) >= min(m, n)
            assert len(chain.factors) <= (2 if family == "monarch" else 6)


@pytest.mark.parametrize(("m", "n", "budget"), [(16, 72, 400), (128, 400, 4224), (64, 24, 500), (45, 12, 200)])
def test_deformable_butterflies_lose_no_rank(m: int, n: int, budget: int) -> None:
    for chain in chains(m, n, budget=budget):
        product = chain.dense(weights_of(chain))
        assert np.linalg.matrix_rank(product, tol=1e-9 * np.linalg.norm(product)) == min(m, n), str(chain)


def test_limits_are_kept() -> None:
    found = chains(512, 4608, budget=120_000, first_rows=2, max_width=4608, max_factors=4)
    assert len(found) > 20
    for chain in found:
        assert chain.factors[0].r <= 2
        assert max(chain.widths) <= 4608
        assert len(chain.factors) <= 4
    with pytest.raises(InputError, match="first factor"):
        chains(7, 7, budget=40, first_rows=2)


def test_budgets_are_used() -> None:
    for m, n, budget in ((512, 4608, 75_776), (1024, 1024, 20_480), (128, 400, 4224)):
        most = max(chain.parameters for chain in chains(m, n, budget=budget))
        assert 0.98 * budget <= most <= budget


def test_freedom_is_the_rank_of_the_jacobian() -> None:
    for chain in (Chain.parse("(2,3)(2,2)(3,2)"), low_rank(5, 7, 2), block_low_rank(12, 12, rows=2, columns=2, rank=2)):
        weights = weights_of(chain)
        rows = []
        for k, array in enumerate(weights):
            for position in range(array.size):
                unit = np.zeros(array.size)
                unit[position] = 1
                rows.append(chain.dense([*weights[:k], unit.reshape(array.shape), *weights[k + 1 :]]).ravel())
        assert np.linalg.matrix_rank(np.array(rows)) == freedom(chain)


@pytest.mark.parametrize(("rows", "columns", "rank"), [(1, 3, 2), (2, 3, 2), (4, 1, 3), (2, 2, 1)])
def test_blocks_of_low_rank_are_each_a_truncated_svd(rows: int, columns: int, rank: int) -> None:
    matrix = gauss(16, 18) if columns == 3 else gauss(16, 20)
    chain = block_low_rank(*matrix.shape, rows=rows, columns=columns, rank=rank)
    assert chain.parameters == rank * (rows * matrix.shape[1] + columns * matrix.shape[0])
    wide = matrix.shape[1] // columns
    blocks = [matrix[i::rows, j * wide : (j + 1) * wide] for i in range(rows) for j in range(columns)]
    lost = sum((np.linalg.svd(block, compute_uv=False)[rank:] ** 2).sum() for block in blocks)
    assert project(matrix, chain).error == pytest.approx(np.sqrt(lost) / np.linalg.norm(matrix), abs=1e-6)


def test_blocks_must_divide() -> None:
    with pytest.raises(InputError, match="5 x 1 blocks"):
        block_low_rank(16, 18, rows=5, columns=1, rank=1)


@pytest.mark.parametrize(("m", "n"), [(16, 72), (72, 16)])
def test_scores_are_errors_of_hierarchical_projections(m: int, n: int) -> None:
    matrix, importance = gauss(m, n), np.linspace(0.5, 1, n)
    tried = chains(m, n, budget=400, family="general", count=30)
    direction = "left" if m <= n else "right"
    for candidate in score(matrix, tried):
        weights = hierarchical(matrix, candidate.chain, direction=direction)  # type: ignore[arg-type]
        error = np.linalg.norm(matrix - candidate.chain.dense(weights)) / np.linalg.norm(matrix)
        assert candidate.error == pytest.approx(error, abs=1e-6)
    plain = score(matrix * importance, tried)
    assert score(matrix, tried, column_weights=importance) == plain


@pytest.mark.parametrize("budget", [288, 480, 672])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_the_best_chain_is_about_the_best_of_all(budget: int, power: float) -> None:
    """Among all chains of up to three factors; 0.03 is about the gain from one to the next of them."""
    matrix = decaying(16, 72, power, seed=3) if power else gauss(16, 72)
    every = [c for c in _every(16, 72, 3) if c.parameters <= budget and min(c.widths) >= 16]
    least_error = min(candidate.error or 0 for candidate in score(matrix, every))
    candidate, projection = best(matrix, budget=budget, family="debut")
    assert candidate.chain.parameters <= budget
    assert candidate.error == projection.error <= least_error + 0.03


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("m", "n", "share"), [(16, 72, 0.4), (128, 400, 0.08), (24, 7, 0.6), (400, 64, 0.1)])
def test_is_never_worse_than_the_truncated_svd(m: int, n: int, share: float, power: float) -> None:
    matrix = decaying(m, n, power) if power else gauss(m, n)
    budget = int(share * m * n)
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    svd = np.sqrt(squares[budget // (m + n) :].sum() / squares.sum())
    candidate, projection = best(matrix, budget=budget)
    assert candidate.chain.parameters <= budget
    assert projection.error <= svd + 1e-9
    found = candidate.chain.dense(projection.weights)
    assert np.linalg.norm(matrix - found) / np.linalg.norm(matrix) == pytest.approx(projection.error)
    truncated, _ = best(matrix, budget=budget, family="low_rank")
    assert truncated.error == pytest.approx(svd, abs=1e-9)


def test_is_better_than_published_chains_of_the_same_size() -> None:
    """On matrices of the first paper's sizes with the spectrum of trained weights."""
    for text in ("(8,25)(2,2)^4", "(16,25)(2,2)(1,2)(2,2)^2"):
        chain = Chain.parse(text)
        matrix = decaying(chain.m, chain.n, 0.5)
        found, _ = best(matrix, budget=chain.parameters, family="debut")
        assert found.error is not None
        assert found.error < project(matrix, chain).error - 0.003


def test_finds_the_structure_that_a_matrix_has() -> None:
    for chain in (Chain.parse("(4,6)(4,12)"), low_rank(16, 72, 5), block_low_rank(16, 72, rows=2, columns=2, rank=2)):
        matrix = chain.dense(weights_of(chain))
        candidate, projection = best(matrix, budget=chain.parameters)
        assert projection.error < 1e-6
        assert candidate.chain == chain


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("m", "n"), [(32, 60), (60, 32), (10, 64), (7, 11)])
def test_fronts_fall_to_nothing(family: Family, m: int, n: int) -> None:
    matrix = decaying(m, n, 0.5)
    found = front(matrix, family=family)
    sizes, errors = [c.chain.parameters for c in found], [c.error for c in found]
    assert sizes == sorted(set(sizes))
    assert errors == sorted(set(errors), reverse=True)  # type: ignore[type-var]
    assert (sizes[-1], errors[-1]) == (m * n, 0)
    for candidate in found[:: max(len(found) // 5, 1)]:
        assert candidate.error is not None
        assert project(matrix, candidate.chain).error <= candidate.error + 1e-6


def test_fronts_of_nothing() -> None:
    assert front(np.zeros((8, 12)), family="general")[0].error == 0


def test_column_weights_change_the_choice_of_weights() -> None:
    matrix, importance = gauss(16, 72), np.where(np.arange(72) % 2 == 0, 1.0, 0.01)
    (chosen, plain), (_, weighted) = (best(matrix, budget=400, column_weights=w) for w in (None, importance))
    lost = (matrix - chosen.chain.dense(plain.weights)) * importance
    assert weighted.error < np.linalg.norm(lost) / np.linalg.norm(matrix * importance) - 0.01


@pytest.mark.parametrize(("size", "expected"), [((43, 512), (45, 512)), ((101, 7), (108, 8)), ((1, 27), (1, 27))])
def test_sizes_are_padded_to_small_primes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert padded(*size) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chains(512, 4608, budget=5000), "the fewest are 13824"),
        (lambda: chains(43, 101, budget=4000, family="monarch"), "the fewest are 4343"),
        (lambda: chains(8, 8, budget=64, family="tucker"), "use one of debut, general"),  # type: ignore[arg-type]
        (lambda: pareto(0, 8), "has no chain"),
        (lambda: best(gauss(8, 8), budget=10), "the fewest are 16"),
    ],
)
def test_says_what_is_possible(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
