"""What a picture's field is worth beside its pixels: between them, and per byte."""

from __future__ import annotations

import io
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.fields_study import Study, kodak, means, picture_target, sized
from morpho.fields.defaults import SIZED_BITS, model_for, parameters_within
from morpho.fields.directed import doubled
from morpho.fields.evaluate import between_scores, halved
from morpho.fields.field import Field
from morpho.fields.files import load, save
from morpho.fields.model import Model, Scone
from morpho.fields.peers import Siren
from morpho.fields.plus import SconePlus
from morpho.fields.recipe import Interpolation, Recipe
from morpho.fields.registry import for_signal
from morpho.images import psnr
from morpho.records import Cell, Record, Stopwatch

__all__ = ["between", "rate"]

#: COIN's mean over all 24 pictures of Kodak's, bits per pixel and PSNR (Dupont et al., 2021), and JPEG's there.
_COIN = [(0.074, 23.20), (0.160, 24.64), (0.307, 26.41), (0.611, 28.41), (1.209, 30.64)]


def between() -> list[Record]:
    """Fit every second pixel, render all, score all: beside bilinear, bicubic and directed interpolation."""
    watch, study = Stopwatch(), Study("between")
    rows: list[list[Cell]] = []
    for number in _SHOWN:
        pixels = kodak(number)
        target = picture_target(halved(pixels))
        picture = f"kodim{number:02d}"
        for name, model, share, way in _between_models(target.signal.shape):
            recipe = Recipe(model=sized(model, 73_728, target), steps=800, between=share, interpolation=way)
            done = study.run(f"{name}-{number}", target, recipe, partial(_between_numbers, pixels))
            numbers = done.numbers
            rows.append([picture, name, done.parameters, round(numbers["seen"], 2), round(numbers["all"], 2)])
        numbers = numbers | {"directed": _directed(pixels)}
        rows += [[picture, way, None, None, round(numbers[way], 2)] for way in ("bilinear", "bicubic", "directed")]
    return [
        Record(
            name="fields-between",
            title="Between the pixels: every second pixel is fitted, all are scored; PSNR in dB",
            command="python -m benchmarks.fields between",
            protocol="Kodak at half size, of which rows and columns 0, 2, 4, ... are fitted in 800 steps by at most "
            "73,728 parameters (as many as values); the field is then asked at every pixel of the whole. Bilinear, "
            "bicubic (Keys, a = -1/2) and directed (along edges) interpolate the same pixels.",
            columns=["picture", "way", "parameters", "fitted pixels", "all pixels"],
            rows=rows,
            n=len(_SHOWN),
            seeds=[0],
            wall_seconds=watch.seconds,
            notes="'auto': frequencies from the resolution. 'between': half of the points of each step lie between the "
            "pixels and are to have interpolated values there, linear ones, or directed ones as "
            "`morpho fit --between 0.5` has them. Directed: after Zhou, Yang and Shen, 'Image zooming using "
            "directional cubic convolution interpolation' (IET Image Processing, 2012); windows, power and taps were "
            "chosen on kodim07, 09, 11 and 13, the taps with a look at kodim01, too, where milder ones than the "
            "paper's are 0.06 dB better.",
        )
    ]


_SHOWN = (1, 3, 5)


def _between_models(shape: tuple[int, ...]) -> list[tuple[str, Model, float, Interpolation]]:
    auto = for_signal(SconePlus(), shape, 3)
    return [
        ("scone", Scone(), 0.0, "linear"),
        ("scone+, auto", auto, 0.0, "linear"),
        ("scone+, auto, between, linear", auto, 0.5, "linear"),
        ("scone+, auto, between, directed", auto, 0.5, "directed"),
        ("siren, first omega 30", Siren(), 0.0, "linear"),
    ]


def _between_numbers(pixels: NDArray[np.uint8], field: Field) -> dict[str, float]:
    found = between_scores(field, pixels)
    return {"seen": found.seen, "all": found.field, "bilinear": found.linear, "bicubic": found.cubic}


def _directed(pixels: NDArray[np.uint8]) -> float:
    """PSNR of all pixels, interpolated from every second one along the edges."""
    drawn = doubled(torch.from_numpy(halved(pixels) / 127.5 - 1)).numpy().clip(-1, 1)
    return psnr((drawn + 1) / 2, pixels[: drawn.shape[0], : drawn.shape[1]] / 255, peak=1.0)


def rate() -> list[Record]:
    """Bits per pixel and PSNR of saved files, beside JPEG on the same pictures and COIN as published."""
    study = Study("rate")
    rows = [_asked(study, number, _BPP, _LONG) for number in _ALL]
    rows.append(["mean", *rows[0][1:3], *means(rows, (3,), 3), *means(rows, (4, 5, 6))])
    gain = float(rows[-1][4] or 0) - float(rows[-1][6] or 0)
    jpeg = statistics.mean(_jpeg_at(kodak(number, halve=False), _KNOWN) for number in _ALL)
    high = [_asked(study, number, _HIGH, _LONG) for number in _HIGH_FOR]
    further = [_rounded(study, number, bits) for bits in (7, 8) for number in _SHOWN]
    return [
        Record(
            name="fields-rate",
            title="Fields as files: bits per pixel and PSNR in dB",
            command="python -m benchmarks.fields rate",
            protocol=f"Kodak at full size; scone+ as `morpho fit --bpp {_BPP} --steps {_LONG}` has it, 8,192 pixels "
            "per step; all bytes of the file; PSNR of the picture that its reader renders, in whole numbers. JPEG "
            "(Pillow, 4:2:0, optimised) between its two nearest qualities. COIN: the published means over all 24 "
            "pictures of Kodak's, between its two nearest points, after 50,000 steps of all pixels.",
            columns=_COLUMNS,
            rows=rows,
            n=len(_ALL),
            seeds=[0],
            wall_seconds=round(study.seconds, 3),
            notes="These are the pictures with odd numbers but kodim07, which rates were tuned on; they are easier "
            f"than all 24: at {_KNOWN} bits per pixel JPEG has {jpeg:.2f} dB on them, and {_JPEG_24} as published on "
            f"all. So {gain - jpeg + _JPEG_24:+.2f} of the {gain:+.2f} dB beside COIN's mean are due to the fields.",
        ),
        Record(
            name="fields-rate-high",
            title="The same at a high rate",
            command="python -m benchmarks.fields rate",
            protocol=f"As above, as `morpho fit --bpp {_HIGH} --steps {_LONG}` has it: on two pictures whose JPEG "
            "has about 38 dB there.",
            columns=_COLUMNS,
            rows=high,
            n=len(_HIGH_FOR),
            seeds=[0],
            wall_seconds=round(study.seconds, 3),
        ),
        Record(
            name="fields-rate-budgets",
            title="What rounding costs",
            command="python -m benchmarks.fields rate",
            protocol=f"As above, on the first three of those pictures, with {_SHORT:,} steps, a number of weights and "
            "`--bits`. 'Float' is the same fit without rounding.",
            columns=[
                "picture",
                "bits per weight",
                "parameters",
                "steps",
                "bits per pixel",
                "field",
                "float",
                "cost of rounding",
                "JPEG",
                "COIN, mean of 24",
            ],
            rows=further,
            n=len(_SHOWN),
            seeds=[0],
            wall_seconds=round(study.seconds, 3),
        ),
    ]


_ALL = (1, 3, 5, 9, 11, 13, 15, 17, 19, 21, 23)
#: Bits per pixel that are asked for, the pictures of the second of them, and the steps of these fits.
_BPP, _HIGH, _LONG = 0.4, 1.2, 10_000
_HIGH_FOR = (3, 9)
_COLUMNS = ["picture", "parameters", "steps", "bits per pixel", "field", "JPEG", "COIN, mean of 24"]
#: A rate at which JPEG's mean PSNR over all of Kodak is published.
_KNOWN, _JPEG_24 = 0.423, 28.04
#: The weights of the fits that are also done without rounding, and their steps.
_FEW, _SHORT = 12_000, 3000


def _asked(study: Study, number: int, bpp: float, steps: int) -> list[Cell]:
    """A row: a picture in so many bytes."""
    pixels = kodak(number, halve=False)
    target, size = picture_target(pixels), int(bpp * pixels[..., 0].size / 8)
    model = model_for(SconePlus(), target.signal, parameters_within(size))
    recipe = Recipe(model=model, steps=steps, bits=SIZED_BITS, size=size)
    done = study.run(f"{bpp}-{number}", target, recipe, partial(_written, pixels))
    return [f"kodim{number:02d}", done.parameters, steps, *_compared(pixels, done.numbers)]


def _rounded(study: Study, number: int, bits: int) -> list[Cell]:
    """A row: a picture with rounding and without."""
    pixels = kodak(number, halve=False)
    target = picture_target(pixels)
    recipe = Recipe(model=model_for(SconePlus(), target.signal, _FEW), steps=_SHORT)
    name = f"{_FEW}-{number}"
    done = study.run(f"{bits}-{name}", target, replace(recipe, bits=bits), partial(_written, pixels))
    plain = study.run(f"32-{name}", target, recipe).psnr
    bpp, read, *others = _compared(pixels, done.numbers)
    cost = round(plain - done.numbers["read"], 2)
    return [f"kodim{number:02d}", bits, done.parameters, _SHORT, bpp, read, round(plain, 2), cost, *others]


def _compared(pixels: NDArray[np.uint8], numbers: dict[str, float]) -> list[Cell]:
    """Bits per pixel, the PSNR of the field, of JPEG and of COIN at the same."""
    bpp, (rates, scores) = numbers["bpp"], zip(*_COIN, strict=True)
    coin = float(np.interp(bpp, rates, scores))
    return [round(bpp, 3), *(round(value, 2) for value in (numbers["read"], _jpeg_at(pixels, bpp), coin))]


def _written(pixels: NDArray[np.uint8], field: Field) -> dict[str, float]:
    """Bits per pixel of the file, and PSNR of what its reader renders, in whole numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.field"
        save(path, field)
        size = path.stat().st_size
        drawn = load(path).render()
    return {"bpp": 8 * size / (pixels.shape[0] * pixels.shape[1]), "read": psnr(drawn, pixels)}


def _jpeg_at(pixels: NDArray[np.uint8], bpp: float) -> float:
    """JPEG's PSNR at a rate, interpolated between qualities; that of its lowest one below."""
    from PIL import Image

    points = []
    for quality in (1, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50, 60, 70, 80, 85, 90, 95):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=quality, optimize=True)
        drawn = np.asarray(Image.open(io.BytesIO(stream.getvalue())))
        points.append((8 * len(stream.getvalue()) / (pixels.shape[0] * pixels.shape[1]), psnr(drawn, pixels)))
    rates, scores = zip(*points, strict=True)
    return float(np.interp(bpp, rates, scores))
