"""The plain training loop for classifiers: epochs over batches, with any loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import update_bn

from morpho.errors import InputError
from morpho.training.distributed import processes
from morpho.training.rules import Rules, cosine
from morpho.training.run import Run

__all__ = ["Batches", "Fit", "accuracy", "cross_entropy", "fit", "generator", "predict"]

Model = TypeVar("Model", bound=nn.Module)
#: Inputs and labels of an epoch, from a generator that belongs to the epoch.
Batches: TypeAlias = Callable[[torch.Generator], Iterable[tuple[Tensor, Tensor]]]
#: The model (wrapped, where several processes train), inputs and labels, to the loss of a batch.
Loss: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Tensor]
#: Changes the inputs of a batch on their device, with random numbers of a generator.
Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]

#: Purposes of random draws, see CONTRIBUTING.md.
_ORDER, _AUGMENT, _DROPOUT = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Hyper-parameters of the loop.

    Attributes:
        epochs: passes over the data.
        batch: items per step, over all processes together; used by the caller's batches.
        optimizer: ``sgd`` with Nesterov momentum, ``adam`` or ``adamw``.
        learning_rate: at its peak.
        momentum: of SGD.
        weight_decay: on weights of two dimensions or more.
        schedule: ``cosine``, ``linear``, ``constant`` or ``step``.
        milestones: parts of the run after which ``step`` multiplies the rate by ``gamma``.
        gamma: see ``milestones``.
        warmup: part of the run in which the rate rises from zero.
        averaging: ``last``, ``ema`` or ``swa``.
        average: decay per step of ``ema``.
        swa_start: part of the run after which ``swa`` takes the end of each epoch.
        label_smoothing: of the default loss.
        clip: largest norm of the gradient; None for any.
        precision: ``float32``, or ``bfloat16`` by autocast.
        seed: of the order of the data and of augmentation.

    Raises:
        InputError: a number is out of range or a name is not known.
    """

    epochs: int = 10
    batch: int = 128
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "linear", "constant", "step"] = "cosine"
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    warmup: float = 0.0
    averaging: Literal["last", "ema", "swa"] = "last"
    average: float = 0.99
    swa_start: float = 0.75
    label_smoothing: float = 0.0
    clip: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        choices: dict[str, Collection[str]] = {
            "optimizer": _OPTIMIZERS,
            "schedule": _SCHEDULES,
            "averaging": _AVERAGINGS,
            "precision": _PRECISIONS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"the {name} {getattr(self, name)!r} is not known: use one of {', '.join(known)}")
        for name in ("epochs", "batch", "learning_rate", "clip"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise InputError(f"the {name} {value} is out of range: give a positive number")
        for name in ("momentum", "weight_decay", "gamma", "seed"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise InputError(f"the {name} {value} is out of range: give 0 or more")
        for name in ("warmup", "swa_start", "average", "label_smoothing"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise InputError(f"the {name} {value} is out of range: give a number from 0 to below 1")

    def rate(self, part: float) -> float:
        """Factor on the learning rate when this part of the run is done.

        >>> [round(Fit(schedule="linear", warmup=0.2).rate(part), 2) for part in (0.1, 0.2, 0.6, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
        """
        if part < self.warmup:
            return part / self.warmup
        return _SCHEDULES[self.schedule](self, self._after_warmup(part))

    def _after_warmup(self, part: float) -> float:
        return (part - self.warmup) / (1 - self.warmup)

    def rules(self) -> Rules:
        """What a `Run` needs to know."""
        return Rules(
            optimizer=lambda groups, rate: _OPTIMIZERS[self.optimizer](self, groups, rate),
            schedule=self.rate,
            averaging=self.averaging,
            clip=self.clip,
            weight_decay=self.weight_decay,
        )


def cross_entropy(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """The plain loss of a classifier."""
    return functional.cross_entropy(model(inputs), labels)


def fit(
    model: Model,
    plan: Fit,
    batches: Batches,
    *,
    steps_per_epoch: int,
    folder: Path | str,
    loss: Loss | None = None,
    augment: Augment | None = None,
    measure: Callable[[Model], dict[str, float]] | None = None,
    every: int = 1,
    device: str = "auto",
    resume: bool = False,
    label: str = "train",
) -> Model:
    """Train a model and return the mean that the plan keeps, after the last epoch: nothing is selected on the way.

    The order of the data, the augmentation and the dropout of an epoch depend on the seed and the epoch's number alone,
    so a run that is resumed goes on as if it had not been stopped.

    Args:
        model: takes a batch of inputs.
        plan: the hyper-parameters.
        batches: gives the batches of an epoch.
        steps_per_epoch: how many of them are taken; an endless sampler may have more.
        folder: where ``checkpoint.pt`` and ``log.jsonl`` go.
        loss: of a batch; cross-entropy with the plan's label smoothing by default.
        augment: changes inputs on their device.
        measure: numbers for the log, on the mean, in evaluation mode.
        every: epochs between measurements and checkpoints.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: continue from the folder's checkpoint.
        label: of the progress bar.

    Raises:
        InputError: an epoch has fewer batches than promised, or a count is less than 1.
        ArtifactError: there is no checkpoint to resume from, or it is another run's.
    """
    if steps_per_epoch < 1 or every < 1:
        raise InputError(f"steps_per_epoch {steps_per_epoch} and every {every} must be at least 1")
    counted = _Counted(fit=plan, steps=plan.epochs * steps_per_epoch)
    with processes(device) as joined, _own_draws(joined.device):
        run = Run(counted, model, joined, Path(folder), rules=plan.rules(), resume=resume)
        epoch = _Epochs(run, plan, batches, steps_per_epoch, loss or _smoothed(plan), augment)

        def evaluate(mean_loss: float) -> None:
            if joined.first:
                run.mean.eval()
                numbers = {"loss": round(mean_loss, 5)} | (measure(run.mean) if measure else {})
                run.keep(run.step, numbers)  # the later the better

        run.go(label, epoch.step, evaluate, every * steps_per_epoch)
        return epoch.finish()


@torch.no_grad()
def predict(model: nn.Module, inputs: Tensor, *, batch: int = 512) -> Tensor:
    """Outputs ``(N, ...)`` in evaluation mode, batch by batch, on the CPU.

    Args:
        model: on any device.
        inputs: ``(N, ...)``; bytes are scaled from 0..255 to 0..1.
        batch: items at a time.
    """
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]  # a part may be frozen in another mode
    model.eval()
    try:
        return torch.cat([model(as_float(part.to(device))).float().cpu() for part in inputs.split(batch)])
    finally:
        for module, mode in modes:
            module.training = mode


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor, *, batch: int = 512) -> float:
    """The share of right answers, from 0 to 1."""
    return float((predict(model, inputs, batch=batch).argmax(1) == labels.cpu()).float().mean())


def as_float(inputs: Tensor) -> Tensor:
    """Bytes to 0..1; what is not bytes stays."""
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs


def generator(seed: int, *purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for a seed and a purpose.

    >>> generator(0, 1).initial_seed() == generator(0, 2).initial_seed()
    False
    """
    state = int(np.random.default_rng([seed, *purpose]).integers(2**62))
    return torch.Generator(device=device).manual_seed(state)


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """A plan as `Run` wants it: in steps."""

    fit: Fit
    steps: int

    @property
    def learning_rate(self) -> float:
        return self.fit.learning_rate

    @property
    def average(self) -> float:
        return self.fit.average


class _Epochs:
    """Draws the batches of one epoch after the other and does the steps."""

    def __init__(
        self, run: Run[Any], plan: Fit, batches: Batches, steps: int, loss: Loss, augment: Augment | None
    ) -> None:
        self.run, self.plan, self.batches, self.steps = run, plan, batches, steps
        self.loss, self.augment = loss, augment
        self._rest: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._random = torch.Generator()

    def step(self) -> Tensor:
        run, joined = self.run, self.run.joined
        if run.step % self.steps == 0:
            self._begin(run.step // self.steps)
        try:
            inputs, labels = next(self._rest)
        except StopIteration:
            raise InputError(f"an epoch has fewer batches than the {self.steps} promised: count them again") from None
        inputs, labels = as_float(joined.share(inputs)), joined.share(labels)
        if self.augment is not None:
            inputs = self.augment(inputs, self._random)
        run.wrapped.train()
        with torch.autocast(joined.device.type, torch.bfloat16, enabled=self.plan.precision == "bfloat16"):
            value = self.loss(run.wrapped, inputs, labels)
        done = run.update(value)
        run.average(into_mean=self._counts())
        return done

    def finish(self) -> Any:
        """The model that is kept; under SWA its batch statistics are measured anew."""
        mean = self.run.mean  # of the last step, which every process has; only the first one kept any
        if self.plan.averaging == "swa":
            loader = (as_float(inputs) for inputs, _ in self.batches(generator(self.plan.seed, _ORDER)))
            update_bn(loader, mean, device=self.run.joined.device)
        return mean.eval()

    def _begin(self, epoch: int) -> None:
        joined, seed = self.run.joined, self.plan.seed
        self._rest = iter(self.batches(generator(seed, _ORDER, epoch)))
        self._random = generator(seed, _AUGMENT, epoch, joined.rank, device=joined.device)
        torch.manual_seed(generator(seed, _DROPOUT, epoch, joined.rank).initial_seed())

    def _counts(self) -> bool:
        """Whether the parameters after this step go into the mean."""
        done = self.run.step + 1
        if self.plan.averaging == "ema" or done == self.plan.epochs * self.steps:
            return True
        late = done > self.plan.swa_start * self.plan.epochs * self.steps
        return done % self.steps == 0 and (late or self.plan.averaging == "last")


def _own_draws(device: torch.device) -> AbstractContextManager[None]:
    """Give back the global generators, from which dropout draws, as they were."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def _smoothed(plan: Fit) -> Loss:
    def loss(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(model(inputs), labels, label_smoothing=plan.label_smoothing)

    return loss


def _step(plan: Fit, part: float) -> float:
    # Milestones are parts of the whole run; they are moved as the part was, so that equal ones stay equal.
    return plan.gamma ** sum(part >= plan._after_warmup(milestone) for milestone in plan.milestones)


_SCHEDULES: dict[str, Callable[[Fit, float], float]] = {
    "cosine": lambda plan, part: cosine(part),
    "linear": lambda plan, part: 1 - part,
    "constant": lambda plan, part: 1.0,
    "step": _step,
}
_OPTIMIZERS: dict[str, Callable[[Fit, Iterable[Any], float], torch.optim.Optimizer]] = {
    "sgd": lambda plan, groups, rate: torch.optim.SGD(
        groups, lr=rate, momentum=plan.momentum, nesterov=plan.momentum > 0
    ),
    "adam": lambda plan, groups, rate: torch.optim.Adam(groups, lr=rate),
    "adamw": lambda plan, groups, rate: torch.optim.AdamW(groups, lr=rate),
}
_AVERAGINGS = ("last", "ema", "swa")
_PRECISIONS = ("float32", "bfloat16")
