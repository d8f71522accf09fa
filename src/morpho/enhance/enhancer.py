"""Retouching whole pictures: which tables to use, and what to do with each kind of picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from morpho import artifacts
from morpho.artifacts import Card
from morpho.enhance import files
from morpho.enhance.counting import count_colors
from morpho.enhance.predict import ONE, fuse, identity, mean_features, weights
from morpho.enhance.tables import Tables
from morpho.errors import InputError
from morpho.images.kinds import on_pixels
from morpho.luts import Engine, Lut

__all__ = ["DEFAULT_NAME", "Enhancer", "enhance"]

DEFAULT_NAME = "icelut"

Image = TypeVar("Image")
Pixels = NDArray[Any]

#: Steps of the strength.
_STEPS = 1024


@dataclass(frozen=True)
class Enhancer:
    """Retouches pictures by a 3D lookup table that it makes for each from its colours (ICELUT, Yang et al. 2024).

    The result is defined in integers: the same on every machine, for any number of threads.

    Attributes:
        tables: what it reads.
        card: what the tables are and how they came to be.
        threads: how many threads to use; by default one per usable core.
        strength: 0 (nothing changes) to 1.

    >>> enhancer = Enhancer.load()
    >>> dull = np.full((4, 6, 3), 60, np.uint8)
    >>> enhancer(dull).shape
    (4, 6, 3)
    """

    tables: Tables = field(repr=False)
    card: Card
    threads: int | None = field(default=None, kw_only=True)
    strength: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads must be at least 1, not {self.threads}")
        if not 0 <= self.strength <= 1:
            raise InputError(f"the strength must be 0 to 1, not {self.strength}")

    @classmethod
    def load(
        cls, name_or_path: str | Path = DEFAULT_NAME, *, threads: int | None = None, strength: float = 1.0
    ) -> Enhancer:
        """Load shipped tables by name, or tables from a file.

        Args:
            name_or_path: ``icelut`` (`morpho list` shows all) or a ``.safetensors`` file.
            threads: how many threads to use; by default one per usable core.
            strength: 0 (nothing changes) to 1.

        Raises:
            ArtifactError: there are no such tables, or they are damaged.
        """
        path = Path(name_or_path)
        is_file = isinstance(name_or_path, Path) or path.suffix == ".safetensors" or path.name != name_or_path
        tables, card = files.load(path if is_file else artifacts.locate(str(name_or_path)))
        return cls(tables, card, threads=threads, strength=strength)

    def __call__(self, image: Image) -> Image:
        """Retouch a picture.

        Args:
            image: sRGB, one of

                - an array ``(H, W)`` or ``(H, W, C)``, C from 1 to 4, uint8 or uint16; with 2 or 4 channels the last
                  is alpha (not premultiplied), which stays as it is;
                - a `morpho.Picture`;
                - a Pillow image of mode 1, L, LA, P, RGB, RGBA or I;16.

        Returns:
            The same kind of thing. Grey stays grey. A picture without a visible pixel stays as it is.

        Raises:
            InputError: the image is something else.
        """
        return on_pixels(image, self._retouch)

    def lut(self, image: object) -> Lut:
        """The lookup table that the picture would be retouched by: its look, for other programs.

        Args:
            image: as for `__call__`.

        Raises:
            InputError: the image is something else.
        """
        found: list[Lut] = []

        def look(pixels: Pixels) -> Pixels:
            found.append(self._lut(pixels))
            return pixels

        on_pixels(image, look)
        return found[0]

    def _retouch(self, pixels: Pixels) -> Pixels:
        result: Pixels = Engine(self._lut(pixels), threads=self.threads)(pixels)
        return result

    def _lut(self, pixels: Pixels) -> Lut:
        tables = self.tables
        msb, lsb = count_colors(
            _sampled(_colored(pixels), tables.thumbnail), low=tables.lsb is not None, threads=self.threads
        )
        if not msb.any():  # nothing is visible
            return Lut(identity(tables.nodes) / ONE)
        chosen = weights(tables, mean_features(tables, msb, lsb))
        return Lut(fuse(tables, chosen, strength=round(self.strength * _STEPS)) / ONE, title=self.card.name)


def enhance(
    image: Image,
    *,
    strength: float = 1.0,
    model: str | Path = DEFAULT_NAME,
    threads: int | None = None,
) -> Image:
    """Retouch a photo by tables: ``morpho.enhance(photo)``.

    To retouch many pictures, `Enhancer.load` once and call it.

    Args:
        image: sRGB: an array ``(H, W)`` or ``(H, W, C)`` of uint8 or uint16, a `morpho.Picture` or a Pillow image.
        strength: 0 (nothing changes) to 1.
        model: the tables: a name that `morpho list` shows, or a file.
        threads: how many threads to use; by default one per usable core.

    Returns:
        The same kind of thing; see `Enhancer.__call__`.

    Raises:
        ArtifactError: there are no such tables.
        InputError: the image is no picture, or an option is out of range.
    """
    return Enhancer.load(model, threads=threads, strength=strength)(image)


def _colored(pixels: Pixels) -> Pixels:
    """The picture with three colour channels, and alpha where it has one."""
    channels = pixels.shape[2]
    if channels > 4:
        raise InputError(f"a picture has 1 to 4 channels, not {channels}: {pixels.dtype} {pixels.shape}")
    if channels > 2:
        return pixels
    grey = [pixels[:, :, :1]] * 3
    return np.concatenate([*grey, pixels[:, :, 1:]], axis=2)


def _sampled(pixels: Pixels, side: int) -> Pixels:
    """A square of pixels at regular places, as the paper's thumbnail takes them; all for side 0."""
    if not side:
        return pixels
    rows, columns = ((2 * np.arange(side) + 1) * length // (2 * side) for length in pixels.shape[:2])
    square: Pixels = pixels[rows[:, None], columns]
    return square
