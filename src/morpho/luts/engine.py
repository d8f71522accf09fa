"""A lookup table made ready for pictures of every kind."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.images.kinds import on_pixels
from morpho.luts.integers import IntegerLut
from morpho.luts.kernel import Kernel
from morpho.luts.lut import Lut
from morpho.luts.reference import Interpolation

__all__ = ["Engine", "apply"]

Image = TypeVar("Image")
Pixels = NDArray[Any]

#: Rec. 601 luma in 256ths, which sum to 256: an equal grey stays as it is.
_LUMA = np.array([77, 150, 29])


class Engine:
    """A `Lut` for many pictures, or for the frames of a video.

    The result is defined in integers: the same on every machine, for any number of threads. It is within one level of
    the exact interpolation, and where the table is the identity, exactly the input.

    Args:
        lut: the table.
        interpolation: ``"tetrahedral"``, which finds greys between grey nodes alone and is faster, or ``"trilinear"``.
        threads: how many threads to use; by default one per usable core.

    Raises:
        InputError: an option is unusable.

    >>> negative = Lut(1 - Lut.identity(2).lattice)
    >>> Engine(negative)(np.array([[[0, 100, 255]]], dtype=np.uint8)).tolist()
    [[[255, 155, 0]]]
    """

    def __init__(self, lut: Lut, *, interpolation: Interpolation = "tetrahedral", threads: int | None = None) -> None:
        if interpolation not in get_args(Interpolation):
            raise InputError(f"interpolation is {' or '.join(get_args(Interpolation))}, not {interpolation!r}")
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self.lut, self.interpolation, self.threads = lut, interpolation, threads
        self._kernels: dict[tuple[np.dtype[Any], int], Kernel] = {}

    def __call__(self, image: Image, *, out: Pixels | None = None) -> Image:
        """Look up the colour of every pixel.

        Args:
            image: one of

                - an array ``(H, W)`` or ``(H, W, C)``, C from 1 to 4, uint8 or uint16; with 2 or 4 channels the last
                  is alpha (not premultiplied), which stays as it is;
                - a `morpho.Picture`;
                - a Pillow image of mode 1, L, LA, P, RGB, RGBA or I;16 (1 becomes L; P becomes RGB or RGBA).

                Grey is looked up as RGB with equal channels, and becomes the luma of the result.
            out: for an array ``(H, W, C)``: where to write, an array of its shape and type, C-contiguous; the image
                itself, or apart from it.

        Returns:
            The same kind of thing (``out`` where given).

        Raises:
            InputError: the image is something else, or ``out`` does not fit.
        """
        if out is not None and not (isinstance(image, np.ndarray) and image.ndim == 3):
            raise InputError("out can only be given for an array (H, W, C): leave it away for other pictures")
        return on_pixels(image, partial(self._pixels, out=out))

    def _pixels(self, pixels: Pixels, out: Pixels | None) -> Pixels:
        channels = pixels.shape[2]
        if channels > 4:
            raise InputError(f"a picture has 1 to 4 channels, not {channels}: {pixels.dtype} {pixels.shape}")
        return self._kernel(pixels.dtype, 3 if channels > 2 else 1)(pixels, threads=self.threads, out=out)

    def _kernel(self, dtype: np.dtype[Any], colours: int) -> Kernel:
        """The table's form for one depth, and for grey or RGB; made when it is first needed."""
        kernel = self._kernels.get((dtype, colours))
        if kernel is None:
            kernel = self._grey(dtype) if colours == 1 else self._rgb(dtype)
            self._kernels[dtype, colours] = kernel
        return kernel

    def _rgb(self, dtype: np.dtype[Any]) -> Kernel:
        return Kernel(IntegerLut.of(self.lut, dtype), self.interpolation)

    def _grey(self, dtype: np.dtype[Any]) -> Kernel:
        """A table of levels: what becomes of each."""
        peak = np.iinfo(dtype).max
        greys = np.repeat(np.arange(peak + 1, dtype=dtype)[None, :, None], 3, axis=2)
        colours = self._kernel(dtype, 3)(greys, threads=1)[0].astype(np.int64)
        return Kernel(IntegerLut.of_levels((colours @ _LUMA + 128)[None] >> 8))


def apply(image: Image, lut: Lut, *, interpolation: Interpolation = "tetrahedral", threads: int | None = None) -> Image:
    """Look up the colour of every pixel: ``morpho.luts.apply(photo, read("grade.cube"))``.

    For many pictures, make one `Engine` and call it.

    Args:
        image: an array ``(H, W)`` or ``(H, W, C)`` of uint8 or uint16, a `morpho.Picture` or a Pillow image.
        lut: the table.
        interpolation: ``"tetrahedral"`` or ``"trilinear"``.
        threads: how many threads to use; by default one per usable core.

    Returns:
        The same kind of thing; see `Engine.__call__`.

    Raises:
        InputError: the image is no picture, or an option is unusable.

    >>> apply(np.array([[10, 200]], dtype=np.uint8), Lut.identity()).tolist()
    [[10, 200]]
    """
    return Engine(lut, interpolation=interpolation, threads=threads)(image)
