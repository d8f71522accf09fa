"""Tiny ImageNet: 200 classes of 64 x 64 pictures, of which some may be there; source: le2015tinyimagenet."""

from __future__ import annotations

from pathlib import Path

import torch

from morpho.datasets.labelled import Dataset, Labelled
from morpho.datasets.sources import decode, find, labels_of, read_npz, slices
from morpho.errors import DataError

__all__ = ["tiny_imagenet"]

_SIZE = (64, 64)


def tiny_imagenet(root: Path) -> Dataset:
    """Read Tiny ImageNet from its folders, or from ``tinyimagenet20_jpeg.npz``; the validation part is for testing.

    Official are ``train/WNID/images/*.JPEG``, ``val/images``, ``val/val_annotations.txt`` and ``wnids.txt``.

    Raises:
        DataError: neither is there, or a file is damaged.
    """
    name = "tinyimagenet20_jpeg.npz"
    packed = find(root, name, f"tinyimagenet20/{name}", f"classify/tinyimagenet20/{name}")
    if packed is not None:
        return Dataset("tinyimagenet", *(_from_npz(packed, part) for part in ("train", "val")))
    folder = find(root, "tiny-imagenet-200") or root
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise DataError(f"{root} holds no Tiny ImageNet: give the folder of train/, val/ and wnids.txt, or of {name}")
    wnids = _wnids(folder)
    return Dataset("tinyimagenet", _training(folder / "train", wnids), _validation(folder / "val", wnids))


def _wnids(folder: Path) -> tuple[str, ...]:
    listing = folder / "wnids.txt"
    if listing.exists():
        return tuple(listing.read_text().split())
    return tuple(sorted(path.name for path in (folder / "train").iterdir() if path.is_dir()))


def _training(folder: Path, wnids: tuple[str, ...]) -> Labelled:
    files = [(path, i) for i, wnid in enumerate(wnids) for path in sorted((folder / wnid / "images").glob("*.JPEG"))]
    return _decoded(files, folder, wnids)


def _validation(folder: Path, wnids: tuple[str, ...]) -> Labelled:
    listing = folder / "val_annotations.txt"
    try:
        rows = [line.split("\t") for line in listing.read_text().splitlines() if line.strip()]
        # A list may name more classes than are there: pictures of those are left out.
        files = [(folder / "images" / Path(row[0]).name, wnids.index(row[1])) for row in rows if row[1] in wnids]
    except (OSError, IndexError) as error:
        raise DataError(f"{listing} is no list of pictures and classes ({error}): get it again") from error
    return _decoded(files, folder, wnids)


def _decoded(files: list[tuple[Path, int]], folder: Path, wnids: tuple[str, ...]) -> Labelled:
    if not files:
        raise DataError(f"{folder} holds no picture of its classes: get the data set again")
    paths, labels = [path for path, _ in files], [label for _, label in files]
    return Labelled(decode(paths, _SIZE, folder), torch.tensor(labels), wnids)


def _from_npz(path: Path, part: str) -> Labelled:
    data, offsets, labels, names = read_npz(path, f"{part}_jpeg", f"{part}_offset", f"{part}_label", "class_names")
    return Labelled(decode(slices(data, offsets, path), _SIZE, path), labels_of(labels), tuple(map(str, names)))
