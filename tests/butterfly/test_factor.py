"""A factor is the Kronecker pattern that its numbers say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.butterfly import Factor
from morpho.butterfly.factor import apply, dense, multiply
from morpho.errors import InputError
from tests.butterfly.shapes import Matrix, explicit, gauss

_SIZE = st.integers(1, 4)
_FACTORS = st.tuples(_SIZE, _SIZE, _SIZE, _SIZE).filter(lambda f: f[1:3] != (1, 1)).map(lambda f: Factor(*f))


def _weights(factor: Factor, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).standard_normal(factor.shape)


@given(_FACTORS)
def test_is_a_sum_of_kronecker_products(factor: Factor) -> None:
    weights = _weights(factor)
    expected = explicit(factor, weights)
    np.testing.assert_array_equal(dense(factor, weights), expected)
    np.testing.assert_array_equal(factor.support(), expected != 0)


@given(_FACTORS)
def test_sizes_and_parameters_agree(factor: Factor) -> None:
    assert factor.support().shape == (factor.p, factor.q)
    assert factor.p * factor.s == factor.q * factor.r == factor.parameters == factor.support().sum()


@given(_FACTORS, st.integers(1, 3))
def test_applies_as_its_matrix_does(factor: Factor, columns: int) -> None:
    weights, given_columns = _weights(factor), gauss(factor.q, columns)
    expected = explicit(factor, weights) @ given_columns
    np.testing.assert_allclose(apply(factor, weights, given_columns), expected, atol=1e-12)


def test_the_sum_goes_over_inputs_that_are_t_apart() -> None:
    """``y[b,i,u] = sum_j W[b,i,j,u] x[b,j,u]``, written with loops."""
    factor = Factor(2, 3, 2, 4)
    weights, x = _weights(factor), gauss(factor.q, 1)[:, 0]
    y = np.zeros(factor.p)
    for b, i, j, u in np.ndindex(*factor.shape):
        y[(b * 3 + i) * 4 + u] += weights[b, i, j, u] * x[(b * 2 + j) * 4 + u]
    np.testing.assert_allclose(apply(factor, weights, x[:, None])[:, 0], y)


@pytest.mark.parametrize(
    ("left", "right", "rank"),
    [
        (Factor(2, 2, 3, 2), Factor(6, 2, 3, 1), 1),
        (Factor(1, 4, 8, 2), Factor(4, 4, 3, 1), 2),
        (Factor(1, 5, 3, 1), Factor(1, 3, 7, 1), 3),
        (Factor(1, 4, 2, 6), Factor(2, 3, 2, 2), 1),
    ],
    ids=str,
)
def test_neighbours_multiply(left: Factor, right: Factor, rank: int) -> None:
    first, second = _weights(right, 1), _weights(left, 2)
    assert left.rank_after(right) == rank
    product = left.after(right)
    weights = multiply(left, second, right, first)
    assert weights.shape == product.shape
    np.testing.assert_allclose(dense(product, weights), explicit(left, second) @ explicit(right, first), atol=1e-12)


@given(_FACTORS, _FACTORS)
def test_a_product_has_a_pattern_only_where_the_rank_is_known(left: Factor, right: Factor) -> None:
    rank = left.rank_after(right)
    if rank is None:
        with pytest.raises(InputError, match="does not follow"):
            left.after(right)
        return
    paths = left.support().astype(int) @ right.support().astype(int)
    assert set(np.unique(paths)) <= {0, rank}
    np.testing.assert_array_equal(paths > 0, left.after(right).support())


@pytest.mark.parametrize("numbers", [(0, 1, 2, 1), (1, -2, 2, 1), (1, 2, 2, 0)])
def test_refuses_numbers_that_are_not_positive(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="positive"):
        Factor(*numbers)
