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
from morpho.fields.quantise import dequantise, integers, is_scale, quantise, widths
from morpho.fields.signal import Signal

__all__ = ["Field"]


class Field:
    """A picture, a video or a shape as a function of coordinates: a model with its weights.

    Args:
        signal: what the field stands for.
        model: the function.
        tensors: its weights, float32, under the names of ``model.shapes``.
        card: how it came to be.
        scales: where the weights are integers times a step size (see `morpho.fields.quantise`), that of each tensor:
            files then hold exactly these weights.

    Raises:
        InputError: a tensor is missing, is one too many, has the wrong shape, holds something that is no number, or
            is not made of multiples of its step size.
    """

    def __init__(
        self,
        signal: Signal,
        model: Model,
        tensors: Mapping[str, NDArray[np.float32]],
        card: Card,
        *,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        self.signal, self.model, self.card = signal, model, card
        self.shapes = model.shapes(signal.dimensions, signal.channels)
        _check(self.shapes, tensors)
        self.tensors = {name: np.asarray(tensors[name], np.float32) for name in self.shapes}
        self.scales = None if scales is None else {name: _checked(name, self.tensors, scales) for name in self.shapes}

    def __call__(self, coordinates: Any) -> Any:
        """Return the values at coordinates ``(..., d)`` as ``(..., c)``, in the signal's own units, unclipped.

        Arrays give arrays; torch tensors give torch tensors, differentiable in the coordinates.
        """
        flat = coordinates.reshape(-1, self.signal.dimensions)
        if isinstance(coordinates, np.ndarray):
            arrays = {name: value.astype(flat.dtype, copy=False) for name, value in self.tensors.items()}
            values = self.model.apply(NUMPY, arrays, flat)
        else:
            import torch

            tensors = {name: torch.from_numpy(value).to(flat) for name, value in self.tensors.items()}
            values = self.model.apply(torch_arrays(), tensors, flat)
        return self.signal.to_units(values).reshape(*coordinates.shape[:-1], self.signal.channels)

    def quantised(self, bits: int) -> Field:
        """Return the field with weights of few bits; itself, if they are such already.

        Args:
            bits: 2 to 12; `morpho.fields.quantise.widths` says which tensors get more.

        Raises:
            InputError: there are no such widths.
        """
        bounds = {name: 2 ** (width - 1) - 1 for name, width in widths(self.shapes, bits).items()}
        if self.scales and all(np.abs(self.tensors[k]).max(initial=0) <= v * self.scales[k] for k, v in bounds.items()):
            return self
        pairs = {name: quantise(self.tensors[name], width) for name, width in widths(self.shapes, bits).items()}
        tensors = {name: dequantise(*pair) for name, pair in pairs.items()}
        return Field(self.signal, self.model, tensors, self.card, scales={k: v for k, (_, v) in pairs.items()})


def _checked(name: str, tensors: Mapping[str, NDArray[np.float32]], scales: Mapping[str, float]) -> float:
    scale = scales.get(name, 0.0)
    if not is_scale(scale) or integers(tensors[name], scale) is None:
        raise InputError(f"the weights of {name} are no multiples of the step size {scale}: quantise them first")
    return scale


def _check(shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, NDArray[np.float32]]) -> None:
    if tensors.keys() != shapes.keys():
        raise InputError(f"the model needs the tensors {', '.join(shapes)}, and here are {', '.join(tensors)}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise InputError(f"the tensor {name} has the shape {tensors[name].shape}: the model needs {shape}")
        if not np.isfinite(tensors[name]).all():
            raise InputError(f"the tensor {name} holds something that is no number: fit the field again")
