"""Wide residual networks (Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.initial import he_normal
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["WideResNet"]


class WideResNet(Network):
    """WRN-depth-widen: three stages of pre-activation blocks of 16, 32 and 64 channels, times a factor.

    WRN-28-10 has 36,479,194 parameters, WRN-34-10 46,160,474.

    Args:
        depth: 6 n + 4 layers.
        widen: the factor.
        classes: how many logits.
        channels: of the pictures (N, channels, H, W), floats in [0, 1].
        dropout: probability between a block's convolutions; 0.3 in some of the paper's rows.
        mean: see `Normalise`.
        std: see `Normalise`.

    Raises:
        InputError: there is no network of that depth and factor.

    >>> import torch
    >>> WideResNet(10, 1)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        depth: int = 28,
        widen: int = 10,
        classes: int = 10,
        channels: int = 3,
        *,
        dropout: float = 0.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if depth < 10 or depth % 6 != 4 or widen < 1:
            raise InputError(f"there is no WRN-{depth}-{widen}: the depth must be 6 n + 4, such as 28")
        self.normalise = Normalise(channels, mean, std)
        self.conv = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        layers, before = [], 16
        for stage, width in enumerate((16 * widen, 32 * widen, 64 * widen)):
            for block in range(depth // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(_Block(before, width, stride, dropout))
                before = width
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(before)
        self.classifier = nn.Linear(before, classes)
        he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """Each channel's mean over the picture."""
        x = self.blocks(self.conv(self.normalise(x)))
        return functional.relu(self.norm(x)).mean((2, 3))


class _Block(nn.Module):
    """norm - relu - conv, twice, and a shortcut; where the width changes, a convolution of the activated input."""

    def __init__(self, before: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        same = stride == 1 and before == width
        self.shortcut = None if same else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.norm1(x))
        past = x if self.shortcut is None else self.shortcut(active)
        inner: Tensor = self.conv2(self.dropout(functional.relu(self.norm2(self.conv1(active)))))
        return inner + past
