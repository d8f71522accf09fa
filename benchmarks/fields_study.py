"""Fits of fields with known budgets, run by run; what is done is not done again."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.places import ROOT, data_root
from morpho.console import note
from morpho.fields.field import Field
from morpho.fields.model import Model
from morpho.fields.recipe import Recipe
from morpho.fields.registry import matched
from morpho.fields.signal import Signal
from morpho.fields.targets import GridTarget, Target
from morpho.fields.train import Progress
from morpho.fields.train import fit as fit_field
from morpho.images import imresize, read
from morpho.records import Cell

__all__ = ["Outcome", "Study", "interval", "kodak", "means", "picture_target", "sized"]

#: What else is measured on a field.
Further: TypeAlias = Callable[[Field], dict[str, float]]
#: Two-sided 95 % quantiles of Student's t by degrees of freedom.
_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23, 11: 2.20}


@dataclass(frozen=True)
class Outcome:
    """What one fit came to.

    Attributes:
        numbers: the target's scores at the end.
        parameters: of the model.
        seconds: of the fit, other work on the machine included.
        curve: steps and scores estimated on the way.
        model: name and hyper-parameters.
        rate: the highest learning rate.
    """

    numbers: dict[str, float]
    parameters: int
    seconds: float
    curve: list[list[float]]
    model: dict[str, Any]
    rate: float

    @property
    def psnr(self) -> float:
        """In dB."""
        return self.numbers["psnr"]


class Study:
    """Fits under ``runs/fields/NAME``: one file per fit, which is read where it is there.

    Attributes:
        folder: of the files.
        seconds: of all its fits so far, whenever they were.

    Args:
        name: of the folder.
    """

    def __init__(self, name: str) -> None:
        self.seconds = 0.0
        self.folder = ROOT / "runs" / "fields" / name
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, target: Target, recipe: Recipe, further: Further | None = None) -> Outcome:
        """Fit, or read what an earlier run of the same name came to.

        Args:
            name: of the fit.
            target: what is fitted.
            recipe: how.
            further: measures more numbers on the field.
        """
        path = self.folder / f"{name}.json"
        if path.exists():
            known = Outcome(**json.loads(path.read_text()))
            self.seconds += known.seconds
            return known
        outcome, field = self.fit(target, recipe)
        self.seconds += outcome.seconds
        if further is not None:
            outcome.numbers.update(further(field))
        path.write_text(json.dumps(asdict(outcome)))
        note(f"{self.folder.name}/{name}: {outcome.numbers} in {outcome.seconds:.0f} s")
        return outcome

    @staticmethod
    def fit(target: Target, recipe: Recipe) -> tuple[Outcome, Field]:
        """Fit, and return the field, too."""
        curve: list[list[float]] = []

        def listen(progress: Progress) -> None:
            curve.append([progress.step, round(progress.score, 3)])

        field = fit_field(
            target, recipe, device="cpu", report=listen, every=10 if recipe.psnr else max(1, recipe.steps // 20)
        )
        signal, numbers = target.signal, dict(field.card.numbers)
        outcome = Outcome(
            numbers,
            recipe.model.parameters(signal.dimensions, signal.channels),
            numbers.pop("seconds"),
            curve,
            recipe.model.to_json(),
            recipe.rate(signal),
        )
        return outcome, field


def kodak(number: int, *, halve: bool = True) -> NDArray[np.uint8]:
    """A picture of Kodak's, by default at half its size (bicubic, antialiased)."""
    pixels = read(data_root("inr") / "inr" / "kodak" / f"kodim{number:02d}.webp").pixels
    return np.asarray(imresize(pixels, size=(pixels.shape[0] // 2, pixels.shape[1] // 2)) if halve else pixels)


def picture_target(pixels: NDArray[np.uint8]) -> GridTarget:
    """A picture as something to fit."""
    signal = Signal(kind="image", shape=pixels.shape[:2], channels=pixels.shape[2], colour="rgb")
    return GridTarget(signal, pixels)


def sized(model: Model, parameters: int, target: Target) -> Model:
    """A model with so many parameters for this target."""
    return matched(model, parameters, target.signal.dimensions, target.signal.channels)


def interval(values: Sequence[float]) -> float:
    """Half the 95 % interval of a mean, by Student's t."""
    if len(values) < 2:
        return math.nan
    return _T95.get(len(values) - 1, 1.96) * statistics.stdev(values) / math.sqrt(len(values))


def means(rows: Sequence[Sequence[Cell]], columns: Sequence[int], decimals: int = 2) -> list[Cell]:
    """The means of columns of numbers."""
    return [round(statistics.mean(float(row[i] or 0) for row in rows), decimals) for i in columns]


def astronaut() -> NDArray[np.uint8]:
    """The 256 x 256 photograph that times are measured on: scikit-image's astronaut, rows 0-255, columns 120-375."""
    from skimage import data

    picture: NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(picture[:256, 120:376])
