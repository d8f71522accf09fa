"""The literature's protocol for super-resolution, to the letter.

Crop the high-resolution picture to a multiple of the scale, shrink it by MATLAB's bicubic ``imresize`` (8 bits between
its passes), upscale it again, and compare on the luma of BT.601 (16..235). PSNR leaves out ``scale`` pixels on every
side; SSIM compares the whole picture, as the papers on lookup tables do. Values are means over pictures. A grey
picture counts as its own luma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.console import track
from morpho.errors import DataError
from morpho.images import find_pictures, imresize, modcrop, psnr_y, read_photo, ssim_y
from morpho.upscale.upscaler import Upscaler

__all__ = ["Quality", "bicubic", "evaluate"]

Enlarge = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What an upscaler reaches on a set of pictures.

    Attributes:
        set: the folder's name.
        images: how many pictures.
        psnr_y: mean PSNR of luma in dB, ``scale`` pixels of border cut.
        ssim_y: mean SSIM of luma, nothing cut.
        bytes: what inference reads tables from; 0 for bicubic.
        scale: the factor.
        model: the tables' name, or ``bicubic``.
    """

    set: str
    images: int
    psnr_y: float
    ssim_y: float
    bytes: int
    scale: int
    model: str

    def as_dict(self) -> dict[str, str | int | float]:
        """Return it with rounded numbers, ready for JSON."""
        return {**asdict(self), "psnr_y": round(self.psnr_y, 4), "ssim_y": round(self.ssim_y, 5)}


def evaluate(upscaler: Upscaler, folder: Path | str) -> Quality:
    """Measure an upscaler on a folder of high-resolution pictures.

    Raises:
        DataError: the folder is missing, holds no picture, or one that cannot be used.
    """
    enlarge: Enlarge = upscaler.__call__
    return _measure(enlarge, Path(folder), upscaler.scale, upscaler.tables.nbytes, upscaler.card.name)


def bicubic(folder: Path | str, scale: int) -> Quality:
    """Measure bicubic interpolation in the same way: the control of every table of results.

    Raises:
        DataError: as `evaluate`.
    """

    def enlarge(low: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return imresize(low, size=(low.shape[0] * scale, low.shape[1] * scale))

    return _measure(enlarge, Path(folder), scale, 0, "bicubic")


def _measure(enlarge: Enlarge, folder: Path, scale: int, nbytes: int, model: str) -> Quality:
    scores = np.array(
        [_score(enlarge, path, scale) for path in track(find_pictures(folder), f"{model} on {folder.name}")]
    )
    psnr, ssim = scores.mean(axis=0)
    name = folder.resolve().name
    return Quality(
        set=name,
        images=len(scores),
        psnr_y=float(psnr),
        ssim_y=float(ssim),
        bytes=nbytes,
        scale=scale,
        model=model,
    )


#: SSIM's window needs this many pixels; so does a comparison with its border cut, for scales up to 5.
_SMALLEST = 11


def _score(enlarge: Enlarge, path: Path, scale: int) -> tuple[float, float]:
    color = read_photo(path)
    if min(color.shape[:2]) // scale * scale < max(_SMALLEST, 2 * scale + 1):
        raise DataError(f"{path} is {color.shape[1]}x{color.shape[0]}, too small to measure: leave it out")
    high = modcrop(color, scale)
    low = imresize(high, size=(high.shape[0] // scale, high.shape[1] // scale))
    result = enlarge(low)
    return psnr_y(result, high, border=scale), ssim_y(result, high)
