"""What all networks of this room have in common: features, and one linear layer that reads them."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Network", "count_parameters"]


class Network(nn.Module):
    """A classifier in two parts.

        logits = classifier(features(x))

    Attributes:
        classifier: the last layer, linear.
    """

    classifier: nn.Linear

    def features(self, x: Tensor) -> Tensor:
        """The activations (N, D) that the classifier reads."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The logits (N, classes)."""
        logits: Tensor = self.classifier(self.features(x))
        return logits


def count_parameters(model: nn.Module) -> int:
    """The number of a model's parameters, frozen ones included; the literature's count, without running statistics.

    >>> count_parameters(nn.BatchNorm2d(4))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters())
