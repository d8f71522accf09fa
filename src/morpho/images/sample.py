"""One photograph to try things on."""

from __future__ import annotations

from pathlib import Path

from morpho.images.io import read
from morpho.images.picture import Picture

__all__ = ["SAMPLE", "sample"]

#: Astronaut Eileen Collins, photographed by NASA in 1999: public domain. Shrunk to half by `imresize`.
SAMPLE = Path(__file__).parent / "sample.png"


def sample() -> Picture:
    """Return a photograph of 256 x 256 pixels with skin, hair, text and fine edges (NASA, public domain).

    >>> sample().pixels.shape
    (256, 256, 3)
    """
    return read(SAMPLE)
