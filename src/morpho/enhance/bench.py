"""How fast retouching is, step by step and as a whole, in one run on the same picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from morpho import timing
from morpho.enhance.controls import autocontrast
from morpho.enhance.counting import count_colors
from morpho.enhance.enhancer import Enhancer
from morpho.enhance.predict import fuse, mean_features, weights
from morpho.images.sample import large_sample as picture
from morpho.luts import Engine
from morpho.timing import Timing, Way, threads_in_words, time_in_turn

__all__ = ["SIZES", "Timing", "cold_command", "picture", "timings"]

Photo = NDArray[np.uint8]

#: Width and height of what is timed where nothing else is asked for: a frame of 4K video, a photo of 12 megapixels.
SIZES = ((3840, 2160), (4000, 3000))


def timings(enhancer: Enhancer, image: Photo, *, threads: int, runs: int = 15, steps: bool = True) -> list[Timing]:
    """Time the steps of retouching, the whole of it, and Pillow's autocontrast.

    The predictor is the histogram of the picture's colours and what the tables make of it; how long the tables take
    does not depend on the picture's size. The look is then applied to every pixel. Every way runs once before it is
    timed, then all in turn, round by round.

    Args:
        enhancer: what retouches.
        image: ``(H, W, 3)`` uint8.
        threads: for the ways that can use them; those are timed with one thread, too.
        runs: how many are counted.
        steps: whether to time the steps, too, or only the whole.
    """
    ways = dict(_steps(enhancer, image, threads)) if steps else {}
    return time_in_turn({**ways, **dict(_whole(enhancer, image, threads))}, runs)


def cold_command(image: Photo, *, model: str = "icelut", runs: int = 5) -> dict[str, float]:
    """Time whole ``morpho enhance`` processes, as `morpho.timing.cold_command` says."""
    return timing.cold_command(image, ["enhance", "-m", model], runs=runs)


def _steps(enhancer: Enhancer, image: Photo, threads: int) -> Iterator[tuple[str, Way]]:
    tables = enhancer.tables
    msb, lsb = count_colors(image, low=tables.lsb is not None)
    look, out = enhancer.lut(image), np.empty_like(image)
    counts = sorted({threads, 1}, reverse=True)
    for count in counts:
        histogram = partial(count_colors, image, low=tables.lsb is not None, threads=count)
        yield f"histogram, {threads_in_words(count)}", (count, histogram)
    yield "tables, 1 thread", (1, lambda: fuse(tables, weights(tables, mean_features(tables, msb, lsb))))
    for count in counts:
        engine = partial(Engine(look, threads=count), image, out=out)
        yield f"look applied, {threads_in_words(count)}", (count, engine)


def _whole(enhancer: Enhancer, image: Photo, threads: int) -> Iterator[tuple[str, Way]]:
    for count in sorted({threads, 1}, reverse=True):
        whole = partial(replace(enhancer, threads=count), image)
        yield f"morpho {enhancer.card.name}, {threads_in_words(count)}", (count, whole)
    yield "Pillow autocontrast", (1, partial(autocontrast, image))
