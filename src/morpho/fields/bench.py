"""Models side by side on one picture: equal parameters, equal steps, each with its own learning rate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from morpho.fields.field import Field
from morpho.fields.model import Model
from morpho.fields.recipe import Recipe
from morpho.fields.signal import Signal
from morpho.fields.targets import GridTarget
from morpho.fields.train import fit

__all__ = ["Row", "compare"]

#: A render is timed so often, and the fastest counts.
_RENDERS = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model with one seed: PSNR in dB at the end, seconds per step and per render."""

    model: str
    parameters: int
    learning_rate: float
    seed: int
    psnr: float
    step_seconds: float
    decode_seconds: float


def compare(
    signal: Signal,
    samples: NDArray[Any],
    models: Sequence[Model],
    *,
    steps: int,
    batch: int = 8192,
    seeds: Sequence[int] = (0,),
    device: str = "auto",
) -> Iterator[Row]:
    """Fit models to a picture, one after the other, seed by seed, so that a drift of the machine meets all alike.

    Args:
        signal: what the picture is.
        samples: ``(H, W, C)``.
        models: of equal size, see `morpho.fields.defaults.model_for`.
        steps: of each.
        batch: points per step.
        seeds: of weights and draws.
        device: of the fits; renders are timed on the processor.

    Yields:
        A row as soon as it is known.
    """
    target = GridTarget(signal, samples)
    for seed in seeds:
        for model in models:
            recipe = Recipe(model=model, steps=steps, batch=batch, seed=seed)
            field = fit(target, recipe, device=device)
            yield Row(
                model=model.name,
                parameters=model.parameters(signal.dimensions, signal.channels),
                learning_rate=recipe.rate(signal),
                seed=seed,
                psnr=field.card.numbers["psnr"],
                step_seconds=field.card.numbers["seconds"] / steps,
                decode_seconds=min(_render_seconds(field) for _ in range(_RENDERS)),
            )


def _render_seconds(field: Field) -> float:
    start = time.perf_counter()
    field.render()
    return time.perf_counter() - start
