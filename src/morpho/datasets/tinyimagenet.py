"""Tiny ImageNet: 200 classes of 500 + 50 colour pictures of 64 x 64 (Le and Yang, CS 231N 2015)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.packed import jpegs, labelled
from morpho.datasets.pictures import jpeg_files, one_inside, read_bytes
from morpho.datasets.places import folders, nothing_found, root_folder
from morpho.errors import DataError

__all__ = ["tinyimagenet"]

_SIDE = 64


def tinyimagenet(root: Path | str | None = None) -> Dataset:
    """Read Tiny ImageNet from its official folders, or the 20 classes of the shared pack.

    The validation part is what is measured on: the official test part has no labels.

    Args:
        root: the folder of ``wnids.txt``, ``train`` and ``val``, the one above ``tiny-imagenet-200`` or
            ``classify/tinyimagenet20``, or None for MORPHO_DATA.

    Returns:
        uint8 ``(N, 3, 64, 64)``, grey tripled; the classes in the order of their WordNet numbers, with the first of
        their names in ``words.txt``.

    Raises:
        DataError: there are no such files, or one is damaged.
    """
    base = root_folder(root)
    for folder in folders(base, "tiny-imagenet-200", "tinyimagenet20", "classify/tinyimagenet20"):
        pack = folder / "tinyimagenet20_jpeg.npz"
        if pack.is_file():
            return Dataset("tinyimagenet", *(jpegs(pack, part, _SIDE) for part in ("train", "val")))
        if (folder / "wnids.txt").is_file():
            return _official(folder)
    raise nothing_found(base, "tinyimagenet", "wnids.txt, train and val (tiny-imagenet-200) or tinyimagenet20_jpeg.npz")


def _official(folder: Path) -> Dataset:
    wnids = sorted({line.strip() for line in _lines(folder / "wnids.txt")})
    if any(Path(wnid).name != wnid for wnid in wnids):
        raise DataError(f"{folder / 'wnids.txt'} names a class that cannot be a folder: get a fresh copy")
    classes = _names(folder / "words.txt", wnids)
    train = [
        (path, label)
        for label, wnid in enumerate(wnids)
        for path in sorted((folder / "train" / wnid / "images").glob("*.JPEG"))
    ]
    held = _annotated(folder / "val", {wnid: label for label, wnid in enumerate(wnids)})
    return Dataset("tinyimagenet", _read(folder, train, classes), _read(folder, held, classes))


def _annotated(folder: Path, labels: dict[str, int]) -> list[tuple[Path, int]]:
    """Each line of the table: a file, its WordNet number, a box."""
    table = folder / "val_annotations.txt"
    found = []
    for line in _lines(table):
        name, wnid = [*line.split("\t"), ""][:2]
        if wnid not in labels:
            raise DataError(
                f"{table} gives {name!r:.80} the class {wnid!r:.20}, which wnids.txt lacks: get a fresh copy"
            )
        found.append((one_inside(folder / "images", name, table), labels[wnid]))
    return found


def _read(folder: Path, items: list[tuple[Path, int]], classes: list[str]) -> Labelled:
    labels = np.array([label for _, label in items], dtype=np.int64)
    return labelled(folder, jpeg_files([path for path, _ in items], _SIDE), labels, classes)


def _names(path: Path, wnids: list[str]) -> list[str]:
    """The first name of each class, or its number where there is no table of names."""
    words = dict(line.split("\t", 1) for line in _lines(path) if "\t" in line) if path.is_file() else {}
    return [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in read_bytes(path).decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text in UTF-8: get a fresh copy") from error
