"""How convolutions start."""

from __future__ import annotations

from torch import nn

__all__ = ["he_normal"]


def he_normal(model: nn.Module) -> None:
    """Draw every convolution's weights from N(0, 2 / fan_out), in place (He et al., ICCV 2015); biases become zero.

    >>> conv = nn.Conv2d(64, 64, 3)
    >>> he_normal(conv)
    >>> round(conv.weight.std().item() / (2 / (64 * 9)) ** 0.5, 1)
    1.0
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
