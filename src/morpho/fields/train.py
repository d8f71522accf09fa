"""Fitting a field to a signal: the recipe, and the loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from morpho.artifacts import Card
from morpho.errors import InputError
from morpho.fields.field import Field
from morpho.fields.model import Model, Scone
from morpho.fields.module import FieldModule
from morpho.fields.sampling import Uniform
from morpho.fields.targets import BLOCK, Target
from morpho.machine import current_commit
from morpho.training import Processes, Rules, Run, choose_device

__all__ = ["Progress", "Recipe", "fit"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to fit.

    Attributes:
        model: the function, with its hyper-parameters.
        steps: gradient steps.
        batch: samples per step; 0 for all of them, as published for pictures.
        learning_rate: of Adam, at its highest; None for the model's own.
        final_rate: the part of it that is left at the end of the cosine.
        warmup: steps over which the rate rises, linearly.
        clip: largest norm of the gradient; 0 for any.
        average: decay per step of a running mean of the weights, which is then what is kept; 0 for none.
        seed: of the initial weights and of the draws.

    Raises:
        InputError: a value is out of range.
    """

    model: Model = field(default_factory=Scone)
    steps: int = 2000
    batch: int = 8192
    learning_rate: float | None = None
    final_rate: float = 0.01
    warmup: int = 50
    clip: float = 1.0
    average: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, 1) < 1 or min(self.batch, self.warmup, self.seed) < 0:
            raise InputError("steps must be at least 1, batch, warmup and seed not negative")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise InputError(f"the learning rate {self.learning_rate} is not a positive number")
        if not (0 <= self.final_rate <= 1 and 0 <= self.average < 1 and self.clip >= 0):
            raise InputError("final_rate must be in 0..1, average in 0..1 (1 excluded), clip not negative")

    @classmethod
    def published(cls, model: Model, *, kind: str = "image", **changes: Any) -> Self:
        """Return SCONE's own recipe: Adam along a cosine to 1e-6 in 10,000 steps, no warm-up, no clipping.

        Args:
            model: any; the recipe is that of all models in the paper's code.
            kind: of the signal: pictures are fitted as a whole at each step with a rate of 1e-4, videos by 2^18 random
                samples, signed distances by 27,000 with 5e-4.
            changes: other attributes.

        >>> Recipe.published(Scone()).batch, Recipe.published(Scone(), kind="sdf").learning_rate
        (0, 0.0005)
        """
        batch = {"image": 0, "video": 2**18}.get(kind, 27_000)
        rate = 1e-4 if kind in ("image", "video") else 5e-4
        options = {"steps": 10_000, "batch": batch, "learning_rate": rate, "final_rate": 1e-6 / rate}
        return cls(**{"model": model, "warmup": 0, "clip": 0.0, "seed": 42} | options | changes)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON has it."""
        return asdict(self) | {"model": self.model.to_json()}


@dataclass(frozen=True)
class Progress:
    """How far a fit is.

    Attributes:
        step: steps done.
        score: by estimate from the last batches; for pictures PSNR in dB.
        seconds: since the start, over all parts of a run that was resumed.
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

    The card's numbers are measured at the end, on the weights that are returned: never the best of the way.

    Args:
        target: the samples.
        recipe: how.
        folder: where ``checkpoint.pt`` and ``log.jsonl`` go; None writes nothing.
        resume: continue from the folder's checkpoint.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        report: is told the progress.
        every: steps between reports.

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


#: Seconds between checkpoints.
_PAUSE = 30.0


class _Fit:
    """One fit: the run and what belongs to it."""

    def __init__(self, target: Target, recipe: Recipe, device: torch.device, folder: Path | None, resume: bool) -> None:
        self.recipe, self.target, self.device = recipe, target.to(device), device
        signal = target.signal
        module = FieldModule.initial(recipe.model, len(signal.shape), signal.channels, seed=recipe.seed)
        self.sampler = Uniform(target.count, recipe.batch, block=BLOCK, seed=recipe.seed, device=device)
        self.spent, self.started, self.saved = 0.0, time.monotonic(), time.monotonic()
        rate = recipe.learning_rate or recipe.model.learning_rate
        recipe_json, signal_json = recipe.to_json(), asdict(signal)
        plan = _Plan(
            steps=recipe.steps, learning_rate=rate, average=recipe.average, recipe=recipe_json, signal=signal_json
        )
        averaging = "ema" if recipe.average else "last"
        rules = Rules(optimizer=_adam, averaging=averaging, clip=recipe.clip or None)
        joined = Processes(0, 1, device)
        self.run = Run(plan, module, joined, folder, rules=rules, groups=_groups(module), also=self, resume=resume)

    def go(self, report: Callable[[Progress], None] | None, every: int) -> Field:
        """Do the steps that are left, and measure."""

        def evaluate(error: float) -> str:
            progress = Progress(self.run.step, self.target.live(error), self.seconds)
            if not math.isfinite(error):
                raise InputError(f"the fit diverged at step {progress.step}: lower the learning rate")
            if report is not None:
                report(progress)
            if self.run.step == self.recipe.steps or time.monotonic() - self.saved > _PAUSE:
                self.run.keep(self.run.step, {self.target.score_name: round(progress.score, 4)})
                self.saved = time.monotonic()
            return f"fit {progress.score:.2f}"

        self.run.go("fit", self._advance, evaluate, every)
        return self._result()

    @property
    def seconds(self) -> float:
        """Since the start, over all parts of the run."""
        return self.spent + time.monotonic() - self.started

    def _advance(self) -> Tensor:
        loss = self.run.update(self._terms(), factor=_factor(self.recipe, self.run.step))
        self.run.average()
        return loss

    def _terms(self) -> Iterator[Tensor]:
        """The terms of a step's loss, which is the mean over its samples."""
        for index in self.sampler.draw(self.run.step):
            coordinates, values = self.target.at(index)
            errors = self.target.errors(self.run.model(coordinates), values)
            self.sampler.learn(index, errors.detach())
            yield errors.sum() / (self.recipe.batch or self.target.count)

    def _result(self) -> Field:
        module = self.run.best_model().eval()
        seconds = self.seconds
        with torch.inference_mode():
            numbers = self.target.score(module)
        numbers |= {"seconds": round(seconds, 2), "steps": float(self.run.step)}
        recipe = {name: value for name, value in self.recipe.to_json().items() if name != "model"}
        card = Card(
            kind="field",
            name=self.recipe.model.name,
            version="1",
            licence="unknown",
            recipe=recipe,
            seed=self.recipe.seed,
            numbers={name: round(value, 5) for name, value in numbers.items()},
            commit=current_commit(),
        )
        return Field(self.target.signal, self.recipe.model, module.to_tensors(), card)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds beside the run."""
        return {"seconds": self.seconds, "sampler": self.sampler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        self.spent = float(state["seconds"])
        self.sampler.load_state_dict(state["sampler"])


def _factor(recipe: Recipe, step: int) -> float:
    """The part of the learning rate at a step: up to 1 within the warm-up, then along a cosine."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    cosine = (1 + math.cos(math.pi * step / recipe.steps)) / 2
    return recipe.final_rate + (1 - recipe.final_rate) * cosine


def _groups(module: FieldModule) -> list[dict[str, Any]]:
    """The parameters by the factor on their learning rate."""
    rates = module.model.rates()
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name.split(".")[0], 1.0), []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _adam(groups: Iterable[Any], rate: float) -> torch.optim.Optimizer:
    """Adam in one pass over the weights."""
    return torch.optim.Adam(groups, lr=rate, fused=True)
