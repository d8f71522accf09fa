"""GTSRB: 43 German traffic signs, at 32 x 32; source: stallkamp2012gtsrb."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from morpho.datasets.cifar import tiles
from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.sources import decode, find
from morpho.errors import DataError

__all__ = ["gtsrb"]

_CLASSES = tuple(str(number) for number in range(43))


def gtsrb(root: Path) -> Dataset:
    """Read GTSRB from its official folders, resized to 32 x 32, or from sheets of tiles.

    Official are ``Final_Training/Images/000NN/*.ppm``, and ``Final_Test/Images/*.ppm`` with ``GT-final_test.csv``.

    Raises:
        DataError: neither is there, or a file is damaged.
    """
    sheet = find(root, "train.webp", "gtsrb32/train.webp", "classify/gtsrb32/train.webp")
    if sheet is not None:
        folder = sheet.parent
        parts = (tiles(folder / f"{part}.webp", folder / f"{part}.csv", "class_id", _CLASSES) for part in _PARTS)
        return Dataset("gtsrb", *parts)
    train = find(root, "Final_Training/Images", "GTSRB/Final_Training/Images", "Images")
    test = find(root, "Final_Test/Images", "GTSRB/Final_Test/Images")
    listing = find(root, "GT-final_test.csv", "**/GT-final_test.csv")
    if train is None or test is None or listing is None:
        raise DataError(
            f"{root} holds no GTSRB: give the folder of Final_Training, Final_Test and GT-final_test.csv, "
            "or of train.webp and test.webp with their lists"
        )
    return Dataset("gtsrb", _training(train), _testing(test, listing))


def _training(folder: Path) -> Labelled:
    files = [(path, label) for label in range(43) for path in sorted((folder / f"{label:05d}").glob("*.ppm"))]
    if not files:
        raise DataError(f"{folder} holds no 00000/*.ppm: give the folder of GTSRB's Final_Training")
    return _decoded(files, folder)


def _testing(folder: Path, listing: Path) -> Labelled:
    try:
        with listing.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        files = [(folder / Path(row["Filename"]).name, int(row["ClassId"])) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{listing} is no list of Filename and ClassId ({error}): get it again") from error
    return _decoded(files, folder)


def _decoded(files: list[tuple[Path, int]], folder: Path) -> Labelled:
    paths, labels = [path for path, _ in files], [label for _, label in files]
    return Labelled(decode(paths, (32, 32), folder), torch.tensor(labels, dtype=torch.int64), _CLASSES)


_PARTS = ("train", "test")
