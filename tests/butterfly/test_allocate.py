"""Budgets are shared out as a search through all choices would."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.butterfly.allocate import allocate
from morpho.errors import InputError

Fronts = list[list[tuple[int, float]]]

_OPTION = st.tuples(st.integers(1, 60), st.floats(0, 1))
_FRONTS = st.lists(st.lists(_OPTION, min_size=1, max_size=5), min_size=1, max_size=4)


def _totals(fronts: Fronts, picks: tuple[int, ...] | list[int]) -> tuple[int, float]:
    chosen = [options[pick] for options, pick in zip(fronts, picks, strict=True)]
    return sum(size for size, _ in chosen), sum(cost for _, cost in chosen)


@given(_FRONTS, st.integers(0, 250))
def test_is_what_all_choices_give(fronts: Fronts, budget: int) -> None:
    totals = [_totals(fronts, picks) for picks in product(*(range(len(options)) for options in fronts))]
    allowed = [(size, cost) for size, cost in totals if size <= budget]
    if not allowed:
        with pytest.raises(InputError, match="cannot be met"):
            allocate(fronts, budget)
        return
    enough = [(size, cost) for size, cost in allowed if size >= 0.98 * budget]
    size, cost = _totals(fronts, allocate(fronts, budget))
    assert (size, cost) in allowed
    assert cost == pytest.approx(min(cost for _, cost in enough or allowed))
    if enough:
        assert size >= 0.98 * budget


@given(_FRONTS, st.integers(0, 250))
def test_without_a_share_to_use_it_is_the_cheapest(fronts: Fronts, budget: int) -> None:
    totals = [_totals(fronts, picks) for picks in product(*(range(len(options)) for options in fronts))]
    costs = [cost for size, cost in totals if size <= budget]
    if costs:
        assert _totals(fronts, allocate(fronts, budget, used=0))[1] == pytest.approx(min(costs))


def test_large_budgets_are_met_closely() -> None:
    """Forty layers with millions of parameters: totals are counted in steps, and never exceeded."""
    rng = np.random.default_rng(0)
    fronts: Fronts = []
    for _ in range(40):
        sizes = np.unique(rng.integers(1000, 2_000_000, 30))
        fronts.append([(int(size), float(np.exp(-size / 5e5))) for size in sizes])
    budget = sum(max(options)[0] for options in fronts) // 7
    size, cost = _totals(fronts, allocate(fronts, budget))
    assert 0.995 * budget <= size <= budget
    # Relaxed to fractions of options, the least cost is close to the cost of whole ones.
    slopes = np.linspace(1e-9, 3e-6, 3000)
    bound = max(
        sum(min(cost + slope * size for size, cost in options) for options in fronts) - slope * budget
        for slope in slopes
    )
    assert bound <= cost <= bound * 1.02


def test_one_layer_takes_what_fits() -> None:
    assert allocate([[(5, 0.9), (9, 0.5), (12, 0.0)]], 11) == [1]


def test_refuses_layers_without_options() -> None:
    with pytest.raises(InputError, match="no options"):
        allocate([[(1, 0.0)], []], 5)
    assert allocate([], 5) == []
