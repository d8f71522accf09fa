"""A card says what an artefact is, in JSON that never surprises."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from morpho.artifacts import Card
from morpho.errors import ArtifactError, InputError

MINIMAL: dict[str, Any] = {"kind": "hklut", "name": "n", "version": "1", "licence": "CC0-1.0"}


def test_json_is_stable_and_complete() -> None:
    card = Card(**MINIMAL, numbers={"b": 2.0, "a": 1.5}, recipe={"é": [1, None]})
    assert Card.from_json(card.to_json()) == card
    assert card.to_json() == Card(**MINIMAL, numbers={"a": 1.5, "b": 2.0}, recipe={"é": [1, None]}).to_json()


def test_short_json_leaves_out_what_goes_without_saying() -> None:
    card = Card(**MINIMAL, numbers={"psnr": 30.0})
    short = card.to_json(short=True)
    assert short == '{"kind":"hklut","licence":"CC0-1.0","name":"n","numbers":{"psnr":30.0},"version":"1"}'
    assert Card.from_json(short) == card


def test_fields_of_a_later_version_are_ignored() -> None:
    assert Card.from_json(json.dumps(MINIMAL | {"mood": "blue"})) == Card(**MINIMAL)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ""},
        {"name": None},
        {"version": 1},
        {"licence": " "},
        {"recipe": []},
        {"data": [1]},
        {"seed": 1.5},
        {"seed": True},
        {"numbers": {"psnr": "30"}},
        {"numbers": {"psnr": True}},
        {"numbers": {"psnr": math.nan}},
        {"numbers": {"psnr": math.inf}},
        {"commit": None},
    ],
)
def test_wrong_field_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"field '{next(iter(changes))}' of a card must be"):
        Card(**MINIMAL | changes)
    with pytest.raises(ArtifactError, match="damaged"):
        Card.from_json(json.dumps(MINIMAL | changes))


def test_recipe_that_is_no_json_is_refused_when_written() -> None:
    with pytest.raises(InputError, match="cannot be written as JSON"):
        Card(**MINIMAL, recipe={"loss": math.nan}).to_json()
    with pytest.raises(InputError, match="cannot be written as JSON"):
        Card(**MINIMAL, recipe={"loss": object()}).to_json()
