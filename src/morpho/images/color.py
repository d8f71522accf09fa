"""Luma, CIE Lab and the colour difference CIEDE2000, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from morpho.errors import InputError

__all__ = ["delta_e2000", "luma", "srgb_to_lab"]

#: BT.601 weights of R, G, B for 8-bit studio luma (16 is black, 235 is white).
_LUMA = np.array([65.481, 128.553, 24.966]) / 255.0
#: Linear sRGB to CIE XYZ, D65; the rows sum to the white point, so that greys have a = b = 0.
_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def luma(image: NDArray[Any]) -> NDArray[np.float64]:
    """BT.601 luma ``16 + (65.481 R + 128.553 G + 24.966 B) / 255``, not rounded: 16 is black, 235 white.

    Args:
        image: ``(H, W)`` or ``(H, W, C)`` with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). uint16
            pictures are divided by 257 first; everything else, floats too, counts from 0 to 255.

    Returns:
        ``(H, W)``. A grey picture is its own luma, as in the literature's tables. Alpha is ignored.

    Raises:
        InputError: the array is no picture.

    >>> luma(np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8)).round(3)
    array([[235.,  16.]])
    """
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 2, 3, 4)):
        raise InputError(f"a picture has the shape (H, W) or (H, W, 1 to 4), but this is {image.shape}")
    unit = 257.0 if image.dtype == np.uint16 else 1.0
    if image.ndim == 2 or image.shape[2] < 3:
        return np.asarray(image if image.ndim == 2 else image[:, :, 0], dtype=np.float64) / unit
    red, green, blue = (np.multiply(image[:, :, i], _LUMA[i] / unit, dtype=np.float64) for i in range(3))
    red += green
    red += blue
    red += 16.0
    return np.asarray(red)


def srgb_to_lab(image: NDArray[Any]) -> NDArray[np.float64]:
    """CIE L*a*b* (D65, 2 degrees) of an sRGB picture.

    Args:
        image: ``(..., 3)``: uint8, uint16, or floats from 0 to 1.

    Returns:
        ``(..., 3)``: L* from 0 to 100, a*, b*.

    Raises:
        InputError: the last axis is not RGB, or the type is another one.

    >>> srgb_to_lab(np.array([255, 255, 255], np.uint8)).round(6) + 0.0
    array([100.,   0.,   0.])
    """
    peaks: dict[str, float] = {"u1": 255.0, "u2": 65535.0, "f2": 1.0, "f4": 1.0, "f8": 1.0}
    peak = peaks.get(image.dtype.str[1:])
    if image.ndim == 0 or image.shape[-1] != 3 or peak is None:
        raise InputError(
            f"srgb_to_lab takes uint8, uint16 or float arrays (..., 3), this is {image.dtype} {image.shape}"
        )
    xyz = _linear(image / peak) @ (_XYZ / _XYZ.sum(axis=1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    lightness = 116 * f[..., 1] - 16
    return np.stack([lightness, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def delta_e2000(lab1: ArrayLike, lab2: ArrayLike) -> NDArray[np.float64]:
    """Colour difference CIEDE2000 with kL = kC = kH = 1, in the formulation of Sharma, Wu and Dalal (2005).

    Args:
        lab1: ``(..., 3)``, L*a*b*.
        lab2: the same, or anything that broadcasts against it.

    Returns:
        ``(...)``: 0 is equal, about 1 just noticeable.

    Raises:
        InputError: the last axis is not L*a*b*.

    >>> float(delta_e2000([50, 2.6772, -79.7751], [50, 0, -82.7485]).round(4))
    2.0425
    """
    first, second = np.asarray(lab1, np.float64), np.asarray(lab2, np.float64)
    if first.shape[-1:] != (3,) or second.shape[-1:] != (3,):
        raise InputError(f"delta_e2000 takes arrays (..., 3), these are {first.shape} and {second.shape}")
    chroma = (np.hypot(first[..., 1], first[..., 2]) + np.hypot(second[..., 1], second[..., 2])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(_saturation(chroma))
    light1, chroma1, hue1 = _cylinder(first, stretch)
    light2, chroma2, hue2 = _cylinder(second, stretch)
    light, chroma, hue = (
        (light1 + light2) / 2,
        (chroma1 + chroma2) / 2,
        _mean_hue(hue1, hue2),
    )
    turn = (hue2 - hue1 + 180) % 360 - 180
    d_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn / 2))
    weight_l = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    weight_c = 1 + 0.045 * chroma
    weight_h = 1 + 0.015 * chroma * _hue_weight(hue)
    l_term, c_term, h_term = (light2 - light1) / weight_l, (chroma2 - chroma1) / weight_c, d_hue / weight_h
    bend = np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    rotation = -2 * np.sqrt(_saturation(chroma)) * bend
    squares = l_term**2 + c_term**2 + h_term**2 + rotation * c_term * h_term
    distance: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0))
    return distance


def _linear(encoded: NDArray[Any]) -> NDArray[np.float64]:
    """Undo the sRGB transfer curve (IEC 61966-2-1)."""
    encoded = encoded.astype(np.float64, copy=False)
    return np.where(encoded > 0.04045, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4, encoded / 12.92)


def _saturation(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """``C^7 / (C^7 + 25^7)``."""
    power = chroma**7
    return power / (power + 25.0**7)


def _cylinder(
    lab: NDArray[np.float64], stretch: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lightness, chroma and hue (degrees from 0 to 360), with a* stretched."""
    a = lab[..., 1] * stretch
    return lab[..., 0], np.hypot(a, lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], a)) % 360


def _mean_hue(hue1: NDArray[np.float64], hue2: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean across the shorter arc; where one of the two is grey it does not matter."""
    total = hue1 + hue2
    far = np.abs(hue1 - hue2) > 180
    return np.where(far, np.where(total < 360, total + 360, total - 360), total) / 2


def _hue_weight(hue: NDArray[np.float64]) -> NDArray[np.float64]:
    """The term T."""
    terms = ((-0.17, 1, -30.0), (0.24, 2, 0.0), (0.32, 3, 6.0), (-0.20, 4, -63.0))
    return np.asarray(1 + sum(size * np.cos(np.radians(order * hue + shift)) for size, order, shift in terms))
