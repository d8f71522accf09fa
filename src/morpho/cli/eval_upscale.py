"""``morpho eval upscale``: the literature's numbers on any folder of pictures."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.cli.options import Scale
from morpho.console import format_bytes, print_table
from morpho.errors import InputError
from morpho.upscale.evaluate import Quality, bicubic, evaluate
from morpho.upscale.upscaler import DEFAULT_NAME, DEFAULT_SCALE, Upscaler

__all__ = ["eval_upscale"]


def eval_upscale(
    folders: list[Path],
    /,
    *,
    scale: Annotated[Scale, Parameter(validator=Number(gte=2, lte=4))] = None,
    model: Annotated[str | None, Parameter(name=("--model", "-m"))] = None,
    tables: Path | None = None,
    json: bool = False,
) -> None:
    """Measure PSNR and SSIM on folders of high-resolution pictures, beside bicubic.

    The pictures are shrunk by MATLAB's bicubic, upscaled and compared on BT.601 luma; PSNR cuts SCALE pixels
    of border, SSIM none.

    Args:
        folders: Folders of high-resolution pictures, such as Set5.
        scale: 2, 3 or 4; by default what the tables are for, else 4.
        model: The tables' name (`morpho list` shows all), or bicubic. Default: hklut-s.
        tables: Tables of your own: a .safetensors file, or a folder of published .npy tables.
        json: Print one JSON object per folder instead of a table.
    """
    if model is not None and tables is not None:
        raise InputError("--model and --tables contradict each other: give one of them")
    if model == "bicubic":
        results = [bicubic(folder, scale or DEFAULT_SCALE) for folder in folders]
    else:
        upscaler = Upscaler.load(tables or model or DEFAULT_NAME, scale=scale)
        results = [evaluate(upscaler, folder) for folder in folders]
    if json:
        for result in results:
            print(jsonlib.dumps(result.as_dict()))
        return
    if model != "bicubic":
        controls = [bicubic(folder, results[0].scale) for folder in folders]
        results = [row for pair in zip(controls, results, strict=True) for row in pair]
    _print(results)


def _print(results: list[Quality]) -> None:
    rows = [
        [r.set, r.images, r.model, f"x{r.scale}", f"{r.psnr_y:.2f}", f"{r.ssim_y:.4f}", format_bytes(r.bytes)]
        for r in results
    ]
    numbers = ["images", "PSNR-Y / dB", "SSIM-Y", "tables"]
    print_table(["set", "images", "model", "scale", *numbers[1:]], rows, right=numbers)
