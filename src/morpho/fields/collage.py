"""A look inside SCONE: the bases, masks and products of its stages, and what each stage is good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.arrays import NUMPY

__all__ = ["Stage", "importance", "reading", "stages", "with_mean_mask"]

Values = NDArray[np.float64]

#: How a mask follows from its angle ``omega_0 (W h + b)``.
_MASKS: dict[str, Callable[[Values], Values]] = {
    "sin2": lambda angle: np.sin(angle) ** 2,
    "sin": np.sin,
    "half": lambda angle: 0.5 + 0.5 * np.sin(angle),
    "linear": lambda angle: angle,
}


@dataclass(frozen=True)
class Stage:
    """One stage at N points: ``product = basis * mask``, each ``(N, width)``; ``omega`` is its basis' frequency."""

    omega: float
    basis: Values
    mask: Values

    @property
    def product(self) -> Values:
        """What the stage hands on."""
        return self.basis * self.mask


def stages(
    model: Any, tensors: Mapping[str, NDArray[Any]], coordinates: NDArray[Any], *, mean_mask: int | None = None
) -> list[Stage]:
    """Compute the stages of a SCONE at some points.

    Args:
        model: one with ``omegas``, ``omega0`` and ``mask``, as `morpho.fields.model.Scone` has them.
        tensors: its weights.
        coordinates: ``(N, d)``.
        mean_mask: the stage, counted from 0, whose masks are replaced by their means over the points: it multiplies
            plain waves, and places nothing any more.

    Raises:
        InputError: the model has no such stages.

    >>> from morpho.fields.model import Scone
    >>> model, points = Scone(width=4), np.zeros((7, 2))
    >>> [stage.product.shape for stage in stages(model, model.initial(2, 3, np.random.default_rng(0)), points)]
    [(7, 4), (7, 4), (7, 4), (7, 4)]
    """
    _check(model, tensors)
    points = coordinates.astype(np.float64)
    h, found = points, []
    for i, omega in enumerate(model.omegas, start=1):
        basis = np.sin(omega * _linear(tensors, f"basis.{i}", points))
        mask = _MASKS[model.mask](model.omega0 * _linear(tensors, f"mask.{i}", h))
        if mean_mask == i - 1:
            mask = np.broadcast_to(mask.mean(axis=0), mask.shape)
        found.append(Stage(omega, basis, mask))
        h = found[-1].product
    return found


def with_mean_mask(model: Any, tensors: Mapping[str, NDArray[Any]], coordinates: NDArray[Any], stage: int) -> Values:
    """Return the model's values ``(N, c)`` where the masks of one stage, counted from 0, are their means."""
    return _linear(tensors, "head", stages(model, tensors, coordinates, mean_mask=stage)[-1].product)


def reading(product: Values, values: Values) -> Values:
    """Return the best linear reading of a stage: the least-squares fit of ``values`` by its product and a constant.

    A model's head reads the last stage only; this is what a head could read at an earlier one. At the last stage it
    gives the model's own values.

    Args:
        product: ``(N, width)``.
        values: ``(N, c)``.

    >>> waves = np.sin(np.arange(12.0).reshape(6, 2))
    >>> bool(np.allclose(reading(waves, waves @ np.ones((2, 1)) + 3), waves @ np.ones((2, 1)) + 3))
    True
    """
    columns = np.concatenate([product, np.ones((len(product), 1))], axis=1)
    weights = np.linalg.lstsq(columns, values, rcond=None)[0]
    return np.asarray(columns @ weights)


def importance(found: list[Stage], tensors: Mapping[str, NDArray[Any]], stage: int) -> Values:
    """Return how much each unit of a stage moves what comes next: its spread over the points times its weights."""
    last = stage == len(found) - 1
    weight = tensors["head.weight" if last else f"mask.{stage + 2}.weight"]
    return np.asarray(found[stage].product.std(axis=0) * np.linalg.norm(weight, axis=0))


def _linear(tensors: Mapping[str, NDArray[Any]], name: str, x: Values) -> Values:
    weight, bias = (np.asarray(tensors[f"{name}.{part}"], np.float64) for part in ("weight", "bias"))
    return np.asarray(NUMPY.linear(x, weight, bias))


def _check(model: Any, tensors: Mapping[str, NDArray[Any]]) -> None:
    missing = {"omegas", "omega0", "mask"} - set(dir(model))
    if missing or "basis.1.weight" not in tensors or model.mask not in _MASKS:
        raise InputError(f"the model {model.name!r} has no collage stages to look at: take a scone")
