"""Comparison sheets: before and after, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.images.picture import Picture

__all__ = ["compare_sheet"]


def compare_sheet(before: Picture, after: Picture) -> Picture:
    """Put a picture, enlarged by bicubic interpolation to the size of the result, to the left of the result.

    Args:
        before: the input.
        after: the result: at least as large, with the same channels.

    Returns:
        An 8-bit picture, twice as wide as the result plus a line that stands out on any ground.
    """
    left = _enlarge(_eight_bits(before.pixels), after.height, after.width)
    right = _eight_bits(after.pixels)
    return after.with_pixels(np.concatenate([left, _line(right), right], axis=1))


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    return pixels.view(np.uint8) if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _enlarge(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(height, width, pixels.shape[2])


def _line(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A white line between two black ones, opaque."""
    height, width, channels = pixels.shape
    thickness = max(1, width // 800)
    line = np.zeros((height, 3 * thickness, channels), dtype=np.uint8)
    line[:, thickness : 2 * thickness] = 255
    if channels in (2, 4):
        line[..., -1] = 255
    return line
