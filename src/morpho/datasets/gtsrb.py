"""GTSRB: German traffic signs of 43 classes, photographed from a car (Stallkamp et al., Neural Networks 2012)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.packed import labelled, rows, tiles
from morpho.datasets.pictures import Box, gathered, one_inside, ppm, read_bytes
from morpho.datasets.places import folders, nothing_found, root_folder
from morpho.errors import DataError, InputError

__all__ = ["GTSRB", "gtsrb"]

#: The signs of GTSRB, in the order of their numbers.
GTSRB = (
    *(f"speed limit {limit}" for limit in (20, 30, 50, 60, 70, 80)),
    "end of speed limit 80",
    *(f"speed limit {limit}" for limit in (100, 120)),
    "no overtaking",
    "no overtaking by trucks",
    "right of way at the next crossing",
    "priority road",
    "give way",
    "stop",
    "no vehicles",
    "no trucks",
    "no entry",
    "danger",
    "bend to the left",
    "bend to the right",
    "double bend",
    "bumpy road",
    "slippery road",
    "road narrows on the right",
    "road works",
    "traffic lights",
    "pedestrians",
    "children",
    "bicycles",
    "ice or snow",
    "wild animals",
    "end of all limits",
    "turn right ahead",
    "turn left ahead",
    "straight ahead",
    "straight ahead or right",
    "straight ahead or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no overtaking",
    "end of no overtaking by trucks",
)

_COLUMNS = ("Filename", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId")
_TRAINING = ("Final_Training/Images", "Training")


def gtsrb(root: Path | str | None = None, *, size: int = 32, crop: bool = False) -> Dataset:
    """Read GTSRB from its official folders, or from the sheets of the shared pack.

    The official training part has about 30 frames of each of its 1,307 tracks: hold out tracks, not pictures. The
    pack has every eighth frame and every sixth test picture, uncropped and resized by others without smoothing.

    Args:
        root: the folder of ``Final_Training`` and ``Final_Test``, the one above ``GTSRB`` or ``classify/gtsrb32``,
            or None for MORPHO_DATA.
        size: the pictures are resized to ``size x size`` pixels.
        crop: keep only the sign's region of interest; otherwise the margin of about 10 % stays.

    Returns:
        uint8 ``(N, 3, size, size)``; officially 39,209 to learn from and 12,630 to measure on.

    Raises:
        DataError: there are no such files, or one is damaged.
        InputError: the size is less than 1, or the pack is asked for anything but uncropped 32 x 32.
    """
    if size < 1:
        raise InputError(f"pictures of {size} x {size} pixels are empty: use a size of at least 1")
    base = root_folder(root)
    for folder in folders(base, "GTSRB", "gtsrb", "gtsrb32", "classify/gtsrb32"):
        if (folder / "train.webp").is_file() and (folder / "train.csv").is_file():
            if (size, crop) != (32, False):
                raise InputError(f"{folder} has uncropped pictures of 32 x 32 only: use the official files for others")
            return Dataset("gtsrb", *(_sheet(folder / f"{part}.webp") for part in ("train", "test")))
        training = next((folder / name for name in _TRAINING if (folder / name / "00000").is_dir()), None)
        if training is not None:
            return Dataset("gtsrb", _training(training, size, crop), _test(folder, size, crop))
    raise nothing_found(base, "gtsrb", "Final_Training/Images/00000 and so on, and Final_Test/Images with its table")


def _sheet(path: Path) -> Labelled:
    table = path.with_suffix(".csv")
    labels = _numbers(table, [row[0] for row in rows(table, ("class_id",))])
    return labelled(path, tiles(path, len(labels), 32), labels, GTSRB)


def _training(folder: Path, size: int, crop: bool) -> Labelled:
    tables = sorted(folder.glob("[0-9][0-9][0-9][0-9][0-9]/GT-*.csv"))
    return _official(folder, [(table, table.parent) for table in tables], size, crop)


def _test(folder: Path, size: int, crop: bool) -> Labelled:
    images = folder / "Final_Test" / "Images"
    for table in (folder / "GT-final_test.csv", images / "GT-final_test.csv"):
        if table.is_file():
            return _official(images, [(table, images)], size, crop)
    raise DataError(
        f"{images} comes without the classes of its pictures: put GT-final_test.csv there (it is a download of its own)"
    )


def _official(folder: Path, tables: list[tuple[Path, Path]], size: int, crop: bool) -> Labelled:
    """Pictures in their folders, and tables that say what they show, and where the sign is in them."""
    paths: list[Path] = []
    boxes: list[Box | None] = []
    labels: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    for table, images in tables:
        found = rows(table, _COLUMNS, delimiter=";")
        paths += [one_inside(images, row[0], table) for row in found]
        numbers = _numbers(table, [number for row in found for number in row[1:]]).reshape(-1, 5)
        boxes += [(int(a), int(b), int(c), int(d)) if crop else None for a, b, c, d, _ in numbers]
        labels.append(numbers[:, 4])
    pixels = gathered(len(paths), size, lambda i: ppm(read_bytes(paths[i]), size, str(paths[i]), boxes[i]))
    return labelled(folder, pixels, np.concatenate(labels), GTSRB)


def _numbers(table: Path, words: list[str]) -> NDArray[np.int64]:
    try:
        return np.array([int(word) for word in words], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{table} has a value that is no whole number ({error!s:.80}): get a fresh copy") from error
