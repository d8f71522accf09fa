"""A retoucher of known behaviour: what it does to a picture follows from the picture's statistics.

An enhancer that works must be able to learn it to within its own resolution. No fixed lookup table can: the same
colour is treated differently in different pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["retouch"]

_LUMA = (0.299, 0.587, 0.114)
#: Where the darkest and the brightest two percent of luma go, and the median in between.
_BLACK, _WHITE, _MEDIAN = 0.03, 0.95, 0.45
#: Bounds, so that no picture is torn apart.
_GAIN, _GAMMA = (0.7, 2.5), (0.6, 1.7)
_SATURATION, _CHROMA = (0.7, 1.6), 0.12


def retouch(pictures: Tensor) -> Tensor:
    """White balance, levels, tone and saturation, from statistics of each picture.

    1. Half of a grey-world white balance: channels are scaled towards equal means.
    2. Levels: the 2nd and the 98th percentile of luma go to 0.03 and 0.95, by a gain within bounds.
    3. Tone: an exponent within bounds takes the median of luma to 0.45.
    4. Saturation: the mean distance to luma is brought towards 0.12, by a factor within bounds.

    Args:
        pictures: ``(B, K, 3)``, the K pixels of each, sRGB from 0 to 1.

    Returns:
        ``(B, K, 3)`` from 0 to 1.
    """
    means = pictures.mean(1, keepdim=True).clamp(min=0.02)
    colors = pictures * (means.mean(-1, keepdim=True) / means).sqrt().clamp(0.8, 1.25)
    low, high = _percentile(colors, 0.02), _percentile(colors, 0.98)
    gain = ((_WHITE - _BLACK) / (high - low).clamp(min=1e-3)).clamp(*_GAIN)
    colors = (_BLACK + (colors - low) * gain).clamp(0, 1)
    median = _percentile(colors, 0.5).clamp(0.05, 0.95)
    exponent = (torch.log(torch.tensor(_MEDIAN)) / torch.log(median)).clamp(*_GAMMA)
    colors = colors.clamp(min=1e-6) ** exponent
    gray = _luma(colors)
    spread = (colors - gray).abs().mean((1, 2), keepdim=True)
    factor = (_CHROMA / spread.clamp(min=1e-3)).sqrt().clamp(*_SATURATION)
    return (gray + (colors - gray) * factor).clamp(0, 1)


def _luma(colors: Tensor) -> Tensor:
    return (colors * torch.tensor(_LUMA, dtype=colors.dtype)).sum(-1, keepdim=True)


def _percentile(colors: Tensor, share: float) -> Tensor:
    """A quantile of luma per picture, ``(B, 1, 1)``: the value at that place of the sorted order."""
    luma = _luma(colors)[..., 0].sort(dim=1).values
    return luma[:, round(share * (luma.shape[1] - 1)), None, None]
