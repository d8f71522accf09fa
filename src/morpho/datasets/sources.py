"""Finding and reading the files that data sets come in; nothing is unpickled."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from morpho.errors import DataError
from morpho.machine import cores

__all__ = ["decode", "find", "labels_of", "pictures", "read_npz", "root_of", "slices"]


def root_of(root: Path | str | None) -> Path:
    """The folder that was given, or that the variable MORPHO_DATA names.

    Raises:
        DataError: there is none.
    """
    given = root if root is not None else os.environ.get("MORPHO_DATA")
    if not given:
        raise DataError("no data were given: name their folder, or set MORPHO_DATA to it")
    path = Path(given)
    if not path.exists():
        raise DataError(f"{path} does not exist: give the folder of the data")
    return path


def find(root: Path, *places: str) -> Path | None:
    """The first of some places below a folder that is there; each may be a pattern."""
    for place in places:
        found = sorted(root.glob(place))
        if found:
            return found[0]
    return None


def read_npz(path: Path, *names: str) -> list[NDArray[np.generic]]:
    """Read arrays from an npz file.

    Raises:
        DataError: the file is damaged, or an array is missing or pickled.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read ({error}): it needs the arrays {', '.join(names)}") from error


def slices(data: NDArray[np.generic], offsets: NDArray[np.generic], path: Path) -> list[bytes]:
    """Cut concatenated files apart.

    Raises:
        DataError: the offsets do not fit the data.
    """
    ends = offsets.astype(np.int64)
    if ends.ndim != 1 or not len(ends) or ends[0] != 0 or ends[-1] != data.size or (np.diff(ends) < 0).any():
        raise DataError(f"{path} is damaged: its offsets do not fit its {data.size} bytes")
    joined = data.tobytes()
    return [joined[start:end] for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


def decode(files: Sequence[bytes | Path], size: tuple[int, int], path: Path) -> Tensor:
    """Decode pictures to bytes ``(N, 3, H, W)``; other sizes are resized (bilinear).

    Args:
        files: their contents, or where they are.
        size: height and width.
        path: to name in errors.

    Raises:
        DataError: one cannot be decoded.
    """
    height, width = size
    pixels = np.empty((len(files), 3, height, width), np.uint8)

    def work(part: range) -> None:
        for number in part:
            pixels[number] = _one(files[number], size, path).transpose(2, 0, 1)

    step = 500
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(work, (range(i, min(i + step, len(files))) for i in range(0, len(files), step))):
            pass
    return torch.from_numpy(pixels)


def pictures(array: NDArray[np.generic], channels: int, height: int, width: int, path: Path) -> Tensor:
    """Bytes as pictures ``(N, C, H, W)``.

    Raises:
        DataError: the array is of another size or type.
    """
    if array.dtype != np.uint8 or array.size % (channels * height * width):
        raise DataError(f"{path} does not hold pictures of {height} x {width} bytes: get it again")
    return torch.from_numpy(np.ascontiguousarray(array).reshape(-1, channels, height, width).copy())


def labels_of(array: NDArray[np.generic]) -> Tensor:
    """Labels as whole numbers ``(N,)``."""
    return torch.from_numpy(array.astype(np.int64).reshape(-1))


def _one(file: bytes | Path, size: tuple[int, int], path: Path) -> NDArray[np.uint8]:
    height, width = size
    try:
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        name = path if isinstance(file, bytes) else file
        raise DataError(f"a picture of {name} cannot be decoded ({error}): get it again") from error
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture)
