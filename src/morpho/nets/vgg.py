"""VGG for small pictures: VGG-16 with batch norm (Simonyan and Zisserman, ICLR 2015), and a small one for MNIST."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from morpho.nets.initial import he_normal
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["VGG16", "VGGLike"]

#: Widths of the convolutions between two poolings.
_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(Network):
    """VGG-16-BN in its form for pictures of 32 x 32: thirteen convolutions of 3 x 3, and one or two linear layers.

    Without a hidden layer and for 100 classes it has the 14,774,436 parameters on which All-DeBut counts; with 512
    hidden units and for 10 classes, the form of the first DeBut paper, 14,990,922.

    Args:
        classes: how many logits.
        channels: of the pictures (N, channels, H, W), floats in [0, 1], of at least 32 x 32.
        hidden: width of a linear layer before the classifier; 0 for none.
        dropout: probability before each linear layer.
        mean: see `Normalise`.
        std: see `Normalise`.
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 3,
        *,
        hidden: int = 0,
        dropout: float = 0.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(channels, mean, std)
        layers: list[nn.Module] = []
        width = channels
        for stage in _STAGES:
            for after in stage:
                layers += [nn.Conv2d(width, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
                width = after
            layers.append(nn.MaxPool2d(2))
        self.convs = nn.Sequential(*layers)
        self.fc = nn.Linear(width, hidden) if hidden else None
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden or width, classes)
        he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """The 512 (or `hidden`) activations before the classifier; pictures above 32 x 32 are averaged over."""
        x = self.dropout(self.convs(self.normalise(x)).mean((2, 3)))
        return x if self.fc is None else self.dropout(functional.relu(self.fc(x)))


class VGGLike(Network):
    """Four convolutions of 3 x 3 with ReLU and pooling, then the mean over the picture: All-DeBut's net for MNIST.

    By default 390,410 parameters; there is no batch norm.

    Args:
        classes: how many logits.
        channels: of the pictures (N, channels, H, W), floats in [0, 1], of at least 16 x 16.
        widths: of the convolutions.
        mean: see `Normalise`.
        std: see `Normalise`.

    >>> import torch
    >>> VGGLike()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128, 256),
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(channels, mean, std)
        sizes = [channels, *widths]
        self.convs = nn.ModuleList(nn.Conv2d(sizes[k], sizes[k + 1], 3, padding=1) for k in range(len(widths)))
        self.classifier = nn.Linear(sizes[-1], classes)
        he_normal(self)

    def features(self, x: Tensor) -> Tensor:
        """Each channel's mean over the picture."""
        x = self.normalise(x)
        for conv in self.convs:
            x = functional.max_pool2d(functional.relu(conv(x)), 2)
        return x.mean((2, 3))
