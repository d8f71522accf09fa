"""``morpho demo``: a real photograph, four times as large, and how long each step took."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from morpho.cli.compare import compare_sheet
from morpho.console import format_bytes, print_table
from morpho.images import Picture, sample, write
from morpho.machine import cores
from morpho.upscale import Upscaler, bench

__all__ = ["demo"]

#: Where in the sample the close-up looks (top, left, height, width): the face, the badge, the collar.
_CLOSE_UP = (20, 70, 130, 130)


def demo(*, output: Annotated[Path, Parameter(name=("--output", "-o"))] = Path("morpho-demo")) -> None:
    """Upscale a photograph four times by tables of 100 KiB; write before/after pictures, print timings.

    Args:
        output: The folder for the pictures; those of an earlier demo are replaced.
    """
    photo = sample()
    upscaler = Upscaler.load("hklut-s", scale=4)
    start = time.perf_counter()
    result = upscaler(photo)
    first = time.perf_counter() - start
    files = {
        "before.png": photo,
        "after.png": result,
        "before-after.png": compare_sheet(photo, result),
        "close-up.png": _close_up(photo, upscaler),
    }
    for name, picture in files.items():
        write(replace(picture, format="PNG"), output / name, overwrite=True)
    timed = bench.timings(upscaler, photo.pixels, threads=cores(), runs=9)
    bicubic = next(row.milliseconds for row in timed if row.method == "Pillow bicubic")
    rows = [[t.method, t.threads, f"{t.milliseconds:.2f}", f"{t.milliseconds / bicubic:.2f}"] for t in timed]
    numbers = ["threads", "median ms", "time / bicubic"]
    title = f"{photo.width}x{photo.height} to {result.width}x{result.height}, RGB"
    print_table(["method", *numbers], rows, title=title, right=numbers)
    print(f"\ntables: {upscaler.card.name}, {format_bytes(upscaler.tables.nbytes)}; the first call took {first:.2f} s")
    print(f"pictures: {', '.join(str(output / name) for name in files)}")
    print("left is bicubic, right is morpho; now try: morpho upscale YOUR_PHOTO.jpg --compare")


def _close_up(photo: Picture, upscaler: Upscaler) -> Picture:
    top, left, height, width = _CLOSE_UP
    part = photo.with_pixels(photo.pixels[top : top + height, left : left + width])
    return compare_sheet(part, upscaler(part))
