"""A chain of factors whose product is a dense matrix, and the two notations in which chains are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from morpho.butterfly import factor as products
from morpho.butterfly.factor import Factor, Matrix
from morpho.errors import InputError

__all__ = ["Chain", "low_rank", "monarch"]

_ARROW = re.compile(r"(\d+)\s*<-\s*\(([\d,\s]+)\)\s*-\s*")
#: Supports of more entries are not built to describe a mistake.
_LARGEST_SUPPORT = 2**24
_PAIR = re.compile(r"\(?\s*(\d+)\s*,\s*(\d+)\s*\)?\s*(?:\^\s*(\d+))?")


@dataclass(frozen=True)
class Chain:
    """Factors ``R_N ... R_2 R_1`` whose product has no structural zero.

    A deformable butterfly (DeBut) has ``t_1 = 1`` and ``t_{k+1} = r_k t_k``: there is exactly one path from each
    input to each output, and the chain is an ordered list of pairs ``(r_k, s_k)`` with ``prod r = m`` and
    ``prod s = n``. In the general family ``t_{k+1}`` may be a divisor of ``r_k t_k``; the quotient is the overlap
    rank. It contains low-rank products, Monarch matrices and block tensor trains. Sources: Lin et al., NeurIPS 2021,
    Le et al., arXiv 2411.04506.

    Attributes:
        factors: the right-most factor, which meets the input, first.

    Raises:
        InputError: sizes do not meet, a factor would only scale, or the product would have structural zeros; the
            sentence says where.

    >>> chain = Chain.from_pairs([(8, 9), (2, 2), (2, 4)])
    >>> print(chain)
    32 <-(2,4,16)- 64 <-(2,2,8)- 64 <-(8,9,1)- 72
    >>> chain.parameters, chain.kind, Chain.parse(str(chain)) == chain
    (832, 'monotonic', True)
    """

    factors: tuple[Factor, ...]

    def __post_init__(self) -> None:
        if not self.factors:
            raise InputError("a chain needs at least one factor")
        if any(factor.r == factor.s == 1 for factor in self.factors) and len(self.factors) > 1:
            raise InputError("a factor (r, s) = (1, 1) would only scale its input: leave it out")
        for number, (right, left) in enumerate(pairwise(self.factors), start=1):
            if right.p != left.q:
                raise InputError(
                    f"factor {number} gives {right.p} numbers and factor {number + 1} takes {left.q}: "
                    "the sizes of neighbours must agree"
                )
            if left.rank_after(right) is None:
                raise InputError(
                    f"factor {number + 1} has t = {left.t} after (r, t) = ({right.r}, {right.t}), so "
                    f"{_zeros(self.factors)} of the product is zero: t must be r t of the factor before "
                    "(or a divisor of it and a multiple of t)"
                )
        if self.factors[0].t != 1 or self.factors[-1].g != 1:
            what = "t = 1 in its first factor" if self.factors[0].t != 1 else "one block (g = 1) in its last factor"
            raise InputError(
                f"{_zeros(self.factors)} of the product is zero: a chain needs {what}, "
                f"not {self.factors[0] if self.factors[0].t != 1 else self.factors[-1]}"
            )

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[int, int]]) -> Chain:
        """Make a deformable butterfly from pairs ``(r, s)``, the right-most first; pairs ``(1, 1)`` are left out."""
        kept = [(r, s) for r, s in pairs if (r, s) != (1, 1)]
        blocks, stride, factors = math.prod(s for _, s in kept), 1, []
        for r, s in kept:
            blocks //= s
            factors.append(Factor(blocks, r, s, stride))
            stride *= r
        return cls(tuple(factors))

    @classmethod
    def parse(cls, text: str) -> Chain:
        """Read a chain in the paper's arrows, as a released line ``p q r s t p q r s t ...``, or as pairs.

        Raises:
            InputError: the text is none of these, or the chain is not valid.

        >>> print(Chain.parse("(4,6)(2,2)(1,2)(2,3)"))
        16 <-(2,3,8)- 24 <-(1,2,8)- 48 <-(2,2,4)- 48 <-(4,6,1)- 72
        >>> print(Chain.parse("48 72 4 6 1 16 48 4 12 4"))
        16 <-(4,12,4)- 48 <-(4,6,1)- 72
        """
        if "<-" in text:
            return _from_arrows(text)
        if re.fullmatch(r"[\d\s]+", text.strip() or "?"):
            return _from_numbers([int(word) for word in text.split()])
        pairs = [(int(r), int(s)) for r, s, power in _PAIR.findall(text) for _ in range(int(power or 1))]
        if not pairs or _PAIR.sub("", text).strip(" \t\n,;") or text.count("(") != text.count(")"):
            raise InputError(
                f"{text!r} is no chain: write it as (8,9)(2,2)^3(2,4), the input's side first, as "
                "64 <-(8,9,1)- 72, or as numbers p q r s t per factor"
            )
        return cls.from_pairs(pairs)

    @property
    def m(self) -> int:
        """Width of the output, rows of the product."""
        return self.factors[-1].p

    @property
    def n(self) -> int:
        """Width of the input, columns of the product."""
        return self.factors[0].q

    @property
    def parameters(self) -> int:
        """Numbers in all factors; as many multiply-adds are needed per input vector."""
        return sum(factor.parameters for factor in self.factors)

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths on the way, input and output included."""
        return (self.n, *(factor.p for factor in self.factors))

    @property
    def ranks(self) -> tuple[int, ...]:
        """The overlap rank of each pair of neighbours, the right-most first."""
        found = (left.rank_after(right) for right, left in pairwise(self.factors))
        return tuple(rank for rank in found if rank is not None)

    @property
    def is_debut(self) -> bool:
        """Whether it is a deformable butterfly: all overlap ranks are 1."""
        return all(rank == 1 for rank in self.ranks)

    @property
    def kind(self) -> str:
        """``bulging`` where a width exceeds both ends, else ``growing`` or ``monotonic`` (never wider than before).

        >>> Chain.from_pairs([(4, 3), (2, 4), (2, 6)]).kind
        'bulging'
        """
        if max(self.widths) > max(self.m, self.n):
            return "bulging"
        rises = any(after > before for before, after in pairwise(self.widths))
        return "growing" if rises else "monotonic"

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs ``(r, s)``, the right-most first; they make up the chain only if it is a deformable butterfly."""
        return tuple((factor.r, factor.s) for factor in self.factors)

    def numbers(self) -> str:
        """The chain as a line of the released chain files: ``p q r s t`` per factor, the right-most first."""
        return " ".join(f"{f.p} {f.q} {f.r} {f.s} {f.t}" for f in self.factors)

    def dense(self, weights: Sequence[Matrix]) -> Matrix:
        """Multiply the factors out to the matrix ``(m, n)``.

        Args:
            weights: an array ``(g, r, s, t)`` per factor, the right-most first.
        """
        self.check(weights)
        pattern, product = self.factors[0], weights[0]
        for left, left_weights in zip(self.factors[1:], weights[1:], strict=True):
            product = products.multiply(left, left_weights, pattern, product)
            pattern = left.after(pattern)
        return product.reshape(self.m, self.n)

    def check(self, weights: Sequence[Matrix]) -> None:
        """Refuse weights of other shapes.

        Raises:
            InputError: there are too few or too many, or one has another shape.
        """
        wanted = [factor.shape for factor in self.factors]
        given = [tuple(array.shape) for array in weights]
        if wanted != given:
            raise InputError(f"the chain needs weights of the shapes {wanted}, not {given}")

    def __str__(self) -> str:
        arrows = (f"{factor.p} <-{factor}- " for factor in reversed(self.factors))
        return "".join(arrows) + str(self.n)


def low_rank(m: int, n: int, rank: int) -> Chain:
    """The chain of all ``m x n`` matrices of at most this rank.

    >>> low_rank(64, 128, 4).parameters
    768
    """
    return Chain((Factor(1, rank, n, 1), Factor(1, m, rank, 1)))


def monarch(m: int, n: int, blocks: int) -> Chain:
    """Two block-diagonal factors with a stride permutation between them (Monarch); source: Dao et al., ICML 2022.

    Args:
        m: rows.
        n: columns.
        blocks: blocks of the right factor; must divide both.

    Raises:
        InputError: the blocks do not divide ``m`` and ``n``.

    >>> print(monarch(16, 24, 4))
    16 <-(4,4,4)- 16 <-(4,6,1)- 24
    """
    if m % blocks or n % blocks:
        raise InputError(f"{blocks} blocks do not divide {m} x {n}: take a common divisor of both")
    return Chain.from_pairs([(m // blocks, n // blocks), (blocks, blocks)])


def density(factors: Sequence[Factor]) -> float:
    """The part of a product of factors, fitting or not, that is not structurally zero."""
    supports = (f.support().astype(np.float32) for f in factors)
    reached: NDArray[np.float32] = reduce(lambda right, left: np.minimum(left @ right, 1), supports)
    return float(reached.mean())


def _zeros(factors: Sequence[Factor]) -> str:
    """In words, how much of a product is zero; large ones are not multiplied out for that."""
    if max(factor.p * factor.q for factor in factors) > _LARGEST_SUPPORT:
        return "a part"
    return f"{1 - density(factors):.0%}"


def _from_arrows(text: str) -> Chain:
    written = text.strip()
    steps = _ARROW.findall(written)
    start = _ARROW.sub("", written)
    if not steps or not start.strip().isdigit():
        raise InputError(f"{text!r} is no chain: write it as 32 <-(2,4,8)- 64 <-(8,9,1)- 72")
    factors, q = [], int(start)
    for p, pattern in reversed(steps):
        numbers = [int(number) for number in pattern.split(",") if number.strip()]
        if len(numbers) != 3:
            raise InputError(f"({pattern}) in {text!r} is no factor: write (r,s,t)")
        factors.append(_factor(int(p), q, *numbers))
        q = int(p)
    return Chain(tuple(factors))


def _from_numbers(numbers: Sequence[int]) -> Chain:
    if len(numbers) % 5:
        raise InputError(f"a line of {len(numbers)} numbers is no chain: each factor needs five, p q r s t")
    groups = (numbers[i : i + 5] for i in range(0, len(numbers), 5))
    return Chain(tuple(_factor(*group) for group in groups))


def _factor(p: int, q: int, r: int, s: int, t: int) -> Factor:
    """A factor by its size and pattern.

    Raises:
        InputError: the pattern does not fill the size.
    """
    if min(p, q, r, s, t) < 1 or p % (r * t) or p * s != q * r:
        raise InputError(
            f"a factor {p} x {q} cannot have (r, s, t) = ({r},{s},{t}): p s must be q r, and r t a divisor of p"
        )
    return Factor(p // (r * t), r, s, t)
