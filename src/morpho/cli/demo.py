"""``morpho demo``: a spoiled photograph, retouched and made four times as large, and how long each step took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from morpho.cli.compare import compare_sheet
from morpho.console import format_bytes, print_table
from morpho.enhance import Enhancer
from morpho.enhance import bench as enhance_bench
from morpho.images import Picture, sample, write
from morpho.machine import cores
from morpho.timing import Timing
from morpho.upscale import Upscaler
from morpho.upscale import bench as upscale_bench

__all__ = ["demo", "spoiled"]

#: Where in the sample the close-up looks (top, left, height, width): the face, the badge, the collar.
_CLOSE_UP = (20, 70, 130, 130)
#: What is left of red, green and blue light: some two stops too little, under a warm lamp.
_LIGHT = (0.34, 0.26, 0.18)
_NUMBERS = ["threads", "median ms", "ms/MP"]


def demo(*, output: Annotated[Path, Parameter(name=("--output", "-o"))] = Path("morpho-demo")) -> None:
    """Retouch a photograph that came out dark and yellow, and upscale it four times, by tables alone.

    Writes before/after pictures and prints timings.

    Args:
        output: The folder for the pictures; those of an earlier demo are replaced.
    """
    enhancer, upscaler = Enhancer.load(), Upscaler.load("hklut-s", scale=4)
    dark = spoiled(sample())
    start = time.perf_counter()
    enhanced = enhancer(dark)
    result = upscaler(enhanced)
    first = time.perf_counter() - start
    files = {
        "before.png": dark,
        "enhanced.png": enhanced,
        "after.png": result,
        "before-after.png": compare_sheet(dark, result),
        "close-up.png": compare_sheet(_close_up(dark), upscaler(_close_up(enhanced))),
    }
    for name, picture in files.items():
        write(replace(picture, format="PNG"), output / name, overwrite=True)
    used = cores()
    enhancing = enhance_bench.timings(enhancer, dark.pixels, threads=used, runs=9, steps=False)
    upscaling = upscale_bench.timings(upscaler, enhanced.pixels, threads=used, runs=9, slow=False)
    title = f"{dark.width}x{dark.height} enhanced, then upscaled to {result.width}x{result.height}, RGB"
    rows = [*_rows("enhance", enhancing, dark), *_rows("upscale", upscaling, result)]
    print_table(["step", "method", *_NUMBERS], rows, title=title, right=_NUMBERS)
    sizes = ", ".join(f"{one.card.name}, {format_bytes(one.tables.nbytes)}" for one in (enhancer, upscaler))
    print(f"\ntables: {sizes}; the first calls took {first:.2f} s")
    print(f"pictures: {', '.join(str(output / name) for name in files)}")
    print("left is the photo by bicubic, right is morpho; now try: morpho enhance YOUR_PHOTO.jpg --compare")


def spoiled(photo: Picture) -> Picture:
    """The photo as it comes out of a camera that was set to daylight, two stops too dark, under a warm lamp."""
    values = np.arange(256) / 255
    light = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)[:, None] * _LIGHT
    encoded = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    levels = np.rint(255 * encoded).astype(np.uint8)
    return photo.with_pixels(levels[photo.pixels, np.arange(3)])


def _close_up(photo: Picture) -> Picture:
    top, left, height, width = _CLOSE_UP
    return photo.with_pixels(photo.pixels[top : top + height, left : left + width])


def _rows(step: str, timed: Sequence[Timing], result: Picture) -> list[list[object]]:
    megapixels = result.width * result.height / 1e6
    return [[step, t.method, t.threads, f"{t.milliseconds:.2f}", f"{t.milliseconds / megapixels:.1f}"] for t in timed]
