"""Lab and CIEDE2000 against scikit-image and the published test pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage import color as skimage_color
from skimage.color import rgb2lab

from morpho.errors import InputError
from morpho.images import delta_e2000, srgb_to_lab
from tests.images.samples import noise

deltaE_ciede2000: Any = skimage_color.deltaE_ciede2000

#: Sharma, Wu, Dalal 2005, table 1: they probe the mean hue, the hue difference, greys and the rotation term.
PAIRS = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, 2.8361, -74.0200), (50, 0, -82.7485), 3.4412),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0009), 7.1792),
    ((50, 2.4900, -0.0010), (50, -2.4900, 0.0011), 7.2195),
    ((50, -0.0010, 2.4900), (50, 0.0009, -2.4900), 4.8045),
    ((50, -0.0010, 2.4900), (50, 0.0011, -2.4900), 4.7461),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), PAIRS)
def test_published_pairs(first: Any, second: Any, expected: float) -> None:
    assert delta_e2000(first, second) == pytest.approx(expected, abs=5e-5)
    assert delta_e2000(second, first) == pytest.approx(expected, abs=5e-5)


def test_ciede2000_equals_scikit_image_on_pictures() -> None:
    a, b = srgb_to_lab(noise(40, 50, 3)), srgb_to_lab(noise(40, 50, 3, seed=1))
    assert np.allclose(delta_e2000(a, b), deltaE_ciede2000(a, b), atol=1e-9)
    assert np.allclose(delta_e2000(a, a[0, 0]), deltaE_ciede2000(a, np.broadcast_to(a[0, 0], a.shape)), atol=1e-9)


def test_lab_equals_scikit_image() -> None:
    image = noise(60, 50, 3)
    # Both round the same primaries, at different digits.
    assert np.allclose(srgb_to_lab(image), rgb2lab(image), atol=0.01)
    dark = np.arange(60, dtype=np.uint8).reshape(-1, 1, 3)
    assert np.allclose(srgb_to_lab(dark), rgb2lab(dark), atol=0.01)


def test_lab_of_all_types_agrees() -> None:
    image = noise(6, 5, 3)
    expected = srgb_to_lab(image)
    assert np.allclose(srgb_to_lab(image.astype(np.uint16) * 257), expected)
    assert np.allclose(srgb_to_lab(image / 255), expected)
    assert np.allclose(srgb_to_lab((image / 255).astype(np.float32)), expected, atol=1e-3)


def test_greys_have_no_colour() -> None:
    lab = srgb_to_lab(np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1))
    assert np.abs(lab[:, 1:]).max() < 1e-9
    assert np.all(np.diff(lab[:, 0]) > 0)


@pytest.mark.parametrize("image", [np.zeros((3, 4)), np.zeros((3, 3), np.int64), np.zeros(())])
def test_unusable_pictures(image: Any) -> None:
    with pytest.raises(InputError):
        srgb_to_lab(image)


def test_unusable_colours() -> None:
    with pytest.raises(InputError):
        delta_e2000([1, 2], [1, 2])
