"""Which neighbouring factors to multiply out beforehand: fewer, larger products use a processor better.

The butterfly of ten ``(2,2)`` factors does half an operation per byte and is slower than the dense matrix. Multiplied
together in two groups of five, it has more weights and two dense-like products, and is many times faster. All factors
in one group are the dense matrix itself: a plan is never much slower than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce

from morpho.butterfly import kernel as loops
from morpho.butterfly.chain import Chain
from morpho.butterfly.factor import Factor

__all__ = ["Plan", "best_plan", "bucket", "dense_plan", "plans", "predicted_seconds", "quick_plan"]

#: One thread of a processor with wide vectors: multiply-adds and bytes per second, and what starting a product costs.
_MULTIPLY_ADDS = 8e10
_CONVOLUTION = 6.5e10
_GROUPED_CONVOLUTION = 3e10
_BYTES = 4e10
_COPIED_BYTES = 6e9
_DEPTHWISE_BYTES = 6e9
_START = 4e-6
#: Bytes read and written per weight to merge groups and differentiate that.
_MERGED_BYTES = 12.0
#: What any plan but the dense one takes in torch's own calls, however small the products.
_CALLS = 1e-4
#: A plan must be predicted to be this much faster than the dense matrix: predictions err.
_MARGIN = 0.8
#: The same for the compiled loops, which vary less; and what any layer does before it multiplies.
_QUICK_MARGIN, _LAYER = 0.9, 1e-5
#: Longer chains are merged in neighbours first: all ways to group 12 factors are 2,048.
_MOST = 12


@dataclass(frozen=True)
class Plan:
    """How the factors of a chain are grouped.

    Attributes:
        patterns: the pattern of each group's product, the right-most first.
        ends: how many factors lie to the right of each group's end.
    """

    patterns: tuple[Factor, ...]
    ends: tuple[int, ...]

    @property
    def is_dense(self) -> bool:
        """Whether all factors are one matrix."""
        return len(self.patterns) == 1

    @property
    def parameters(self) -> int:
        """Weights after merging, which are multiply-adds per column."""
        return sum(pattern.parameters for pattern in self.patterns)

    def groups(self) -> Iterator[slice]:
        """The factors of each group."""
        start = 0
        for end in self.ends:
            yield slice(start, end)
            start = end


def dense_plan(chain: Chain) -> Plan:
    """All factors in one group."""
    return Plan((Factor(1, chain.m, chain.n, 1),), (len(chain.factors),))


@lru_cache(maxsize=4096)
def plans(chain: Chain) -> tuple[Plan, ...]:
    """Every way to group neighbours, the dense matrix first.

    >>> [plan.ends for plan in plans(Chain.parse("(2,2)^3"))]
    [(3,), (1, 3), (2, 3), (1, 2, 3)]
    """
    count = len(chain.factors)
    found = []
    for cuts in range(2 ** (min(count, _MOST) - 1)):
        ends = (*(i + 1 for i in range(count - 1) if cuts >> i & 1), count)
        starts = (0, *ends[:-1])
        found.append(Plan(tuple(_product(chain, a, b) for a, b in zip(starts, ends, strict=True)), ends))
    return tuple(found)


def bucket(columns: int) -> int:
    """The power of two at or above a number of columns, so that plans are few."""
    return 1 << max(columns - 1, 0).bit_length()


@lru_cache(maxsize=65536)
def best_plan(chain: Chain, columns: int, *, training: bool = False, kernel: int = 1) -> Plan:
    """The plan that is predicted to be the fastest for so many columns; the dense matrix unless one is clearly faster.

    Args:
        chain: the factors.
        columns: input vectors, or positions, at once.
        training: whether the groups' products have to be made anew each time, and differentiated.
        kernel: places of a convolution's window: its first group must cover whole windows.

    >>> best_plan(Chain.parse("(2,2)^10"), 256).ends
    (5, 10)
    >>> best_plan(Chain.parse("(2,2)^3"), 1).is_dense
    True
    """

    def predicted(plan: Plan) -> float:
        return predicted_seconds(plan, columns, training=training, kernel=kernel)

    dense = dense_plan(chain)
    fitting = [plan for plan in plans(chain) if plan.is_dense or plan.patterns[0].s % kernel == 0]
    fastest = min(fitting, key=predicted)
    return fastest if predicted(fastest) < _MARGIN * predicted(dense) else dense


@lru_cache(maxsize=65536)
def quick_plan(chain: Chain, columns: int, *, kernel: int = 1) -> Plan | None:
    """The plan for the compiled loops, or None where those are predicted to be no faster than torch.

    >>> quick_plan(Chain.parse("(2,2)^10"), 256).ends
    (3, 6, 10)
    >>> quick_plan(Chain.parse("(2,2)"), 256) is None
    True
    """
    plan = _quickest(chain, kernel)
    if plan is None:
        return None
    usual = best_plan(chain, columns, kernel=kernel)
    limit = predicted_seconds(usual, columns, kernel=kernel) + _LAYER
    return plan if loops.predicted_seconds(plan.patterns, columns) < _QUICK_MARGIN * limit else None


@lru_cache(maxsize=4096)
def _quickest(chain: Chain, kernel: int) -> Plan | None:
    """The grouping that takes the compiled loops the fewest steps, whatever the number of columns."""
    fitting = [plan for plan in plans(chain) if not plan.is_dense and plan.patterns[0].s % kernel == 0]
    return min(fitting, key=lambda plan: loops.predicted_seconds(plan.patterns, 1), default=None)


def predicted_seconds(plan: Plan, columns: int, *, training: bool = False, kernel: int = 1) -> float:
    """Roughly how long the products take on one thread, for float32 inputs with the batch first."""
    total = _MERGED_BYTES * plan.parameters / _BYTES * training
    if plan.is_dense:
        return total + _dense_seconds(plan.patterns[0], columns, kernel)
    first, *inner, last = plan.patterns
    total += _product_seconds(first, columns) if kernel == 1 else _windows_seconds(first, columns, kernel)
    total += _CALLS + sum(_product_seconds(pattern, columns) for pattern in (*inner, last))
    # The batch goes last and first again; where neither g nor t is 1, both sides are copied.
    copied = (first.q * (first.g > 1) + last.p * (last.t > 1)) / 2 if kernel == 1 else first.p + last.p
    copied += sum(pattern.p + pattern.q for pattern in inner)
    return total + 4.0 * columns * copied / _COPIED_BYTES


def _dense_seconds(pattern: Factor, columns: int, kernel: int) -> float:
    if kernel == 1:
        return _product_seconds(pattern, columns)
    return pattern.parameters * columns / _CONVOLUTION


def _product_seconds(pattern: Factor, columns: int) -> float:
    work = pattern.parameters * columns / _MULTIPLY_ADDS
    moved = 4.0 * (columns * (pattern.p + pattern.q) + pattern.parameters) / _BYTES
    return work + moved + _START


def _windows_seconds(pattern: Factor, columns: int, kernel: int) -> float:
    """A convolution in groups; of single channels it is bound by memory, one pass for each of the r outputs."""
    if pattern.s == kernel:
        return pattern.r * (8.0 * columns * pattern.g / _DEPTHWISE_BYTES + _START)
    return pattern.parameters * columns / _GROUPED_CONVOLUTION + _START


def _product(chain: Chain, start: int, end: int) -> Factor:
    return reduce(lambda right, left: left.after(right), chain.factors[start:end])
