"""Training with the weights that the file will hold: rounded in the forward pass, not in the backward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from morpho.fields.quantise import best_scale, dequantise, quantise, widths

__all__ = ["Rounding"]


class Rounding:
    """The rounding of a field's weights to so many bits, with step sizes as `morpho.fields.quantise` chooses them.

    ``w' = scale * clip(round(w / scale))``, with the gradient of the identity (Bengio et al., 2013). The step sizes
    follow the weights until they are fixed.

    Args:
        shapes: of the tensors.
        bits: 2 to 12; or 16, which are half-precision numbers.

    >>> import torch
    >>> rounding = Rounding({"w": (3,)}, 2)
    >>> rounding.follow({"w": torch.tensor([-0.5, 0.1, 0.5])})
    >>> rounding({"w": torch.tensor([-0.5, 0.1, 0.4])})["w"].tolist()
    [-0.5, 0.0, 0.5]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], bits: int) -> None:
        self.bits = bits
        self.widths = widths(shapes, bits) if bits < 16 else {}
        self.scales: dict[str, float] = {}

    def follow(self, tensors: Mapping[str, Tensor]) -> None:
        """Choose the step sizes anew, where the squared error of the weights is least."""
        for name, bits in self.widths.items():
            self.scales[name] = best_scale(tensors[name].detach().cpu().numpy(), bits)

    def __call__(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the rounded weights; gradients reach the given ones unchanged."""
        return {
            name: tensor + (self._rounded(name, tensor.detach()) - tensor.detach()) for name, tensor in tensors.items()
        }

    def exact(self, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return the weights as they will be in the file, to the last bit."""
        if self.bits == 16:
            return {name: array.astype(np.float16).astype(np.float32) for name, array in tensors.items()}
        return {
            name: dequantise(*quantise(array, self.widths[name], self.scales[name])) for name, array in tensors.items()
        }

    def _rounded(self, name: str, tensor: Tensor) -> Tensor:
        if self.bits == 16:
            return tensor.half().float()
        top = 2 ** (self.widths[name] - 1) - 1
        return (tensor / self.scales[name]).round().clamp(-top, top) * self.scales[name]

    def state_dict(self) -> dict[str, Any]:
        """The step sizes."""
        return dict(self.scales)

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on with them."""
        self.scales = dict(state)
