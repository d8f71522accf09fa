"""Training an upscaler by gradients: the paper's networks, or the table entries themselves.

    network    the paper's units, trained from random weights with their tables in the loop
    finetune   the entries as parameters, from tables that `morpho.upscale.fit` or a network gave

A run selects by the PSNR of luma on photos held out of its own training photos, never by a test set. It can be stopped
and resumed at any time, and runs under ``torchrun``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from morpho.errors import InputError
from morpho.training import Run, processes
from morpho.upscale.corpus import Pair, Photo, crops, held_psnr, prepare
from morpho.upscale.linear import LinearStage
from morpho.upscale.model import Model, NetworkStage, TableStage
from morpho.upscale.tables import Tables, check_factors

__all__ = ["RECIPES", "Recipe", "train"]

Mode = Literal["network", "finetune"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        factors: the stages' factors; (2, 2) is HKLUT-S, (2, 1, 2) HKLUT-L.
        mode: ``network`` or ``finetune``.
        steps: gradient steps. The paper takes 200,000.
        batch: crops per step, over all processes. The paper takes 32.
        crop: low-resolution pixels per side of a crop. The paper takes 48.
        learning_rate: of Adam, falling to zero along a cosine. Entries, in int8 units, need about 0.4; networks 2e-3
            in a run so short. (The paper: 5e-4, divided by ten at half and three quarters of its long run.)
        slope: weight of the gradient through the nibbles; the paper has none (0). See `morpho.upscale.model`.
        variations: copies of each photo with other tones, see `morpho.upscale.corpus.vary`. The paper has none.
        average: decay per step of the running mean of the parameters, which is what is kept. Networks move faster than
            entries and need a shorter memory, 0.99. The paper keeps the last.
        held_every: one photo in so many is held out to select by. The paper selects on a test set.
        seed: of everything random.

    Raises:
        InputError: a value is out of range.
    """

    factors: tuple[int, ...] = (2, 2)
    mode: Mode = "finetune"
    steps: int = 4000
    batch: int = 16
    crop: int = 32
    learning_rate: float = 0.4
    slope: float = 1.0
    variations: int = 8
    average: float = 0.998
    held_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        check_factors(self.factors)
        if min(self.steps, self.batch, self.crop, self.held_every - 1) < 1:
            raise InputError("steps, batch and crop must be at least 1, and held_every at least 2")
        if not (self.learning_rate > 0 and 0 <= self.average < 1 and self.slope >= 0 and self.variations >= 0):
            raise InputError("learning_rate must be positive, average in 0..1, slope and variations not negative")

    @property
    def scale(self) -> int:
        """The product of the factors."""
        return math.prod(self.factors)


def _network(factors: tuple[int, ...]) -> Recipe:
    return Recipe(factors=factors, mode="network", learning_rate=2e-3, average=0.99)


def _finetune(factors: tuple[int, ...]) -> Recipe:
    return Recipe(factors=factors, mode="finetune")


#: The default recipe of each mode.
RECIPES: dict[Mode, Callable[[tuple[int, ...]], Recipe]] = {"network": _network, "finetune": _finetune}


def train(
    recipe: Recipe,
    photos: Sequence[Photo],
    *,
    start: Tables | None = None,
    folder: Path | str,
    resume: bool = False,
    device: str = "auto",
    every: int = 500,
) -> tuple[Tables, float]:
    """Train and return the best tables by held-out PSNR, and that PSNR.

    Under ``torchrun`` only the first process measures, writes and returns them; the others return what they started
    with, and minus infinity.

    Args:
        recipe: how.
        photos: ``(H, W, C)`` uint8.
        start: tables to begin with; needed for ``finetune``. They may lack stages of factor 1. Of tables
            that do not mirror with the picture, the mirrored entries are averaged.
        folder: where ``checkpoint.pt`` and ``log.jsonl`` go.
        resume: continue from the folder's checkpoint.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        every: steps between evaluations and checkpoints.

    Raises:
        InputError: ``start`` is missing or has other factors.
        ArtifactError: there is no checkpoint to resume from, or it is another run's.
    """
    pairs, held = prepare(
        photos,
        recipe.scale,
        variations=recipe.variations,
        held_every=recipe.held_every,
        seed=recipe.seed,
    )
    with processes(device) as joined:
        run = Run(recipe, _model(recipe, start), joined, Path(folder), resume=resume)
        run.go(
            recipe.mode,
            lambda: _advance(run, recipe, pairs),
            lambda loss: _evaluate(run, held, loss),
            every,
        )
        return run.best_model().tables(), run.best


#: The purpose of the random crops, see `morpho.upscale.corpus`.
_CROP = 2


def _model(recipe: Recipe, start: Tables | None) -> Model:
    if recipe.mode == "network":
        with torch.random.fork_rng(devices=[]):  # initial weights come from the recipe's seed alone
            torch.manual_seed(recipe.seed)
            return Model([NetworkStage(factor) for factor in recipe.factors], slope=recipe.slope)
    if start is None:
        raise InputError("finetune needs tables to start from: fit some first and give them with --from")
    return Model(_table_stages(recipe.factors, start), slope=recipe.slope)


def _table_stages(factors: tuple[int, ...], start: Tables) -> list[TableStage]:
    """Stages that begin with given tables; a stage of factor 1 that those lack begins by changing nothing."""
    left = list(start.stages)
    stages = []
    for factor in factors:
        if left and left[0].factor == factor:
            stages.append(TableStage(factor, LinearStage.of(factor).from_stage(left.pop(0))))
        elif factor == 1:
            stages.append(TableStage(factor))
        else:
            break
    if left or len(stages) < len(factors):
        have = tuple(stage.factor for stage in start.stages)
        raise InputError(f"the start tables have the factors {have}, which do not lead to {factors}: give others")
    return stages


def _advance(run: Run[Model], recipe: Recipe, pairs: Sequence[Pair]) -> torch.Tensor:
    """Do one step; return its loss in squared grey levels."""
    generator = np.random.default_rng([recipe.seed, _CROP, run.step])
    drawn = crops(pairs, recipe.batch, recipe.crop, generator)
    low, high = (run.joined.share(torch.from_numpy(part)) for part in drawn)
    loss = run.update(nn.functional.mse_loss(run.wrapped(low), high.float()))
    _clamp(run.model)
    run.average()
    return loss


@torch.no_grad()
def _clamp(model: Model) -> None:
    """Keep entries within int8: beyond, rounding would hide them from their gradient."""
    for stage in model.stages:
        if isinstance(stage, TableStage):
            stage.entries.clamp_(-128, 127)


def _evaluate(run: Run[Model], held: Sequence[Pair], loss: float) -> None:
    """Measure the running mean on the held-out photos; the first process keeps the best, and writes."""
    if not run.joined.first:
        return
    value = held_psnr(run.mean.tables(), held)
    numbers = {"loss": loss, "train_psnr": 10 * math.log10(255**2 / loss), "held_psnr_y": value}
    run.keep(value, {name: round(number, 4) for name, number in numbers.items()})
