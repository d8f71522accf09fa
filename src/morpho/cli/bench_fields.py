"""``morpho bench fields``: which model wins on a picture of your own."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.cli.field_files import kind_of
from morpho.cli.options import whole
from morpho.console import note, print_table
from morpho.errors import InputError, require
from morpho.fields.defaults import default_parameters, model_for
from morpho.fields.model import Model
from morpho.fields.registry import NAMES, build
from morpho.fields.signal import Signal
from morpho.machine import let_idle_threads_sleep

if TYPE_CHECKING:
    from morpho.fields.bench import Row

__all__ = ["bench_fields"]

Count = Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))]
_NUMBERS = ["parameters", "rate", "PSNR / dB", "+-", "ms/step", "decode / s"]


def bench_fields(
    picture: Annotated[Path, Parameter(name="PICTURE")],
    /,
    *,
    models: str | None = None,
    parameters: Count = None,
    steps: Annotated[int, Parameter(converter=whole, validator=Number(gte=1))] = 500,
    batch: Annotated[int, Parameter(converter=whole, validator=Number(gte=0))] = 8192,
    seeds: Annotated[int, Parameter(converter=whole, validator=Number(gte=1))] = 1,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Fit the models to a picture of yours, at the same number of parameters and steps, and time them.

    Every model has its own learning rate; PSNR is that at the end. The last column is a render of the whole picture
    on the processor. +- is the standard deviation over seeds.

    Args:
        picture: A picture.
        models: Names, such as scone,siren,finer; by default all.
        parameters: Weights of each model, at most; by default what `morpho fit` would take.
        steps: Gradient steps of each.
        batch: Points per step; 0 takes all.
        seeds: So many fits of each, with the seeds 0, 1, ...
        device: auto, cpu, cuda or mps.
        json: Print one JSON object per fit instead of a table.
    """
    if kind_of(picture) != "picture":
        raise InputError(f"{picture} is no picture: the models are compared on one")
    names = list(NAMES) if models is None else [name.strip() for name in models.split(",") if name.strip()]
    chosen = [build(name) for name in dict.fromkeys(names)]
    if not chosen:
        raise InputError(f"--models names none: choose from {', '.join(NAMES)}")
    let_idle_threads_sleep()
    require("torch", "torch")
    from morpho.cli.originals import open_picture
    from morpho.fields.bench import compare

    opened = open_picture(picture)
    sized = _sized(chosen, opened.signal, parameters or default_parameters(opened.signal))
    rows = []
    for row in compare(opened.signal, opened.grid, sized, steps=steps, batch=batch, seeds=range(seeds), device=device):
        rows.append(row)
        if json:
            print(jsonlib.dumps(vars(row)), flush=True)
    if not json:
        height, width = opened.signal.shape
        title = f"{picture.name}, {width} x {height}, {steps} steps of {batch or 'all'} points"
        print_table(["model", *_NUMBERS], _table(rows), title=title, right=_NUMBERS)


def _sized(models: Sequence[Model], signal: Signal, parameters: int) -> list[Model]:
    """The models at so many weights; those that cannot be that small are left out, and named."""
    sized = []
    for model in models:
        try:
            sized.append(model_for(model, signal, parameters))
        except InputError as error:
            if len(models) == 1:
                raise
            note(f"left out: {error}")
    if not sized:
        raise InputError(f"no model is as small as {parameters} parameters: allow more with --parameters")
    return sized


def _table(rows: Sequence[Row]) -> list[list[object]]:
    """One line per model, the best first."""
    grouped = [[row for row in rows if row.model == name] for name in dict.fromkeys(row.model for row in rows)]
    grouped.sort(key=lambda group: -mean(row.psnr for row in group))
    return [_line(group) for group in grouped]


def _line(group: Sequence[Row]) -> list[object]:
    scores = [row.psnr for row in group]
    return [
        group[0].model,
        f"{group[0].parameters:,}",
        f"{group[0].learning_rate:.2g}",
        f"{mean(scores):.2f}",
        f"{stdev(scores):.2f}" if len(scores) > 1 else None,
        f"{1e3 * mean(row.step_seconds for row in group):.1f}",
        f"{min(row.decode_seconds for row in group):.3f}",
    ]
