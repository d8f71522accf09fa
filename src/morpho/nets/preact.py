"""The pre-activation ResNet-18 (He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from morpho.nets.initial import he_normal
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["PreActResNet18"]

_WIDTHS = (64, 128, 256, 512)


class PreActResNet18(Network):
    """ResNet-18 for small pictures with batch norm and ReLU before each convolution.

    Args:
        classes: how many logits.
        channels: of the pictures (N, channels, H, W), floats in [0, 1].
        final_norm: whether batch norm and ReLU follow the last block, as in the paper and in studies of robust
            overfitting (11,172,170 parameters); studies of backdoors use the form without (11,171,146).
        mean: see `Normalise`.
        std: see `Normalise`.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 3,
        *,
        final_norm: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(channels, mean, std)
        self.conv = nn.Conv2d(channels, _WIDTHS[0], 3, padding=1, bias=False)
        layers, before = [], _WIDTHS[0]
        for width in _WIDTHS:
            layers += [_Block(before, width, 1 if width == before else 2), _Block(width, width, 1)]
            before = width
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(before) if final_norm else None
        self.classifier = nn.Linear(before, classes)
        he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """Each channel's mean over the picture."""
        x = self.blocks(self.conv(self.normalise(x)))
        if self.norm is not None:
            x = functional.relu(self.norm(x))
        return x.mean((2, 3))


class _Block(nn.Module):
    """norm - relu - conv, twice, and a shortcut; where the shape changes, a convolution of the activated input."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        same = stride == 1 and before == width
        self.shortcut = None if same else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.norm1(x))
        past = x if self.shortcut is None else self.shortcut(active)
        inner: Tensor = self.conv2(functional.relu(self.norm2(self.conv1(active))))
        return inner + past
