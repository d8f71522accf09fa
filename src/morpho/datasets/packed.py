"""The files of the shared pack: arrays in ``.npz`` without pickle, JPEGs in one array, tiles on a sheet."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from torch import Tensor

from morpho.datasets.labelled import Labelled
from morpho.datasets.pictures import gathered, jpeg
from morpho.errors import DataError, MorphoError
from morpho.images import read

__all__ = ["arrays", "jpegs", "labelled", "rows", "tiles"]


def arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Read arrays of an ``.npz`` file by their names.

    Raises:
        DataError: the file is damaged, holds pickled objects, or lacks an array.
    """
    try:
        # Opened here, as NumPy leaves a file open that turns out to be damaged.
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, NpzFile):
                raise ValueError("it is a single array")
            with file:
                return [file[name] for name in names]
    except KeyError as error:
        raise DataError(f"{path} has no array {error.args[0]!s:.80}: get a fresh copy") from error
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path} is not a usable .npz file ({error!s:.80}): get a fresh copy") from error


def labelled(path: Path, inputs: Tensor, labels: NDArray[Any], classes: Sequence[str]) -> Labelled:
    """Put inputs and labels together; what does not fit is told with the file's name.

    Raises:
        DataError: they do not fit together.
    """
    try:
        if labels.dtype.kind not in "iu":
            raise DataError(f"labels are {labels.dtype}")
        return Labelled(inputs, torch.from_numpy(labels.astype(np.int64)), tuple(map(str, classes)))
    except (DataError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error!s:.200}): get a fresh copy") from error


def jpegs(path: Path, split: str, side: int) -> Labelled:
    """Read a split of a ``*_jpeg.npz`` file: all JPEGs one after the other, and the offsets where they begin.

    Args:
        path: the file.
        split: ``train``, ``test`` or ``val``.
        side: of the pictures in pixels; they must have it.

    Raises:
        DataError: the file or a picture is damaged.
    """
    names = ("jpeg", "offset", "label")
    data, offset, label, classes = arrays(path, *(f"{split}_{name}" for name in names), "class_names")
    fits = data.dtype == np.uint8 and data.ndim == offset.ndim == label.ndim == 1 and offset.dtype.kind in "iu"
    if not fits or len(offset) != len(label) + 1 or np.any(np.diff(offset) < 0) or offset[0] < 0:
        raise DataError(f"{path} is damaged (the arrays of {split} do not fit together): get a fresh copy")
    if offset[-1] > len(data):
        raise DataError(f"{path} is damaged ({split} ends before its last picture): get a fresh copy")
    files = [data[start:end].data for start, end in pairwise(offset)]
    pixels = gathered(
        len(files), side, lambda number: jpeg(files[number], side, f"picture {number} of {split} in {path}")
    )
    return labelled(path, pixels, label, list(classes))


def rows(path: Path, columns: Sequence[str], *, delimiter: str = ",") -> list[tuple[str, ...]]:
    """Read columns of a CSV file that begins with their names.

    Raises:
        DataError: it cannot be read, or lacks a column or a value.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [tuple(str(row[name]) for name in columns) for row in csv.DictReader(file, delimiter=delimiter)]
    except KeyError as error:
        raise DataError(f"{path} has no column {error}: get a fresh copy") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error!s:.80}): get a fresh copy") from error


def tiles(path: Path, count: int, side: int) -> Tensor:
    """Cut the first tiles, row by row, out of a sheet of square tiles.

    Returns:
        uint8 ``(count, 3, side, side)``.

    Raises:
        DataError: the sheet cannot be read, or has another size than so many tiles need.
    """
    try:
        sheet = read(path).pixels
    except MorphoError as error:
        raise DataError(str(error)) from error
    height, width, channels = sheet.shape
    down, across = height // side, width // side
    if sheet.dtype != np.uint8 or channels != 3 or height % side or width % side or not 0 < count <= down * across:
        raise DataError(
            f"{path} is {width} x {height} pixels with {channels} channels, which does not hold {count} RGB tiles "
            f"of {side} x {side}: get a fresh copy"
        )
    cut = sheet.reshape(down, side, across, side, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, side, side)
    return torch.from_numpy(np.ascontiguousarray(cut[:count]))
