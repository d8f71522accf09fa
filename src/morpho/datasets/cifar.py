"""CIFAR-10 and CIFAR-100: 50,000 + 10,000 colour pictures of 32 x 32 (Krizhevsky, 2009)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.packed import jpegs, labelled, rows, tiles
from morpho.datasets.places import folders, nothing_found, root_folder
from morpho.errors import DataError, InputError

__all__ = ["CIFAR10", "cifar10", "cifar10_lossless", "cifar100"]

#: The classes of CIFAR-10.
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXELS = 3 * 32 * 32
_PACK = ("cifar10", "classify/cifar10")


def cifar10(root: Path | str | None = None) -> Dataset:
    """Read CIFAR-10 from its binary version, or as JPEGs from ``cifar10_jpeg.npz`` of the shared pack.

    The pack's JPEGs (quality 75, chroma at half the resolution) are not the original pixels: see `cifar10_lossless`
    for those. The version in Python pickles is not read.

    Args:
        root: the files' folder, the one above ``cifar-10-batches-bin`` or ``classify/cifar10``, or None for
            MORPHO_DATA.

    Returns:
        uint8 ``(N, 3, 32, 32)``: 50,000 to learn from, 10,000 to measure on. The pack's are ordered by class.

    Raises:
        DataError: there are no such files, or one is damaged.
    """
    base = root_folder(root)
    for folder in folders(base, "cifar-10-batches-bin", *_PACK):
        if (folder / "data_batch_1.bin").is_file():
            train = [folder / f"data_batch_{number}.bin" for number in range(1, 6)]
            return Dataset(
                "cifar10", _records(train, 1, 0, CIFAR10), _records([folder / "test_batch.bin"], 1, 0, CIFAR10)
            )
        if (folder / "cifar10_jpeg.npz").is_file():
            return Dataset("cifar10", *(jpegs(folder / "cifar10_jpeg.npz", part, 32) for part in ("train", "test")))
    raise nothing_found(base, "cifar10", "data_batch_1.bin and so on (the binary version) or cifar10_jpeg.npz")


def cifar100(root: Path | str | None = None, *, labels: Literal["fine", "coarse"] = "fine") -> Dataset:
    """Read CIFAR-100 from its binary version: ``train.bin``, ``test.bin`` and the names of the classes.

    Args:
        root: the files' folder, the one above ``cifar-100-binary``, or None for MORPHO_DATA.
        labels: the 100 classes or the 20 groups of them.

    Returns:
        uint8 ``(N, 3, 32, 32)``: 50,000 to learn from, 10,000 to measure on.

    Raises:
        DataError: there are no such files, or one is damaged.
        InputError: there are no such labels.
    """
    if labels not in ("fine", "coarse"):
        raise InputError(f"CIFAR-100 has no {labels!r} labels: use 'fine' or 'coarse'")
    base = root_folder(root)
    for folder in folders(base, "cifar-100-binary", "cifar100"):
        if (folder / "train.bin").is_file():
            classes = _names(folder / f"{labels}_label_names.txt", 100 if labels == "fine" else 20)
            which = int(labels == "fine")
            parts = (_records([folder / f"{part}.bin"], 2, which, classes) for part in ("train", "test"))
            return Dataset("cifar100", *parts)
    raise nothing_found(base, "cifar100", "train.bin, test.bin and fine_label_names.txt (the binary version)")


def cifar10_lossless(root: Path | str | None = None) -> Labelled:
    """Read the 2,000 pictures of CIFAR-10 that the shared pack has with their exact pixels.

    They are the first of ``data_batch_1``, in its order: for statements on frequencies or colours.

    Raises:
        DataError: there are no such files, or one is damaged.
    """
    base = root_folder(root)
    for folder in folders(base, *_PACK):
        sheets = [folder / f"lossless_batch1_{number}.webp" for number in range(2)]
        if sheets[0].is_file():
            parts = [_sheet(path) for path in sheets]
            return Labelled(
                torch.cat([part.inputs for part in parts]), torch.cat([part.labels for part in parts]), CIFAR10
            )
    raise nothing_found(base, "cifar10_lossless", "lossless_batch1_0.webp and its CSV, of the shared pack")


def _sheet(path: Path) -> Labelled:
    table = rows(path.with_suffix(".csv"), ("label",))
    pictures = tiles(path, len(table), 32)
    try:
        return labelled(path, pictures, np.array([int(label) for (label,) in table]), CIFAR10)
    except ValueError as error:
        raise DataError(f"{path.with_suffix('.csv')} has a label that is no number: get a fresh copy") from error


def _records(paths: list[Path], labels: int, which: int, classes: tuple[str, ...]) -> Labelled:
    """Binary files: for each picture its label bytes, then 1,024 bytes each of red, green and blue, row by row."""
    parts = [_file(path, labels, which, classes) for path in paths]
    return Labelled(torch.cat([part.inputs for part in parts]), torch.cat([part.labels for part in parts]), classes)


def _file(path: Path, labels: int, which: int, classes: tuple[str, ...]) -> Labelled:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): put all files of the binary version there"
        ) from error
    if not len(data) or len(data) % (labels + _PIXELS):
        raise DataError(
            f"{path} has {len(data)} bytes, which is no whole number of records of {labels + _PIXELS}: get a fresh copy"
        )
    table = data.reshape(-1, labels + _PIXELS)
    return labelled(path, _pictures(table[:, labels:]), table[:, which], classes)


def _pictures(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels).reshape(-1, 3, 32, 32))


def _names(path: Path, count: int) -> tuple[str, ...]:
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error!s:.80}): put all files of the binary version there") from error
    if len(names) != count:
        raise DataError(f"{path} names {len(names)} classes instead of {count}: get a fresh copy")
    return names
