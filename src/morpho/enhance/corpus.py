"""What enhancers are trained on: pairs of a photo and its retouched version, and well-exposed photos alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.errors import DataError
from morpho.images import find_pictures, read_photo

__all__ = ["Pair", "Photo", "drawn_pixels", "read_pairs", "rgb"]

Photo = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """A photo and its retouched version, ``(H, W, 3)`` uint8 both, pixel on pixel."""

    name: str
    input: Photo
    target: Photo


def read_pairs(inputs: Path | str, targets: Path | str) -> list[Pair]:
    """Read two folders whose pictures belong together by their names without suffix.

    Raises:
        DataError: a folder is missing or empty, a picture has no partner, or the sizes of a pair differ.
    """
    left, right = _by_stem(Path(inputs)), _by_stem(Path(targets))
    for mine, others, folder in ((left, right, targets), (right, left, inputs)):
        alone = sorted(set(mine) - set(others))
        if alone:
            raise DataError(
                f"{mine[alone[0]]} has no partner in {folder} ({len(alone)} such pictures): "
                "pairs have the same name in both folders"
            )
    pairs = [Pair(name, rgb(read_photo(left[name])), rgb(read_photo(right[name]))) for name in left]
    for pair in pairs:
        if pair.input.shape != pair.target.shape:
            sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (pair.input, pair.target))
            raise DataError(f"the pictures called {pair.name} have the sizes {sizes}: a pair must match pixel by pixel")
    return pairs


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_pictures(folder):
        if path.stem in found:
            raise DataError(f"{path} and {found[path.stem]} have the same name: keep one of them")
        found[path.stem] = path
    return found


def rgb(photo: Photo) -> Photo:
    """The photo with three channels: grey is tripled."""
    return np.broadcast_to(photo, (*photo.shape[:2], 3))


def drawn_pixels(pictures: Sequence[Photo], count: int, seed: int) -> Photo:
    """Draw pixels of each picture at random, with replacement; equal sizes draw equal places.

    Args:
        pictures: ``(H, W, 3)`` each.
        count: pixels per picture.
        seed: of the draw.

    Returns:
        ``(len(pictures), count, 3)``.
    """
    drawn = np.empty((len(pictures), count, 3), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        generator = np.random.default_rng([seed, number])
        drawn[number] = picture.reshape(-1, 3)[generator.integers(picture.shape[0] * picture.shape[1], size=count)]
    return drawn
