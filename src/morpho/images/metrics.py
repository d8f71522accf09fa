"""PSNR and SSIM, as the super-resolution literature reports them.

The border convention: `psnr_y` cuts ``border`` pixels off every side before it compares (by custom as many as
the scale), because no method can know what lies beyond the edge. `ssim_y` cuts nothing by default, which is
what the lookup-table papers (SR-LUT, MuLUT, HKLUT) report; BasicSR cuts ``scale`` there too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.images.color import luma as luma

__all__ = ["luma", "psnr", "psnr_y", "ssim", "ssim_y"]

_WINDOW = 11
_SIGMA = 1.5
#: Rows of windows at a time, so that the work space of SSIM fits the cache.
_BAND = 32


def psnr(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio ``10 log10(peak^2 / MSE)`` in dB; infinite where the two are equal.

    Args:
        a: an array of any shape and type.
        b: another of the same shape.
        peak: the largest possible value: 255 for 8 bits, 65535 for 16, 1 for floats.

    Raises:
        InputError: the shapes differ, or there is nothing to compare.

    >>> round(psnr(np.zeros((4, 4)), np.ones((4, 4))), 4)
    48.1308
    """
    _check_pair(a, b, peak)
    difference = np.subtract(a, b, dtype=np.float64).ravel()
    error = float(difference @ difference) / difference.size
    return math.inf if error == 0 else 10 * math.log10(peak * peak / error)


def ssim(a: NDArray[Any], b: NDArray[Any], *, peak: float = 255.0) -> float:
    """Mean structural similarity (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, whole windows only.

    ``C1 = (0.01 peak)^2``, ``C2 = (0.03 peak)^2``; nothing is padded: a frame of five pixels has no window.

    Args:
        a: ``(H, W)``, both at least 11.
        b: the same shape.
        peak: the largest possible value.

    Returns:
        At most 1, which means equal.

    Raises:
        InputError: the shapes differ, are not two-dimensional, or are smaller than the window.

    >>> ramp = np.arange(400.0).reshape(20, 20) % 256
    >>> ssim(ramp, ramp)
    1.0
    """
    _check_pair(a, b, peak)
    if a.ndim != 2 or min(a.shape) < _WINDOW:
        raise InputError(f"SSIM takes (H, W) arrays of at least {_WINDOW} x {_WINDOW}, but these are {a.shape}")
    rows = a.shape[0] - _WINDOW + 1
    total = 0.0
    for start in range(0, rows, _BAND):
        band = slice(start, min(start + _BAND, rows) + _WINDOW - 1)
        total += _similarity(a[band].astype(np.float64), b[band].astype(np.float64), peak).sum()
    return float(total / (rows * (a.shape[1] - _WINDOW + 1)))


def psnr_y(a: NDArray[Any], b: NDArray[Any], *, border: int) -> float:
    """PSNR between the lumas of two pictures, ``border`` pixels cut off every side (the custom is the scale).

    Args:
        a: a picture, see `luma`.
        b: another of the same size.
        border: pixels to ignore on each side, at least 0.

    Raises:
        InputError: the sizes differ, or nothing is left inside the border.

    >>> psnr_y(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8), border=4)
    inf
    """
    return psnr(_inner_luma(a, border), _inner_luma(b, border))


def ssim_y(a: NDArray[Any], b: NDArray[Any], *, border: int = 0) -> float:
    """SSIM between the lumas of two pictures; nothing is cut off by default.

    Args:
        a: a picture, see `luma`.
        b: another of the same size.
        border: pixels to ignore on each side, at least 0.

    Raises:
        InputError: the sizes differ, or less than 11 x 11 pixels are left inside the border.

    >>> ssim_y(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16, 3), np.uint8))
    1.0
    """
    return ssim(_inner_luma(a, border), _inner_luma(b, border))


def _check_pair(a: NDArray[Any], b: NDArray[Any], peak: float) -> None:
    if a.shape != b.shape or a.size == 0:
        raise InputError(f"the two arrays must have one shape with something in it: {a.shape} and {b.shape} do not")
    if not peak > 0:
        raise InputError(f"the peak value {peak} is not positive: give 255 for 8 bits, 1 for floats")


def _inner_luma(image: NDArray[Any], border: int) -> NDArray[np.float64]:
    if border < 0 or 2 * border >= min(image.shape[:2]):
        raise InputError(f"a border of {border} leaves nothing of a picture {image.shape}: use a smaller one")
    return luma(image[border : image.shape[0] - border, border : image.shape[1] - border])


def _similarity(x: NDArray[np.float64], y: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """The SSIM of each window."""
    mean_x, mean_y = _blur(x), _blur(y)
    squares, product = mean_x * mean_x + mean_y * mean_y, mean_x * mean_y
    variances = _blur(x * x + y * y) - squares
    covariance = _blur(x * y) - product
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    similarity = (2 * product + c1) * (2 * covariance + c2)
    similarity /= (squares + c1) * (variances + c2)
    return similarity


def _blur(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean of each whole window: ``(H - 10, W - 10)``."""
    taps = np.exp(-((np.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    for axis in (0, 1):
        length = image.shape[axis] - _WINDOW + 1
        parts = [image[i : i + length] if axis == 0 else image[:, i : i + length] for i in range(_WINDOW)]
        blurred = taps[0] * parts[0]
        scaled = np.empty_like(blurred)
        for tap, part in zip(taps[1:], parts[1:], strict=True):
            np.multiply(part, tap, out=scaled)
            blurred += scaled
        image = blurred
    return image
