"""Generate chains for a size of matrix: the exact front of what is cheapest, and good chains within a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise, zip_longest
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from morpho.butterfly.chain import Chain, low_rank
from morpho.butterfly.factor import Factor
from morpho.errors import InputError

__all__ = ["Family", "block_low_rank", "chains", "freedom", "least", "padded", "pareto"]

Ints = NDArray[np.int64]
#: The products of ``r`` and of ``s`` in the states that a chain passes through.
_Path = tuple[tuple[int, int], ...]

#: ``debut``: overlap rank 1; ``monarch``: two factors of those; ``low_rank``: truncated SVDs; ``general``: all, and
#: two factors of higher overlap rank, in which every block is of low rank. A single dense factor is in each of them.
Family = Literal["debut", "general", "monarch", "low_rank"]

#: In the search within a budget each state keeps this many chains per step of cost, ...
_KEPT = 2
_KEPT_LAST = 48
#: ... and a step multiplies the cost by this.
_STEP = 1.15


def pareto(
    m: int, n: int, *, max_factors: int = 8, max_width: int | None = None, min_width: int | None = None
) -> list[Chain]:
    """The deformable butterflies that nothing beats in parameters, largest width and number of factors together.

    A chain is a way from ``(1, 1)`` to ``(m, n)`` through states (product of the ``r`` so far, product of the ``s``);
    a step's parameters and the width after it depend on the two states only, so a dynamic program is exact.

    Args:
        m: rows.
        n: columns.
        max_factors: the longest chain.
        max_width: the largest width on the way; by default any.
        min_width: the smallest one, a bound of the product's rank; by default the smaller end, so that nothing is lost.

    Returns:
        One chain for every triple that is not dominated, the fewest parameters first.

    >>> [(chain.parameters, str(chain.pairs())) for chain in pareto(4, 6)]
    [(20, '((2, 3), (2, 2))'), (24, '((4, 6),)')]
    """
    grid = _grid(m, n, min(m, n) if min_width is None else min_width)
    caps = grid.caps(max_width)
    found: dict[int, tuple[list[float], list[Ints]]] = {}

    def solve(low: int, high: int) -> None:
        """Solve all caps between two; where both ends cost the same, so does all between them."""
        for cap in (low, high):
            if cap not in found:
                found[cap] = grid.cheapest(caps[cap], max_factors)
        if high - low > 1 and found[low][0] != found[high][0]:
            middle = (low + high) // 2
            solve(low, middle)
            solve(middle, high)

    solve(0, len(caps) - 1)
    return _undominated(_chain(grid.path(states)) for _, paths in found.values() for states in paths)


def chains(
    m: int,
    n: int,
    *,
    budget: int,
    count: int = 64,
    family: Family = "debut",
    max_factors: int = 6,
    max_width: int | None = None,
    min_width: int | None = None,
    first_rows: int | None = None,
) -> list[Chain]:
    """Chains within a budget, the most promising first.

    Promising is a chain with many degrees of freedom, `freedom`; chains of each length take turns. Two-factor chains
    of higher overlap rank follow in the general family.

    Args:
        m: rows.
        n: columns.
        budget: the most parameters.
        count: at most this many.
        family: which chains.
        max_factors: the longest deformable butterfly.
        max_width: the largest width on the way; by default four times the larger end.
        min_width: the smallest one, a bound of the product's rank; by default the smaller end, and none in the
            general family.
        first_rows: the largest ``r`` of the first factor; 3x3 convolutions with ``r = 2`` or less are fast.

    Raises:
        InputError: no chain of the family has so few parameters; the sentence says what the fewest are.

    >>> [str(chain.pairs()) for chain in chains(16, 72, budget=290, count=2)]
    ['((2, 8), (8, 9))', '((2, 6), (2, 2), (4, 6))']
    """
    if family not in get_args(Family):
        raise InputError(f"the family {family!r} is not known: use one of {', '.join(get_args(Family))}")
    wide, narrow = max_width or 4 * max(m, n), _narrowest(m, n, family, min_width)
    long = 2 if family == "monarch" else max_factors
    # In the general family bottlenecks are allowed, and chains without any are tried all the same.
    floors = {"low_rank": [], "general": [max(narrow, min(m, n)), narrow]}.get(family, [narrow])
    lists = [_promising(m, n, budget, long, wide, floor, first_rows) for floor in floors]
    ranked = _ranked(m, n, budget, wide, family) if family in ("general", "low_rank") else []
    ranked = [chain for chain in ranked if first_rows is None or chain.factors[0].r <= first_rows]
    if not ranked and not any(lists):
        fewest = least(m, n, family=family, max_factors=max_factors, max_width=wide, min_width=narrow)
        raise InputError(
            f"no {family} chain for {m} x {n} has {budget} parameters or fewer: the fewest are {fewest}"
            + (f", or more as its first factor may have {first_rows} rows only" if first_rows else "")
        )
    ranked = ranked[: max(count // 3, count - len({path for paths in lists for path in paths}), 1)]
    paths = _alternating([_in_turn(paths) for paths in lists])
    found = dict.fromkeys([*ranked, *map(_chain, paths[:count])])
    return list(found)[:count]


def least(
    m: int,
    n: int,
    *,
    family: Family = "debut",
    max_factors: int = 6,
    max_width: int | None = None,
    min_width: int | None = None,
) -> int:
    """The fewest parameters of any chain of a family.

    >>> least(512, 4608), least(512, 4608, family="low_rank")
    (13824, 5120)
    """
    numbers = [m * n]
    if family != "low_rank":
        grid = _grid(m, n, _narrowest(m, n, family, min_width))
        costs, _ = grid.cheapest(grid.caps(max_width)[-1], 2 if family == "monarch" else max_factors)
        numbers += [int(cost) for cost in costs if np.isfinite(cost)]
    if family in ("general", "low_rank"):
        numbers.append(m + n)
    return min(numbers)


def freedom(chain: Chain) -> int:
    """Degrees of freedom: parameters, less the rescalings between neighbours that leave the product as it is.

    At a middle width ``w`` with overlap rank ``k`` these are ``w / k`` invertible ``k x k`` matrices, ``w k`` numbers.
    The energy of a random matrix that a chain holds goes with it, so ladders of ``2 x 2`` rank behind large radices.

    >>> freedom(Chain.parse("(2,2)^10")), freedom(Chain.parse("(4,4)^5"))
    (11264, 16384)
    """
    return chain.parameters - sum(w * rank for w, rank in zip(chain.widths[1:-1], chain.ranks, strict=True))


def block_low_rank(m: int, n: int, *, rows: int, columns: int, rank: int) -> Chain:
    """The chain of all matrices whose ``rows x columns`` blocks have at most this rank.

    A row block is every ``rows``-th row, a column block lies together. It has ``rank (rows n + columns m)``
    parameters; one block each is `low_rank`, rank 1 a Monarch matrix.

    Args:
        m: rows of the matrix.
        n: its columns.
        rows: blocks from top to bottom; must divide ``m``.
        columns: blocks from left to right; must divide ``n``.
        rank: of each block.

    Raises:
        InputError: the blocks do not divide the matrix.

    >>> print(block_low_rank(16, 72, rows=1, columns=3, rank=4))
    16 <-(16,12,1)- 12 <-(4,24,1)- 72
    """
    if min(rows, columns, rank) < 1 or m % rows or n % columns:
        raise InputError(f"{rows} x {columns} blocks do not divide {m} x {n}: take a divisor of each")
    pair = (columns, rank * rows, n // columns, 1), (1, m // rows, columns * rank, rows)
    return Chain(tuple(Factor(*shape) for shape in pair if shape[1:3] != (1, 1)))


def padded(m: int, n: int) -> tuple[int, int]:
    """The next sizes that have no prime factor above 5, for which there are chains.

    >>> padded(43, 512), padded(101, 27)
    ((45, 512), (108, 27))
    """
    return _smooth(m), _smooth(n)


def _narrowest(m: int, n: int, family: Family, min_width: int | None) -> int:
    return min_width if min_width is not None else 1 if family == "general" else min(m, n)


def _smooth(size: int) -> int:
    rest = size
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return size if rest == 1 else _smooth(size + 1)


def _undominated(found: Iterable[Chain]) -> list[Chain]:
    """One chain for each triple (parameters, largest width, length) that no other one is at least as good as."""
    triples = {(c.parameters, max(c.widths), len(c.factors)): c for c in found}
    return [
        triples[mine]
        for mine in sorted(triples)
        if not any(other != mine and all(o <= a for o, a in zip(other, mine, strict=True)) for other in triples)
    ]


def _in_turn(paths: Iterable[_Path]) -> list[_Path]:
    """Paths of each length take turns, the order within a length kept."""
    lengths: dict[int, list[_Path]] = {}
    for path in paths:
        lengths.setdefault(len(path), []).append(path)
    return _alternating([lengths[length] for length in sorted(lengths)])


def _alternating(lists: Sequence[Sequence[_Path]]) -> list[_Path]:
    """The first of each list, then the second of each, and so on; none twice."""
    rounds = zip_longest(*lists)
    return list(dict.fromkeys(path for turn in rounds for path in turn if path is not None))


def _chain(path: _Path) -> Chain:
    return Chain.from_pairs((rows // r, columns // s) for (r, s), (rows, columns) in pairwise(path))


def _ranked(m: int, n: int, budget: int, max_width: int, family: Family) -> list[Chain]:
    """Truncated SVD, and in the general family blocks of low rank, at the highest rank within the budget.

    The rank is at least 2 (1 is a deformable butterfly), but for one block; fewer blocks come first.
    """
    low = [low_rank(m, n, min(budget // (m + n), m, n))] if budget >= m + n else []
    if family == "low_rank":
        return [*([Chain((Factor(1, m, n, 1),))] if budget >= m * n and m * n > 1 else []), *low]
    found = []
    for rows in _divisors(m):
        for columns in _divisors(n):
            rank = min(budget // (rows * n + columns * m), m // rows, n // columns)
            if rows * columns > 1 and rank > 1 and rank * rows * columns <= max_width:
                found.append(
                    (rows * columns, block_low_rank(m, n, rows=int(rows), columns=int(columns), rank=int(rank)))
                )
    return [*low, *(chain for _, chain in sorted(found, key=lambda item: item[0]))]


@lru_cache(maxsize=256)
def _divisors(size: int) -> tuple[int, ...]:
    small = [d for d in range(1, int(size**0.5) + 1) if size % d == 0]
    return tuple(sorted({*small, *(size // d for d in small)}))


@lru_cache(maxsize=64)
def _grid(m: int, n: int, narrow: int) -> _Grid:
    if min(m, n) < 1 or m * n == 1:
        raise InputError(f"a matrix {m} x {n} has no chain: it needs at least two numbers")
    return _Grid(m, n, min(narrow, m, n))


@dataclass(frozen=True)
class _Grid:
    """The states of chains for ``m x n``, those with smaller products first, and the steps between them."""

    m: int
    n: int
    narrow: int

    @cached_property
    def states(self) -> Ints:
        """``(number, 2)``: the products of ``r`` and of ``s`` so far, where the width is not too narrow."""
        pairs = ((rows, columns) for rows in _divisors(self.m) for columns in _divisors(self.n))
        found = [(rows, columns) for rows, columns in pairs if rows * (self.n // columns) >= self.narrow]
        return np.array(sorted(found, key=lambda state: (state[0] * state[1], state)), dtype=np.int64)

    @cached_property
    def widths(self) -> Ints:
        """The width in each state: of all ``r`` so far and all ``s`` to come."""
        return self.states[:, 0] * (self.n // self.states[:, 1])

    @cached_property
    def steps(self) -> tuple[Ints, Ints, Ints]:
        """From which state, to which (sorted by it), and the parameters of the factor between."""
        rows, columns = self.states.T
        allowed = (rows[:, None] % rows == 0) & (columns[:, None] % columns == 0)
        np.fill_diagonal(allowed, False)
        after, before = np.nonzero(allowed)
        return before, after, self.widths[after] * (columns[after] // columns[before])

    def caps(self, max_width: int | None) -> list[int]:
        """All widths that a chain's largest width may be."""
        ends = max(self.m, self.n)
        found = sorted({int(w) for w in self.widths if w >= ends and (max_width is None or w <= max_width)})
        return found or [ends]

    def cheapest(self, cap: int, max_factors: int) -> tuple[list[float], list[Ints]]:
        """For chains of each length, 1 to the longest, the fewest parameters and the states passed through."""
        before, after, costs = self.steps
        fits = (self.widths[before] <= cap) & (self.widths[after] <= cap)
        before, after, costs = before[fits], after[fits], costs[fits]
        starts = np.flatnonzero(np.diff(after, prepend=-1))
        best = np.where(np.arange(len(self.states)) == 0, 0.0, np.inf)
        origins, ends = [], []
        for _ in range(max_factors):
            totals = best[before] + costs
            best = np.full(len(self.states), np.inf)
            best[after[starts]] = np.minimum.reduceat(totals, starts)
            origin = np.zeros(len(self.states), np.int64)
            hit = np.flatnonzero(totals == best[after])
            origin[after[hit]] = before[hit]
            origins.append(origin)
            ends.append(float(best[-1]))
        return ends, [self._trace(origins[: k + 1]) for k, end in enumerate(ends) if np.isfinite(end)]

    def _trace(self, origins: list[Ints]) -> Ints:
        path = [len(self.states) - 1]
        for origin in origins[::-1]:
            path.append(int(origin[path[-1]]))
        return np.array(path[::-1])

    def path(self, states: Iterable[Any]) -> _Path:
        """The products in these states."""
        return tuple((int(rows), int(columns)) for rows, columns in self.states[list(states)])

    def rest(self, cap: int) -> NDArray[np.float64]:
        """From each state the fewest parameters to the end, by chains of any length."""
        before, after, costs = self.steps
        order = np.argsort(before, kind="stable")
        before, after, costs = before[order], after[order], costs[order]
        bounds = np.searchsorted(before, np.arange(len(self.states) + 1))
        rest = np.where(self.widths <= cap, 0.0, np.inf)
        for state in range(len(self.states) - 2, -1, -1):
            part = slice(bounds[state], bounds[state + 1])
            rest[state] += (costs[part] + rest[after[part]]).min()
        return rest


@dataclass(frozen=True)
class _Found:
    """Ways from the start to states, one per entry.

    Attributes:
        state: where it leads.
        cost: parameters so far.
        spare: parameters less the rescalings of all widths so far.
        length: factors so far.
        origin: the entry that it continues.
    """

    state: Ints
    cost: Ints
    spare: Ints
    length: Ints
    origin: Ints

    def __getitem__(self, chosen: Any) -> _Found:
        return _Found(*(getattr(self, name)[chosen] for name in _FIELDS))

    def __add__(self, other: _Found) -> _Found:
        return _Found(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _FIELDS))

    def thinned(self, kept: int) -> _Found:
        """Of equal length and about equal cost, the few with most to spare."""
        group = (np.log(self.cost) / np.log(_STEP)).astype(np.int64) * 64 + self.length
        order = np.lexsort((-self.spare, group))
        sorted_groups = group[order]
        first = np.searchsorted(sorted_groups, sorted_groups)
        return self[order[np.arange(len(order)) - first < kept]]


_FIELDS = ("state", "cost", "spare", "length", "origin")


@lru_cache(maxsize=256)
def _promising(
    m: int, n: int, budget: int, max_factors: int, max_width: int, min_width: int, first_rows: int | None
) -> tuple[_Path, ...]:
    """Deformable butterflies within the budget, most degrees of freedom first."""
    grid = _grid(m, n, min_width)
    rest = grid.rest(max_width)
    rows, columns = grid.states.T
    zero = np.zeros(1, np.int64)
    found = _Found(zero, zero, zero, zero, zero)
    for state in np.flatnonzero(rest <= budget)[1:]:
        meets = (rows[state] % rows == 0) & (columns[state] % columns == 0)
        if first_rows is not None:
            meets[0] &= rows[state] <= first_rows
        origin = np.flatnonzero(meets[found.state] & (found.length < max_factors))
        cost = found.cost[origin] + grid.widths[state] * (columns[state] // columns[found.state[origin]])
        fits = cost + rest[state] <= budget
        origin, cost = origin[fits], cost[fits]
        spare = cost - found.cost[origin] + found.spare[origin] - grid.widths[state]
        here = _Found(np.full(len(origin), state), cost, spare, found.length[origin] + 1, origin)
        found = found + here.thinned(_KEPT_LAST if state == len(rows) - 1 else _KEPT)
    ends = np.flatnonzero(found.state == len(rows) - 1)
    ends = ends[np.argsort(-found.spare[ends], kind="stable")]
    return tuple(grid.path(_traced(found, end)) for end in ends)


def _traced(found: _Found, entry: Any) -> list[int]:
    path = [int(found.state[entry])]
    while path[-1]:
        entry = found.origin[entry]
        path.append(int(found.state[entry]))
    return path[::-1]
