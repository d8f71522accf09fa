"""One function for every kind of picture: arrays, `Picture` and Pillow images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.images.picture import Picture

__all__ = ["on_pixels"]

Image = TypeVar("Image")
Pixels = NDArray[Any]

#: What Pillow's modes are read as; what is not here holds more, or something else, than eight bits of grey or RGB.
_PILLOW_MODES = {
    "1": "L", "L": "L", "LA": "LA", "La": "LA",
    "P": "RGB", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA",
}  # fmt: skip


def on_pixels(image: Image, run: Callable[[Pixels], Pixels]) -> Image:
    """Give a picture's pixels to a function, and what it returns back as the same kind of picture.

    Args:
        image: an array ``(H, W)`` or ``(H, W, C)`` of uint8 or uint16, a `Picture`, or a Pillow image of mode 1, L,
            LA, P, RGB, RGBA or I;16 (1 becomes L; P becomes RGB or RGBA).
        run: takes and returns ``(H, W, C)`` of the same type, C as it was; H and W may change.

    Raises:
        InputError: the image is something else.

    >>> on_pixels(np.array([[1, 2]], dtype=np.uint8), lambda pixels: pixels + 1)
    array([[2, 3]], dtype=uint8)
    """
    if isinstance(image, np.ndarray):
        return cast(Image, _array(image, run))
    if isinstance(image, Picture):
        return cast(Image, image.with_pixels(_array(image.pixels, run)))
    if _is_pillow(image):
        return cast(Image, _pillow(image, run))
    raise InputError(
        f"{type(image).__module__}.{type(image).__qualname__} is no picture: "
        "give a NumPy array, a Pillow image or a morpho.Picture"
    )


def _array(array: Pixels, run: Callable[[Pixels], Pixels]) -> Pixels:
    if array.ndim not in (2, 3) or array.dtype not in (np.uint8, np.uint16) or 0 in array.shape:
        raise InputError(
            "a picture must be a non-empty (H, W) or (H, W, C) array of uint8 or uint16, "
            f"not {array.dtype} {array.shape}: scale floats to 0..255 and convert them"
        )
    return run(array[:, :, None])[:, :, 0] if array.ndim == 2 else run(array)


def _is_pillow(image: object) -> bool:
    """Whether this is a Pillow image, without importing Pillow."""
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(image).__mro__)


def _pillow(image: Any, run: Callable[[Pixels], Pixels]) -> Any:
    from PIL import Image as pillow  # installed, since the image is there

    result = pillow.fromarray(_array(_pillow_pixels(image), run))
    result.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return result


def _pillow_pixels(image: Any) -> Pixels:
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    wanted = _PILLOW_MODES.get(mode)
    if wanted is None:
        raise InputError(
            f"a Pillow image of mode {mode} is neither grey nor RGB: convert it to L, LA, RGB or RGBA first"
        )
    if "transparency" in image.info:  # a palette entry or colour that stands for transparent
        wanted = {"L": "LA", "RGB": "RGBA"}.get(wanted, wanted)
    return np.asarray(image.convert(wanted))
