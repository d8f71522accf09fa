"""The photograph that is shipped."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage import data

from morpho.images import sample
from morpho.images.sample import SAMPLE


def test_a_small_photograph_of_detail() -> None:
    picture = sample()
    assert (picture.height, picture.width, picture.pixels.shape[2]) == (256, 256, 3)
    assert picture.pixels.dtype == np.uint8
    assert SAMPLE.stat().st_size < 200_000  # every clone and every wheel carries it
    assert np.array_equal(picture.pixels, sample().pixels)


def test_it_is_the_astronaut() -> None:
    """Half of scikit-image's copy, by means of 2x2: near, but not equal to, ours."""
    astronaut: Any = data.astronaut()  # type: ignore[no-untyped-call]
    halved = astronaut.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - sample().pixels).mean() < 4
