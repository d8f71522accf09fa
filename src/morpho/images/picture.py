"""A picture in memory: its pixels, and what the file said beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.images.metadata import Metadata

__all__ = ["Picture"]


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels, metadata, and the format of the file they came from.

    Attributes:
        pixels: ``(H, W, C)``, uint8 or uint16, sRGB unless the profile says otherwise; C = 1 (grey), 2 (grey
            and alpha), 3 (RGB) or 4 (RGBA, not premultiplied).
        metadata: EXIF, colour profile, XMP, resolution.
        format: ``"JPEG"``, ``"PNG"``, ``"WEBP"``, ``"TIFF"``, ``"BMP"``, or None.

    Raises:
        InputError: the pixels are not such an array.

    >>> picture = Picture(np.zeros((4, 6, 4), np.uint8))
    >>> picture.height, picture.width, picture.color.shape
    (4, 6, (4, 6, 3))
    """

    pixels: NDArray[Any]
    metadata: Metadata = field(default_factory=Metadata)
    format: str | None = None

    def __post_init__(self) -> None:
        pixels: object = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
            kind = getattr(pixels, "dtype", type(pixels).__name__)
            raise InputError(f"pixels are a uint8 or uint16 array, but this is {kind}: convert it first")
        if pixels.ndim != 3 or 0 in pixels.shape or pixels.shape[2] > 4:
            raise InputError(f"pixels have the shape (H, W, 1 to 4), but this is {pixels.shape}")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def color(self) -> NDArray[Any]:
        """Grey or RGB, without alpha: a view ``(H, W, 1 or 3)``."""
        return self.pixels[:, :, : self.pixels.shape[2] - 1] if self.alpha is not None else self.pixels

    @property
    def alpha(self) -> NDArray[Any] | None:
        """Opacity: a view ``(H, W, 1)``, or None."""
        return self.pixels[:, :, -1:] if self.pixels.shape[2] in (2, 4) else None

    def with_pixels(self, pixels: NDArray[Any]) -> Picture:
        """The same metadata and format around other pixels."""
        return replace(self, pixels=pixels)
