"""Tables are checked when they are made: what inference reads fits together, whoever wrote the file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from morpho.enhance.tables import COLORS, Tables
from morpho.errors import ArtifactError
from tests.enhance.synthetic import random_tables

SMALL = random_tables()  # 2 groups, 5 levels, 3 bases, 5 nodes, ranks 2 and 3


def zeros(*shape: int, dtype: Any = np.int16) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"low": True, "thumbnail": 32},
        {"groups": 1, "levels": 2, "bases": 1, "nodes": 3, "own_rank": 1, "rest_rank": 1},
        {"groups": 5, "levels": 64, "bases": 10, "nodes": 33, "own_rank": 5, "rest_rank": 10, "low": True},  # published
        {"groups": 32, "levels": 3, "bases": 64, "nodes": 129, "own_rank": 64, "rest_rank": 64, "thumbnail": 4096},
        {"groups": 1, "levels": 257},
        {"groups": 1, "levels": 256},
    ],
)
def test_tables_that_fit(sizes: dict[str, Any]) -> None:
    tables = random_tables(**sizes)
    assert tables.features == 2 * sizes.get("groups", 2)
    assert tables.nodes == sizes.get("nodes", 5)


def test_bytes_are_those_of_all_tables() -> None:
    entries8, entries16 = 4096 * 4 + 2 * 5 * 5 * 3, 5 * 2 + 3 * 2 * 3 * 3 + 3 * 25
    assert SMALL.nbytes == entries8 + 2 * entries16
    assert random_tables(low=True).nbytes == SMALL.nbytes + 4096 * 4


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"msb": zeros(4096, 6, dtype=np.int8)}, r"'msb' must be int8 \(4096, 4\), not int8 \(4096, 6\)"),
        ({"msb": zeros(4095, 4, dtype=np.int8)}, r"\(4095, 4\)"),
        ({"msb": zeros(4096, 4, dtype=np.uint8)}, "not uint8"),
        ({"msb": zeros(4096 * 4, dtype=np.int8)}, "'msb' must be"),
        ({"lsb": zeros(256, 4, dtype=np.int8)}, r"'lsb' must be int8 \(4096, 4\)"),
        ({"lsb": zeros(COLORS, 4)}, "'lsb' must be int8 .* not int16"),
        ({"groups": zeros(2, 5, 4, 3, dtype=np.int8)}, r"'groups' must be int8 \(2, 5, 5, 3\)"),
        ({"groups": zeros(2, 5, 5, 3)}, "'groups' must be int8 .* not int16"),
        ({"groups": zeros(2, 5, 5, dtype=np.int8)}, r"'groups' has the shape \(2, 5, 5\), which no enhancer has"),
        ({"groups": zeros(0, 5, 5, 3, dtype=np.int8)}, "'groups' has the shape"),
        ({"groups": zeros(33, 5, 5, 3, dtype=np.int8)}, "'groups' has the shape"),
        ({"groups": zeros(2, 5, 5, 0, dtype=np.int8)}, "'groups' has the shape"),
        ({"groups": zeros(2, 5, 5, 65, dtype=np.int8)}, "'groups' has the shape"),
        *(
            ({"groups": zeros(2, levels, levels, 3, dtype=np.int8)}, f"'groups' has {levels} levels, not 2")
            for levels in (0, 1, 6, 7, 12, 512, 513)
        ),
        ({"own": zeros(5)}, r"'own' has the shape \(5,\), not \(2\^k \+ 1, K\)"),
        *(({"own": zeros(nodes, 2)}, r"'own' has the shape") for nodes in (0, 1, 2, 4, 6, 257)),
        ({"own": zeros(5, 0)}, "'own' has the shape"),
        ({"own": zeros(5, 65)}, "'own' has the shape"),
        ({"own": zeros(9, 2)}, r"'rest' must be int16 \(3, 81\)"),
        ({"own": zeros(5, 2, dtype=np.int32)}, "'own' must be int16 .* not int32"),
        ({"mix": zeros(3, 2, 3, 4)}, r"'mix' must be int16 \(3, 2, 3, 3\)"),
        ({"mix": zeros(3, 2, 1, 3)}, "'mix' must be int16"),
        ({"mix": zeros(3, 2, 3, 3, dtype=np.float32)}, "'mix' must be int16 .* not float32"),
        ({"rest": zeros(3, 24)}, r"'rest' must be int16 \(3, 25\), not int16 \(3, 24\)"),
        ({"rest": zeros(75)}, r"'rest' has the shape \(75,\)"),
        ({"rest": zeros()}, r"'rest' has the shape \(\)"),
        ({"rest": zeros(0, 25), "mix": zeros(3, 2, 3, 0)}, r"'rest' has the shape \(0, 25\)"),
        ({"rest": zeros(65, 25), "mix": zeros(3, 2, 3, 65)}, r"'rest' has the shape \(65, 25\)"),
        ({"thumbnail": -1}, "the thumbnail -1 is out of range"),
        ({"thumbnail": 4097}, "the thumbnail 4097 is out of range"),
    ],
)
def test_tables_that_do_not_fit(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ArtifactError, match=complaint) as caught:
        replace(SMALL, **changes)
    assert str(caught.value).endswith(": get the file again")


def test_tables_are_compared_by_identity() -> None:
    """An array has no truth value; two equal ones would raise."""
    assert Tables(**vars(SMALL)) != SMALL
    assert len({SMALL, SMALL}) == 1
