"""``morpho bench upscale``: its speed on this machine, beside what else there is."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.cli.options import Scale
from morpho.console import print_table
from morpho.machine import cores
from morpho.upscale import bench
from morpho.upscale.upscaler import DEFAULT_NAME, Upscaler

__all__ = ["bench_upscale"]


def bench_upscale(
    *,
    model: Annotated[str, Parameter(name=("--model", "-m"))] = DEFAULT_NAME,
    scale: Scale = None,
    width: Annotated[int, Parameter(validator=Number(gte=1, lte=20000))] = 960,
    height: Annotated[int, Parameter(validator=Number(gte=1, lte=20000))] = 540,
    threads: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    runs: Annotated[int, Parameter(validator=Number(gte=1))] = 15,
    json: bool = False,
) -> None:
    """Time upscaling beside Pillow, NumPy and torch (where it is installed), and the whole command.

    Args:
        model: The tables' name; `morpho list` shows all.
        scale: 2, 3 or 4; by default what the tables are for, else 4.
        width: Of the input, in pixels.
        height: Of the input, in pixels.
        threads: By default one per core.
        runs: Counted runs of each fast way.
        json: Print one JSON object per way instead of a table.
    """
    upscaler = Upscaler.load(model, scale=scale)
    image = bench.picture(width, height)
    timed = bench.timings(upscaler, image, threads=threads or cores(), runs=runs)
    cold = bench.cold_command(image, model=upscaler.card.name)
    megapixels = width * height * upscaler.scale**2 / 1e6
    if json:
        for row in timed:
            print(jsonlib.dumps({**row.__dict__, "output_megapixels": round(megapixels, 3)}))
        print(jsonlib.dumps({"method": "cold command", **cold}))
        return
    bicubic = next(row.milliseconds for row in timed if row.method == "Pillow bicubic")
    rows = [
        [
            row.method,
            row.threads,
            f"{row.milliseconds:.1f}",
            f"{row.fastest:.1f}",
            f"{megapixels / row.milliseconds * 1e3:.0f}",
            f"{row.milliseconds / bicubic:.2f}",
        ]
        for row in timed
    ]
    numbers = ["threads", "median ms", "fastest ms", "MP/s", "time / bicubic"]
    size = f"{width}x{height} to {width * upscaler.scale}x{height * upscaler.scale}, RGB"
    print_table(["method", *numbers], rows, title=size, right=numbers)
    print(
        f"\nwhole cold `morpho upscale` process, BMP to BMP: {cold['command']:.2f} s "
        f"(of which Python, NumPy and Pillow: {cold['python']:.2f} s)"
    )
