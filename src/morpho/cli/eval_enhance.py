"""``morpho eval enhance``: how near retouching comes to an expert, on any pairs."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from morpho.console import format_bytes, print_table
from morpho.enhance.controls import CONTROLS
from morpho.enhance.enhancer import DEFAULT_NAME, Enhancer
from morpho.enhance.evaluate import Quality, evaluate
from morpho.errors import InputError

__all__ = ["eval_enhance"]

Control = Literal["input", "autocontrast", "autocontrast-1", "clahe", "grey-world"]


def eval_enhance(
    inputs: Annotated[Path, Parameter(name="INPUT_DIR")],
    targets: Annotated[Path, Parameter(name="TARGET_DIR")],
    /,
    *,
    model: Annotated[str | None, Parameter(name=("--model", "-m"))] = None,
    tables: Path | None = None,
    method: Control | None = None,
    json: bool = False,
) -> None:
    """Measure PSNR, SSIM and CIEDE2000 on pairs of photographs, beside the untouched input.

    Pictures of one name, whatever their suffix, are a pair. All is measured on 8-bit RGB, per picture, then averaged.
    Never mix numbers of different renderings of a data set: those of MIT-Adobe FiveK differ by more than 1 dB.

    Args:
        inputs: The folder of photographs.
        targets: The folder of the same photographs, retouched.
        model: The tables' name; `morpho list` shows all. Default: icelut.
        tables: Tables of your own: a .safetensors file.
        method: Measure another way instead: the input itself, Pillow's autocontrast (autocontrast-1 clips 1 %),
            scikit-image's CLAHE, or a grey-world white balance.
        json: Print one JSON object instead of a table.
    """
    given = [f"--{name}" for name, value in (("model", model), ("tables", tables), ("method", method)) if value]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} contradict each other: give one of them")
    if method is not None:
        found, name, size = evaluate(CONTROLS[method], inputs, targets, name=method), str(method), 0
    else:
        enhancer = Enhancer.load(tables or model or DEFAULT_NAME)
        name, size = enhancer.card.name, enhancer.tables.nbytes
        found = evaluate(enhancer.__call__, inputs, targets, name=name)
    if json:
        print(jsonlib.dumps(found.as_dict()))
        return
    rows = [_row(name, found, size)]
    if method != "input":
        rows.insert(0, _row("input", evaluate(CONTROLS["input"], inputs, targets, name="input"), 0))
    print_table(["method", *_NUMBERS], rows, right=_NUMBERS)


_NUMBERS = ["pairs", "PSNR / dB", "SSIM", "CIEDE2000", "tables"]


def _row(name: str, found: Quality, size: int) -> list[object]:
    return [name, found.pairs, f"{found.psnr:.2f}", f"{found.ssim:.4f}", f"{found.delta_e:.2f}", format_bytes(size)]
