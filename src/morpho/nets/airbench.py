"""A small CNN that learns CIFAR-10 within seconds to minutes, after K. Jordan's "94% on CIFAR-10 in 3.29 seconds".

    whitening   2 x 2 convolution whose filters are the whitened principal directions of patches, and their negatives
    3 blocks    conv - max-pool - BN - GELU - conv - BN - GELU
    head        maximum over the picture, one linear layer without bias, times 1/9

The filters of the whitening, and the scales of the batch norms, are not trained. Convolutions start as the identity on
as many channels as they have inputs. With the published widths and 10 classes: 1.97 million parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.network import Network
from morpho.nets.normalise import Normalise

__all__ = ["Airbench", "whiten"]

_SIDE = 2


class Airbench(Network):
    """Call `whiten` before training it.

    Args:
        classes: how many logits.
        widths: channels of the three blocks.
        channels: of the pictures (N, channels, H, W), floats in [0, 1], of at least 9 x 9.
        scale: of the logits.
        mean: see `Normalise`.
        std: see `Normalise`.

    >>> Airbench(widths=(8, 16, 16))(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        widths: Sequence[int] = (64, 256, 256),
        channels: int = 3,
        *,
        scale: float = 1 / 9,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        first = 2 * channels * _SIDE**2
        self.normalise = Normalise(channels, mean, std)
        self.whitening = nn.Conv2d(channels, first, _SIDE)
        self.whitening.weight.requires_grad_(False)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in zip([first, *widths], widths, strict=False)))
        self.classifier = nn.Linear(widths[-1], classes, bias=False)
        self.scale = scale

    def features(self, x: Tensor) -> Tensor:
        """Each channel's maximum over the picture."""
        x = functional.gelu(self.whitening(self.normalise(x)))
        features: Tensor = self.blocks(x).amax((2, 3))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """The logits (N, classes)."""
        return super().forward(x) * self.scale


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(before, after), _norm(after)
        self.conv2, self.norm2 = _conv(after, after), _norm(after)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.norm1(functional.max_pool2d(self.conv1(x), 2)))
        return functional.gelu(self.norm2(self.conv2(x)))


def _conv(before: int, after: int) -> nn.Conv2d:
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:before])
    return conv


def _norm(width: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width, momentum=0.4)  # runs are short: the running mean must follow fast
    norm.weight.requires_grad_(False)
    return norm


@torch.no_grad()
def whiten(model: Airbench, images: Tensor, *, epsilon: float = 5e-4) -> None:
    """Set the first convolution such that its outputs on these pictures are uncorrelated.

        filters = +-(Lambda + epsilon)^(-1/2) V^T    for the patches' covariance V Lambda V^T
        bias    = -filters mean

    The bias, which centres the outputs, is ours.

    Args:
        model: changed in place.
        images: floats (N, C, H, W) in [0, 1]; some thousand will do.
        epsilon: added to the variances, so that directions that hardly occur are not blown up.

    Raises:
        InputError: there are fewer patches than numbers in a patch.
    """
    conv = model.whitening
    patches = functional.unfold(model.normalise(images.to(conv.weight.device)), _SIDE).transpose(1, 2).flatten(0, 1)
    if len(patches) <= patches.shape[1]:
        raise InputError(f"{len(images)} pictures hold {len(patches)} patches: whitening needs some hundred pictures")
    mean = patches.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(patches.T))
    filters = directions.T / (variances.clamp_min(0)[:, None] + epsilon).sqrt()
    filters = torch.cat([filters, -filters])
    conv.weight.copy_(filters.view_as(conv.weight))
    assert conv.bias is not None
    conv.bias.copy_(-filters @ mean)
