"""One photograph to try things on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.images.io import read
from morpho.images.picture import Picture

__all__ = ["SAMPLE", "large_sample", "sample"]

#: Astronaut Eileen Collins, photographed by NASA in 1999: public domain. Shrunk to half by `imresize`.
SAMPLE = Path(__file__).parent / "sample.png"


def sample() -> Picture:
    """Return a photograph of 256 x 256 pixels with skin, hair, text and fine edges (NASA, public domain).

    >>> sample().pixels.shape
    (256, 256, 3)
    """
    return read(SAMPLE)


def large_sample(width: int = 960, height: int = 540) -> NDArray[np.uint8]:
    """Return the sample, mirrored and repeated to a size, with noise of two levels (seed 0): a picture to time.

    The noise keeps the processor from guessing which table entries come next, as in a real photograph.

    >>> large_sample(300, 200).shape
    (200, 300, 3)
    """
    photo = sample().pixels
    rows, columns = (np.pad(np.arange(256), (0, max(0, n - 256)), mode="symmetric")[:n] for n in (height, width))
    noise = np.random.default_rng(0).integers(-2, 3, (height, width, 3))
    return np.clip(photo[rows][:, columns] + noise, 0, 255).astype(np.uint8)
