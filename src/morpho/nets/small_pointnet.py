"""A point net for machines without a GPU: PointNet without its T-nets, narrower."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.network import Network

__all__ = ["SmallPointNet"]


class SmallPointNet(Network):
    """The same layers for every point, the maximum over the points, and a head of one hidden layer.

    By default 76,938 parameters.

    Args:
        classes: how many logits.
        channels: numbers per point: x, y, z, and further ones such as a LiDAR's intensity.
        widths: of the layers for each point.
        hidden: width of the head.
        dropout: probability in the head.

    >>> import torch
    >>> SmallPointNet()(torch.zeros(2, 16, 3)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 3,
        widths: Sequence[int] = (64, 128, 256),
        hidden: int = 128,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        sizes = [channels, *widths]
        self.convs = nn.ModuleList(nn.Conv1d(sizes[k], sizes[k + 1], 1) for k in range(len(widths)))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)
        self.fc, self.norm = nn.Linear(sizes[-1], hidden), nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, classes)

    def features(self, x: Tensor) -> Tensor:
        """The activations of the hidden layer.

        Args:
            x: clouds, floats (N, P, channels).

        Raises:
            InputError: the clouds have another shape.
        """
        if x.ndim != 3 or x.shape[2] != self.channels:
            raise InputError(f"the clouds have the shape {tuple(x.shape)}: give (N, points, {self.channels})")
        x = x.transpose(1, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.relu(norm(conv(x)))
        return functional.relu(self.norm(self.dropout(self.fc(x.max(2).values))))
