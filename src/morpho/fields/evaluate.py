"""How good a field is: the papers' protocols for pictures and videos, and what happens between the samples.

Nothing here is chosen by what it measures: a field is scored as it is. Values are clipped to [0, 1] and not rounded,
which is how fields are reported; a picture that was written to a file has slightly less.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.field import Field
from morpho.images.metrics import psnr

__all__ = ["Between", "Scores", "between_scores", "halved", "scores", "ssim_uniform"]

Values = NDArray[np.float64]

#: The side of SSIM's window, and its two constants.
_WINDOW, _K1, _K2 = 7, 0.01, 0.03
#: Taps with which a sample halfway between others is interpolated: linearly, and by Keys' cubic (a = -1/2).
_LINEAR, _CUBIC = (0.5, 0.5), (-0.0625, 0.5625, 0.5625, -0.0625)


@dataclass(frozen=True)
class Scores:
    """PSNR in dB and SSIM of a picture, or their means over the frames of a video with standard deviations.

    Attributes:
        psnr: of clipped, unrounded values, all channels together, peak 1.
        ssim: of the same, see `ssim_uniform`; NaN where frames are smaller than its window.
        psnr_std: over frames; 0 for a picture, and where a frame is perfect.
        ssim_std: over frames.
        frames: how many.
    """

    psnr: float
    ssim: float
    psnr_std: float = 0.0
    ssim_std: float = 0.0
    frames: int = 1


@dataclass(frozen=True)
class Between:
    """PSNR in dB, on all samples of which a fit has seen a quarter, of a field and of interpolations.

    Attributes:
        field: the field's.
        linear: of bilinear interpolation of the samples that were seen, which is exact on those.
        cubic: of Keys' bicubic interpolation (a = -1/2) of them.
        seen: the field's on the samples that it was fitted to.
    """

    field: float
    linear: float
    cubic: float
    seen: float


def scores(field: Field, samples: NDArray[Any]) -> Scores:
    """Score a picture, or a video frame by frame, as SCONE's paper does (but at the end, not at the best step).

    Args:
        field: of the kind image or video.
        samples: what it was fitted to, ``(H, W, C)`` or ``(T, H, W, C)``, uint8 or uint16.

    Raises:
        InputError: the field is of another kind or shape.
    """
    _check(field, samples)
    peak = float(np.iinfo(samples.dtype).max)
    pairs = [
        (psnr(ours, theirs, peak=1.0), ssim_uniform(ours, theirs)) for ours, theirs in _frames(field, samples, peak)
    ]
    decibels, similarity = np.array(pairs).T
    return Scores(
        psnr=float(decibels.mean()),
        ssim=float(similarity.mean()),
        psnr_std=float(decibels.std()) if np.isfinite(decibels).all() else 0.0,
        ssim_std=float(similarity.std()),
        frames=len(pairs),
    )


def ssim_uniform(a: Values, b: Values) -> float:
    """Mean structural similarity as scikit-image computes it by default, which is what fields are reported with.

    Uniform 7 x 7 windows, whole ones only, unbiased covariances, the mean over channels, peak 1.

    Args:
        a: ``(H, W, C)`` in [0, 1].
        b: the same shape.

    Returns:
        At most 1; NaN where a side is shorter than 7.

    >>> ramp = np.linspace(0, 1, 300).reshape(10, 10, 3)
    >>> ssim_uniform(ramp, ramp)
    1.0
    """
    if min(a.shape[:2]) < _WINDOW:
        return math.nan
    mean_a, mean_b = _blurred(a), _blurred(b)
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    var_a, var_b = (_blurred(x * x) - mean * mean for x, mean in ((a, mean_a), (b, mean_b)))
    covariance = unbiased * (_blurred(a * b) - mean_a * mean_b)
    c1, c2 = _K1**2, _K2**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (unbiased * (var_a + var_b) + c2))).mean())


def halved(picture: NDArray[Any]) -> NDArray[Any]:
    """Return every second sample of a picture ``(H, W, C)``: what a field is fitted to before `between_scores`.

    >>> halved(np.arange(15).reshape(3, 5, 1))[..., 0].tolist()
    [[0, 2, 4], [10, 12, 14]]
    """
    return np.ascontiguousarray(picture[::2, ::2])


def between_scores(field: Field, picture: NDArray[Any]) -> Between:
    """Score a field between its samples: fitted to `halved`, it is asked for all samples of the whole.

    The comparison is with interpolations of the halved picture. A last row or column that lies beyond the last
    sample seen is left out.

    Args:
        field: of the kind image, fitted to ``halved(picture)``.
        picture: ``(H, W, C)``, uint8 or uint16.

    Raises:
        InputError: the field is not of the halved picture.
    """
    few = halved(picture)
    _check(field, few)
    peak = float(np.iinfo(picture.dtype).max)
    truth = picture[: 2 * few.shape[0] - 1, : 2 * few.shape[1] - 1] / peak
    axes = [np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in truth.shape[:2]]
    ours = _values(field, axes)
    if truth.shape[:2] == few.shape[:2]:
        raise InputError(f"a picture of {picture.shape} has nothing between its samples: give a larger one")
    linear, cubic = (_doubled(_doubled(few / peak, taps, 0), taps, 1) for taps in (_LINEAR, _CUBIC))
    return Between(
        field=psnr(ours, truth, peak=1.0),
        linear=psnr(linear, truth, peak=1.0),
        cubic=psnr(np.clip(cubic, 0, 1), truth, peak=1.0),
        seen=psnr(ours[::2, ::2], truth[::2, ::2], peak=1.0),
    )


def _frames(field: Field, samples: NDArray[Any], peak: float) -> Iterator[tuple[Values, Values]]:
    """Pairs of a field's frames and the original ones, in [0, 1]."""
    axes = field.signal.coordinates()
    if field.signal.kind == "image":
        yield _values(field, axes), samples / peak
        return
    for i, frame in enumerate(samples):
        yield _values(field, [axes[0][i : i + 1], *axes[1:]])[0], frame / peak


def _values(field: Field, axes: list[Values]) -> Values:
    """A field's clipped values on a grid."""
    grid = np.stack(np.meshgrid(*(axis.astype(np.float32) for axis in axes), indexing="ij"), -1)
    return np.asarray(np.clip(field(grid), 0, 1), np.float64)


def _check(field: Field, samples: NDArray[Any]) -> None:
    own = (*field.signal.shape, field.signal.channels)
    if field.signal.kind not in ("image", "video") or samples.shape != own or samples.dtype.kind != "u":
        raise InputError(
            f"a field of kind {field.signal.kind} with samples {own} cannot be compared with {samples.dtype} "
            f"{samples.shape}: give the uint8 or uint16 samples that it was fitted to"
        )


def _blurred(x: Values) -> Values:
    """The means of whole windows along rows and columns."""
    for axis in (0, 1):
        padded = np.insert(np.cumsum(x, axis), 0, 0, axis)
        low, high = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        low[axis], high[axis] = slice(None, -_WINDOW), slice(_WINDOW, None)
        x = (padded[tuple(high)] - padded[tuple(low)]) / _WINDOW
    return x


def _doubled(x: Values, taps: tuple[float, ...], axis: int) -> Values:
    """Put an interpolated sample between every two along an axis; the border is repeated."""
    count, reach = x.shape[axis], len(taps) // 2
    index = np.arange(count - 1)
    halfway = sum(tap * np.take(x, np.clip(index + k - reach + 1, 0, count - 1), axis) for k, tap in enumerate(taps))
    shape = list(x.shape)
    shape[axis] = 2 * count - 1
    out = np.empty(shape)
    even, odd = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    even[axis], odd[axis] = slice(None, None, 2), slice(1, None, 2)
    out[tuple(even)], out[tuple(odd)] = x, halfway
    return out
