"""``morpho butterfly chains``: which chains there are for a size, what they cost, and how they look."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.butterfly.chain import Chain
from morpho.butterfly.plan import best_plan, dense_plan, predicted_seconds
from morpho.butterfly.search import chains, padded, pareto
from morpho.cli.chains import Budget, FamilyName, allowed, short
from morpho.cli.options import whole
from morpho.console import note, print_table
from morpho.errors import InputError, OutputExistsError

__all__ = ["butterfly_chains"]

_NUMBERS = ["factors", "parameters", "share", "widest", "speed"]
#: How many chains within a budget are shown, and how many with ``--all``.
_FEW, _MANY = 8, 200
#: More than any layer has; the search would take its time.
_LARGEST = 2**17


def butterfly_chains(
    what: Annotated[str, Parameter(name="SIZE|CHAIN")],
    /,
    *,
    budget: Budget = None,
    family: FamilyName = "debut",
    all: bool = False,
    columns: Annotated[int, Parameter(converter=whole, validator=Number(gte=1))] = 256,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    json: bool = False,
    overwrite: bool = False,
) -> None:
    """Search chains of butterfly factors for a matrix, or describe one chain, and draw it.

    For a size, the Pareto front comes first: no other deformable butterfly has fewer parameters, a smaller largest
    width and fewer factors at once. With a budget, chains within it follow, those with the most degrees of freedom
    first. A chain is written (8,9)(2,2)^3(2,4) with the input's side first, 64 <-(8,9,1)- 72, or p q r s t per factor.

    A chain has as many multiply-adds per input vector as parameters. The speed is predicted: how many times faster
    than the dense product one thread is, with neighbouring factors multiplied together where that helps.

    Args:
        what: The size of the matrix, rows x columns (outputs x inputs), such as 512x4608; or a chain, in quotes.
        budget: Of parameters: a part of the matrix (0.03 or 3%), or a number.
        family: Chains within the budget: debut (deformable butterflies), monarch (two factors of these), low-rank, or
            general (all of them, and blocks of low rank).
        all: Show all chains that the search finds within the budget, not just the first ones.
        columns: Input vectors at once, for the predicted speed.
        output: A picture to draw of the chain, or of the first one within the budget: .png and others.
        json: Print one JSON object per chain instead of tables.
        overwrite: Replace an existing picture.
    """
    if output is not None:
        _check_picture(output, overwrite)
    size = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", what)
    if size is None:
        if budget is not None:
            raise InputError("a chain is what it is, and a budget is for a search: give --budget with a size")
        drawn = _describe(Chain.parse(what), columns, json)
    else:
        drawn = _search(int(size[1]), int(size[2]), budget, family, _MANY if all else _FEW, columns, json)
    if output is not None:
        _draw(drawn, output, overwrite)


def _search(m: int, n: int, budget: float | None, family: FamilyName, count: int, columns: int, json: bool) -> Chain:
    """Print the front and what is within the budget; return the chain to draw."""
    if min(m, n) < 1 or max(m, n) > _LARGEST:
        raise InputError(f"a matrix {m} x {n} is not searched: give rows and columns from 1 to {_LARGEST}")
    if family != "debut" and budget is None:
        raise InputError(f"the front is of deformable butterflies: give --budget too to list {family} chains")
    limit = m * n if budget is None else allowed(budget, m * n)
    named = "low_rank" if family == "low-rank" else family
    front, hint = pareto(m, n), _padding(m, n)
    try:
        found = [] if budget is None else chains(m, n, budget=limit, count=count, family=named)
    except InputError as error:
        raise InputError(f"{error}{hint and f', and {hint}'}") from error
    _print(front, columns, json, f"Pareto front of deformable butterflies for {m} x {n}", "front")
    if found:
        if not json:
            print()
        title = f"{family} chains of at most {limit:,} parameters ({limit / (m * n):.2%}), the most promising first"
        _print(found, columns, json, title, family)
    if hint and not json:
        note(f"the fewest parameters here are {front[0].parameters}; {hint}")
    return (found or front)[0]


def _padding(m: int, n: int) -> str:
    """What sizes without large prime factors would offer, where that is more."""
    wider = padded(m, n)
    if wider == (m, n):
        return ""
    fewest = pareto(*wider)[0].parameters
    less = fewest < pareto(m, n)[0].parameters
    return f"padded with zeros to {wider[0]} x {wider[1]} they are {fewest}" if less else ""


def _describe(chain: Chain, columns: int, json: bool) -> Chain:
    facts = _facts(chain, columns)
    if json:
        print(jsonlib.dumps(facts))
        return chain
    ranks = "1: a deformable butterfly" if chain.is_debut else ", ".join(map(str, chain.ranks))
    rows = [
        ("chain", short(chain)),
        ("arrows", str(chain)),
        ("released form", chain.numbers()),
        ("size", f"{chain.m} x {chain.n}"),
        ("kind", facts["kind"]),
        ("overlap rank", ranks),
        ("widths", " ".join(map(str, chain.widths))),
        ("parameters", f"{chain.parameters:,} of {chain.m * chain.n:,} ({facts['share']:.2%})"),
        ("multiply-adds", f"{chain.parameters:,} per input vector"),
        ("speed", f"{facts['speed']:.1f} x dense, predicted for {columns} columns"),
    ]
    print_table(["what", "here"], rows)
    return chain


def _print(found: Sequence[Chain], columns: int, json: bool, title: str, group: str) -> None:
    if json:
        for chain in found:
            print(jsonlib.dumps({"group": group, **_facts(chain, columns)}))
        return
    print_table(["chain", "kind", *_NUMBERS], [_row(chain, columns) for chain in found], title=title, right=_NUMBERS)


def _row(chain: Chain, columns: int) -> list[object]:
    facts = _facts(chain, columns)
    numbers = [len(chain.factors), f"{chain.parameters:,}", f"{facts['share']:.2%}", facts["widest"]]
    return [short(chain), facts["kind"], *numbers, f"{facts['speed']:.1f}x"]


def _facts(chain: Chain, columns: int) -> dict[str, Any]:
    planned, dense = (predicted_seconds(plan, columns) for plan in (best_plan(chain, columns), dense_plan(chain)))
    return {
        "chain": chain.numbers(),
        "rows": chain.m,
        "columns": chain.n,
        "kind": "dense" if len(chain.factors) == 1 else chain.kind if chain.is_debut else f"rank {max(chain.ranks)}",
        "factors": len(chain.factors),
        "parameters": chain.parameters,
        "share": chain.parameters / (chain.m * chain.n),
        "widest": max(chain.widths),
        "speed": round(dense / planned, 2),
    }


def _check_picture(output: Path, overwrite: bool) -> None:
    from morpho.images.io import format_of

    if output.exists() and not overwrite:
        raise OutputExistsError(f"{output} exists already: choose another name or add --overwrite")
    format_of(output)


def _draw(chain: Chain, output: Path, overwrite: bool) -> None:
    from morpho.butterfly.picture import draw
    from morpho.images import Picture, write

    write(Picture(draw(chain)), output, overwrite=overwrite)
    note(f"{output}: {short(chain)}")
