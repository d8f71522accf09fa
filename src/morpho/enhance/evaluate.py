"""How near a way of retouching comes to an expert, on pairs of a photo and its retouched version.

PSNR of the 8-bit RGB values over all three channels, in dB; SSIM, the mean over the three channels (11x11 Gaussian
window, sigma 1.5); the mean CIEDE2000 over pixels. Each is taken per picture, then averaged over pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from morpho.console import track
from morpho.enhance.corpus import Pair, Photo, find_pairs, read_pair
from morpho.errors import DataError
from morpho.images import delta_e2000, psnr, srgb_to_lab, ssim

__all__ = ["Method", "Quality", "Score", "evaluate", "mean", "score", "score_pair"]

#: Takes and returns a picture, ``(H, W, 3)`` uint8.
Method = Callable[[Photo], Photo]

#: SSIM's window needs this many pixels.
_SMALLEST = 11
#: Pixels whose colours are compared at a time: the working arrays stay in the cache.
_BAND = 1 << 14


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near one picture is to another.

    Attributes:
        psnr: in dB; infinite where they are equal.
        ssim: at most 1.
        delta_e: mean CIEDE2000; 0 is equal, about 1 just noticeable.
    """

    psnr: float
    ssim: float
    delta_e: float


@dataclass(frozen=True, kw_only=True)
class Quality(Score):
    """What a method reaches on a set of pairs: means over pictures.

    Attributes:
        pairs: how many.
    """

    pairs: int

    def as_dict(self) -> dict[str, int | float | None]:
        """Return it with rounded numbers, ready for JSON, which has no infinity: None stands for it."""
        return {
            "pairs": self.pairs,
            "psnr": round(self.psnr, 4) if math.isfinite(self.psnr) else None,
            "ssim": round(self.ssim, 5),
            "delta_e": round(self.delta_e, 4),
        }


def evaluate(method: Method, inputs: Path | str, targets: Path | str, *, name: str = "retouching") -> Quality:
    """Measure a method on two folders whose pictures belong together by their names without suffix.

    Args:
        method: what retouches an input: an `Enhancer`, a control of `morpho.enhance.controls`.
        inputs: the folder of photos.
        targets: the folder of the same photos, retouched.
        name: of the method, for the progress bar.

    Raises:
        DataError: a folder is missing or empty, a picture has no partner, the sizes of a pair differ, or a
            picture cannot be read or is smaller than SSIM's window.
    """
    return mean(score_pair(method, *paths) for paths in track(find_pairs(inputs, targets), name))


def score_pair(method: Method, input: Path, target: Path) -> Score:
    """Measure a method on one pair of files.

    Raises:
        DataError: as `evaluate`.
    """
    pair: Pair = read_pair(input, target)
    if min(pair.input.shape[:2]) < _SMALLEST:
        size = f"{pair.input.shape[1]}x{pair.input.shape[0]}"
        raise DataError(f"{input} is {size}, too small to measure: leave it out")
    return score(method(pair.input), pair.target)


def score(result: Photo, target: Photo) -> Score:
    """Compare two pictures, ``(H, W, 3)`` uint8, at least 11 pixels high and wide.

    >>> score(np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 255, np.uint8)).psnr
    0.0
    """
    return Score(
        psnr=psnr(result, target),
        ssim=float(np.mean([ssim(result[..., i], target[..., i]) for i in range(3)])),
        delta_e=_mean_delta_e(result, target),
    )


def mean(scores: Iterable[Score]) -> Quality:
    """Average over pictures.

    Raises:
        DataError: there are none.
    """
    rows = [(one.psnr, one.ssim, one.delta_e) for one in scores]
    if not rows:
        raise DataError("there is no pair to measure: give folders that hold some")
    averages = np.array(rows).mean(axis=0)
    return Quality(pairs=len(rows), psnr=float(averages[0]), ssim=float(averages[1]), delta_e=float(averages[2]))


def _mean_delta_e(result: Photo, target: Photo) -> float:
    first, second = result.reshape(-1, 3), target.reshape(-1, 3)
    total = 0.0
    for start in range(0, len(first), _BAND):
        band = slice(start, start + _BAND)
        total += float(delta_e2000(srgb_to_lab(first[band]), srgb_to_lab(second[band])).sum())
    return total / len(first)
