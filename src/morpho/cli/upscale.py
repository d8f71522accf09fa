"""``morpho upscale``: pictures, two to four times as wide and as high."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from morpho.cli import photos
from morpho.cli.options import Inputs, Options, Scale
from morpho.errors import InputError
from morpho.upscale.upscaler import DEFAULT_NAME, Upscaler

__all__ = ["upscale"]


def upscale(
    inputs: Inputs,
    /,
    *,
    scale: Scale = None,
    model: Annotated[str | None, Parameter(name=("--model", "-m"))] = None,
    tables: str | None = None,
    options: Options = Options(),  # noqa: B008 - it is frozen
) -> int:
    """Make pictures larger by lookup tables: no network, no GPU.

    Args:
        inputs: Files, folders (with -r), quoted patterns such as 'shots/*.png', or - for stdin.
        scale: 2, 3 or 4: how many times wider and higher; by default what the tables are for, else 4.
        model: The tables' name, such as hklut-s or hklut-l-x4; `morpho list` shows all. Default: hklut-s.
        tables: Tables of your own: a .safetensors file, or a folder of published .npy tables.
        options: The options of every verb that turns pictures into pictures.
    """
    if model is not None and tables is not None:
        raise InputError("--model and --tables contradict each other: give one of them")
    upscaler = Upscaler.load(Path(tables) if tables else model or DEFAULT_NAME, scale=scale)
    suffix, name = f"_x{upscaler.scale}", upscaler.card.name
    fields = {"model": name.removesuffix(f"-x{upscaler.scale}"), "scale": str(upscaler.scale)}
    plan = photos.plan(inputs, options, suffix=suffix, fields=fields)
    upscaler = replace(upscaler, threads=options.threads_for(len(plan.jobs)))
    return photos.run(plan, upscaler, options, label=name)
