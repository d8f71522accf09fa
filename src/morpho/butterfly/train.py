"""Recipes: which network on which data, how its dense teacher is trained, and how a compressed one learns from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from morpho.butterfly.distil import Distillation, distil
from morpho.datasets import Dataset, Labelled, augment
from morpho.datasets import batches as draw
from morpho.errors import InputError
from morpho.nets import Airbench, build, whiten
from morpho.training import Fit, accuracy, fit
from morpho.training.fit import Augment, Batches

__all__ = ["AUGMENTS", "RECIPES", "Recipe", "built", "measured_on", "train_dense", "train_student"]


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    return augment.crop(images, 2, generator)


def _flipped_and_shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    return augment.crop(augment.flip(images, generator), 4, generator)


def _some_points(points: Tensor, generator: torch.Generator) -> Tensor:
    """An eighth of the points, drawn anew each time, stretched and shifted."""
    fewer = augment.resample(points, points.shape[1] // 8, generator)
    return augment.scale_and_shift(fewer, generator)


#: What is done to a batch before it is learned from.
AUGMENTS: dict[str, Augment | None] = {
    "none": None,
    "shift": _shifted,
    "flip-shift": _flipped_and_shifted,
    "points": _some_points,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network, its data, and two trainings.

    Attributes:
        net: a name of `morpho.nets`.
        options: of the network.
        dataset: a name of `morpho.datasets`.
        dataset_options: of its reader.
        augment: a name of `AUGMENTS`.
        teacher: how the dense network is trained.
        student: how the compressed network is trained.
        distillation: the student's loss.
        budget: parameters of the student, a part of the teacher's or a number.
        keep: layers that are not converted.
        single: whether a layer may become one dense factor, where that is the best use of the budget.

    Raises:
        InputError: the augmentation is not known.
    """

    net: str
    dataset: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    augment: str = "none"
    teacher: Fit = field(default_factory=Fit)
    student: Fit = field(default_factory=Fit)
    distillation: Distillation = field(default_factory=Distillation)
    budget: float = 0.1
    keep: tuple[str, ...] = ()
    single: bool = True

    def __post_init__(self) -> None:
        if self.augment not in AUGMENTS:
            raise InputError(f"the augmentation {self.augment!r} is not known: use one of {', '.join(AUGMENTS)}")


#: Products of factors learn at rates of Adam; plain SGD at the dense network's rate goes astray.
_STUDENT = Fit(optimizer="adamw", weight_decay=1e-4, warmup=0.05, averaging="ema", average=0.99)
#: Published: 150 epochs at a rate of 0.01, divided by ten after 50 and 100. Here the first phase has 2.5 times the rate
#: and 2/5 of the epochs, so that weight decay shrinks the weights as much; the later ones are shorter.
_PAPER = Fit(epochs=30, batch=64, learning_rate=0.025, schedule="step", milestones=(2 / 3, 5 / 6))
#: By name; lengths are for two CPU cores, not the papers' 150 to 240 epochs.
RECIPES: dict[str, Recipe] = {
    "mlp-digits": Recipe(
        net="mlp",
        options={"sizes": (64, 512, 512, 10)},
        dataset="digits",
        teacher=Fit(epochs=40, batch=64, learning_rate=0.05, average=0.99, averaging="ema"),
        student=replace(_STUDENT, epochs=40, learning_rate=3e-3, batch=64),
        budget=0.07,
    ),
    "lenet-mnist": Recipe(
        net="lenet",
        dataset="mnist",
        augment="shift",
        teacher=Fit(epochs=20, learning_rate=0.05, averaging="ema", average=0.995),
        student=replace(_STUDENT, epochs=14, learning_rate=4e-3, batch=256),
        budget=10_190,
        keep=("conv1", "classifier"),
        single=False,
    ),
    # The first paper's: plain labels, no augmentation.
    "lenet-mnist-paper": Recipe(
        net="lenet",
        dataset="mnist",
        teacher=_PAPER,
        student=_PAPER,
        distillation=Distillation(gamma=1.0, alpha=0.0),
        budget=10_190,
        keep=("conv1", "classifier"),
        single=False,
    ),
    "cnn-cifar10": Recipe(
        net="airbench",
        options={"widths": (16, 64, 64)},
        dataset="cifar10",
        augment="flip-shift",
        teacher=Fit(
            epochs=6,
            batch=256,
            learning_rate=0.4,
            schedule="linear",
            warmup=0.2,
            label_smoothing=0.1,
            averaging="ema",
        ),
        student=replace(_STUDENT, epochs=2, learning_rate=3e-3, batch=256),
        budget=0.1,
    ),
    "pointnet-modelnet10": Recipe(
        net="pointnet",
        options={"classes": 10, "dropout": 0.3},
        dataset="modelnet10",
        augment="points",
        teacher=replace(_STUDENT, epochs=14, learning_rate=1e-3, batch=32),
        student=replace(_STUDENT, epochs=6, learning_rate=2e-3, batch=32),
        budget=0.0498,
    ),
}


def train_dense(
    recipe: Recipe,
    data: Dataset,
    *,
    folder: Path | str,
    net: nn.Module | None = None,
    seed: int = 0,
    every: int = 1,
    device: str = "auto",
    resume: bool = False,
) -> nn.Module:
    """Train the recipe's dense network on the training part; its log has the accuracy on the test part.

    Nothing is selected by the test part: the mean after the last epoch is returned.

    Args:
        recipe: says how.
        data: its data.
        folder: for checkpoint and log.
        net: another network instead of the recipe's own, such as a narrower one.
        seed: of weights, order and augmentation.
        every: epochs between measurements.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: continue from the folder's checkpoint.
    """
    model = net if net is not None else built(recipe, data, seed=seed)
    batches, steps = _batches(data.train, recipe.teacher.batch)
    return fit(
        model,
        replace(recipe.teacher, seed=seed),
        batches,
        steps_per_epoch=steps,
        folder=folder,
        augment=AUGMENTS[recipe.augment],
        measure=measured_on(data.test),
        every=every,
        device=device,
        resume=resume,
        label="teacher",
    )


def train_student(
    recipe: Recipe,
    data: Dataset,
    student: nn.Module,
    teacher: nn.Module,
    *,
    folder: Path | str,
    seed: int = 0,
    every: int = 1,
    device: str = "auto",
    resume: bool = False,
) -> nn.Module:
    """Train a compressed network by distillation from its teacher; the other arguments are those of `train_dense`.

    Args:
        recipe: says how.
        data: its data.
        student: the compressed network.
        teacher: the dense one.
        folder: for checkpoint and log.
        seed: of order and augmentation.
        every: epochs between measurements.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: continue from the folder's checkpoint.
    """
    batches, steps = _batches(data.train, recipe.student.batch)
    return distil(
        student,
        teacher,
        replace(recipe.student, seed=seed),
        batches,
        steps_per_epoch=steps,
        folder=folder,
        distillation=recipe.distillation,
        augment=AUGMENTS[recipe.augment],
        measure=measured_on(data.test),
        every=every,
        device=device,
        resume=resume,
        label="student",
    )


def measured_on(data: Labelled) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures a network's accuracy on these data."""
    return lambda model: {"accuracy": round(accuracy(model, data.inputs, data.labels, batch=256), 5)}


def built(recipe: Recipe, data: Dataset, *, seed: int = 0, **options: Any) -> nn.Module:
    """Build the recipe's network, dense and untrained; options go over the recipe's own."""
    model = build(recipe.net, seed=seed, **{**recipe.options, **options})
    if isinstance(model, Airbench):
        whiten(model, data.train.inputs[:5000].float() / 255)
    return model


def _batches(data: Labelled, size: int) -> tuple[Batches, int]:
    """Full batches in a drawn order, and how many an epoch has."""
    if len(data) < size:
        raise InputError(f"{len(data)} items are less than one batch of {size}: use a smaller batch")

    def batches(generator: torch.Generator) -> Iterable[tuple[Tensor, Tensor]]:
        return draw(data, size, generator=generator, drop_last=True)

    return batches, len(data) // size
