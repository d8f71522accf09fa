"""What enhancers are trained on: pairs of a photo and its retouched version, and well-exposed photos alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.errors import DataError
from morpho.images import find_pictures, read_photo

__all__ = ["Pair", "Photo", "drawn_pixels", "find_pairs", "read_pair", "read_pairs", "rgb"]

Photo = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """A photo and its retouched version, ``(H, W, 3)`` uint8 both, pixel on pixel."""

    name: str
    input: Photo
    target: Photo


def find_pairs(inputs: Path | str, targets: Path | str) -> list[tuple[Path, Path]]:
    """Find the pictures of two folders that belong together by their names without suffix, in order of names.

    Raises:
        DataError: a folder is missing or empty, or a picture has no partner.
    """
    left, right = _by_stem(Path(inputs)), _by_stem(Path(targets))
    for mine, others, folder in ((left, right, targets), (right, left, inputs)):
        alone = sorted(set(mine) - set(others))
        if alone:
            raise DataError(
                f"{mine[alone[0]]} has no partner in {folder} ({len(alone)} such pictures): "
                "pairs have the same name in both folders"
            )
    return [(left[name], right[name]) for name in left]


def read_pair(input: Path, target: Path) -> Pair:
    """Read a pair, without alpha; grey is tripled.

    Raises:
        DataError: a picture cannot be read or has 16 bits, or their sizes differ.
    """
    pair = Pair(input.stem, rgb(read_photo(input)), rgb(read_photo(target)))
    if pair.input.shape != pair.target.shape:
        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (pair.input, pair.target))
        raise DataError(f"{input} and {target} have the sizes {sizes}: a pair must match pixel by pixel")
    return pair


def read_pairs(inputs: Path | str, targets: Path | str) -> list[Pair]:
    """Read all pairs of two folders.

    Raises:
        DataError: as `find_pairs` and `read_pair`.
    """
    return [read_pair(*paths) for paths in find_pairs(inputs, targets)]


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
