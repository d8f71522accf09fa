"""Files that are either there in full or not there at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from morpho.errors import InputError, OutputExistsError

__all__ = ["check_folder", "replacing"]


def check_folder(path: Path | str) -> None:
    """See to it that a file's folder is one, or can be made.

    Raises:
        InputError: what is in its place is no folder.
    """
    path = Path(path)
    above = next((folder for folder in path.parents if folder.exists() or folder.is_symlink()), None)
    if above is not None and not above.is_dir():
        raise InputError(f"{path} cannot be written, as {above} is no folder: choose another name")


@contextmanager
def replacing(path: Path | str, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Write a file under a temporary name in the same folder, and rename it when it is complete.

    A crash, a full disk or an exception in the body leaves neither a half-written file nor the temporary one,
    and an existing file stays as it was. Missing folders above the file are made.

    Args:
        path: the file to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: something above the file is no folder.
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "new" / "note.txt") as file:
    ...     _ = file.write(b"complete")
    >>> (folder / "new" / "note.txt").read_bytes()
    b'complete'
    """
    path = Path(path)
    taken = OutputExistsError(f"{path} exists already: choose another name or allow overwriting")
    if not overwrite and path.exists():
        raise taken
    check_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(4)}.part")
    # Not tempfile: it makes private files, and a result is to have the mode of any new file.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        try:
            _rename(temporary, path, overwrite=overwrite)
        except FileExistsError:
            raise taken from None
    finally:
        temporary.unlink(missing_ok=True)


def _rename(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give the complete file its name; without ``overwrite``, not even to one that appeared meanwhile."""
    if not overwrite:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: the check at the start has to do
            pass
        else:
            return
    temporary.replace(path)
