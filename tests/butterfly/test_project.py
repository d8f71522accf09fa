"""A matrix is projected exactly where it can be, and otherwise about as well as anything does it."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morpho.butterfly import Chain, low_rank, monarch
from morpho.butterfly.als import als
from morpho.butterfly.project import hierarchical, project
from morpho.errors import InputError
from tests.butterfly.shapes import Matrix, debuts, decaying, gauss, ranked, weights_of

_CHAINS = st.one_of(debuts(), ranked())


def _error(matrix: Matrix, chain: Chain, weights: list[Matrix]) -> float:
    return float(np.linalg.norm(matrix - chain.dense(weights)) / np.linalg.norm(matrix))


def _svd_error(matrix: Matrix, rank: int) -> float:
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    return float(np.sqrt(squares[rank:].sum() / squares.sum()))


@given(_CHAINS, st.integers(0, 99), st.sampled_from(["right", "left"]))
def test_a_product_is_found_exactly(chain: Chain, seed: int, direction: Literal["right", "left"]) -> None:
    matrix = chain.dense(weights_of(chain, seed))
    weights = hierarchical(matrix, chain, direction=direction)
    chain.check(weights)
    assert _error(matrix, chain, weights) < 1e-7


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("text", ["(8,9)(2,2)^3(2,4)", "(4,4)^3", "(8,6)(4,6)(1,2)(2,4)", "(2,2)^6"])
def test_a_butterfly_is_found_to_the_last_digits(text: str, dtype: Any, tolerance: float) -> None:
    chain = Chain.parse(text)
    matrix = chain.dense(weights_of(chain, dtype=dtype))
    projection = project(matrix, chain)
    assert projection.error < tolerance
    assert {array.dtype for array in projection.weights} == {np.dtype(dtype)}


@given(_CHAINS, st.integers(0, 99))
def test_says_the_error_that_it_has(chain: Chain, seed: int) -> None:
    matrix = gauss(chain.m, chain.n, seed)
    projection = project(matrix, chain)
    chain.check(projection.weights)
    assert projection.error == pytest.approx(_error(matrix, chain, projection.weights), abs=1e-9)
    assert projection.error <= 1 + 1e-9


@given(_CHAINS, st.integers(0, 99), st.sampled_from(["right", "left"]))
def test_the_last_factor_holds_the_energy(chain: Chain, seed: int, direction: Literal["right", "left"]) -> None:
    """Orthonormal parts: ``||F - What||^2 = ||F||^2 - ||W_last||^2``."""
    matrix = gauss(chain.m, chain.n, seed)
    weights = hierarchical(matrix, chain, direction=direction)
    last = weights[-1 if direction == "right" else 0]
    left_over = np.linalg.norm(matrix) ** 2 - np.linalg.norm(last) ** 2
    assert np.linalg.norm(matrix - chain.dense(weights)) ** 2 == pytest.approx(left_over, rel=1e-6, abs=1e-9)


@given(debuts(), st.integers(0, 99), st.booleans())
def test_least_squares_never_raise_the_error(chain: Chain, seed: int, random: bool) -> None:
    matrix = gauss(chain.m, chain.n, seed)
    start = weights_of(chain, seed + 1) if random else hierarchical(matrix, chain, direction="right")
    errors = [_error(matrix, chain, als(matrix, chain, start, sweeps)) for sweeps in range(5)]
    assert np.all(np.diff(errors) <= 1e-9)


def test_least_squares_solve_for_one_factor() -> None:
    """One step is the solution of the dense least squares problem, by an outside solver."""
    chain = Chain.parse("(2,3)(3,2)(2,2)")
    matrix, weights = gauss(chain.m, chain.n), weights_of(chain)
    found = als(matrix, chain, weights, 1)
    # The sweep ends with the right-most factor: with the others fixed nothing is better.
    columns = []
    for position in range(found[0].size):
        unit = np.zeros(found[0].size)
        unit[position] = 1
        columns.append(chain.dense([unit.reshape(found[0].shape), *found[1:]]).ravel())
    solution = np.linalg.lstsq(np.array(columns).T, matrix.ravel(), rcond=None)[0]
    np.testing.assert_allclose(found[0].ravel(), solution, atol=1e-10)


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("(2,2)^10", (1024, 1024), 0.9865),
        ("(4,4)^5", (1024, 1024), 0.9809),
        ("(32,32)^2", (1024, 1024), 0.9411),
        ("(8,9)(2,2)^3(2,4)^3", (512, 4608), 0.9744),
        ("(16,72)(32,64)", (512, 4608), 0.9587),
        ("(8,9)(8,16)(8,32)", (512, 4608), 0.9632),
    ],
)
def test_errors_of_gaussian_matrices(text: str, size: tuple[int, int], expected: float) -> None:
    projection = project(gauss(*size, dtype=np.float32), Chain.parse(text))
    assert projection.error == pytest.approx(expected, abs=1e-3)


def test_polishing_helps() -> None:
    matrix, chain = decaying(128, 400, 0.5), Chain.parse("(8,25)(2,2)^4")
    rough = [_error(matrix, chain, hierarchical(matrix, chain, direction=d)) for d in ("right", "left")]
    unpolished, polished = project(matrix, chain, sweeps=0).error, project(matrix, chain).error
    assert unpolished == pytest.approx(min(rough))
    assert polished < unpolished - 0.005


@pytest.mark.parametrize(("m", "n"), [(40, 24), (24, 40), (7, 300), (300, 7)])
@pytest.mark.parametrize("rank", [1, 3, 7])
def test_low_rank_is_the_truncated_svd(m: int, n: int, rank: int) -> None:
    matrix = decaying(m, n, 0.5)
    projection = project(matrix, low_rank(m, n, rank))
    assert projection.error == pytest.approx(_svd_error(matrix, rank), abs=1e-9)


def test_monarch_is_the_best_of_every_block() -> None:
    matrix = gauss(12, 20)
    lost = sum(
        (np.linalg.svd(matrix[i::3, j * 5 : j * 5 + 5], compute_uv=False)[1:] ** 2).sum()
        for i in range(3)
        for j in range(4)
    )
    error = project(matrix, monarch(12, 20, 4)).error
    assert error == pytest.approx(np.sqrt(lost) / np.linalg.norm(matrix), abs=1e-6)


@pytest.mark.parametrize("text", ["(2,2)^4", "(4,3)(2,4)(2,2)", "(3,5)(2,2)(4,3)"])
def test_is_as_good_as_the_peer(text: str) -> None:
    """Hierarchical factorisation by lazylinop, which begins from the left."""
    for name in ("psutil", "pandas"):
        pytest.importorskip(name)  # The peer needs them, without saying so.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = pytest.importorskip("lazylinop.butterfly")
        chain = Chain.parse(text)
        matrix = gauss(chain.m, chain.n)
        patterns = [factor.shape for factor in reversed(chain.factors)]
        theirs = peer.ksd(matrix, peer.Chain(patterns)).toarray()
    weights = hierarchical(matrix, chain, direction="left")
    np.testing.assert_allclose(chain.dense(weights), theirs, atol=1e-4)


@given(_CHAINS, st.integers(0, 99))
def test_factors_are_balanced(chain: Chain, seed: int) -> None:
    projection = project(gauss(chain.m, chain.n, seed) * 1e-3, chain)
    sizes = [np.sqrt(np.mean(array**2)) for array in projection.weights]
    np.testing.assert_allclose(sizes, sizes[0], rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e30])
def test_size_does_not_matter(scale: float) -> None:
    chain, matrix = Chain.parse("(4,4)(2,2)(2,3)"), gauss(16, 24, dtype=np.float32)
    scaled = project((matrix * np.float32(scale)).astype(np.float32), chain)
    assert scaled.error == pytest.approx(project(matrix, chain).error, abs=1e-5)


@pytest.mark.parametrize("text", ["(4,4)(2,2)(2,3)", "(4,6)(4,4)"])
def test_nothing_is_approximated_by_nothing(text: str) -> None:
    chain = Chain.parse(text)
    projection = project(np.zeros((16, 24)), chain)
    assert projection.error == 0
    assert not chain.dense(projection.weights).any()
    assert all(np.isfinite(array).all() for array in projection.weights)


def test_empty_rows_and_columns_stay_empty() -> None:
    chain, matrix = Chain.parse("(4,4)(2,2)(2,3)"), gauss(16, 24)
    matrix[10:], matrix[:, :5] = 0, 0
    found = chain.dense(project(matrix, chain).weights)
    assert np.abs(found[10:]).max() < 1e-12
    assert np.abs(found[:, :5]).max() < 1e-12
    assert np.isfinite(found).all()


def test_heavy_columns_are_met_better() -> None:
    chain, matrix = Chain.parse("(4,4)(2,2)(2,3)"), gauss(16, 24)
    importance = np.where(np.arange(24) % 3 == 0, 10.0, 1.0)

    def lost(weights: list[Matrix]) -> float:
        rest = (matrix - chain.dense(weights)) * importance
        return float(np.linalg.norm(rest) / np.linalg.norm(matrix * importance))

    plain, weighted = project(matrix, chain), project(matrix, chain, column_weights=importance)
    assert weighted.error == pytest.approx(lost(weighted.weights))
    assert weighted.error < lost(plain.weights) - 0.02
    scaled = project(matrix * importance, chain)
    np.testing.assert_allclose(chain.dense(weighted.weights) * importance, chain.dense(scaled.weights), atol=1e-9)
    same = project(matrix, chain, column_weights=np.full(24, 3.0))
    assert same.error == pytest.approx(plain.error)


def test_columns_without_weight_do_no_harm() -> None:
    chain, matrix = Chain.parse("(4,4)(2,2)(2,3)"), gauss(16, 24)
    importance = np.where(np.arange(24) < 12, 0.0, 1.0)
    projection = project(matrix, chain, column_weights=importance)
    kept = matrix * importance
    assert projection.error == pytest.approx(_error(kept, chain, project(kept, chain).weights), abs=1e-3)
    assert max(np.abs(array).max() for array in projection.weights) < 1e3
    assert project(matrix, chain, column_weights=np.zeros(24)).error == 0


@settings(max_examples=20)
@given(st.sampled_from([np.int16, np.float16, np.float64, np.float32]), st.booleans())
def test_takes_any_numbers(dtype: Any, order: bool) -> None:
    matrix = np.asarray(gauss(8, 12) * 5, dtype=dtype, order="F" if order else "C")
    matrix.flags.writeable = False
    before = matrix.copy()
    weights = project(matrix, Chain.parse("(2,3)(2,2)(2,2)")).weights
    assert weights[0].dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(matrix, before)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((8, 13)), "8 x 12 numbers"),
        (np.zeros(96), "shape"),
        (np.full((8, 12), np.nan), "not finite"),
        (np.full((8, 12), np.inf, np.float32), "not finite"),
    ],
)
def test_refuses_unusable_matrices(matrix: Matrix, message: str) -> None:
    with pytest.raises(InputError, match=message):
        project(matrix, Chain.parse("(2,3)(2,2)(2,2)"))


@pytest.mark.parametrize("weights", [np.ones(11), np.full(12, -1.0), np.full(12, np.nan), np.ones((1, 12))])
def test_refuses_unusable_column_weights(weights: Matrix) -> None:
    with pytest.raises(InputError, match="column weights need 12"):
        project(gauss(8, 12), Chain.parse("(2,3)(2,2)(2,2)"), column_weights=weights)


def test_least_squares_are_for_deformable_butterflies() -> None:
    chain = low_rank(8, 12, 2)
    with pytest.raises(InputError, match="overlap ranks"):
        als(gauss(8, 12), chain, weights_of(chain), 1)
