"""``morpho eval butterfly``: how often a network is right, dense or compressed."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.cli.options import whole
from morpho.console import print_table
from morpho.errors import InputError, require

__all__ = ["eval_butterfly"]

_NUMBERS = ["items", "accuracy", "95 % interval", "parameters", "of the dense ones"]


def eval_butterfly(
    files: Annotated[list[Path], Parameter(name="FILE")],
    /,
    *,
    data: Path | None = None,
    dataset: str | None = None,
    votes: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None,
    json: bool = False,
) -> None:
    """Measure the accuracy of networks, dense or compressed, on the test part of their data.

    The interval is Wilson's, 95 %. Two networks on the same items differ more surely than their intervals suggest.

    Args:
        files: Files of `morpho compress` or `morpho train butterfly`.
        data: The folder of the data; by default MORPHO_DATA.
        dataset: The data set's name, such as cifar10; by default the one on the card.
        votes: For clouds of points: parts of each cloud whose answers are averaged. Default: 8 for networks that
            learned from an eighth of the points, else 1.
        json: Print one JSON object per file instead of a table.
    """
    require("torch", "torch")
    from morpho import nets
    from morpho.butterfly.evaluate import evaluate
    from morpho.butterfly.files import load_any
    from morpho.cli.butterfly_runs import read_data, votes_of
    from morpho.nets.files import outline

    rows: list[dict[str, Any]] = []
    for path in files:
        model, card = load_any(path)
        name = dataset or card.recipe.get("dataset")
        if not isinstance(name, str):
            raise InputError(f"the card of {path} names no data set: give --dataset, such as mnist")
        options = card.recipe.get("dataset_options", {}) if dataset is None else {}
        parts = votes if votes is not None else votes_of(card.recipe.get("augment"))
        score = evaluate(model, read_data(name, data, options).test, votes=parts)
        count, dense = nets.count_parameters(model), nets.count_parameters(outline(card))
        row = {"file": str(path), "dataset": name, **score.as_dict(), "parameters": count}
        rows.append({**row, "share": round(count / dense, 6)})
    if json:
        print("\n".join(jsonlib.dumps(row) for row in rows))
        return
    print_table(["file", "data", *_NUMBERS], [_cells(row) for row in rows], right=_NUMBERS)


def _cells(row: dict[str, Any]) -> list[object]:
    low, high = row["interval"]
    counts = [f"{row['parameters']:,}", f"{row['share']:.2%}"]
    return [row["file"], row["dataset"], row["n"], f"{row['accuracy']:.2%}", f"{low:.2%} to {high:.2%}", *counts]
