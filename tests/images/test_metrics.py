"""PSNR and SSIM against scikit-image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import metrics as skimage_metrics
from skimage.color import rgb2ycbcr

from morpho.errors import InputError
from morpho.images import luma, psnr, psnr_y, ssim, ssim_y
from tests.images.samples import noise, smooth

peak_signal_noise_ratio: Any = skimage_metrics.peak_signal_noise_ratio
structural_similarity: Any = skimage_metrics.structural_similarity


def theirs(a: Any, b: Any, peak: float = 255) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(a, b, data_range=peak, **options))


@given(st.integers(11, 90), st.integers(11, 40), st.sampled_from([1.0, 255.0, 65535.0]))
def test_equal_scikit_image(height: int, width: int, peak: float) -> None:
    random = np.random.default_rng(height * 100 + width)
    a = random.random((height, width)) * peak
    b = a + random.normal(size=a.shape) * peak / 20
    assert psnr(a, b, peak=peak) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=peak), abs=1e-9)
    assert ssim(a, b, peak=peak) == pytest.approx(theirs(a, b, peak), abs=1e-9)


def test_luma_equals_scikit_image() -> None:
    image = noise(20, 30, 3)
    assert np.allclose(luma(image), rgb2ycbcr(image)[..., 0], atol=1e-9)


def test_luma_of_other_pictures() -> None:
    image = noise(20, 30, 4)
    assert np.array_equal(luma(image), luma(image[:, :, :3]))
    assert np.allclose(luma(image[:, :, :3].astype(np.uint16) * 257), luma(image[:, :, :3]))
    assert np.array_equal(luma(image[:, :, 0]), image[:, :, 0])
    assert np.array_equal(luma(image[:, :, :2]), image[:, :, 0])
    assert np.array_equal(luma(image[:, :, 0].astype(np.uint16) * 257), image[:, :, 0])


def test_unsigned_values_do_not_wrap() -> None:
    assert psnr(np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)) == 0.0


def test_equal_pictures() -> None:
    image = noise(16, 16, 3)
    assert psnr_y(image, image.copy(), border=2) == math.inf
    assert ssim_y(image, image.copy()) == 1.0


@pytest.mark.parametrize("border", [0, 1, 4])
def test_the_border_does_not_count(border: int) -> None:
    a, b = smooth(40, 50), smooth(40, 50) // 2
    inner = (slice(border, 40 - border), slice(border, 50 - border))
    assert psnr_y(a, b, border=border) == pytest.approx(
        peak_signal_noise_ratio(luma(a)[inner], luma(b)[inner], data_range=255)
    )
    assert ssim_y(a, b, border=border) == pytest.approx(theirs(luma(a)[inner], luma(b)[inner]))
    assert ssim_y(a, b) == ssim_y(a, b, border=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: psnr(np.zeros((3, 3)), np.zeros((3, 4))),
        lambda: psnr(np.zeros((0, 3)), np.zeros((0, 3))),
        lambda: psnr(np.zeros((3, 3)), np.zeros((3, 3)), peak=0),
        lambda: ssim(np.zeros((10, 30)), np.zeros((10, 30))),
        lambda: ssim(np.zeros((30, 30, 3)), np.zeros((30, 30, 3))),
        lambda: psnr_y(np.zeros((8, 8)), np.zeros((8, 8)), border=4),
        lambda: psnr_y(np.zeros((8, 8)), np.zeros((8, 8)), border=-1),
        lambda: luma(np.zeros((8, 8, 5))),
        lambda: luma(np.zeros(8)),
    ],
)
def test_unusable_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
