"""PointNet (Qi et al., "PointNet: Deep Learning on Point Sets", CVPR 2017), the classifier of point clouds.

    T-net       a small PointNet that maps a cloud to a k x k matrix; it starts at the identity
    input       points are multiplied by the 3 x 3 matrix of the first T-net
    trunk       3 -> 64, then the 64 x 64 matrix of the second T-net, then 64 -> 128 -> 1024, the same for every point
    pooling     the maximum over the points: the order of the points does not matter
    head        1024 -> 512 -> 256 -> classes

The trunk is that of the widespread PyTorch ports, on which All-DeBut counts: one layer of 64 before the second T-net
and none after it, where the paper has two and one. With 40 classes: 3,471,473 parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets.network import Network

__all__ = ["PointNet", "orthogonality"]


class PointNet(Network):
    """The vanilla classifier, with both T-nets.

    Args:
        classes: how many logits.
        feature_transform: whether there is the 64 x 64 T-net.
        widths: of the three layers on points and the two after them; the T-nets' are the same.
        dropout: probability in the head; 0.3 in the paper, 0.4 in the ports.

    >>> PointNet(10)(torch.zeros(2, 16, 3)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 40,
        feature_transform: bool = True,
        widths: Sequence[int] = (64, 128, 1024, 512, 256),
        *,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.input_transform = TNet(3, widths)
        self.feature_transform = TNet(a, widths) if feature_transform else None
        self.conv1, self.norm1 = nn.Conv1d(3, a, 1), nn.BatchNorm1d(a)
        self.conv2, self.norm2 = nn.Conv1d(a, b, 1), nn.BatchNorm1d(b)
        self.conv3, self.norm3 = nn.Conv1d(b, c, 1), nn.BatchNorm1d(c)
        self.fc1, self.norm4 = nn.Linear(c, d), nn.BatchNorm1d(d)
        self.fc2, self.norm5 = nn.Linear(d, e), nn.BatchNorm1d(e)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(e, classes)

    def features(self, x: Tensor) -> Tensor:
        """The 256 activations before the classifier.

        Args:
            x: clouds, floats (N, P, 3) in the unit sphere.

        Raises:
            InputError: the clouds have another shape.
        """
        return self._features(x)[0]

    def forward_with_transform(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The logits, and the feature transforms (N, 64, 64) for `orthogonality`, if there are any."""
        features, transform = self._features(x)
        return self.classifier(features), transform

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        if x.ndim != 3 or x.shape[2] != 3:
            raise InputError(f"the clouds have the shape {tuple(x.shape)}: PointNet takes (N, points, 3)")
        x = x.transpose(1, 2)  # from here on (N, channels, points), as convolutions want it
        x = _move(self.input_transform(x), x)
        x = functional.relu(self.norm1(self.conv1(x)))
        transform = None
        if self.feature_transform is not None:
            transform = self.feature_transform(x)
            x = _move(transform, x)
        x = functional.relu(self.norm2(self.conv2(x)))
        x = _strongest(self.conv3, self.norm3, x)
        x = functional.relu(self.norm4(self.fc1(x)))
        x = functional.relu(self.norm5(self.dropout(self.fc2(x))))
        return x, transform


class TNet(nn.Module):
    """Maps clouds (N, k, P) to matrices (N, k, k); at the start, to the identity."""

    def __init__(self, k: int, widths: Sequence[int]) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.k = k
        self.conv1, self.norm1 = nn.Conv1d(k, a, 1), nn.BatchNorm1d(a)
        self.conv2, self.norm2 = nn.Conv1d(a, b, 1), nn.BatchNorm1d(b)
        self.conv3, self.norm3 = nn.Conv1d(b, c, 1), nn.BatchNorm1d(c)
        self.fc1, self.norm4 = nn.Linear(c, d), nn.BatchNorm1d(d)
        self.fc2, self.norm5 = nn.Linear(d, e), nn.BatchNorm1d(e)
        self.fc3 = nn.Linear(e, k * k)
        nn.init.zeros_(self.fc3.weight)
        nn.init.zeros_(self.fc3.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The matrices of the clouds."""
        x = functional.relu(self.norm1(self.conv1(x)))
        x = functional.relu(self.norm2(self.conv2(x)))
        x = functional.relu(_strongest(self.conv3, self.norm3, x))  # ReLU and maximum change places: fewer numbers
        x = functional.relu(self.norm4(self.fc1(x)))
        x = functional.relu(self.norm5(self.fc2(x)))
        change: Tensor = self.fc3(x)
        return change.view(-1, self.k, self.k) + torch.eye(self.k, dtype=x.dtype, device=x.device)


def orthogonality(transform: Tensor) -> Tensor:
    """How far transforms are from orthogonal ones: the regulariser of PointNet.

        mean over the clouds of || I - A A^T ||_F^2

    The paper's squared norm; ports take the norm itself, which has no gradient at the identity, where A starts.

    Args:
        transform: the matrices A (N, k, k).

    >>> orthogonality(2 * torch.eye(3)[None]).item()
    27.0
    """
    identity = torch.eye(transform.shape[1], dtype=transform.dtype, device=transform.device)
    return (identity - transform @ transform.transpose(1, 2)).square().sum((1, 2)).mean()


def _move(transform: Tensor, x: Tensor) -> Tensor:
    """Multiply each point, as a row, by its cloud's matrix."""
    return torch.bmm(transform.transpose(1, 2), x)


def _strongest(conv: nn.Module, norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """The maximum over the points of ``norm(conv(x))``, (N, k, P) to (N, channels).

    In training, the widest layer is not normalised point by point. Its statistics follow from those of its input,
    ``W mean(x) + b`` and ``diag(W cov(x) W^T)``, and an increasing map and the maximum change places; that is the same
    in half the time.
    """
    if not _can_follow(norm, x):
        return norm(conv(x)).max(2).values
    k = x.shape[1]
    points = x.transpose(0, 1).reshape(k, -1)
    middle = points.mean(1)
    centred = points - middle[:, None]
    basis = torch.cat([torch.eye(k, dtype=x.dtype, device=x.device), middle[:, None]], 1)
    # The layer may be any linear one: it shows its matrix by what it makes of the unit vectors.
    shown = conv(torch.cat([basis, torch.zeros_like(basis[:, :1])], 1)[None])[0]
    matrix, mean = shown[:, :k] - shown[:, -1:], shown[:, k]
    variance = ((matrix @ (centred @ centred.T / centred.shape[1])) * matrix).sum(1)
    _track(norm, mean.detach(), variance.detach(), points.shape[1])
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return (conv(x).max(2).values - mean) * scale + norm.bias


def _can_follow(norm: nn.BatchNorm1d, x: Tensor) -> bool:
    """Whether the statistics are to be had from the input: in training, by one process, in full precision."""
    if not norm.training or isinstance(norm, nn.SyncBatchNorm) or torch.is_autocast_enabled(x.device.type):
        return False
    return not bool((norm.weight < 0).any())  # a negative weight would ask for the minimum


def _track(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Take a batch's statistics into the running ones, as batch norm does."""
    running_mean, running_var, tracked = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert running_mean is not None and running_var is not None and tracked is not None
    tracked += 1
    step = 1 / int(tracked) if norm.momentum is None else norm.momentum
    running_mean.lerp_(mean, step)
    running_var.lerp_(variance * (count / max(count - 1, 1)), step)
