"""The modified LeNet of the deformable butterfly papers, for MNIST: 61,482 parameters."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["LeNet"]


class LeNet(Network):
    """Two convolutions of 3 x 3 and three linear layers.

        28 x 28 -conv1-> 8 x 26 x 26 -pool-> 13 x 13 -conv2-> 16 x 11 x 11 -pool-> 5 x 5 -> 400 -> 128 -> 64 -> classes

    As published there is no activation between the last two linear layers.

    Args:
        classes: how many logits.
        channels: of the pictures (N, channels, 28, 28), floats in [0, 1].
        widths: of the four inner layers.
        mean: see `Normalise`.
        std: see `Normalise`.

    >>> import torch
    >>> LeNet()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 1,
        widths: Sequence[int] = (8, 16, 128, 64),
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(channels, mean, std)
        first, second, third, last = widths
        self.conv1 = nn.Conv2d(channels, first, 3)
        self.conv2 = nn.Conv2d(first, second, 3)
        self.fc1 = nn.Linear(second * 25, third)
        self.fc2 = nn.Linear(third, last)
        self.classifier = nn.Linear(last, classes)

    def features(self, x: Tensor) -> Tensor:
        """The 64 activations before the classifier.

        Raises:
            InputError: the pictures are not of 28 x 28.
        """
        if tuple(x.shape[2:]) != (28, 28):
            raise InputError(f"the pictures have the shape {tuple(x.shape)}: LeNet takes (N, C, 28, 28)")
        x = functional.max_pool2d(functional.relu(self.conv1(self.normalise(x))), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.fc1(x.flatten(1)))
        features: Tensor = self.fc2(x)
        return features
