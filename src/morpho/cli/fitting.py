"""What `morpho fit` does with torch: open originals, choose a model's size, fit, save, report.

This module imports torch: the verb imports it when it runs.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from morpho.atomic import check_folder
from morpho.cli.originals import Opened, open_original
from morpho.cli.plan import Job
from morpho.console import format_bytes, format_seconds, note, printable
from morpho.errors import InputError, MorphoError, OutputExistsError
from morpho.fields.defaults import (
    SIZED_BITS,
    default_model,
    default_parameters,
    default_steps,
    model_for,
    parameters_within,
)
from morpho.fields.field import Field
from morpho.fields.files import save
from morpho.fields.model import Model
from morpho.fields.recipe import Recipe
from morpho.fields.registry import build
from morpho.fields.signal import Signal
from morpho.fields.targets import Target
from morpho.fields.train import fit

if TYPE_CHECKING:
    from morpho.cli.fit import Budget, Original, Training

__all__ = ["Fitter", "Outcome", "allowed_bytes", "parameters_for"]

#: Steps that a wanted PSNR or a time may take.
_PATIENCE = 20_000
#: Bytes of the name in a field's card, for which `morpho.fields.files.overhead` leaves room.
_LONGEST_NAME = 60
#: No file is allowed more, as with --size: the product of --bpp and pixels may be infinite.
_MOST_BYTES = 2**40


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one original: sizes in bytes, times in seconds."""

    input: str
    output: str
    status: str = "done"
    kind: str | None = None
    shape: tuple[int, ...] | None = None
    triangles: int | None = None
    model: str | None = None
    parameters: int | None = None
    bytes: int | None = None
    bits_per_sample: float | None = None
    numbers: dict[str, float] | None = None
    seconds: float = 0.0
    error: str | None = None

    def line(self) -> str:
        """One line for a person."""
        text = f"{printable(self.input)} -> {printable(self.output)}"
        if self.numbers is None or self.bytes is None:
            return f"{text}  {self.status}"
        rate = "" if self.bits_per_sample is None else f"  {self.bits_per_sample:.3g} bits/{_sample(self.kind)}"
        return (
            f"{text}  {self._size()}  {_scores(self.numbers)}  {self.model}: "
            f"{self.parameters:,} parameters, {format_bytes(self.bytes)}{rate}  {format_seconds(self.seconds)}"
        )

    def _size(self) -> str:
        """The original's size in the order that people use: width first, frames last."""
        if self.shape is None:
            return f"{self.triangles:,} triangles"
        if self.kind == "video":
            return f"{self.shape[2]} x {self.shape[1]} x {self.shape[0]} frames"
        return " x ".join(str(side) for side in (reversed(self.shape) if self.kind == "image" else self.shape))


class Fitter:
    """Fits one original after the other with the same options.

    Args:
        model: the model's name; None for the default one.
        budget: how large a field may become.
        training: how it is fitted.
        original: what is taken of an original.
        resume: continue from checkpoints, where there are any.
        overwrite: replace existing fields.
    """

    def __init__(
        self,
        model: str | None,
        budget: Budget,
        training: Training,
        original: Original,
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self._model = build(model or default_model())
        self._budget, self._training, self._original = budget, training, original
        self._resume, self._overwrite = resume, overwrite

    def run(self, jobs: Sequence[Job], *, json: bool, quiet: bool) -> int:
        """Fit all; one that fails is reported, and the rest go on. Returns the exit status."""
        failures = 0
        for job in jobs:
            outcome = self._one(job, quiet=quiet)
            failures += outcome.status == "failed"
            if outcome.error is not None:
                note(outcome.error)
            if json:
                print(jsonlib.dumps(vars(outcome), ensure_ascii=False), flush=True)
            elif outcome.error is None and not quiet:
                print(outcome.line(), flush=True)
        if failures and len(jobs) > 1:
            note(f"{failures} of {len(jobs)} fits failed")
        return 1 if failures else 0

    def _one(self, job: Job, *, quiet: bool) -> Outcome:
        name, target = str(job.source or "-"), job.target
        assert target is not None  # fields are files
        start = perf_counter()
        try:
            _check_target(target, overwrite=self._overwrite)
            opened = open_original(job.source, self._original, seed=self._training.seed)
            if not quiet:
                for text in opened.notes:
                    note(_named(name, text))
            outcome = self._fit(opened, name, target)
        except MorphoError as error:
            return Outcome(input=name, output=str(target), status="failed", error=_named(name, str(error)))
        except OSError as error:
            text = (
                f"{name}: {target} or the run's files beside it cannot be written ({error.strerror or error}): "
                "check the disk, and that you may write there"
            )
            return Outcome(input=name, output=str(target), status="failed", error=text)
        except (MemoryError, RuntimeError) as error:
            if not _lacks_memory(error):
                raise
            text = f"{name}: the memory does not suffice: use a smaller --batch, or --scale and --frames for a video"
            return Outcome(input=name, output=str(target), status="failed", error=text)
        return Outcome(**{**vars(outcome), "seconds": round(perf_counter() - start, 3)})

    def _fit(self, opened: Opened, name: str, target: Path) -> Outcome:
        signal = opened.signal
        model = model_for(self._model, signal, parameters_for(signal, self._budget, self._training.psnr))
        count = model.parameters(signal.dimensions, signal.channels)
        recipe = self._recipe(model, signal, allowed_bytes(signal, self._budget))
        field = self._fitted(opened.target(), recipe, target)
        save(target, field, None if field.scales else recipe.bits, overwrite=self._overwrite)
        _remove_run(target)
        size = target.stat().st_size
        self._check_size(signal, target, size)
        self._check_goal(target, field)
        return Outcome(
            input=name,
            output=str(target),
            kind=signal.kind,
            shape=None if opened.shape is not None else signal.shape,
            triangles=None if opened.shape is None else len(opened.shape.faces),
            model=model.name,
            parameters=count,
            bytes=size,
            bits_per_sample=None if opened.samples is None else round(8 * size / signal.samples, 5),
            numbers=dict(field.card.numbers),
        )

    def _fitted(self, samples: Target, recipe: Recipe, target: Path) -> Field:
        """Fit within NAME.run, where a stopped fit leaves its checkpoint."""
        folder = target.with_suffix(".run")
        checkpoint = folder / "checkpoint.pt"
        resume = self._resume and checkpoint.exists()
        if self._resume and folder.exists() and not resume:
            note(f"{folder} has no checkpoint yet: {target} begins anew")
        if not resume and checkpoint.exists():
            if not self._overwrite:
                raise OutputExistsError(
                    f"{folder} holds a stopped fit: add --resume to go on with it, or --overwrite to begin anew"
                )
            checkpoint.unlink()  # else what is said of it after Ctrl-C would be of another fit
        try:
            field = fit(samples, recipe, folder=folder, resume=resume, device=self._training.device)
        except BaseException as error:
            if not checkpoint.exists():
                _remove_run(target)
                if isinstance(error, KeyboardInterrupt):
                    note("nothing is kept, since it is too early for a checkpoint: start anew")
            elif isinstance(error, KeyboardInterrupt):
                note(f"{checkpoint} is kept: the same command with --resume goes on from it")
            raise
        field.card = replace(field.card, name=_card_name(target))
        return field

    def _recipe(self, model: Model, signal: Signal, most: int | None) -> Recipe:
        asked, bits = self._training, self._budget.bits or (16 if most is None else SIZED_BITS)
        count = model.parameters(signal.dimensions, signal.channels)
        steps = asked.steps or (_PATIENCE if asked.psnr or asked.seconds else default_steps(count))
        given: dict[str, Any] = {
            "batch": asked.batch,
            "psnr": asked.psnr,
            "seconds": asked.seconds,
            "sampler": asked.sampler,
            "between": asked.between,
            "interpolation": "directed" if asked.between and signal.kind == "image" else None,
            "learning_rate": asked.rate,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        return Recipe(
            model=model, steps=steps, seed=asked.seed, bits=bits, size=0 if bits > 12 else most or 0, **chosen
        )

    def _check_size(self, signal: Signal, target: Path, size: int) -> None:
        most = allowed_bytes(signal, self._budget)
        if most is not None and size > most:
            note(f"{target} takes {size} bytes, more than the {most} that were asked for: give --parameters")

    def _check_goal(self, target: Path, field: Field) -> None:
        goal, numbers = self._training.psnr, field.card.numbers
        if goal is not None and numbers["psnr"] < goal:
            limit = "--seconds" if self._training.seconds else "--steps"
            note(
                f"{target} reaches {numbers['psnr']:.2f} dB after {numbers['steps']:.0f} steps, not {goal:g}: "
                f"give more --parameters, or more {limit}"
            )


def allowed_bytes(signal: Signal, budget: Budget) -> int | None:
    """How many bytes the file may take; None for any number."""
    return budget.size if budget.bpp is None else int(min(budget.bpp * signal.samples / 8, _MOST_BYTES))


def parameters_for(signal: Signal, budget: Budget, psnr: float | None = None) -> int:
    """Return how many weights a field gets.

    Raises:
        InputError: so few bytes hold no field.
    """
    most = allowed_bytes(signal, budget)
    if most is not None:
        return parameters_within(most, budget.bits)
    return budget.parameters or default_parameters(signal, psnr)


def _remove_run(target: Path) -> None:
    """Remove what a fit keeps while it runs, and nothing else that a person may have there."""
    folder = target.with_suffix(".run")
    for path in (folder / "checkpoint.pt", folder / "log.jsonl", *folder.glob(".checkpoint.pt.*.part")):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # there is something else in it
        folder.rmdir()


def _card_name(target: Path) -> str:
    """The file's name as its card has it: text that any reader decodes, no longer than a small file can bear."""
    return printable(target.stem).encode()[:_LONGEST_NAME].decode(errors="ignore")


def _lacks_memory(error: MemoryError | RuntimeError) -> bool:
    """Whether memory ran out; of the processor's, torch tells by a plain RuntimeError."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _check_target(target: Path, *, overwrite: bool) -> None:
    check_folder(target)
    if target.is_dir():
        raise InputError(f"{target} is a folder: name a file in it")
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists already: choose another name with -o, or add --overwrite")


def _named(name: str, text: str) -> str:
    """Say of which original a sentence is, where it does not."""
    return text if name in text else f"{name}: {text}"


def _sample(kind: str | None) -> str:
    return "pixel" if kind in ("image", "video") else "voxel"


def _scores(numbers: dict[str, float]) -> str:
    if "psnr" in numbers:
        return f"{numbers['psnr']:.2f} dB"
    return f"IoU {numbers['iou']:.4%}" if "iou" in numbers else ""
