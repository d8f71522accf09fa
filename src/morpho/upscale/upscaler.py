"""Upscaling whole pictures: which tables to use, and what to do with each kind of picture."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from morpho import artifacts
from morpho.artifacts import Card
from morpho.errors import ArtifactError, InputError
from morpho.images.kinds import on_pixels
from morpho.upscale import files, published
from morpho.upscale.alpha import upscale_with_alpha
from morpho.upscale.tables import Tables

__all__ = ["Upscaler", "upscale"]

DEFAULT_NAME = "hklut-s"
DEFAULT_SCALE = 4

Image = TypeVar("Image")

_TAGGED = re.compile(r"(?P<name>.+)-x(?P<scale>\d+)")


@dataclass(frozen=True)
class Upscaler:
    """Makes pictures ``scale`` times as wide and as high by reading lookup tables (HKLUT, Huang et al. 2024).

    The result is defined in integers: the same on every machine, for any number of threads.

    Attributes:
        tables: the stages.
        card: what the tables are and how they came to be.
        threads: how many threads to use; by default one per usable core.

    >>> import numpy as np
    >>> from morpho.upscale.tables import Stage
    >>> stage = Stage(2, np.zeros((3, 4096, 2, 2), np.int8), np.zeros((2, 256, 2, 2), np.int8))
    >>> card = Card(kind="upscale", name="nearest-x2", version="1", licence="CC0-1.0")
    >>> upscaler = Upscaler(Tables((stage,)), card)
    >>> upscaler(np.array([[10, 20]], dtype=np.uint8)).tolist()
    [[10, 10, 20, 20], [10, 10, 20, 20]]
    """

    tables: Tables = field(repr=False)
    card: Card
    threads: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads must be at least 1, not {self.threads}")

    @classmethod
    def load(
        cls, name_or_path: str | Path = DEFAULT_NAME, *, scale: int | None = None, threads: int | None = None
    ) -> Upscaler:
        """Load shipped tables by name, or tables from a file or folder.

        Args:
            name_or_path: ``hklut-s`` or ``hklut-s-x4`` (`morpho list` shows all); a ``.safetensors`` file; or
                a
                folder of ``.npy`` files in the layout of the reference implementation.
            scale: must be that of the tables; by default what the name or file says, else 4.
            threads: how many threads to use; by default one per usable core.

        Raises:
            ArtifactError: there are no such tables, or not for this scale, or they are damaged.
        """
        path = Path(name_or_path) if _is_path(name_or_path) else _locate(str(name_or_path), scale)
        tables, card = published.load_folder(path) if path.is_dir() else files.load(path)
        if scale is not None and tables.scale != scale:
            raise ArtifactError(
                f"{name_or_path} holds tables for scale {tables.scale}, not {scale}: "
                f"ask for scale {tables.scale} or give other tables"
            )
        return cls(tables, card, threads=threads)

    @property
    def scale(self) -> int:
        """How many times wider and higher the result is."""
        return self.tables.scale

    def __call__(self, image: Image) -> Image:
        """Upscale a picture.

        Args:
            image: one of

                - an array ``(H, W)`` or ``(H, W, C)``, uint8 or uint16; with 2 or 4 channels the last is
                  alpha (not premultiplied), otherwise every channel is upscaled by itself;
                - a `morpho.Picture`;
                - a Pillow image of mode 1, L, LA, P, RGB, RGBA or I;16 (1 becomes L; P becomes RGB or RGBA).

        Returns:
            The same kind of thing, ``scale`` times as wide and as high. 16-bit pictures are corrected in all
            their bits, by what the tables read from the upper eight. See `morpho.upscale.alpha` for
            transparency.

        Raises:
            InputError: the image is something else.
        """
        return on_pixels(image, self._pixels)

    def _pixels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        if pixels.shape[2] in (2, 4):
            return upscale_with_alpha(pixels, self.tables, self._run)
        return self._run(pixels)

    def _run(self, pixels: NDArray[Any]) -> NDArray[Any]:
        from morpho.upscale import kernel

        return kernel.upscale(pixels, self.tables, threads=self.threads)


def upscale(
    image: Image,
    *,
    scale: int | None = None,
    model: str | Path = DEFAULT_NAME,
    threads: int | None = None,
) -> Image:
    """Make a picture ``scale`` times as wide and as high, by tables: ``morpho.upscale(image, scale=4)``.

    To upscale many pictures, `Upscaler.load` once and call it.

    Args:
        image: an array ``(H, W)`` or ``(H, W, C)`` of uint8 or uint16, a `morpho.Picture` or a Pillow image.
        scale: 2, 3 or 4; by default what ``model`` says, else 4.
        model: the tables: a name that `morpho list` shows, a file or a folder.
        threads: how many threads to use; by default one per usable core.

    Returns:
        The same kind of thing; see `Upscaler.__call__`.

    Raises:
        ArtifactError: there are no such tables.
        InputError: the image is no picture.
    """
    return Upscaler.load(model, scale=scale, threads=threads)(image)


def _is_path(name_or_path: str | Path) -> bool:
    path = Path(name_or_path)
    return isinstance(name_or_path, Path) or path.suffix == ".safetensors" or path.name != name_or_path


def _locate(name: str, scale: int | None) -> Path:
    """Find shipped tables, else a file or folder of that name; or say which scales there are."""
    tagged = _TAGGED.fullmatch(name)
    base, own_scale = (tagged["name"], int(tagged["scale"])) if tagged else (name, None)
    wanted = scale if scale is not None else own_scale if own_scale is not None else DEFAULT_SCALE
    if own_scale in (None, wanted):
        try:
            return artifacts.locate(f"{base}-x{wanted}")
        except ArtifactError:
            if Path(name).exists():
                return Path(name)
    siblings = ", ".join(entry.name for entry in artifacts.shipped(f"{base}-x*"))
    if siblings:
        raise ArtifactError(f"there are no {base} tables for scale {wanted}: there are {siblings}")
    return artifacts.locate(name)
