"""A field's model with its weights as parameters of torch, for training and for gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from morpho.errors import InputError
from morpho.fields.arrays import Arrays, torch_arrays
from morpho.fields.model import Model

__all__ = ["FieldModule"]


class FieldModule(nn.Module):
    """A `morpho.fields.model.Model` whose tensors are parameters under their own names.

    Attributes:
        arrays: the operations that it is computed with.

    Args:
        model: the function.
        tensors: the weights; float32 copies are made. Those whose learning rate has the factor 0 want no gradient.
        dimensions: of a point.
        channels: of a value.

    Raises:
        InputError: a tensor is missing, is one too many, or has the wrong shape.

    >>> from morpho.fields.model import Scone
    >>> module = FieldModule.initial(Scone(width=8), 2, 3, seed=0)
    >>> module(torch.zeros(5, 2)).shape, "mask.1.weight" in module.state_dict()
    (torch.Size([5, 3]), True)
    """

    def __init__(
        self, model: Model, tensors: Mapping[str, NDArray[np.float32]], dimensions: int, channels: int
    ) -> None:
        super().__init__()
        self.model, self.dimensions, self.channels = model, dimensions, channels
        shapes = model.shapes(dimensions, channels)
        if tensors.keys() != shapes.keys():
            raise InputError(f"{model.name} has the tensors {', '.join(shapes)}, not {', '.join(tensors)}")
        frozen = {word for word, rate in model.rates().items() if rate == 0}
        for name, shape in shapes.items():
            if tensors[name].shape != shape:
                raise InputError(f"the tensor {name} of {model.name} has shape {tensors[name].shape}, not {shape}")
            value = torch.tensor(np.asarray(tensors[name], np.float32))
            self._hold(name, nn.Parameter(value, requires_grad=name.split(".")[0] not in frozen))
        self.arrays: Arrays = torch_arrays()

    @classmethod
    def initial(cls, model: Model, dimensions: int, channels: int, *, seed: int = 0) -> FieldModule:
        """Make one with freshly drawn weights; the same seed gives the same ones."""
        return cls(model, model.initial(dimensions, channels, np.random.default_rng(seed)), dimensions, channels)

    def _hold(self, name: str, parameter: nn.Parameter) -> None:
        """Register a parameter in nested modules, since a module's own names may have no dots."""
        holder: nn.Module = self
        *folders, last = name.split(".")
        for folder in folders:
            if folder not in dict(holder.named_children()):
                holder.add_module(folder, nn.Module())
            holder = holder.get_submodule(folder)
        holder.register_parameter(last, parameter)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``, in the parameters' number type."""
        values: Tensor = self.model.apply(self.arrays, dict(self.named_parameters()), coordinates)
        return values

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return copies of the weights as float32 arrays by name."""
        return {k: v.detach().to("cpu", torch.float32, copy=True).numpy() for k, v in self.named_parameters()}
