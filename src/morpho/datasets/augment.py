"""Random changes of a batch that leave its labels true: for pictures and for clouds of points.

All of them take a whole batch on any device and draw what they need in one call of an explicit generator, which may
live on another device; none changes its input, and an item's numbers do not depend on how many follow it (but in
`jitter`). Pictures are ``(N, C, H, W)``, uint8 or float; clouds are
``(N, P, 3)`` float, z up.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_with_zeros

from morpho.errors import InputError

__all__ = [
    "crop",
    "cutout",
    "drop_points",
    "flip",
    "jitter",
    "resample",
    "rotate_about_z",
    "scale_and_shift",
    "to_float",
]


def to_float(images: Tensor) -> Tensor:
    """Bring uint8 pictures from 0..255 to float32 in [0, 1].

    >>> to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    return images.float().div_(255)


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the pictures, drawn at random, left to right."""
    chosen = _uniform((len(images), 1, 1, 1), generator, images.device) < 0.5
    return torch.where(chosen, images.flip(3), images)


def crop(
    images: Tensor, pad: int, generator: torch.Generator, *, mode: Literal["reflect", "zero"] = "reflect"
) -> Tensor:
    """Shift each picture by -pad to pad pixels in both directions: a crop, at random, of the padded picture.

    Args:
        images: ``(N, C, H, W)``.
        pad: pixels on every side; 0 changes nothing.
        generator: draws the shifts, each equally likely.
        mode: what is beyond the border: the picture mirrored (without the border pixel twice), or black.

    Returns:
        Pictures of the same size.

    Raises:
        InputError: the padding is negative, or the picture too small to be mirrored that far.
    """
    count, _, height, width = images.shape
    if pad < 0 or (mode == "reflect" and pad >= min(height, width)):
        raise InputError(f"{height} x {width} pictures cannot be padded by {pad}: pad by less than their shorter side")
    padded = pad_with_zeros(images, (pad, pad, pad, pad)) if mode == "zero" else _mirrored(images, pad)
    shift = _integers((2 * pad + 1, 2 * pad + 1), count, generator, images.device)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, shift[:, 0], shift[:, 1]]


def _mirrored(images: Tensor, pad: int) -> Tensor:
    """Reflection padding by an index: torch's own has no uint8."""
    for dim in (2, 3):
        last = images.shape[dim] - 1
        place = torch.arange(-pad, last + 1 + pad, device=images.device).abs()
        images = images.index_select(dim, last - (last - place).abs())
    return images


def cutout(images: Tensor, size: int, generator: torch.Generator, *, fill: float = 0) -> Tensor:
    """Cover a square of each picture (DeVries and Taylor, arXiv:1708.04552).

    Its centre is any pixel, so the square may reach over the border, and then covers less.

    Args:
        images: ``(N, C, H, W)``.
        size: side of the square in pixels.
        generator: draws the centres.
        fill: the value put there, black by default.
    """
    count, _, height, width = images.shape
    start = _integers((height, width), count, generator, images.device) - size // 2
    rows = _covered(start[:, :1], size, height)[:, None, :, None]
    columns = _covered(start[:, 1:], size, width)[:, None, None, :]
    return images.masked_fill(rows & columns, fill)


def _covered(start: Tensor, size: int, length: int) -> Tensor:
    """``(N, length)``: which places intervals that begin at ``start``, ``(N, 1)``, cover."""
    place = torch.arange(length, device=start.device)
    return (place >= start) & (place < start + size)


def rotate_about_z(points: Tensor, generator: torch.Generator) -> Tensor:
    """Turn each cloud about the vertical by an angle drawn from [0, 2 pi)."""
    angle = _uniform((len(points), 1), generator, points.device) * (2 * math.pi)
    cos, sin = angle.cos(), angle.sin()
    x, y, z = points.unbind(2)
    return torch.stack((cos * x - sin * y, sin * x + cos * y, z), dim=2)


def scale_and_shift(
    points: Tensor, generator: torch.Generator, *, scale: tuple[float, float] = (2 / 3, 3 / 2), shift: float = 0.2
) -> Tensor:
    """Stretch each cloud along each axis by a factor drawn from ``scale``, then move it by -shift to shift."""
    low, high = scale
    drawn = _uniform((len(points), 2, 3), generator, points.device)
    return points * (low + (high - low) * drawn[:, :1]) + shift * (2 * drawn[:, 1:] - 1)


def jitter(points: Tensor, generator: torch.Generator, *, sigma: float = 0.01, most: float = 0.05) -> Tensor:
    """Move every point by normal noise, cut off at ``most`` in each coordinate (PointNet, arXiv:1612.00593)."""
    noise = torch.randn(points.shape, generator=generator, device=generator.device).to(points.device)
    return points + (sigma * noise).clamp_(-most, most)


def drop_points(points: Tensor, generator: torch.Generator, *, most: float = 0.875) -> Tensor:
    """Drop up to the part ``most`` of each cloud: dropped points become copies of its first (PointNet++).

    The part is drawn for each cloud, uniformly; then each point is dropped with that probability. As PointNet takes
    the maximum over the points, copies change nothing.
    """
    drawn = _uniform((len(points), points.shape[1] + 1, 1), generator, points.device)
    return torch.where(drawn[:, 1:] < most * drawn[:, :1], points[:, :1], points)


def resample(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` different points of each cloud: ``(N, P, 3)`` becomes ``(N, count, 3)``, in a random order.

    Raises:
        InputError: there are not so many points.
    """
    there = points.shape[1]
    if not 1 <= count <= there:
        raise InputError(f"{count} points cannot be drawn from clouds of {there}: ask for 1 to {there}")
    index = _uniform((len(points), there), generator, points.device).topk(count, dim=1).indices
    return points.gather(1, index[:, :, None].expand(-1, -1, 3))


def _uniform(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Numbers from [0, 1), drawn where the generator lives."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)


def _integers(ends: tuple[int, ...], count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """``(count, len(ends))`` whole numbers, those of each column from 0 to its end - 1."""
    drawn = _uniform((count, len(ends)), generator, device)
    limits = torch.tensor(ends, device=device)
    return (drawn * limits).long().minimum(limits - 1)
