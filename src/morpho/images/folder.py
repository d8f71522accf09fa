"""The photographs of a folder, for training and measuring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.errors import DataError, ImageError
from morpho.images.io import SUFFIXES, read

__all__ = ["find_pictures", "read_photo", "read_photos"]


def find_pictures(folder: Path | str) -> list[Path]:
    """List the pictures of a folder (not of its sub-folders) by name.

    Raises:
        DataError: the folder is missing or holds none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give a folder of pictures")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DataError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))}): give a folder that does")
    return found


def read_photos(folders: Iterable[Path | str]) -> list[NDArray[np.uint8]]:
    """Read every picture of the folders, by name, as ``(H, W, C)`` uint8 without alpha.

    Raises:
        DataError: a folder is missing, holds no picture, or one that cannot be read or has 16 bits.
    """
    return [read_photo(path) for folder in folders for path in find_pictures(folder)]


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read one picture as ``(H, W, C)`` uint8 without alpha.

    Raises:
        DataError: it cannot be read, or has 16 bits.
    """
    try:
        color = read(path).color
    except ImageError as error:
        raise DataError(f"a photo of the set is unusable: {error}") from error
    if color.dtype != np.uint8:
        raise DataError(f"{path} has 16 bits per channel: convert it to 8 bits")
    return color
