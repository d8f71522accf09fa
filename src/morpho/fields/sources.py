"""The files of originals before their readers see them: those that are missing, folders, closed to us or empty."""

from __future__ import annotations

import stat
from pathlib import Path

from morpho.errors import InputError

__all__ = ["check_source"]


def check_source(path: Path, kind: str) -> None:
    """Refuse what no reader could read, in the sentences in which pictures are refused.

    Args:
        path: the file.
        kind: what it should hold, such as ``mesh``.

    Raises:
        InputError: there is no such file, it is a folder or empty, or may not be looked at.

    >>> check_source(Path("no/such/dragon.ply"), "mesh")
    Traceback (most recent call last):
    morpho.errors.InputError: no/such/dragon.ply does not exist: check the path
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be opened ({reason}): check the path and its rights") from error
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path} is a folder: name a {kind} file in it")
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        raise InputError(f"{path} is empty (0 bytes): get it again")
