"""MNIST: 60,000 + 10,000 handwritten digits, 28 x 28 grey (LeCun et al., Proc. IEEE 1998)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from morpho.datasets.idx import read_idx
from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.packed import arrays, labelled
from morpho.datasets.places import folders, nothing_found, root_folder
from morpho.errors import DataError

__all__ = ["mnist"]

_PARTS = {"train": "train", "test": "t10k"}


def mnist(root: Path | str | None = None) -> Dataset:
    """Read MNIST from its four idx files (gzipped or not), or from ``mnist.npz`` of the shared pack.

    Args:
        root: their folder, the one above ``MNIST/raw`` or ``classify/mnist``, or None for MORPHO_DATA.

    Returns:
        uint8 ``(N, 1, 28, 28)``: 60,000 to learn from, 10,000 to measure on, in the official order.

    Raises:
        DataError: there are no such files, or one is damaged.
    """
    base = root_folder(root)
    for folder in folders(base, "MNIST/raw", "mnist", "classify/mnist"):
        if (folder / "mnist.npz").is_file():
            return Dataset("mnist", *(_packed(folder / "mnist.npz", part) for part in _PARTS))
        if _idx_file(folder, "train-images", 3):
            return Dataset("mnist", *(_official(folder, prefix) for prefix in _PARTS.values()))
    raise nothing_found(base, "mnist", "train-images-idx3-ubyte and the other three idx files (.gz or not)")


def _packed(path: Path, part: str) -> Labelled:
    return _labelled(path, *arrays(path, f"{part}_image", f"{part}_label"))


def _official(folder: Path, prefix: str) -> Labelled:
    paths = [_idx_file(folder, f"{prefix}-images", 3), _idx_file(folder, f"{prefix}-labels", 1)]
    if paths[0] is None or paths[1] is None:
        raise DataError(f"{folder} has not both the images and the labels of {prefix}: put all four idx files there")
    return _labelled(paths[0], read_idx(paths[0]), read_idx(paths[1]))


def _idx_file(folder: Path, name: str, dimensions: int) -> Path | None:
    """The file under any of the names that it goes by: a dot for a hyphen, gzipped or not."""
    stems = (f"{name}-idx{dimensions}-ubyte", f"{name}.idx{dimensions}-ubyte")
    found = (folder / (stem + suffix) for stem in stems for suffix in ("", ".gz"))
    return next((path for path in found if path.is_file()), None)


def _labelled(path: Path, images: NDArray[Any], labels: NDArray[Any]) -> Labelled:
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise DataError(f"{path} holds {images.dtype} {images.shape}, not uint8 (N, 28, 28): get a fresh copy")
    return labelled(path, torch.from_numpy(images.copy())[:, None], labels, tuple("0123456789"))
