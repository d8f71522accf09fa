"""``morpho bench butterfly``: butterflies beside dense layers, on this machine."""

from __future__ import annotations

import json as jsonlib
import re
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.butterfly.chain import Chain
from morpho.butterfly.search import chains
from morpho.cli.chains import Budget, FamilyName, allowed, short
from morpho.cli.options import whole
from morpho.console import print_table
from morpho.errors import InputError, require

__all__ = ["bench_butterfly"]

#: What is timed unless asked for: a square layer, and the matrix of a 3x3 convolution of 512 channels.
_DEFAULT = {"1024x1024": 0.02, "512x4608": 0.03}
_NUMBERS = ["threads", "median ms", "fastest ms", "times the best dense"]
_LARGEST = 2**14


def bench_butterfly(
    sizes: Annotated[list[str] | None, Parameter(name="SIZE|CHAIN")] = None,
    /,
    *,
    batch: Annotated[int, Parameter(converter=whole, validator=Number(gte=1))] = 256,
    budget: Budget = None,
    family: FamilyName = "debut",
    side: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1, lte=512))] = None,
    threads: Annotated[int, Parameter(converter=whole, validator=Number(gte=1))] = 1,
    runs: Annotated[int, Parameter(converter=whole, validator=Number(gte=1))] = 30,
    compile: bool = False,
    json: bool = False,
) -> None:
    """Time butterfly layers beside dense ones (torch and, where installed, ONNX Runtime) and the published way.

    By default a layer of 1024x1024 at 2 % of the parameters and one of 512x4608 at 3 %.

    Args:
        sizes: Sizes, rows x columns, such as 512x4608; or chains, in quotes.
        batch: Input vectors at once, or pictures.
        budget: Of parameters: a part of the matrix (0.03 or 3%), or a number. Default: 5%.
        family: Which chains; the most promising one within the budget is timed.
        side: Time 3x3 convolutions instead, on pictures of so many pixels on a side; columns are 9 times the channels.
        threads: Of torch and ONNX Runtime.
        runs: Counted runs of each way.
        compile: Also time the layer after torch.compile, which needs a C++ compiler.
        json: Print one JSON object per way instead of tables.
    """
    wanted = [_chain(text, budget, family) for text in sizes or _DEFAULT]
    for chain in wanted:
        if side is not None and chain.n % 9:
            raise InputError(f"a 3x3 convolution has 9 columns per channel, not {chain.n}: give sizes such as 512x4608")
    require("torch", "torch")
    from morpho.butterfly.bench import Case, conv_timings, linear_timings, ratios

    for chain in wanted:
        case = Case(chain=chain, columns=batch, side=side or 1)
        if side is None:
            timings = linear_timings(case, runs=runs, threads=threads, compiled=compile)
        else:
            timings = conv_timings(case, runs=runs, threads=threads)
        faster = ratios(timings)
        if json:
            facts = {"chain": chain.numbers(), "batch": batch, "side": side}
            for timing in timings:
                print(jsonlib.dumps({**facts, **vars(timing), "speed": faster[timing.method]}))
            continue
        what = f"batch {batch}" if side is None else f"{batch} pictures of {side} x {side}, 3x3"
        title = f"{chain.m} x {chain.n}, {short(chain)}, {chain.parameters / (chain.m * chain.n):.2%}, {what}"
        rows = [
            [t.method, t.threads, f"{t.milliseconds:.3f}", f"{t.fastest:.3f}", f"{faster[t.method]:.2f}"]
            for t in timings
        ]
        print_table(["method", *_NUMBERS], rows, title=title, right=_NUMBERS)
        print()


def _chain(text: str, budget: float | None, family: FamilyName) -> Chain:
    size = re.fullmatch(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*", text)
    chain = Chain.parse(text) if size is None else None
    m, n = (chain.m, chain.n) if chain else (int(size[1]), int(size[2])) if size else (0, 0)
    if not (1 <= m <= _LARGEST and 1 <= n <= _LARGEST):
        raise InputError(f"a layer of {m} x {n} is not timed: give rows and columns from 1 to {_LARGEST}")
    if chain is not None:
        return chain
    limit = allowed(budget if budget is not None else _DEFAULT.get(text, 0.05), m * n)
    return chains(m, n, budget=limit, count=1, family="low_rank" if family == "low-rank" else family)[0]
