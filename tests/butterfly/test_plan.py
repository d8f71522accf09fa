"""Plans group neighbours, their products are the chain's, and no plan is absurd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morpho.butterfly import Chain, low_rank, monarch
from morpho.butterfly.plan import best_plan, bucket, dense_plan, plans, predicted_seconds, quick_plan
from morpho.butterfly.products import from_rows, merge, multiply, to_rows, with_columns
from tests.butterfly.shapes import debuts, explicit, gauss, ranked, weights_of

_CHAINS = st.one_of(debuts(), ranked())
_COUNTS = st.sampled_from([1, 3, 64, 256, 1024, 4096])


@given(_CHAINS)
def test_every_way_to_group_is_there_once(chain: Chain) -> None:
    found = plans(chain)
    assert len({plan.ends for plan in found}) == len(found) == 2 ** (len(chain.factors) - 1)
    assert found[0].is_dense and found[0] == dense_plan(chain)
    assert found[-1].patterns == chain.factors
    for plan in found:
        assert [index for group in plan.groups() for index in range(*group.indices(99))] == [*range(len(chain.factors))]


@given(_CHAINS)
@settings(max_examples=25)
def test_merged_groups_are_the_same_product(chain: Chain) -> None:
    weights = weights_of(chain)
    expected = chain.dense(weights)
    tensors = [torch.from_numpy(array) for array in weights]
    for plan in plans(chain):
        product = torch.eye(chain.n, dtype=torch.float64).numpy()
        for group, planned in zip(plan.groups(), plan.patterns, strict=True):
            pattern, merged = merge(chain.factors[group], tensors[group])
            assert pattern == planned
            assert merged.shape == pattern.shape
            product = explicit(pattern, merged.numpy()) @ product
        torch.testing.assert_close(torch.from_numpy(product), torch.from_numpy(expected))


@given(_CHAINS, st.integers(1, 5))
@settings(max_examples=25)
def test_products_with_columns_and_rows(chain: Chain, count: int) -> None:
    tensors = [torch.from_numpy(array) for array in weights_of(chain)]
    columns = torch.from_numpy(gauss(chain.n, count))
    for pattern, weights in zip(chain.factors, tensors, strict=True):
        expected = torch.from_numpy(explicit(pattern, weights.numpy())) @ columns
        torch.testing.assert_close(with_columns(pattern, weights, columns), expected)
        if pattern.t == 1:
            torch.testing.assert_close(from_rows(pattern, weights, columns.T.contiguous()), expected)
        if pattern.g == 1:
            torch.testing.assert_close(to_rows(pattern, weights, columns), expected.T)
        columns = expected


def test_neighbours_multiply_as_in_numpy() -> None:
    from morpho.butterfly import factor

    chain = Chain.parse("12 <-(4,2,3)- 6 <-(2,4,3)- 12 <-(6,3,1)- 6")
    (right, left, _), (a, b, _) = chain.factors, weights_of(chain)
    product = multiply(left, torch.from_numpy(b), right, torch.from_numpy(a))
    torch.testing.assert_close(product, torch.from_numpy(factor.multiply(left, b, right, a)))


@given(_CHAINS, _COUNTS, st.booleans())
def test_small_matrices_are_multiplied_out(chain: Chain, columns: int, training: bool) -> None:
    if chain.m * chain.n <= 32**2:
        assert best_plan(chain, columns, training=training).is_dense


@pytest.mark.parametrize(
    "chain",
    [Chain.parse("(2,2)^10"), Chain.parse("(4,4)^5"), monarch(1024, 1024, 32), low_rank(1024, 1024, 10)],
    ids=str,
)
@pytest.mark.parametrize("columns", [1, 64, 256, 4096])
def test_plans_are_never_predicted_slower_than_dense(chain: Chain, columns: int) -> None:
    chosen = best_plan(chain, columns)
    dense = predicted_seconds(dense_plan(chain), columns)
    assert predicted_seconds(chosen, columns) <= dense
    assert chosen.parameters <= chain.m * chain.n
    quick = quick_plan(chain, columns)
    if chain.is_debut:  # two dense products of low rank are torch's own
        assert quick is not None and quick.parameters < chain.m * chain.n / 4


def test_large_batches_are_not_multiplied_out() -> None:
    for text in ("(2,2)^10", "(8,9)(2,2)^3(2,4)^3", "(16,72)(32,64)"):
        plan = best_plan(Chain.parse(text), 256)
        assert 2 <= len(plan.patterns) <= 3
        assert plan.parameters < 0.2 * dense_plan(Chain.parse(text)).parameters


def test_windows_stay_whole() -> None:
    """The first group of a convolution covers whole windows, or there is only the dense kernel."""
    chain = Chain.parse("(2,3)(2,3)(8,8)(8,16)")
    for columns in (64, 4096):
        assert best_plan(chain, columns, kernel=9).patterns[0].s % 9 == 0
        quick = quick_plan(chain, columns, kernel=9)
        assert quick is None or quick.patterns[0].s % 9 == 0
    assert best_plan(Chain.parse("(2,4)(2,4)(8,16)(8,16)"), 4096, kernel=9).is_dense
    assert quick_plan(Chain.parse("(2,4)(2,4)(8,16)(8,16)"), 4096, kernel=9) is None


def test_one_factor_has_nothing_to_merge() -> None:
    chain = Chain.from_pairs([(64, 64)])
    assert best_plan(chain, 256).is_dense
    assert quick_plan(chain, 256) is None


def test_buckets_are_powers_of_two() -> None:
    assert [bucket(count) for count in (0, 1, 2, 3, 64, 65)] == [1, 1, 2, 4, 64, 128]
