"""Problems that a small network learns in a second, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from morpho.training.fit import Batches


def rings(count: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points ``(count, 2)`` in -1..1 and the ring of three that each is on, which no linear map tells."""
    points = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    radius = points.norm(dim=1)
    return points, (radius > 0.45).long() + (radius > 0.8).long()


def shuffled(inputs: Tensor, labels: Tensor, size: int) -> Batches:
    """Full batches in an order that the generator draws."""

    def draw(random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(inputs), generator=random)
        for part in torch.split(order, size):
            yield inputs[part], labels[part]

    return draw


class Small(nn.Module):
    """Two layers, the first normalised by batch, with features that a linear classifier reads."""

    def __init__(self, *, inputs: int = 2, width: int = 16, classes: int = 3, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(inputs, width)
            self.norm = nn.BatchNorm1d(width)
            self.classifier = nn.Linear(width, classes)

    def features(self, inputs: Tensor) -> Tensor:
        return self.norm(self.first(inputs).square())  # type: ignore[no-any-return]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(self.features(inputs))  # type: ignore[no-any-return]


class Weight(nn.Module):
    """One weight of two dimensions and one bias, with no use for inputs: losses say how they move."""

    def __init__(self, weight: float = 0.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[weight]]))
        self.bias = nn.Parameter(torch.tensor([bias]))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight + self.bias
