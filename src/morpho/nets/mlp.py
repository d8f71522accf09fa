"""A multilayer perceptron; by default for the 8 x 8 digits of scikit-learn: 301,066 parameters."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["MLP"]

#: Mean and deviation of scikit-learn's digits, whose values 0 to 16 stand for [0, 1].
_DIGITS = ((0.3053,), (0.3760,))


class MLP(Network):
    """Linear layers with ReLU between them.

    Args:
        sizes: the widths from the pixels of a picture (C H W) to the classes.
        channels: C of the pictures (N, C, H, W), floats in [0, 1].
        mean: see `Normalise`; by default the digits' for one channel.
        std: see `Normalise`; the same default.

    Raises:
        InputError: there are fewer than two widths, or one is not positive.

    >>> import torch
    >>> MLP((64, 32, 10))(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        sizes: Sequence[int] = (64, 512, 512, 10),
        channels: int = 1,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise InputError(f"the widths {tuple(sizes)} make no network: give two or more, such as 64, 512, 10")
        if channels == 1:
            mean, std = mean or _DIGITS[0], std or _DIGITS[1]
        self.normalise = Normalise(channels, mean, std)
        self.pixels = sizes[0]
        self.hidden = nn.ModuleList(nn.Linear(sizes[k], sizes[k + 1]) for k in range(len(sizes) - 2))
        self.classifier = nn.Linear(sizes[-2], sizes[-1])

    def features(self, x: Tensor) -> Tensor:
        """The activations of the last hidden layer.

        Raises:
            InputError: the pictures have another number of pixels.
        """
        flat: Tensor = self.normalise(x).flatten(1)
        if flat.shape[1] != self.pixels:
            raise InputError(f"the pictures have the shape {tuple(x.shape)}: this network takes {self.pixels} numbers")
        for layer in self.hidden:
            flat = functional.relu(layer(flat))
        return flat
