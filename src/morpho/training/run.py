"""One training run: its steps, the running mean that is kept, its log, and a checkpoint to go on from."""

from __future__ import annotations

import errno
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from morpho.atomic import replacing
from morpho.console import progress
from morpho.errors import ArtifactError
from morpho.training.distributed import Processes
from morpho.training.rules import Rules, parameter_groups

__all__ = ["ENDLESS", "Plan", "Run", "last_numbers", "load_weights"]

Model = TypeVar("Model", bound=nn.Module)


#: The steps of a plan of which nobody knows how many there will be.
ENDLESS = 2**31

#: What a checkpoint holds.
_STATE = {"recipe", "model", "mean", "optimizer", "step", "best", "best_state"}


class Plan(Protocol):
    """What a run must know of a recipe, which is a frozen dataclass."""

    @property
    def steps(self) -> int:
        """Gradient steps in all."""

    @property
    def learning_rate(self) -> float:
        """Of the optimiser; the rules' schedule is a factor on it."""

    @property
    def average(self) -> float:
        """Decay per step of the running mean of the parameters, where there is one."""


class Stateful(Protocol):
    """What a checkpoint can hold beside the run's own state, in torch's own terms."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""


class Run(Generic[Model]):
    """The state of a training run: steps, optimiser, schedule, a mean of the parameters, log and checkpoint.

    Attributes:
        step: how many steps are done.
        best: the best value that `keep` was given.
        joined: the processes of the run.

    Args:
        plan: the recipe.
        model: what is trained.
        joined: the processes of the run; only the first one writes.
        folder: where ``checkpoint.pt`` and ``log.jsonl`` go, made if missing; None writes neither.
        rules: the optimiser, its schedule and the mean; Adam, a cosine and a running mean by default.
        groups: of parameters; a group's ``factor`` is on its learning rate. By the rules' weight decay by default.
        also: what else belongs to the state of the run.
        resume: continue from the folder's checkpoint.

    Raises:
        ArtifactError: there is no checkpoint to resume from, it is damaged, or it is another run's.
    """

    def __init__(
        self,
        plan: Plan,
        model: Model,
        joined: Processes,
        folder: Path | None,
        *,
        rules: Rules | None = None,
        groups: list[dict[str, Any]] | None = None,
        also: Stateful | None = None,
        resume: bool = False,
    ) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._plan, self._folder, self._also, self.joined = plan, folder, also, joined
        self._rules = rules = rules or Rules()
        self.model = model.to(joined.device)
        self.wrapped = joined.wrap(self.model)
        self._mean = rules.mean_of(self.model, plan.average)
        groups = parameter_groups(self.model, rules.weight_decay) if groups is None else groups
        self._optimizer = rules.optimizer(groups, plan.learning_rate)
        self.step, self.best, self._started, self._ended = 0, -math.inf, time.monotonic(), False
        self._best_state = self._mean_state()
        if resume:
            self._restore()
        elif joined.first and folder is not None:
            (folder / "log.jsonl").unlink(missing_ok=True)

    @property
    def mean(self) -> Model:
        """The model with the running mean of the parameters."""
        return cast(Model, self._mean.module)

    def go(
        self, label: str, advance: Callable[[], Tensor], evaluate: Callable[[float], str | None], every: int
    ) -> None:
        """Do the steps that are left, or fewer where `end` is called meanwhile.

        Args:
            label: of the progress bar.
            advance: does one step through `update`, and returns its loss.
            evaluate: gets the mean loss of the last steps, and calls `keep`; what it returns is the new label.
            every: steps between evaluations.
        """
        known = self.joined.first and self._plan.steps < ENDLESS
        with progress(label, total=self._plan.steps if known else None) as tick:
            tick(self.step)
            while self.step < self._plan.steps and not self._ended:
                stop = min(self.step + every, self._plan.steps)
                losses = []
                while self.step < stop and not self._ended:
                    losses.append(advance())
                    tick(1)
                tick(0, evaluate(float(torch.stack(losses).mean())))

    def end(self) -> None:
        """Make `go` return after the step, or the evaluation, that calls this."""
        self._ended = True

    def update(self, loss: Tensor | Iterable[Tensor], *, factor: float | None = None) -> Tensor:
        """Do one step against a loss; return it detached.

        Args:
            loss: the loss; or its terms, each of which is computed and differentiated before the next one.
            factor: on the learning rate; the rules' schedule by default.
        """
        if factor is None:
            factor = self._rules.schedule(self.step / self._plan.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.learning_rate * factor * group.get("factor", 1.0)
        self._optimizer.zero_grad(set_to_none=True)
        terms = []
        for term in [loss] if isinstance(loss, Tensor) else loss:
            term.backward()
            terms.append(term.detach())
        if self._rules.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._rules.clip)
        self._optimizer.step()
        return terms[0] if len(terms) == 1 else torch.stack(terms).sum()

    def average(self, *, into_mean: bool = True) -> None:
        """End a step; by default its parameters are taken into the mean."""
        if into_mean:
            self._mean.update_parameters(self.model)
        self.step += 1

    def keep(self, value: float, numbers: dict[str, float]) -> None:
        """Keep the running mean where its value is the best so far; write the log and the checkpoint.

        Args:
            value: the larger the better, measured on the mean.
            numbers: further numbers for the log.
        """
        if value > self.best:
            self.best, self._best_state = value, self._mean_state()
        if self._folder is None:
            return
        line = {"step": self.step, **numbers, "seconds": round(time.monotonic() - self._started, 1)}
        with (self._folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        state = self._state()
        with replacing(self._folder / "checkpoint.pt", overwrite=True) as file:
            try:
                torch.save(state, file)
            except RuntimeError as error:
                # Torch tells of the bytes that are missing, and hides what the disk said.
                if isinstance(error.__context__, OSError):
                    raise OSError(*error.__context__.args) from error
                if "inline_container" not in str(error):
                    raise
                raise OSError(errno.EIO, "the checkpoint could not be written in full") from error

    def best_model(self) -> Model:
        """The running mean where it was best."""
        self.mean.load_state_dict(self._best_state)
        return self.mean

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": _plain(self._plan),
            "model": self.model.state_dict(),
            "mean": self._mean.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "best": self.best,
            "best_state": self._best_state,
            "also": {} if self._also is None else self._also.state_dict(),
        }

    def _restore(self) -> None:
        if self._folder is None:
            raise ArtifactError("a run without a folder has no checkpoint to resume from: give its folder")
        path = self._folder / "checkpoint.pt"
        state = _read(path, "start without --resume")
        if state["recipe"] != _plain(self._plan):
            raise ArtifactError(f"{path} is of a run with another recipe: repeat its options, or start anew")
        try:
            self.model.load_state_dict(state["model"])
            self._mean.load_state_dict(state["mean"])
            self._optimizer.load_state_dict(state["optimizer"])
            if self._also is not None:
                self._also.load_state_dict(state.get("also", {}))
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(f"{path} is of a model of another shape: repeat its options, or start anew") from error
        self.step, self.best, self._best_state = state["step"], state["best"], state["best_state"]

    def _mean_state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.mean.state_dict().items()}


def last_numbers(folder: Path | str) -> dict[str, float]:
    """What a run measured last, by its log: numbers without step and seconds; empty where it measured nothing."""
    log = Path(folder, "log.jsonl")
    lines = log.read_text().splitlines() if log.exists() else []
    last: dict[str, float] = json.loads(lines[-1]) if lines else {}
    return {name: value for name, value in last.items() if name not in ("step", "seconds")}


def load_weights(checkpoint: Path | str, model: nn.Module) -> None:
    """Give a model the weights that a run kept.

    Args:
        checkpoint: the run's ``checkpoint.pt``.
        model: of the same shape as the run's.

    Raises:
        ArtifactError: there is no such file, it is damaged, or its model has another shape.
    """
    state = _read(Path(checkpoint), "give the checkpoint.pt of a run")
    try:
        model.load_state_dict(state["best_state"])
    except RuntimeError as error:
        raise ArtifactError(f"{checkpoint} is of a model of another shape: repeat that run's options") from error


def _read(path: Path, remedy: str) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = _STATE - set(state)
        if missing:
            raise KeyError(min(missing))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    except Exception as error:  # torch raises half a dozen types on damaged files
        raise ArtifactError(f"{path} is damaged ({type(error).__name__}): {remedy}") from error
    return state


def _plain(value: Any) -> Any:
    """A recipe as plain values, which a checkpoint may hold: tuples become lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
