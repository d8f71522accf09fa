"""How fast the upscaler is, beside what else a person would use, in one run on the same picture."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from morpho import timing
from morpho.images.sample import large_sample as picture
from morpho.timing import Timing, Way, threads_in_words, time_in_turn, time_once
from morpho.upscale import reference
from morpho.upscale.tables import Tables
from morpho.upscale.upscaler import Upscaler

__all__ = ["Timing", "cold_command", "peak_memory", "picture", "timings"]

Photo = NDArray[np.uint8]


def timings(upscaler: Upscaler, image: Photo, *, threads: int, runs: int = 15, slow: bool = True) -> list[Timing]:
    """Time morpho, its NumPy twin, torch (where it is installed) and Pillow on one picture.

    Every way runs once before it is timed; the fast ones in turn, round by round, so that a drift of the machine's
    speed meets all alike.
    """
    fast = time_in_turn(dict(_fast(upscaler, image, threads)), runs)
    return fast + (time_once(dict(_slow(upscaler.tables, image, threads))) if slow else [])


def cold_command(image: Photo, *, model: str = "hklut-s-x4", runs: int = 5) -> dict[str, float]:
    """Time whole ``morpho upscale`` processes, as `morpho.timing.cold_command` says."""
    return timing.cold_command(image, ["upscale", "-m", model], runs=runs)


def peak_memory(upscaler_name: str = "hklut-s-x4", *, side: int = 2500) -> dict[str, float]:
    """Measure, in a process of its own, the memory beyond input and output of one large upscaling (on Linux).

    A process inherits the ``ru_maxrss`` of the one that starts it, so the peak is read from its own memory map.

    Args:
        upscaler_name: the tables.
        side: of the square RGB input; 2500 gives a result of 100 megapixels at x4.

    Returns:
        ``extra``: MB beyond the two pictures and what the process had before; ``result``: megapixels of the result.
    """
    code = (
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from morpho.upscale import Upscaler\n"
        f"upscaler = Upscaler.load({upscaler_name!r})\n"
        "upscaler(np.zeros((64, 64, 3), np.uint8))\n"
        f"image = np.random.default_rng(0).integers(0, 256, ({side}, {side}, 3), dtype=np.uint8)\n"
        "def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "before = peak()\n"
        "result = upscaler(image)\n"
        "print((peak() - before) * 1024 - result.nbytes, result.shape[0] * result.shape[1])\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    extra, pixels = map(int, printed.split())
    return {"extra": extra / 1e6, "result": pixels / 1e6}


def _fast(upscaler: Upscaler, image: Photo, threads: int) -> Iterator[tuple[str, Way]]:
    from PIL import Image

    source = Image.fromarray(image)
    size = (image.shape[1] * upscaler.scale, image.shape[0] * upscaler.scale)
    for count in sorted({threads, 1}, reverse=True):
        one = replace(upscaler, threads=count)
        yield f"morpho {upscaler.card.name}, {threads_in_words(count)}", (count, lambda one=one: one(image))  # type: ignore[misc]
    yield "Pillow bicubic", (1, lambda: source.resize(size, Image.Resampling.BICUBIC))
    yield "Pillow Lanczos", (1, lambda: source.resize(size, Image.Resampling.LANCZOS))


def _slow(tables: Tables, image: Photo, threads: int) -> Sequence[tuple[str, Way]]:
    ways: list[tuple[str, Way]] = []
    try:
        import torch
    except ImportError:
        pass
    else:
        from morpho.upscale.model import upscale_in_torch

        torch.set_num_threads(threads)
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None])
        ways.append(("torch eager, same tables", (threads, lambda: upscale_in_torch(planes, tables))))
    return [*ways, ("NumPy twin, same tables", (1, lambda: reference.upscale(image, tables)))]
