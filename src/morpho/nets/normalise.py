"""Standardisation as a network's first layer, so that every network takes pictures in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from morpho.errors import InputError

__all__ = ["Normalise"]

#: Mean and deviation of the training pictures by number of channels: of MNIST and of CIFAR-10.
_USUAL = {
    1: ((0.1307,), (0.3081,)),
    3: ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}


class Normalise(nn.Module):
    """Subtracts each channel's mean and divides by its standard deviation.

        y = (x - mean) / std

    Both are buffers, so a network's file holds what the network was trained with.

    Args:
        channels: C of the pictures.
        mean: one number per channel; by default MNIST's for one channel, CIFAR-10's for three.
        std: one positive number per channel; the same default.

    Raises:
        InputError: there is no default for that many channels, or the numbers do not fit.

    >>> Normalise(1, mean=[0.5], std=[0.25])(torch.ones(1, 1, 2, 2)).flatten().tolist()
    [2.0, 2.0, 2.0, 2.0]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> None:
        super().__init__()
        usual = _USUAL.get(channels)
        if usual is None and (mean is None or std is None):
            raise InputError(f"pictures of {channels} channels have no usual statistics: give mean and std")
        self.channels = channels
        self._keep("mean", mean if mean is not None or usual is None else usual[0])
        self._keep("std", std if std is not None or usual is None else usual[1])

    def _keep(self, name: str, values: Sequence[float] | None) -> None:
        numbers = [float(value) for value in values or ()]
        if len(numbers) != self.channels or not all(math.isfinite(v) and (name == "mean" or v > 0) for v in numbers):
            kind = "finite" if name == "mean" else "positive"
            raise InputError(f"{name} = {values!r:.60} does not fit {self.channels} channels: give {kind} numbers")
        self.register_buffer(name, torch.tensor(numbers).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Standardise pictures.

        Args:
            images: floats (N, C, H, W) in [0, 1].

        Raises:
            InputError: they are whole numbers, or have another number of channels.
        """
        if images.ndim != 4 or images.shape[1] != self.channels or not images.is_floating_point():
            raise InputError(
                f"the pictures are {images.dtype} of shape {tuple(images.shape)}: "
                f"this network takes floats (N, {self.channels}, H, W) in [0, 1]"
            )
        return (images - self.mean) / self.std
