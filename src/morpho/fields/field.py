"""A fitted field: what it stands for, its model and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.artifacts import Card
from morpho.errors import InputError
from morpho.fields.arrays import NUMPY, torch_arrays
from morpho.fields.model import Model
from morpho.fields.signal import Signal

__all__ = ["Field"]


class Field:
    """A picture, a video or a shape as a function of coordinates: a model with its weights.

    Args:
        signal: what the field stands for.
        model: the function.
        tensors: its weights, float32, under the names of ``model.shapes``.
        card: how it came to be.

    Raises:
        InputError: a tensor is missing, is one too many, has the wrong shape, or holds something that is no number.
    """

    def __init__(self, signal: Signal, model: Model, tensors: Mapping[str, NDArray[np.float32]], card: Card) -> None:
        self.signal, self.model, self.card = signal, model, card
        self.tensors = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
        _check(model.shapes(signal.dimensions, signal.channels), self.tensors)

    def __call__(self, coordinates: Any) -> Any:
        """Return the values at coordinates ``(..., d)`` as ``(..., c)``, in the signal's own units, unclipped.

        Arrays give arrays; torch tensors give torch tensors, differentiable in the coordinates.
        """
        flat = coordinates.reshape(-1, self.signal.dimensions)
        if isinstance(coordinates, np.ndarray):
            tensors = {name: value.astype(flat.dtype, copy=False) for name, value in self.tensors.items()}
            values = self.model.apply(NUMPY, tensors, flat)
        else:
            import torch

            tensors = {name: torch.from_numpy(value).to(flat) for name, value in self.tensors.items()}
            values = self.model.apply(torch_arrays(), tensors, flat)
        return self.signal.to_units(values).reshape(*coordinates.shape[:-1], self.signal.channels)


def _check(shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, NDArray[np.float32]]) -> None:
    if tensors.keys() != shapes.keys():
        raise InputError(f"the model needs the tensors {', '.join(shapes)}, and here are {', '.join(tensors)}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise InputError(f"the tensor {name} has the shape {tensors[name].shape}: the model needs {shape}")
        if not np.isfinite(tensors[name]).all():
            raise InputError(f"the tensor {name} holds something that is no number: fit the field again")
