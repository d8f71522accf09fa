"""Share a budget of parameters out among layers: a knapsack with one choice per layer, solved exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError

__all__ = ["allocate"]

#: Totals are counted in at most this many steps; beyond that, parameters are rounded up to whole steps.
_STEPS = 100_000
#: The part of the budget that is to be used where a choice does.
_USED = 0.98


def allocate(fronts: Sequence[Sequence[tuple[int, float]]], budget: int, *, used: float = _USED) -> list[int]:
    """Choose an option for every layer: the least sum of costs within the budget.

    Of the choices that use at least this part of the budget, the cheapest is taken; where there is none, the cheapest
    of all. A dynamic program over totals is exact up to 100,000 steps of the parameters' common divisor.

    Args:
        fronts: for each layer its options ``(parameters, cost)``, in any order.
        budget: the most parameters of all layers together.
        used: the part of the budget that is to be used.

    Returns:
        The index of an option for each layer.

    Raises:
        InputError: a layer has no option, or the smallest ones together are more than the budget.

    >>> allocate([[(10, 0.5), (20, 0.1)], [(10, 0.9), (20, 0.8), (40, 0.0)]], 50)
    [0, 2]
    """
    if not all(fronts):
        raise InputError("a layer has no options to choose from")
    least = [min(parameters for parameters, _ in options) for options in fronts]
    spare = budget - sum(least)
    if spare < 0:
        raise InputError(f"a budget of {budget} parameters cannot be met: the smallest choices make {sum(least)}")
    extras = [[size - low for size, _ in options] for options, low in zip(fronts, least, strict=True)]
    step = max(math.gcd(*(extra for layer in extras for extra in layer)), 1)
    step *= max(-(-spare // (step * _STEPS)), 1)
    room = min(spare // step, sum(-(-max(layer) // step) for layer in extras))
    costs, picks = _table(fronts, [[-(-extra // step) for extra in layer] for layer in extras], room)
    first = max(-(-math.ceil(used * budget - sum(least)) // step), 0)
    enough = first <= room and np.isfinite(costs[first:]).any()
    total = first + int(costs[first:].argmin()) if enough else int(costs.argmin())
    return _traced(picks, extras, step, total)


def _table(
    fronts: Sequence[Sequence[tuple[int, float]]], sizes: Sequence[Sequence[int]], room: int
) -> tuple[NDArray[np.float64], list[NDArray[np.int16]]]:
    """The least cost for every exact total, and per layer the option that gave it."""
    costs: NDArray[Any] = np.full(room + 1, np.inf)
    costs[0] = 0
    picks = []
    for options, layer in zip(fronts, sizes, strict=True):
        best, pick = np.full(room + 1, np.inf), np.zeros(room + 1, np.int16)
        for index, ((_, cost), size) in enumerate(zip(options, layer, strict=True)):
            if size <= room:
                totals = costs[: room + 1 - size] + cost
                better = totals < best[size:]
                best[size:][better] = totals[better]
                pick[size:][better] = index
        costs = best
        picks.append(pick)
    return costs, picks


def _traced(picks: Sequence[NDArray[np.int16]], extras: Sequence[Sequence[int]], step: int, total: int) -> list[int]:
    chosen = []
    for pick, layer in zip(reversed(picks), reversed(extras), strict=True):
        chosen.append(int(pick[total]))
        total -= -(-layer[chosen[-1]] // step)
    return chosen[::-1]
