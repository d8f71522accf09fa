"""What verbs that train butterflies have in common: a recipe's data, its dense teacher, its student, their cards.

This module imports torch: verbs import it when they run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from morpho import datasets, nets
from morpho.artifacts import Card
from morpho.butterfly.convert import Compressed
from morpho.butterfly.evaluate import Score, evaluate
from morpho.butterfly.train import RECIPES, Recipe, train_dense, train_student
from morpho.cli.recipes import is_first_process, new_card, plain
from morpho.datasets import Dataset
from morpho.errors import DataError, InputError
from morpho.nets.files import KIND as DENSE
from morpho.training import choose_device
from morpho.training.fit import as_float

__all__ = ["Job", "Training", "read_data", "recipe_called", "votes_of"]

#: Items that show what numbers a network meets.
_SAMPLE = 64


def recipe_called(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        InputError: there is none; the sentence names those that there are.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = get_close_matches(name, RECIPES, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(RECIPES)}"
    raise InputError(f"there is no recipe called {name!r:.60}: {remedy}")


def read_data(name: str, root: Path | None, options: Mapping[str, Any] | None = None) -> Dataset:
    """Read a data set.

    Raises:
        DataError: no folder is given, or it holds no usable files.
        InputError: there is no such data set.
    """
    try:
        return datasets.load(name, root, **(options or {}))
    except DataError as error:
        if root is None and str(error).startswith("no folder"):
            raise DataError(
                f"{name} is needed: give the folder of its files with --data, or set MORPHO_DATA"
            ) from error
        raise


def votes_of(augment: object) -> int:
    """Into how many parts a cloud is split: networks that learned from an eighth of the points see them in eight."""
    return 8 if augment == "points" else 1


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a recipe is to be carried out.

    Attributes:
        folder: for checkpoints, logs and the teacher.
        epochs: of each training; None for the recipe's.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: continue from checkpoints that are there.
    """

    folder: Path
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    resume: bool = False

    def job(self, name: str, recipe: Recipe, root: Path | None) -> Job:
        """Read the data, change the recipe."""
        choose_device(self.device)
        if self.epochs is not None:
            teacher, student = (replace(fit, epochs=self.epochs) for fit in (recipe.teacher, recipe.student))
            recipe = replace(recipe, teacher=teacher, student=student)
        data = read_data(recipe.dataset, root, recipe.dataset_options)
        return Job(
            name=name,
            recipe=recipe,
            data=data,
            folder=self.folder,
            seed=self.seed,
            device=self.device,
            resume=self.resume,
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """A recipe that is carried out.

    Attributes:
        name: the recipe's.
        recipe: with all changes.
        data: its data.
        folder: for checkpoints, logs and the teacher.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: continue from checkpoints that are there.
    """

    name: str
    recipe: Recipe
    data: Dataset
    folder: Path
    seed: int = 0
    device: str = "auto"
    resume: bool = False

    @property
    def sample(self) -> torch.Tensor:
        """Some inputs, as a network takes them."""
        return as_float(self.data.train.inputs[:_SAMPLE])

    def teacher(self) -> nn.Module:
        """The dense network: trained, or read where a run that is resumed has trained it already."""
        kept = self.folder / "teacher.safetensors"
        if self.resume and kept.exists():
            return nets.load(kept)[0]
        return self._train_dense(kept, overwrite=True)[0]

    def save_dense(self, output: Path, *, overwrite: bool) -> Score:
        """Train the dense network and write it; return what it reaches."""
        return self._train_dense(output, overwrite=overwrite)[1]

    def _train_dense(self, output: Path, *, overwrite: bool) -> tuple[nn.Module, Score]:
        model = train_dense(self.recipe, self.data, **self._how("teacher"))
        score = self.score(model)
        if is_first_process():
            nets.save(output, model, self.card(DENSE, output, score), overwrite=overwrite)
        return model, score

    def train_student(self, compressed: Compressed, teacher: nn.Module) -> Compressed:
        """Train a compressed network on its teacher's answers."""
        student = train_student(self.recipe, self.data, compressed.model, teacher, **self._how("student"))
        return replace(compressed, model=student)

    def score(self, model: nn.Module) -> Score:
        """Accuracy on the test part, which nothing was selected by."""
        return evaluate(model, self.data.test, votes=votes_of(self.recipe.augment))

    def card(self, kind: str, output: Path, score: Score) -> Card:
        """The card of a network of the recipe."""
        return new_card(kind, output, self.described(), self.data_in_words(), {"accuracy": score.accuracy})

    def described(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        return {"recipe": self.name, "seed": self.seed, **plain(self.recipe)}

    def data_in_words(self) -> list[str]:
        """What was trained on."""
        return [f"{self.recipe.dataset} ({len(self.data.train)} items)"]

    def _how(self, name: str) -> dict[str, Any]:
        folder = self.folder / name
        resume = self.resume and (folder / "checkpoint.pt").exists()
        return {"folder": folder, "seed": self.seed, "device": self.device, "resume": resume}
