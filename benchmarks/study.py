"""A recipe's dense network and smaller ones that learn from it, run by run; what is done is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from benchmarks.places import ROOT, data_root
from morpho.butterfly.compare import smaller
from morpho.butterfly.evaluate import evaluate
from morpho.butterfly.train import RECIPES, built, train_dense, train_student
from morpho.console import note
from morpho.datasets import load
from morpho.nets import count_parameters
from morpho.records import Stopwatch

__all__ = ["Outcome", "Study"]

#: Given the run's folder and whether to go on there, the accuracy before and the trained network.
_Work: TypeAlias = Callable[[Path, bool], tuple[float | None, nn.Module]]


@dataclass(frozen=True)
class Outcome:
    """What one run came to.

    Attributes:
        parameters: of the network; of a pruned one those that are not masked.
        before: accuracy before training; None where nothing was there before.
        after: accuracy after it.
        seconds: of training.
    """

    parameters: int
    before: float | None
    after: float
    seconds: float


class Study:
    """Runs of one recipe, in runs/butterfly/NAME.

    Args:
        name: of the recipe.
        votes: see `morpho.butterfly.evaluate`.
    """

    def __init__(self, name: str, *, votes: int = 1) -> None:
        self.recipe, self.votes = RECIPES[name], votes
        self.data = load(self.recipe.dataset, data_root("classify"), **self.recipe.dataset_options)
        self.folder = ROOT / "runs" / "butterfly" / name
        self._teacher: nn.Module | None = None

    def dense(self) -> tuple[nn.Module, Outcome]:
        """The dense network, trained or read."""

        def work(folder: Path, resume: bool) -> tuple[float | None, nn.Module]:
            return None, train_dense(self.recipe, self.data, folder=folder, every=2, resume=resume)

        model = built(self.recipe, self.data)
        outcome = self._once("dense", count_parameters(model), work)
        if self._teacher is None:
            model.load_state_dict(torch.load(self.folder / "dense" / "weights.pt", weights_only=True))
            self._teacher = model.eval()
        return self._teacher, outcome

    def smaller(self, method: str, budget: int, seed: int) -> Outcome:
        """A smaller network of one seed, trained on by distillation."""
        done = self.folder / f"{method}-{budget}-{seed}" / "outcome.json"
        if done.exists():
            return Outcome(**json.loads(done.read_text()))
        teacher, _ = self.dense()
        made = smaller(method, self.recipe, self.data, teacher, budget, seed=seed)

        def work(folder: Path, resume: bool) -> tuple[float | None, nn.Module]:
            before = None if method == "narrow" else self._accuracy(made.model)
            trained = train_student(
                self.recipe, self.data, made.model, teacher, folder=folder, seed=seed, every=2, resume=resume
            )
            return before, trained

        return self._once(f"{method}-{budget}-{seed}", made.parameters, work)

    def _once(self, name: str, parameters: int, work: _Work) -> Outcome:
        folder = self.folder / name
        done = folder / "outcome.json"
        if done.exists():
            return Outcome(**json.loads(done.read_text()))
        resume = (folder / "checkpoint.pt").exists()
        note(f"{self.folder.name}/{name}: {'going on' if resume else 'training'}")
        watch = Stopwatch()
        before, model = work(folder, resume)
        outcome = Outcome(parameters, before, self._accuracy(model), round(watch.seconds, 1))
        torch.save(model.state_dict(), folder / "weights.pt")
        done.write_text(json.dumps(asdict(outcome)))
        note(f"{self.folder.name}/{name}: {outcome}")
        return outcome

    def _accuracy(self, model: nn.Module) -> float:
        return evaluate(model, self.data.test, votes=self.votes).accuracy
