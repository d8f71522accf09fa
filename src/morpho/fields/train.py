"""Fitting a field to a signal: the loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from morpho.artifacts import Card
from morpho.console import note
from morpho.errors import InputError
from morpho.fields.coarse import is_faster
from morpho.fields.field import Field
from morpho.fields.files import overhead
from morpho.fields.fused import TrainingArrays
from morpho.fields.model import Shapes
from morpho.fields.module import FieldModule
from morpho.fields.pace import Pace
from morpho.fields.recipe import Recipe as Recipe
from morpho.fields.rounding import Rounding, error_costs, least_size
from morpho.fields.sampling import Sampler, generator
from morpho.fields.signal import Signal
from morpho.fields.targets import BLOCK, Function, Target
from morpho.machine import current_commit
from morpho.training import Processes, Rules, Run, choose_device
from morpho.training.run import ENDLESS

__all__ = ["Progress", "Recipe", "fit"]


@dataclass(frozen=True)
class Progress:
    """How far a fit is.

    Attributes:
        step: steps done.
        score: from the last batches: of pictures and videos PSNR in dB, of shapes the loss.
        seconds: of training, over all parts of a run that was resumed.
    """

    step: int
    score: float
    seconds: float


def fit(
    target: Target,
    recipe: Recipe,
    *,
    folder: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    report: Callable[[Progress], None] | None = None,
    every: int = 20,
) -> Field:
    """Fit a field to a target.

    The card's numbers are measured at the end, on the weights that are returned: never the best of the way. Among
    them are ``seconds`` of training and ``measuring_seconds`` beside it.

    Args:
        target: the samples.
        recipe: how.
        folder: where ``checkpoint.pt`` and ``log.jsonl`` go; None writes nothing.
        resume: continue from the folder's checkpoint, as if there had been no stop.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        report: is told the progress.
        every: steps between reports, and between looks at the goal.

    Raises:
        InputError: recipe and target do not go together, or the fit diverged.
        ArtifactError: a checkpoint is missing, damaged or another run's.
    """
    fitting = _Fit(target, recipe, choose_device(device), None if folder is None else Path(folder), resume)
    return fitting.go(report, every)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a run must know, and what a checkpoint must agree with."""

    steps: int
    learning_rate: float
    average: float
    recipe: dict[str, Any]
    signal: dict[str, Any]
    samples: int


#: Seconds between checkpoints.
_PAUSE = 30.0
#: Purposes of random draws, beside those of the sampler.
_PLACES, _SIGNS = 3, 5
#: The decay per step of the running mean, where a goal ends the fit.
_AVERAGE = 0.95
#: The mean is looked at when the batches are within so many decibels of the goal, first on at most so many samples.
_NEAR, _LOOKED_AT = 4.0, 32768
#: A fit that fell back by so many decibels, after a step that was too long, seldom makes up for it.
_COLLAPSE = 1.5
#: Weights settle in so many stages; where a PSNR ends the fit, their step sizes are chosen anew after so many steps.
_STAGES, _FOLLOW = 40, 50
#: What errors cost is found on so many samples.
_ASKED = 4096


class _Fit:
    """One fit: the run and what belongs to it."""

    def __init__(self, target: Target, recipe: Recipe, device: torch.device, folder: Path | None, resume: bool) -> None:
        if recipe.psnr and target.live_name != "psnr":
            raise InputError(f"a fit to a signal of kind {target.signal.kind} has no PSNR: leave the goal away")
        self.recipe, self.target, self.device = recipe, target.to(device), device
        signal, model = target.signal, recipe.model
        module = FieldModule.initial(model, signal.dimensions, signal.channels, seed=recipe.seed)
        module.arrays = _arrays(recipe, device)
        samples = max(1, round(recipe.batch * (1 - recipe.between))) if recipe.batch else 0
        self.sampler = Sampler(recipe.sampler, target.count, samples, seed=recipe.seed, device=device)
        self.pace = _pace(recipe)
        shapes = model.shapes(signal.dimensions, signal.channels)
        self.rounding = _rounding(signal, shapes, recipe)
        self.errors: list[Tensor] = []
        self.ended, self.margin = False, 0.0
        self.highest, self.fall = -math.inf, 0.0
        self.spent, self.measuring, self.started = 0.0, 0.0, time.monotonic()
        plan = _plan(target, recipe)
        rules = Rules(
            optimizer=partial(_adam, recipe.beta2),
            averaging="ema" if plan.average else "last",
            clip=recipe.clip or None,
        )
        joined = Processes(0, 1, device)
        self.run = Run(plan, module, joined, folder, rules=rules, groups=_groups(module), also=self, resume=resume)

    def go(self, report: Callable[[Progress], None] | None, every: int) -> Field:
        """Do the steps that are left, and measure."""
        self.started = self.saved = time.monotonic()

        def evaluate(_: float) -> str:
            progress = self._progress()
            if report is not None:
                report(progress)
            goal = self.recipe.psnr
            if goal and progress.score > goal - _NEAR and self._reaches(goal):
                self._end()
            if self.ended or self.run.step == self.recipe.steps or time.monotonic() - self.saved > _PAUSE:
                self.run.keep(self.run.step, {self.target.live_name: round(progress.score, 6)})
                self.saved = time.monotonic()
            return _label(progress, self.recipe, self.target)

        if not self.ended and self._part < 1:
            self.run.go("fit", self._advance, evaluate, every)
        return self._result()

    @property
    def seconds(self) -> float:
        """Of training, over all parts of the run, measurements aside."""
        return self.spent + time.monotonic() - self.started - self.measuring

    @property
    def _part(self) -> float:
        return self.pace.part(self.run.step, self.seconds)

    def _advance(self) -> Tensor:
        part = self._part
        self._follow(part)
        loss = self.run.update(self._terms(part), factor=self.pace.factor(self.run.step, self.seconds))
        self.run.average()
        if self.recipe.seconds and self._part >= 1:
            self._end()
        return loss

    def _end(self) -> None:
        self.ended = True
        self.run.end()

    def _progress(self) -> Progress:
        error = float(torch.stack(self.errors).mean())
        self.errors = []
        if not math.isfinite(error):
            raise InputError(f"the fit diverged within {self.run.step} steps: give a lower learning rate")
        score = self.target.live(error)
        if self.target.live_name == "psnr" and not (self.rounding and self._rounds(self._part)):
            self.highest = max(self.highest, score)
            self.fall = max(self.fall, self.highest - score)
        return Progress(self.run.step, score, self.seconds)

    def _terms(self, part: float) -> Iterator[Tensor]:
        """The terms of a step's loss, whose sum is the mean over its points."""
        index, plain = self.sampler.draw(self.run.step, part)
        ratio = self.recipe.between / (1 - self.recipe.between)
        size = max(1, round(BLOCK * (1 - self.recipe.between)))  # with the points between them a block
        chunks = [(chunk, round(ratio * len(chunk))) for chunk in index.split(size)]
        points = len(index) + sum(count for _, count in chunks)
        source = generator(self.recipe.seed, _PLACES, self.run.step, self.device)
        function, seen = self._function(self.run.model, part), torch.zeros((), device=self.device)
        for start, (chunk, count) in zip(range(0, len(index), size), chunks, strict=True):
            coordinates, values = self.target.at(chunk)
            if count:
                extra = self._between(count, source)
                coordinates, values = torch.cat([coordinates, extra[0]]), torch.cat([values, extra[1]])
            errors = self.target.errors(function(coordinates), values)
            own = errors.detach()[: len(chunk)]
            self.sampler.learn(chunk, own)
            seen += own[: max(0, plain - start)].sum()
            yield errors.sum() / points
        self.errors.append(seen / plain)

    def _between(self, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
        places = torch.rand(count, self.target.signal.dimensions, generator=source, device=self.device)
        return self.target.between(places, self.recipe.interpolation)

    def _rounds(self, part: float) -> bool:
        """Whether weights are being rounded by now: in the last part, and with a goal from the start."""
        return part >= 1 - self.recipe.settling or (bool(self.recipe.psnr) and self.run.step >= self.recipe.warmup)

    def _follow(self, part: float) -> None:
        if self.rounding is None or not self._rounds(part):
            return
        weights = dict(self.run.model.named_parameters())
        if not self.recipe.psnr:
            share = math.floor(_STAGES * (1 - (1 - part) / self.recipe.settling)) / _STAGES
            if share > self.rounding.share:
                self.rounding.settle(weights, share, self._costs(weights))
        elif not self.rounding.scales or self.run.step % _FOLLOW == 0:
            self.rounding.follow(weights, self._costs(weights))

    def _costs(self, weights: Mapping[str, Tensor]) -> dict[str, float] | None:
        """What errors of the weights cost, where step sizes are to be chosen by it."""
        if not self.recipe.size or self.rounding is None or self.rounding.settled:
            return None
        step, device = self.run.step, self.device
        some = Sampler("even", self.target.count, _ASKED, seed=self.recipe.seed, device=device)
        coordinates, _ = self.target.at(some.draw(step, 0.0)[0])
        return error_costs(self.recipe.model, weights, coordinates, generator(self.recipe.seed, _SIGNS, step, device))

    def _function(self, module: FieldModule, part: float) -> Function:
        """The model with the weights that count: rounded, where they are by now."""
        rounding = self.rounding
        if rounding is None or not self._rounds(part):
            return module
        weights = dict(module.named_parameters())
        if not self.recipe.psnr:
            return lambda coordinates: module.model.apply(module.arrays, rounding.partly(weights), coordinates)
        tensors = rounding(weights)  # once a step, however many blocks it has
        return lambda coordinates: module.model.apply(module.arrays, tensors, coordinates)

    @torch.no_grad()
    def _reaches(self, goal: float) -> bool:
        """Whether the running mean is at the goal, by all samples; they are looked at only if some say so."""
        if self.rounding is not None and self.rounding.widths and not self.rounding.scales:
            return False  # nobody knows yet what rounding will cost
        start = time.monotonic()
        function = self._function(self.run.mean, self._part)
        some = Sampler("even", self.target.count, _LOOKED_AT, seed=self.recipe.seed, device=self.device)
        coordinates, values = self.target.at(some.draw(self.run.step, 0.0)[0])
        estimate = self.target.live(float(self.target.errors(function(coordinates), values).mean()))
        reached = estimate >= goal + self.margin
        if reached:
            score = self.target.score(function)["psnr"]
            reached = score >= goal
            self.margin = max(self.margin, estimate - score)
        self.measuring += time.monotonic() - start
        return reached

    def _result(self) -> Field:
        if self.fall > _COLLAPSE:
            rate = self.recipe.rate(self.target.signal)
            note(f"the fit lost {self.fall:.1f} dB on the way: give a lower learning rate than {rate:.2g}")
        module, recipe, seconds = self.run.best_model(), self.recipe, self.seconds
        tensors, scales = module.to_tensors(), None
        weights = dict(module.named_parameters())
        if self.rounding is not None:
            if not self.recipe.psnr:
                self.rounding.settle(weights, 1.0, self._costs(weights))
            elif not self.rounding.scales:
                self.rounding.follow(weights, self._costs(weights))
            tensors, scales = self.rounding.exact(tensors), self.rounding.scales or None
            module = FieldModule(recipe.model, tensors, module.dimensions, module.channels).to(self.device)
        start = time.monotonic()
        with torch.no_grad():
            numbers = self.target.score(module)
        measuring = self.measuring + time.monotonic() - start
        numbers |= {"steps": self.run.step, "seconds": seconds, "measuring_seconds": measuring}
        return Field(self.target.signal, recipe.model, tensors, _card(recipe, numbers), scales=scales)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds beside the run."""
        rounding = {} if self.rounding is None else self.rounding.state_dict()
        own = {"seconds": self.seconds, "measuring": self.measuring, "margin": self.margin, "ended": self.ended}
        own |= {"highest": self.highest, "fall": self.fall}
        return own | {"sampler": self.sampler.state_dict(), "rounding": rounding}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        self.measuring, self.margin, self.ended = state.get("measuring", 0.0), state["margin"], state["ended"]
        self.spent = state["seconds"] + self.measuring  # `seconds` takes the measuring away again
        self.highest, self.fall = state["highest"], state["fall"]
        self.sampler.load_state_dict(state["sampler"])
        if self.rounding is not None:
            self.rounding.load_state_dict(state["rounding"])


def _label(progress: Progress, recipe: Recipe, target: Target) -> str:
    """What the progress bar says."""
    score = f"{progress.score:.2f} dB" if target.live_name == "psnr" else f"loss {progress.score:.2g}"
    return f"fit {score}" + (f" {progress.seconds:.0f} of {recipe.seconds:g} s" if recipe.seconds else "")


def _plan(target: Target, recipe: Recipe) -> _Plan:
    return _Plan(
        steps=ENDLESS if recipe.seconds else recipe.steps,
        learning_rate=recipe.rate(target.signal),
        average=recipe.average or (_AVERAGE if recipe.psnr else 0.0),
        recipe=recipe.to_json(),
        signal=target.signal.to_json(),
        samples=target.fingerprint(),
    )


def _arrays(recipe: Recipe, device: torch.device) -> TrainingArrays:
    coarse = is_faster(device) if recipe.precision == "auto" else recipe.precision == "bfloat16"
    return TrainingArrays(coarse=coarse)


def _pace(recipe: Recipe) -> Pace:
    return Pace(
        steps=recipe.steps,
        seconds=recipe.seconds,
        goal=bool(recipe.psnr),
        warmup=recipe.warmup,
        final_rate=recipe.final_rate,
    )


def _rounding(signal: Signal, shapes: Shapes, recipe: Recipe) -> Rounding | None:
    """The rounding of the weights, where there is any.

    Raises:
        InputError: the size that is asked for leaves less than a bit for each weight.
    """
    if recipe.bits == 32:
        return None
    if not recipe.size:
        return Rounding(shapes, recipe.bits, recipe.seed)
    count, beside = sum(math.prod(shape) for shape in shapes.values()), overhead(signal, recipe.model)
    least = beside + least_size(shapes)
    if recipe.size < least:
        raise InputError(f"{count} weights do not go into {recipe.size} bytes: allow {least + count // 2}")
    return Rounding(shapes, recipe.bits, recipe.seed, recipe.size - beside)


def _card(recipe: Recipe, numbers: dict[str, float]) -> Card:
    return Card(
        kind="field",
        name=recipe.model.name,
        version="1",
        licence="unknown",
        recipe={name: value for name, value in recipe.to_json().items() if name != "model"},
        seed=recipe.seed,
        numbers={name: round(value, 5) for name, value in numbers.items()},
        commit=current_commit(),
    )


def _groups(module: FieldModule) -> list[dict[str, Any]]:
    """The parameters by the factor on their learning rate."""
    rates = module.model.rates()
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name.split(".")[0], 1.0), []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _adam(beta2: float, groups: Iterable[Any], rate: float) -> torch.optim.Optimizer:
    """Adam in one pass over the weights."""
    return torch.optim.Adam(groups, lr=rate, betas=(0.9, beta2), fused=True)
