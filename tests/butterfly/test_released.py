"""The released rules make the chains, and the totals, that their code makes."""

from __future__ import annotations

from typing import Literal

import pytest

from morpho.butterfly.released import highest_level, released_chain
from morpho.errors import InputError

#: Parameters of the MNIST network that are not in its second to fourth convolution.
_REST = 390_410 - 64 * 288 - 128 * 576 - 256 * 1152


@pytest.mark.parametrize(("level", "total"), [(3, 42_762), (4, 35_594), (5, 33_802), (6, 34_698)])
def test_totals_of_the_mnist_network(level: int, total: int) -> None:
    chains = [released_chain(2 * c, c, level=level) for c in (32, 64, 128)]
    assert _REST + sum(chain.parameters for chain in chains) == total


@pytest.mark.parametrize(
    ("c_out", "c_in", "percent"),
    [
        (64, 64, 20.8),
        (128, 64, 12.8),
        (128, 128, 10.8),
        (256, 128, 6.6),
        (256, 256, 5.7),
        (512, 256, 3.5),
        (512, 512, 3.2),
    ],
)
def test_shares_of_vgg_layers(c_out: int, c_in: int, percent: float) -> None:
    chain = released_chain(c_out, c_in, level=7)
    assert (chain.m, chain.n) == (c_out, 9 * c_in)
    assert 100 * chain.parameters / (c_out * 9 * c_in) == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize("kind", ["monotonic", "bulging"])
@pytest.mark.parametrize(("c_out", "c_in"), [(64, 64), (128, 64), (512, 512), (256, 512), (100, 60)])
def test_every_level_that_works_is_dense_and_of_its_kind(
    kind: Literal["monotonic", "bulging"], c_out: int, c_in: int
) -> None:
    highest = highest_level(c_out, c_in, kind=kind)
    assert highest >= 4
    for level in range(1, highest + 1):
        chain = released_chain(c_out, c_in, kind=kind, level=level)
        assert chain.kind == kind
        assert chain.is_debut
        assert chain.m >= c_out > chain.m // 2
        assert chain.n >= 9 * c_in > chain.n // 2
    with pytest.raises(InputError, match=f"levels 1 to {highest} work"):
        released_chain(c_out, c_in, kind=kind, level=highest + 1)


@pytest.mark.parametrize(
    ("c_out", "c_in", "highest"), [(64, 32, 6), (16, 16, 6), (128, 128, 9), (64, 128, 5), (32, 64, 0)]
)
def test_highest_levels(c_out: int, c_in: int, highest: int) -> None:
    assert highest_level(c_out, c_in) == highest


def test_more_levels_make_longer_chains() -> None:
    assert [len(released_chain(256, 256, level=level).factors) for level in (4, 5, 6, 7, 8)] == [4, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("c_out", "c_in", "kind", "level", "message"),
    [
        (64, 3, "monotonic", 5, "padded to 64 x 4"),
        (64, 64, "wide", 5, "'wide' is not known"),
        (64, 64, "monotonic", 0, "levels 1 to 8 work"),
        (4, 4, "monotonic", 5, "no level works"),
        (32, 64, "monotonic", 5, "no level works"),
        (0, 4, "monotonic", 5, "too few"),
    ],
)
def test_refuses(c_out: int, c_in: int, kind: Literal["monotonic"], level: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        released_chain(c_out, c_in, kind=kind, level=level)
