"""Residual networks for small pictures (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.initial import he_normal
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["ResNet", "Shortcut", "cifar_resnet", "resnet18"]

#: What a shortcut does where the shape changes: a 1 x 1 convolution with batch norm, or skipping and zero channels.
Shortcut = Literal["projection", "pad"]


class ResNet(Network):
    """One convolution, stages of basic blocks that each halve the picture (but the first), and the mean over it.

    Args:
        widths: channels of the stages.
        blocks: blocks per stage.
        classes: how many logits.
        channels: of the pictures (N, channels, H, W), floats in [0, 1].
        shortcut: ``projection`` (option B of the paper) or ``pad`` (option A, the paper's for CIFAR).
        mean: see `Normalise`.
        std: see `Normalise`.

    Raises:
        InputError: the shortcut is neither.
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: int,
        classes: int = 10,
        channels: int = 3,
        *,
        shortcut: Shortcut = "projection",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if shortcut not in get_args(Shortcut):
            raise InputError(f"there is no shortcut {shortcut!r:.30}: give one of {', '.join(get_args(Shortcut))}")
        self.normalise = Normalise(channels, mean, std)
        self.conv = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        layers, before = [], widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(_Block(before, width, stride, shortcut))
                before = width
        self.blocks = nn.Sequential(*layers)
        self.classifier = nn.Linear(before, classes)
        he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """Each channel's mean over the picture."""
        x = functional.relu(self.norm(self.conv(self.normalise(x))))
        features: Tensor = self.blocks(x).mean((2, 3))
        return features


class _Block(nn.Module):
    """Two convolutions of 3 x 3 with batch norm, and the shortcut past them: relu(f(x) + shortcut(x))."""

    def __init__(self, before: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            make = _projection if shortcut == "projection" else _Pad
            self.shortcut = make(before, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class _Pad(nn.Module):
    """Takes every stride-th pixel, and puts half of the new zero channels before the old ones, half after."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        new = width - before
        self.stride, self.front, self.back = stride, new // 2, new - new // 2

    def forward(self, x: Tensor) -> Tensor:
        thinned = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(thinned, (0, 0, 0, 0, self.front, self.back))


def _projection(before: int, width: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))


def cifar_resnet(
    depth: int,
    classes: int = 10,
    channels: int = 3,
    *,
    shortcut: Shortcut = "projection",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ResNet:
    """The narrow residual networks for CIFAR: widths 16, 32, 64.

    Args:
        depth: 6 n + 2 layers, such as 20 or 110.
        classes: see `ResNet`.
        channels: see `ResNet`.
        shortcut: ``pad`` for He's 269,722 parameters at depth 20; ``projection`` for All-DeBut's 1,736,564 at depth
            110 with 100 classes.
        mean: see `Normalise`.
        std: see `Normalise`.

    Raises:
        InputError: there is no network of that depth.

    >>> sum(parameter.numel() for parameter in cifar_resnet(20, shortcut="pad").parameters())
    269722
    """
    if depth < 8 or depth % 6 != 2:
        raise InputError(f"there is no CIFAR ResNet of depth {depth}: give 6 n + 2, such as 20")
    return ResNet((16, 32, 64), depth // 6, classes, channels, shortcut=shortcut, mean=mean, std=std)


def resnet18(
    classes: int = 10,
    channels: int = 3,
    *,
    shortcut: Shortcut = "projection",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> ResNet:
    """ResNet-18 in its usual form for CIFAR: widths 64 to 512, no pooling at the start; 11,173,962 parameters."""
    return ResNet((64, 128, 256, 512), 2, classes, channels, shortcut=shortcut, mean=mean, std=std)
