"""How much a look depends on what should not matter: a picture's size, and its compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from morpho.enhance.corpus import Photo
from morpho.enhance.enhancer import Enhancer
from morpho.images import Picture, imresize, psnr, read, write
from morpho.luts import apply

__all__ = ["Stability", "stability"]


@dataclass(frozen=True, kw_only=True)
class Stability:
    """PSNR in dB between a retouched photo and the same photo with the look of a copy; infinite where equal.

    Attributes:
        half: the copy is half as wide and as high, shrunk by bicubic interpolation.
        jpeg: the copy went through JPEG at quality 90.
    """

    half: float
    jpeg: float


def stability(enhancer: Enhancer, photo: Photo) -> Stability:
    """Measure how the look of a photo changes with its size and with compression.

    Args:
        enhancer: what makes the look.
        photo: ``(H, W, 3)`` uint8, at least 2 x 2.
    """
    result = enhancer(photo)
    half = imresize(photo, size=(photo.shape[0] // 2, photo.shape[1] // 2))
    copies = (half, _through_jpeg(photo))
    found = [psnr(result, apply(photo, enhancer.lut(copy))) for copy in copies]
    return Stability(half=found[0], jpeg=found[1])


def _through_jpeg(photo: Photo) -> Photo:
    stream = io.BytesIO()
    write(Picture(np.ascontiguousarray(photo)), stream, format="jpg", quality=90)
    return read(stream.getvalue()).color
