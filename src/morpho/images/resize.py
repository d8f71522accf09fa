"""Bicubic resizing by the convention of MATLAB's ``imresize``, which super-resolution is measured by.

Cubic convolution with a = -0.5 (Keys 1981), pixel centres at half-integers, edges continued by a mirror that
repeats the edge, weights normalised to sum 1. When shrinking, the kernel is widened by ``1 / scale``, so that
nothing aliases. One dimension is resized after the other (the one that shrinks most first, vertically before
horizontally when both shrink alike); pictures of integers are rounded and clipped after *each* pass: leaving
that rounding out changes a third of the pixels by one or two grey levels.

(An older MATLAB repeated the edge pixel instead. The small pictures that SelfExSR comes with were made so:
they equal ours bit for bit, but for a frame of two pixels.)

Each pass multiplies by a banded matrix, a block of output rows at a time, so that BLAS does the work and the
memory stays small however large the picture is.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError

__all__ = ["imresize", "modcrop"]

_Scalar = TypeVar("_Scalar", bound=np.generic)
#: Output rows, padded input rows, and the dense weights between them.
_Band: TypeAlias = tuple[slice, slice, NDArray[np.float64]]

#: Half the support of the cubic kernel, in pixels.
_RADIUS = 2
#: Elements of float64 work space per chunk: what fits the cache of a core.
_CHUNK = 1 << 19
#: Added before rounding, so that exact halves go up whatever the order of a sum was.
_HALF = 0.5 + 1e-9


def imresize(
    image: NDArray[_Scalar],
    *,
    scale: Fraction | float | None = None,
    size: tuple[int, int] | None = None,
) -> NDArray[_Scalar]:
    """Resize a picture as MATLAB's ``imresize(image, scale)`` does: bicubic, antialiased when shrinking.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, integers or floats of any range.
        scale: output / input; the output has ``ceil(scale * H)`` rows. Give ``Fraction(1, 3)`` or ``1 / 3``.
        size: rows and columns of the output, instead of ``scale``.

    Returns:
        The resized picture, of the input's type; integers rounded (halves up) and clipped to its range.

    Raises:
        InputError: no picture, not exactly one of ``scale`` and ``size``, or an output without pixels.

    >>> import numpy as np
    >>> imresize(np.array([[0, 0, 200, 200]], np.uint8), size=(1, 2))
    array([[ 11, 189]], dtype=uint8)
    >>> imresize(np.zeros((9, 12, 3), np.uint8), scale=1 / 3).shape
    (3, 4, 3)
    """
    _check(image)
    scales, sizes = _plan(image.shape[0], image.shape[1], scale, size)
    result: NDArray[Any] = image if image.ndim == 3 else image[:, :, np.newaxis]
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        result = _resize_axis(result, axis, sizes[axis], scales[axis])
    return result.reshape(*sizes, *image.shape[2:])


def modcrop(image: NDArray[_Scalar], scale: int) -> NDArray[_Scalar]:
    """Cut rows and columns off the end, until both are multiples of ``scale`` (a view, no copy).

    Raises:
        InputError: ``scale`` is no positive integer, or nothing would be left.

    >>> import numpy as np
    >>> modcrop(np.zeros((10, 7, 3)), 4).shape
    (8, 4, 3)
    """
    _check(image)
    if scale < 1 or int(scale) != scale:
        raise InputError(f"the scale to crop for is {scale}: give a positive whole number")
    height, width = (length - length % int(scale) for length in image.shape[:2])
    if height == 0 or width == 0:
        raise InputError(f"a picture of shape {image.shape} has no multiple of {scale} left: use a larger picture")
    return image[:height, :width]


def _check(image: object) -> None:
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "uif":
        kind = getattr(image, "dtype", type(image).__name__)
        raise InputError(f"a picture is an array of integers or floats, but this is {kind}: convert it first")
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(f"a picture has the shape (H, W) or (H, W, C), none of them 0, but this is {image.shape}")


def _plan(
    height: int, width: int, scale: Fraction | float | None, size: tuple[int, int] | None
) -> tuple[tuple[Fraction, Fraction], tuple[int, int]]:
    """Scale and output length of each dimension."""
    if (scale is None) == (size is None):
        raise InputError("imresize takes either scale or size: give exactly one of the two")
    if size is not None:
        lengths: tuple[int, ...] = tuple(size)
        if len(lengths) != 2 or any(int(n) != n or n < 1 for n in lengths):
            raise InputError(f"the output size {size} is not a pair of positive whole numbers: give (rows, columns)")
        rows, columns = int(size[0]), int(size[1])
        return (Fraction(rows, height), Fraction(columns, width)), (rows, columns)
    ratio = _rational(scale)
    return (ratio, ratio), (math.ceil(ratio * height), math.ceil(ratio * width))


def _rational(scale: Fraction | float | None) -> Fraction:
    """The fraction that was meant: 1/3 for 0.333..., so that lengths do not depend on rounding errors."""
    if scale is None or not math.isfinite(scale) or scale <= 0:
        raise InputError(f"the scale {scale} is not a positive finite number: give for example 4 or 1/4")
    exact = Fraction(scale)
    near = exact.limit_denominator(1000)
    return near if near > 0 and abs(near / exact - 1) < 1e-12 else exact


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1.0
    outer = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, inner, np.where(x <= 2.0, outer, 0.0))


def _weights(length: int, scale: Fraction) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """First input index (it may be negative) and the ``(length, taps)`` weights of each output."""
    shrink = float(min(scale, Fraction(1)))
    centre = (np.arange(length) + 0.5) * scale.denominator / scale.numerator - 0.5
    first = np.floor(centre - _RADIUS / shrink).astype(np.intp)
    taps = math.ceil(2 * _RADIUS / shrink) + 2
    distance = centre[:, np.newaxis] - (first[:, np.newaxis] + np.arange(taps))
    weights = _cubic(distance * shrink)
    return first, weights / weights.sum(axis=1, keepdims=True)


def _mirror(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Symmetric continuation that repeats the edge: -1 -> 0, -2 -> 1, length -> length - 1."""
    folded = index % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


def _bands(first: NDArray[np.intp], weights: NDArray[np.float64]) -> list[_Band]:
    """The banded matrix as a list of dense blocks."""
    count, taps = weights.shape
    span = int(first[-1] - first[0])
    step = max(8, math.ceil(taps * count / max(span, 1)))
    bands = []
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        offset = first[rows] - first[start]
        block = np.zeros((len(offset), int(offset[-1]) + taps))
        np.put_along_axis(block, offset[:, np.newaxis] + np.arange(taps), weights[rows], axis=1)
        low = int(first[start] - first[0])
        bands.append((rows, slice(low, low + block.shape[1]), block))
    return bands


def _resize_axis(image: NDArray[Any], axis: int, length: int, scale: Fraction) -> NDArray[Any]:
    """Resize ``(H, W, C)`` along one of its first two axes."""
    first, weights = _weights(length, scale)
    bands = _bands(first, weights)
    source_rows = _mirror(np.arange(first[0], first[-1] + weights.shape[1]), image.shape[axis])
    shape = (length, *image.shape[1:]) if axis == 0 else (image.shape[0], length, image.shape[2])
    result = np.empty(shape, image.dtype)
    source, target = (image, result) if axis == 0 else (image.swapaxes(0, 1), result.swapaxes(0, 1))
    channels = image.shape[2]
    step = max(1, _CHUNK // (channels * max(len(source_rows), length)))
    for start in range(0, source.shape[1], step):
        columns = source[:, start : start + step]
        padded = columns.take(source_rows, axis=0).astype(np.float64).reshape(len(source_rows), -1)
        resized = np.empty((length, padded.shape[1]))
        for rows, window, block in bands:
            np.matmul(block, padded[window], out=resized[rows])
        target[:, start : start + step] = _as_type(resized, image.dtype).reshape(length, -1, channels)
    return result


def _as_type(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Round and clip in place where the picture holds integers."""
    if dtype.kind == "f":
        return values
    limits = np.iinfo(dtype)
    values += _HALF
    np.floor(values, out=values)
    return np.clip(values, limits.min, limits.max, out=values)
