"""How fast the upscaler is, beside what else a person would use, in one run on the same picture."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.images import sample
from morpho.upscale import reference
from morpho.upscale.tables import Tables
from morpho.upscale.upscaler import Upscaler

__all__ = ["Timing", "cold_command", "peak_memory", "picture", "timings"]

Photo = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long one way took.

    Attributes:
        method: what was timed.
        threads: how many threads it used.
        milliseconds: the median.
        fastest: the fastest run, in milliseconds.
        runs: how many were counted.
    """

    method: str
    threads: int
    milliseconds: float
    fastest: float
    runs: int


def picture(width: int = 960, height: int = 540) -> Photo:
    """Return the sample photo, mirrored and repeated to a size, with noise of two levels (seed 0).

    The noise keeps the processor from guessing which table entries come next, as in a real photograph.
    """
    photo = sample().pixels
    rows, columns = (np.pad(np.arange(256), (0, max(0, n - 256)), mode="symmetric")[:n] for n in (height, width))
    noise = np.random.default_rng(0).integers(-2, 3, (height, width, 3))
    return np.clip(photo[rows][:, columns] + noise, 0, 255).astype(np.uint8)


def timings(upscaler: Upscaler, image: Photo, *, threads: int, runs: int = 15, slow: bool = True) -> list[Timing]:
    """Time morpho, its NumPy twin, torch (where it is installed) and Pillow on one picture.

    Every way runs once before it is timed; the fast ones in turn, round by round, so that a drift of the machine's
    speed meets all alike.
    """
    fast = dict(_fast(upscaler, image, threads))
    seconds: dict[str, list[float]] = {name: [] for name in fast}
    for count in range(runs + 1):
        for name, (_, work) in fast.items():
            elapsed = _time(work)
            if count:
                seconds[name].append(elapsed)
    result = [_timing(name, fast[name][0], values) for name, values in seconds.items()]
    ways = _slow(upscaler.tables, image, threads) if slow else ()
    return result + [_timing(name, used, [_time(work) for _ in range(2)][1:]) for name, (used, work) in ways]


def cold_command(image: Photo, *, model: str = "hklut-s-x4", runs: int = 5) -> dict[str, float]:
    """Time whole ``morpho upscale`` processes on a BMP file (nothing to compress), in seconds.

    Returns:
        ``command``: the median of a process that reads, upscales and writes; ``python``: of one that only imports
        NumPy and Pillow, which no command can beat.
    """
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.bmp"), Path(folder, "out.bmp")
        Image.fromarray(image).save(source)
        run = [sys.executable, "-c", "import sys; from morpho.cli.app import main; sys.exit(main())"]
        words = ["upscale", str(source), "-o", str(target), "-m", model, "--overwrite", "--quiet"]
        command = _median_seconds([*run, *words], runs)
        python = _median_seconds([sys.executable, "-c", "import numpy, PIL.Image"], runs)
    return {"command": command, "python": python}


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


def _fast(upscaler: Upscaler, image: Photo, threads: int) -> Iterator[tuple[str, tuple[int, Callable[[], object]]]]:
    from PIL import Image

    source = Image.fromarray(image)
    size = (image.shape[1] * upscaler.scale, image.shape[0] * upscaler.scale)
    for count in sorted({threads, 1}, reverse=True):
        one = replace(upscaler, threads=count)
        yield f"morpho {upscaler.card.name}, {count} thread{'s' * (count > 1)}", (count, lambda one=one: one(image))  # type: ignore[misc]
    yield "Pillow bicubic", (1, lambda: source.resize(size, Image.Resampling.BICUBIC))
    yield "Pillow Lanczos", (1, lambda: source.resize(size, Image.Resampling.LANCZOS))


def _slow(tables: Tables, image: Photo, threads: int) -> Sequence[tuple[str, tuple[int, Callable[[], object]]]]:
    ways: list[tuple[str, tuple[int, Callable[[], object]]]] = []
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


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _timing(method: str, threads: int, seconds: Sequence[float]) -> Timing:
    return Timing(
        method=method,
        threads=threads,
        milliseconds=round(1e3 * float(np.median(seconds)), 2),
        fastest=round(1e3 * min(seconds), 2),
        runs=len(seconds),
    )


def _median_seconds(command: Sequence[str], runs: int) -> float:
    def once() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)

    once()
    return round(float(np.median([_time(once) for _ in range(runs)])), 3)
