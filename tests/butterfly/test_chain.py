"""Chains are dense, their digits lie as the paper's formula says, and their notations can be read back."""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.butterfly import Chain, Factor, low_rank, monarch
from morpho.errors import InputError
from tests.butterfly.shapes import debuts, explicit, ranked, weights_of

_CHAINS = st.one_of(debuts(), ranked())

VGG = "(8,9)(2,2)^3(2,4)^3"
BULGING = "(8,6)(4,6)(2,2)(2,4)^2(2,8)"


@given(_CHAINS)
def test_is_the_product_of_its_factors(chain: Chain) -> None:
    weights = weights_of(chain)
    written = [explicit(factor, array) for factor, array in zip(chain.factors, weights, strict=True)]
    expected = reduce(lambda right, left: left @ right, written)
    assert expected.shape == (chain.m, chain.n)
    np.testing.assert_allclose(chain.dense(weights), expected, atol=1e-10)


@given(_CHAINS)
def test_every_input_reaches_every_output_by_as_many_paths_as_the_ranks_say(chain: Chain) -> None:
    paths = chain.dense([np.ones(factor.shape) for factor in chain.factors])
    np.testing.assert_array_equal(paths, math.prod(chain.ranks))


@given(debuts())
def test_entries_are_products_in_the_order_of_digits(chain: Chain) -> None:
    """``What[rho, sig] = prod_k W_k[sig_{>k}, rho_k, sig_k, rho_{<k}]``, where rho_1 and sig_1 change fastest."""
    weights = weights_of(chain)
    product = chain.dense(weights)
    rng = np.random.default_rng(1)
    for _ in range(20):
        rho = [int(rng.integers(r)) for r, _ in chain.pairs()]
        sig = [int(rng.integers(s)) for _, s in chain.pairs()]
        row = _number(rho, [r for r, _ in chain.pairs()])
        column = _number(sig, [s for _, s in chain.pairs()])
        expected = 1.0
        for k, array in enumerate(weights):
            block = _number(sig[k + 1 :], [s for _, s in chain.pairs()[k + 1 :]])
            step = _number(rho[:k], [r for r, _ in chain.pairs()[:k]])
            expected *= array[block, rho[k], sig[k], step]
        assert product[row, column] == pytest.approx(expected)


def _number(digits: list[int], sizes: list[int]) -> int:
    """A number by its digits, the fastest first."""
    number = 0
    for digit, size in zip(reversed(digits), reversed(sizes), strict=True):
        number = number * size + digit
    return number


@given(_CHAINS)
def test_notations_can_be_read_back(chain: Chain) -> None:
    assert Chain.parse(str(chain)) == chain
    assert Chain.parse(chain.numbers()) == chain
    if chain.is_debut:
        assert Chain.from_pairs(chain.pairs()) == chain
        assert Chain.parse("".join(f"({r}, {s})" for r, s in chain.pairs())) == chain


def test_reads_a_chain_of_the_first_paper() -> None:
    """The last convolution of its VGG-16, in all three notations."""
    arrows = (
        "512 <-(2,4,256)- 1024 <-(2,4,128)- 2048 <-(2,4,64)- 4096 <-(2,2,32)- 4096 <-(2,2,16)- 4096 <-(2,2,8)- 4096"
        " <-(8,9,1)- 4608"
    )
    numbers = (
        "4096 4608 8 9 1 4096 4096 2 2 8 4096 4096 2 2 16 4096 4096 2 2 32 2048 4096 2 4 64 1024 2048 2 4 128 "
        "512 1024 2 4 256"
    )
    chain = Chain.parse(VGG)
    assert Chain.parse(arrows) == Chain.parse(numbers) == chain
    assert str(chain) == arrows
    assert chain.numbers() == numbers
    assert chain.parameters == 75776
    assert 1 - chain.parameters / (512 * 4608) == pytest.approx(0.9679, abs=5e-5)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("(8,25)(2,2)^4", 4224),
        ("(16,25)(2,2)(1,2)(2,2)^2", 7680),
        ("(8,5)(4,5)(2,4)^2", 7296),
        ("(16,25)(2,1)(2,2)(1,2)(2,4)", 8960),
        ("(2,3)(1,3)(8,8)", 320),
        ("(4,3)(2,2)(1,2)(2,6)", 672),
    ],
)
def test_counts_the_parameters_of_published_chains(text: str, parameters: int) -> None:
    assert Chain.parse(text).parameters == parameters


@pytest.mark.parametrize(
    ("text", "kind"),
    [(VGG, "monotonic"), ("(8,6)(4,6)(1,2)^2(1,2)", "bulging"), ("(4,2)(2,2)", "growing"), ("(2,2)^3", "monotonic")],
)
def test_names_the_kind(text: str, kind: str) -> None:
    assert Chain.parse(text).kind == kind


@pytest.mark.parametrize(
    ("released", "zeros"),
    [
        # t stands still where it should have become 4, and becomes 4 times too large: half and 3/4 are zero.
        ("8 8 2 2 1 8 8 2 2 2 8 8 2 2 2", 50),
        ("8 8 2 2 1 8 8 2 2 1 8 8 2 2 4", 50),
        ("8 8 2 2 1 8 8 2 2 1 8 8 2 2 1", 75),
        ("16 16 4 4 1 16 16 2 2 8", 50),
        ("16 16 2 2 1 16 16 2 2 8", 75),
    ],
)
def test_refuses_released_chains_whose_product_has_zeros(released: str, zeros: int) -> None:
    with pytest.raises(InputError, match=rf"{zeros}%.*(t must be|needs)"):
        Chain.parse(released)


@pytest.mark.parametrize(
    ("factors", "zeros"),
    [((Factor(2, 2, 2, 1),), 50), ((Factor(1, 2, 2, 2),), 50), ((Factor(4, 2, 2, 1), Factor(2, 2, 2, 2)), 50)],
)
def test_refuses_chains_that_do_not_mix_everything(factors: tuple[Factor, ...], zeros: int) -> None:
    with pytest.raises(InputError, match=f"{zeros}% of the product is zero"):
        Chain(factors)


def test_refuses_sizes_that_do_not_meet() -> None:
    with pytest.raises(InputError, match="factor 1 gives 4 numbers and factor 2 takes 6"):
        Chain((Factor(1, 4, 2, 1), Factor(1, 2, 6, 1)))
    with pytest.raises(InputError, match="at least one"):
        Chain(())


@pytest.mark.parametrize(
    "text", ["", "butterfly", "(2,2", "(2,2)x", "8 8 2 2", "8 <-(2,2)- 8", "8 <-(2,2,4)-", "9 8 2 2 1", "8 8 0 2 1"]
)
def test_refuses_text_that_is_no_chain(text: str) -> None:
    with pytest.raises(InputError):
        Chain.parse(text)


def test_refuses_weights_of_another_shape() -> None:
    chain = Chain.parse("(2,2)^2")
    with pytest.raises(InputError, match="shapes"):
        chain.dense([np.ones((1, 2, 2, 2)), np.ones((2, 2, 2, 1))])
    with pytest.raises(InputError, match="shapes"):
        chain.dense([np.ones((2, 2, 2, 1))])


def test_low_rank_is_low_rank() -> None:
    chain = low_rank(7, 11, 3)
    product = chain.dense(weights_of(chain))
    assert product.shape == (7, 11)
    assert np.linalg.matrix_rank(product) == 3
    assert (chain.ranks, chain.is_debut, chain.parameters) == ((3,), False, 54)


def test_monarch_has_blocks_of_rank_one() -> None:
    chain = monarch(12, 20, 4)
    product = chain.dense(weights_of(chain))
    assert np.linalg.matrix_rank(product) == 12
    # Rows that leave the same remainder meet the columns of one block by one middle number only.
    for remainder in range(3):
        for block in range(4):
            assert np.linalg.matrix_rank(product[remainder::3, block * 5 : block * 5 + 5]) == 1
    with pytest.raises(InputError, match="5 blocks do not divide 12 x 20"):
        monarch(12, 20, 5)


@given(_CHAINS)
def test_neighbouring_factors_may_be_merged(chain: Chain) -> None:
    for k, (right, left) in enumerate(pairwise(chain.factors)):
        if left.r * left.t == right.t and right.s * right.g == left.g and len(chain.factors) > 2:
            continue  # A detour that comes back where it began: their product only scales, and stays in no chain.
        merged = Chain((*chain.factors[:k], left.after(right), *chain.factors[k + 2 :]))
        assert (merged.m, merged.n) == (chain.m, chain.n)


def test_refuses_factors_that_only_scale_but_passes_through_detours() -> None:
    with pytest.raises(InputError, match="only scale its input"):
        Chain((Factor(4, 2, 1, 1), Factor(4, 1, 1, 2), Factor(1, 2, 4, 2)))
    detour = Chain((Factor(4, 3, 1, 1), Factor(4, 1, 3, 1), Factor(1, 2, 4, 1)))
    weights = [np.full(factor.shape, 1.0) for factor in detour.factors]
    np.testing.assert_allclose(detour.dense(weights), np.full((2, 4), 3.0))
