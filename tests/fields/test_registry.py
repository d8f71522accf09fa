"""Models are found by name, survive JSON, meet a budget, and follow the signal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.errors import InputError
from morpho.fields.grids import Grid, HashGrid
from morpho.fields.model import LARGEST, Scone
from morpho.fields.peers import Finer, Gauss, Siren
from morpho.fields.registry import NAMES, build, for_signal, from_json, matched


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_built_by_its_name_and_survives_json(name: str) -> None:
    model = build(name)
    assert model.name == name
    assert type(model) is NAMES[name]
    smaller = replace(model, **{model.size: 3})
    for each in (model, smaller):
        assert from_json(json.loads(json.dumps(each.to_json()))) == each


@pytest.mark.parametrize("name", NAMES)
def test_every_model_learns_at_some_rate(name: str) -> None:
    model = build(name)
    assert 1e-5 < model.published_rate <= 0.1
    assert 1e-5 < model.learning_rate <= 0.1
    words = {tensor.split(".")[0] for tensor in model.shapes(2, 3)}
    assert model.rates().keys() <= words


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("parameters", [5_000, 30_000, 198_915])
@pytest.mark.parametrize("name", NAMES)
def test_a_matched_model_is_the_largest_within_the_budget(name: str, parameters: int, dimensions: int) -> None:
    model = build(name, finest=2048) if name == "hash-grid" else build(name)
    if name in ("fourier-features", "hash-grid") and parameters < 30_000:
        model = build(name, width=16, **({"finest": 2048} if name == "hash-grid" else {}))
    found = matched(model, parameters, dimensions, 3)
    count = found.parameters(dimensions, 3)
    assert count <= parameters
    assert replace(found, **{found.size: getattr(found, found.size) + 1}).parameters(dimensions, 3) > parameters or (
        name == "grid"  # one more node does not make a whole row
    )
    units = getattr(found, "width", 16) if found.size == "width" else 100
    assert count > parameters * (0.9 if name == "grid" and dimensions == 3 else 1 - 2.5 / units)


def test_matching_keeps_every_other_hyper_parameter() -> None:
    model = Scone(omegas=(7.0, 3.0), omega0=20.0, mask="sin")
    found = matched(model, 9_000, 2, 3)
    assert isinstance(found, Scone)
    assert replace(found, width=model.width) == model


def test_published_counts_are_matched_exactly() -> None:
    assert matched(Scone(width=3), 192_753, 2, 3) == Scone()
    assert matched(Scone(width=3), 192_752, 2, 3) == Scone(width=249)
    assert matched(Siren(width=3), 198_915, 2, 3) == Siren()


def test_a_hash_grid_whose_levels_are_all_dense_stays_below_the_budget() -> None:
    found = matched(HashGrid(levels=2, base=2, finest=4), 10**6, 2, 3)
    assert found.parameters(2, 3) == HashGrid(levels=2, base=2, finest=4).parameters(2, 3)


@pytest.mark.parametrize(
    "card",
    [
        {"name": "scone", "omegas": [1.0] * 100_000},
        {"name": "scone", "width": "9" * 100_000},
        {"name": "scone", "mask": "s" * 100_000},
        {"name": "scone", "w" * 100_000: 9},
        {"name": "s" * 100_000},
    ],
)
def test_long_values_are_not_repeated_in_full(card: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        from_json(card)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("wanted", "sentence"), [(10, "10 parameters are too few for scone"), (LARGEST + 1, "at most")]
)
def test_impossible_budgets_are_refused(wanted: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        matched(Scone(), wanted, 2, 3)


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (None, "must be an object with a name"),
        ([], "must be an object with a name"),
        ({"width": 3}, "must be an object with a name"),
        ({"name": 3}, "must be an object with a name"),
        ({"name": "siern"}, "did you mean 'siren'"),
        ({"name": "?"}, "choose from scone"),
        ({"name": "siren", "mask": "sin"}, "siren has no hyper-parameter 'mask'"),
        ({"name": "siren", "width": -1}, "siren's width is -1"),
        ({"name": "siren", "width": [1]}, "must be of type int"),
        ({"name": "siren", "width": None}, "must be of type int"),
        ({"name": "scone", "omegas": {"0": 1}}, "must be a tuple of at most 64 numbers"),
        ({"name": "scone", "omegas": [[1.0]]}, "must be of type float"),
        ({"name": "mfn", "gabor": 1}, "must be of type bool"),
        ({"name": "hash-grid", "levels": 33}, "must lie in [1, 32]"),
        ({"name": "grid", "nodes": 2**28 + 1}, "must lie in [1, "),
    ],
)
def test_what_is_no_model_is_refused_with_a_sentence(card: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        from_json(card)
    assert sentence in str(caught.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(name=st.sampled_from(sorted(NAMES)), data=st.data())
def test_any_json_makes_a_model_or_a_sentence(name: str, data: st.DataObject) -> None:
    known = [key for key in build(name).to_json() if key != "name"]
    card = data.draw(st.dictionaries(st.sampled_from(known), _JSON))
    try:
        model = from_json({"name": name} | card)
        if model.parameters(2, 3) < 10**5:
            weights = model.initial(2, 3, np.random.default_rng(0))
            assert {key: value.shape for key, value in weights.items()} == model.shapes(2, 3)
    except InputError as error:
        assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("size", "width", "highest", "siren_has"),
    [(128, 49, 29.65, 28.36), (256, 250, 0.35 * 256, 0.35 * 256), (512, 250, 130.0, 130.0), (1024, 98, 43.23, 42.23)],
)
def test_frequencies_follow_the_resolution_and_the_budget(
    size: int, width: int, highest: float, siren_has: float
) -> None:
    """At equal widths a SIREN has fewer parameters, and so lower frequencies where they are scarce."""
    found = for_signal(Scone(width=width), (size, size), 3)
    assert isinstance(found, Scone)
    assert found.omegas == pytest.approx([highest * ratio for ratio in (1, 2 / 3, 1 / 3, 1 / 9)], abs=0.006)
    siren = for_signal(Siren(width=width), (size, size), 3)
    assert isinstance(siren, Siren)
    assert siren.first_omega == pytest.approx(siren_has, abs=0.006)
    assert siren.omega == 30


def test_frequencies_look_at_all_sides_that_have_more_than_one_sample() -> None:
    found = for_signal(Scone(width=250), (1, 64, 256), 3)
    assert isinstance(found, Scone)
    assert found.omegas[0] == pytest.approx(0.35 * 128)


def test_grids_follow_the_signal_and_models_without_a_rule_stay_as_they_are() -> None:
    assert for_signal(Grid(), (32, 48), 3) == Grid(aspect=(32.0, 48.0))
    assert for_signal(HashGrid(), (512, 512), 3) == HashGrid(finest=512)
    assert for_signal(HashGrid(), (8, 8), 3) == HashGrid(finest=16)
    assert for_signal(Gauss(), (32, 48), 3) == Gauss()
    assert for_signal(Finer(), (32, 48), 3) == Finer()
