"""``morpho bench enhance``: its speed on this machine, step by step, and of lookup tables beside other engines."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.console import print_table
from morpho.enhance import bench
from morpho.enhance.enhancer import DEFAULT_NAME, Enhancer
from morpho.errors import InputError
from morpho.luts import bench as engines
from morpho.machine import cores
from morpho.timing import Timing

__all__ = ["bench_enhance"]

_Size = tuple[int, int]
_NUMBERS = ["threads", "median ms", "fastest ms", "ms/MP"]


def bench_enhance(
    *,
    model: Annotated[str | None, Parameter(name=("--model", "-m"))] = None,
    tables: Path | None = None,
    width: Annotated[int | None, Parameter(validator=Number(gte=1, lte=20000))] = None,
    height: Annotated[int | None, Parameter(validator=Number(gte=1, lte=20000))] = None,
    threads: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    runs: Annotated[int, Parameter(validator=Number(gte=1))] = 9,
    json: bool = False,
) -> None:
    """Time retouching step by step, lookup tables beside other engines, and the whole command.

    By default on a frame of 4K video (3840 x 2160) and on a photo of 12 megapixels (4000 x 3000); the engines on the
    first of them.

    Args:
        model: The tables' name; `morpho list` shows all. Default: icelut.
        tables: Tables of your own: a .safetensors file.
        width: In pixels; with --height, instead of the two pictures.
        height: In pixels.
        threads: By default one per core.
        runs: Counted runs of each way.
        json: Print one JSON object per way instead of tables.
    """
    if (width is None) != (height is None):
        raise InputError("--width and --height belong together: give both or none of them")
    if model is not None and tables is not None:
        raise InputError("--model and --tables contradict each other: give one of them")
    enhancer = Enhancer.load(tables or model or DEFAULT_NAME)
    sizes: Sequence[_Size] = bench.SIZES if width is None or height is None else [(width, height)]
    used = threads or cores()
    for size in sizes:
        timed = bench.timings(enhancer, bench.picture(*size), threads=used, runs=runs)
        _report(timed, size, f"{size[0]}x{size[1]}, RGB, 8 bit", json)
    first = bench.picture(*sizes[0])
    timed = engines.timings(first, enhancer.lut(first), threads=used, runs=runs, slow=False)
    _report(timed, sizes[0], f"lookup of {sizes[0][0]}x{sizes[0][1]}, RGB, {enhancer.tables.nodes}^3 nodes", json)
    cold = bench.cold_command(first, model=str(tables or enhancer.card.name))
    if json:
        print(jsonlib.dumps({"method": "cold command", **cold}))
        return
    print(
        f"whole cold `morpho enhance` process, BMP to BMP: {cold['command']:.2f} s "
        f"(of which Python, NumPy and Pillow: {cold['python']:.2f} s)"
    )


def _report(timed: Sequence[Timing], size: _Size, title: str, json: bool) -> None:
    megapixels = size[0] * size[1] / 1e6
    if json:
        for row in timed:
            print(jsonlib.dumps({**vars(row), "width": size[0], "height": size[1]}))
        return
    rows = [
        [
            row.method,
            row.threads,
            f"{row.milliseconds:.2f}",
            f"{row.fastest:.2f}",
            f"{row.milliseconds / megapixels:.3f}",
        ]
        for row in timed
    ]
    print_table(["method", *_NUMBERS], rows, title=title, right=_NUMBERS)
    print()
