"""Where the files of a data set are: under the root a user gives, or MORPHO_DATA."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from morpho.errors import DataError

__all__ = ["folders", "nothing_found", "root_folder"]


def root_folder(root: Path | str | None) -> Path:
    """The folder to look in: ``root``, or else the environment variable MORPHO_DATA.

    Raises:
        DataError: neither is given, or it is no folder.
    """
    chosen = root if root is not None else os.environ.get("MORPHO_DATA")
    if not chosen:
        raise DataError("no folder of data is given: pass root, or set the environment variable MORPHO_DATA to it")
    folder = Path(chosen)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give the one that holds the data set's files")
    return folder


def folders(root: Path, *below: str) -> Iterator[Path]:
    """The root itself, then those of the folders below it that exist.

    >>> [folder.name for folder in folders(Path("."), "no/such/folder")]
    ['']
    """
    yield root
    for name in below:
        if (root / name).is_dir():
            yield root / name


def nothing_found(root: Path, name: str, accepted: str) -> DataError:
    """The error for a root that holds no files of a data set.

    >>> print(nothing_found(Path("photos"), "mnist", "the four idx files"))
    photos holds no files of mnist: give a folder with the four idx files
    """
    return DataError(f"{root} holds no files of {name}: give a folder with {accepted}")
