"""Fields by the clock: to a PSNR, per step, and in the decoder."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.fields_study import Study, astronaut, interval, kodak, picture_target, sized
from morpho.artifacts import Card
from morpho.fields.arrays import Arrays
from morpho.fields.differentiable import TORCH
from morpho.fields.field import Field
from morpho.fields.fused import TrainingArrays
from morpho.fields.model import Model, Scone
from morpho.fields.module import FieldModule
from morpho.fields.peers import Siren
from morpho.fields.plus import SconePlus
from morpho.fields.recipe import Recipe
from morpho.fields.registry import build, from_json
from morpho.fields.signal import Signal
from morpho.machine import cores
from morpho.records import Cell, Record, Stopwatch

__all__ = ["decode", "steps", "time_to_40"]

_GOAL = 40.0


def time_to_40(seeds: tuple[int, ...] = (0, 1, 2)) -> list[Record]:
    """Seconds of training until a 256 x 256 photo has 40 dB, on all cores."""
    torch.set_num_threads(cores())
    watch, target, rows = Stopwatch(), picture_target(astronaut()), []
    for name, model, batch in _racers():
        model = _even(sized(model, 120_000, target))
        recipe = Recipe(model=model, batch=batch, psnr=_GOAL, steps=3000)
        done = [Study.fit(target, replace(recipe, seed=seed))[0] for seed in seeds]
        took = sorted(outcome.seconds for outcome in done)
        reached = sum(outcome.psnr >= _GOAL for outcome in done)
        steps = statistics.median(outcome.numbers["steps"] for outcome in done)
        row: list[Cell] = [name, batch, done[0].parameters, f"{reached} of {len(seeds)}", int(steps)]
        rows.append([*row, *(round(value, 1) for value in (took[len(took) // 2], took[0], took[-1]))])
    return [
        Record(
            name="fields-time",
            title="Seconds to 40 dB on a 256 x 256 photo",
            command="OMP_WAIT_POLICY=passive python -m benchmarks.fields time",
            protocol="The left of scikit-image's astronaut (rows 0-255, columns 120-375), at most 120,000 "
            f"parameters, {cores()} cores whose idle threads sleep, as in `morpho fit`, nothing else there; the fit "
            "ends when the kept weights have 40 dB on all pixels; at most 3,000 steps; widths in fours, as products "
            "of others take longer. Rates and frequencies as the models have them for this size. Half of the rate was "
            "tried for all on another picture, and is faster for scone+ alone, which has it; fewer pixels per step on "
            "this one, for scone+ and the hash grid, and are faster for the hash grid alone.",
            columns=[
                "model",
                "pixels per step",
                "parameters",
                "reached",
                "steps",
                "median s",
                "fastest s",
                "slowest s",
            ],
            rows=rows,
            n=len(seeds),
            seeds=list(seeds),
            wall_seconds=watch.seconds,
        )
    ]


def _even(model: Model) -> Model:
    """The model with a width in fours, for speed."""
    options = model.to_json()
    return model if model.size != "width" else from_json(options | {"width": options["width"] // 4 * 4})


def _racers() -> list[tuple[str, Model, int]]:
    """Models with the frequencies of their best trials, and how many pixels their steps have."""
    return [
        ("scone+", SconePlus(), 8192),
        ("scone", Scone(), 8192),
        ("siren, first omega 90", Siren(first_omega=90.0), 8192),
        ("finer", build("finer"), 8192),
        ("hash-grid", build("hash-grid"), 8192),
        ("hash-grid", build("hash-grid"), 2048),
    ]


def steps(seeds: tuple[int, ...] = (0, 1)) -> list[Record]:
    """Milliseconds of a step by plain torch and as training has it, and what coarse gradients cost."""
    watch, study = Stopwatch(), Study("steps")
    gains = []
    for number in (1, 3, 5):
        target = picture_target(kodak(number))
        recipe = Recipe(model=sized(SconePlus(), 49_152, target), steps=600, learning_rate=2e-3)
        for seed in seeds:
            fine, coarse = (
                study.run(f"{precision}-{number}-{seed}", target, replace(recipe, seed=seed, precision=precision)).psnr
                for precision in ("float32", "bfloat16")
            )
            gains.append(coarse - fine)
    ways = TORCH, TrainingArrays(), TrainingArrays(coarse=True)
    torch.set_num_threads(1)
    rows: list[list[Cell]] = []
    for name, model in _timed():
        times = [round(1000 * _step(model, arrays), 1) for arrays in ways]
        rows.append([name, model.parameters(2, 3), *times, round(times[0] / times[2], 2)])
    return [
        Record(
            name="fields-steps",
            title="Gradients of 8,192 points: milliseconds on one thread",
            command="python -m benchmarks.fields steps",
            protocol="Forth and back through the model, the fastest of 20 times. 'bfloat16': the matrix products of "
            "the way back are in it, all else is in float32.",
            columns=["model", "parameters", "plain torch", "compiled loops", "and bfloat16", "torch / that"],
            rows=rows,
            n=20,
            seeds=list(seeds),
            wall_seconds=watch.seconds,
            notes=f"Fits of three Kodak pictures at half size with {len(seeds)} seeds (600 steps, 49,000 parameters) "
            f"end {statistics.mean(gains):+.2f} +- {interval(gains):.2f} dB (95 %, paired) from float32 with bfloat16.",
        )
    ]


def _timed() -> list[tuple[str, Model]]:
    return [
        ("scone+", SconePlus(width=96)),
        ("scone+", SconePlus()),
        ("scone", Scone()),
        ("siren", Siren()),
        ("siren", Siren(width=124)),
    ]


def _step(model: Model, arrays: Arrays) -> float:
    """Seconds of the values and gradients of so many points."""
    module = FieldModule.initial(model, 2, 3, seed=0)
    module.arrays = arrays
    points = torch.rand(8192, 2) * 2 - 1
    times = []
    for _ in range(20):
        watch = Stopwatch()
        module(points).square().mean().backward()
        times.append(watch.seconds)
    return min(times)


def decode() -> list[Record]:
    """Seconds to render a 768 x 512 picture from a field of the published size, and the difference to torch."""
    watch = Stopwatch()
    rows: list[list[Cell]] = []
    signal = Signal(kind="image", shape=(512, 768), channels=3, colour="rgb")
    points = torch.from_numpy(np.stack(np.meshgrid(*signal.coordinates(), indexing="ij"), -1).reshape(-1, 2)).float()
    torch.set_num_threads(cores())
    for name, model in (("scone", Scone()), ("scone+", SconePlus()), ("siren", Siren())):
        field = Field(signal, model, model.initial(2, 3, np.random.default_rng(0)), _card())
        ways = [partial(field.render, threads=threads) for threads in (1, cores())] + [
            partial(_by_torch, field, points)
        ]
        rows.append([name, model.parameters(2, 3), *(_fastest(way) for way in ways)])
    return [
        Record(
            name="fields-decode",
            title="Rendering 768 x 512 pixels: seconds",
            command="python -m benchmarks.fields decode",
            protocol="Fields of the published size, random weights; the best of three after a first run, "
            "nothing else on the machine. torch: the same model in blocks of 16,384 points on all "
            "cores.",
            columns=[
                "model",
                "parameters",
                "morpho, one thread",
                f"morpho, {cores()} threads",
                f"torch, {cores()} threads",
            ],
            rows=rows,
            n=3,
            seeds=[],
            wall_seconds=watch.seconds,
        )
    ]


def _by_torch(field: Field, points: Tensor) -> None:
    with torch.inference_mode():
        for part in torch.split(points, 16384):
            field(part)


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the best of three runs after another, which compiles on first use."""
    times = []
    for _ in range(4):
        watch = Stopwatch()
        work()
        times.append(watch.seconds)
    return round(min(times[1:]), 3)


def _card() -> Card:
    return Card(kind="field", name="drawn", version="1", licence="CC0-1.0")
