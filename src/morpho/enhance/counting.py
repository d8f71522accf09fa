"""How often each colour of 12 bits occurs in a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_colors"]


def count_colors(
    pixels: NDArray[Any], *, low: bool = True, threads: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Histograms of upper and lower nibbles (stand-in in NumPy until the compiled loops are here)."""
    high = pixels >> 8 if pixels.dtype == np.uint16 else pixels
    colors = high[..., :3].reshape(-1, 3).astype(np.int64)
    if high.shape[2] == 4:
        colors = colors[pixels[..., 3].reshape(-1) > 0]
    shares = np.array([256, 16, 1])
    msb = np.bincount((colors >> 4) @ shares, minlength=4096)
    return msb, np.bincount((colors & 15) @ shares, minlength=4096) if low else None
