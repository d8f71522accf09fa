"""Data sets by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from morpho.datasets.cifar import cifar10, cifar100
from morpho.datasets.digits import digits
from morpho.datasets.gtsrb import gtsrb
from morpho.datasets.labelled import Dataset
from morpho.datasets.mnist import mnist
from morpho.datasets.modelnet import modelnet10, modelnet40
from morpho.datasets.tinyimagenet import tinyimagenet
from morpho.errors import InputError

__all__ = ["READERS", "load"]

#: What reads each data set; its keyword arguments are the options.
READERS: dict[str, Callable[..., Dataset]] = {
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "gtsrb": gtsrb,
    "tinyimagenet": tinyimagenet,
    "modelnet10": modelnet10,
    "modelnet40": modelnet40,
    "digits": digits,
}


def load(name: str, root: Path | str | None = None, **options: Any) -> Dataset:
    """Read a data set into memory.

    Args:
        name: one of `READERS`.
        root: the folder of its official files, or of the shared pack, or one above; None means the environment
            variable MORPHO_DATA.
        options: keyword arguments of its reader.

    Raises:
        InputError: there is no such data set or option.
        DataError: no folder is given, or it holds no usable files of the data set.

    >>> load("cifar")
    Traceback (most recent call last):
    morpho.errors.InputError: there is no data set called 'cifar': did you mean cifar10, cifar100?
    """
    if name not in READERS:
        raise InputError(f"there is no data set called {name!r:.40}: {_remedy(name, READERS)}")
    known = set(signature(READERS[name]).parameters) - {"root"}
    for option in options:
        if option not in known:
            raise InputError(f"{name} has no option {option!r:.40}: {_remedy(option, known)}")
    return READERS[name](root, **options)


def _remedy(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, known, n=3, cutoff=0.6)
    return f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
