"""A retoucher of known behaviour: what it does to a picture follows from the picture's statistics.

An enhancer that works must be able to learn it to within its own resolution. No fixed lookup table can: the same
colour is treated differently in different pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["retouch"]

_LUMA = (0.299, 0.587, 0.114)
#: Where mean and standard deviation of luma, and the mean distance to luma, are brought to.
_MEAN, _DEVIATION, _CHROMA = 0.46, 0.24, 0.10
#: How far: bounds of exponent, contrast and saturation, so that no picture is torn apart.
_EXPONENT, _CONTRAST, _SATURATION = (0.5, 1.6), (0.8, 1.8), (0.7, 1.6)


def retouch(pictures: Tensor) -> Tensor:
    """White balance, tone, contrast and saturation, from statistics of each picture.

    1. Half of a grey-world white balance: channels are scaled towards equal means.
    2. Tone: an exponent takes the mean of luma, as a grey, to 0.46.
    3. Contrast: the distance to 0.46 is scaled so that luma's standard deviation comes to 0.24.
    4. Saturation: the distance to luma is scaled halfway to where its mean is 0.10.

    Exponent and factors are kept within bounds.

    Args:
        pictures: ``(B, K, 3)``, the K pixels of each, sRGB from 0 to 1.

    Returns:
        ``(B, K, 3)`` from 0 to 1.
    """
    means = pictures.mean(1, keepdim=True).clamp(min=0.02)
    colors = (pictures * (means.mean(-1, keepdim=True) / means).sqrt().clamp(0.8, 1.25)).clamp(1e-6, 1)
    mean = _luma(colors).mean((1, 2), keepdim=True).clamp(0.02, 0.98)
    exponent = (torch.log(torch.tensor(_MEAN)) / torch.log(mean)).clamp(*_EXPONENT)
    colors = colors**exponent
    deviation = _luma(colors).std(1, keepdim=True, correction=0).clamp(min=1e-3)
    colors = (_MEAN + (colors - _MEAN) * (_DEVIATION / deviation).clamp(*_CONTRAST)).clamp(0, 1)
    gray = _luma(colors)
    spread = (colors - gray).abs().mean((1, 2), keepdim=True).clamp(min=1e-3)
    return (gray + (colors - gray) * (_CHROMA / spread).sqrt().clamp(*_SATURATION)).clamp(0, 1)


def _luma(colors: Tensor) -> Tensor:
    return (colors * torch.tensor(_LUMA, dtype=colors.dtype)).sum(-1, keepdim=True)
