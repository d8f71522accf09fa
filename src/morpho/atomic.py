"""Files that are either there in full or not there at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from morpho.errors import OutputExistsError

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path | str, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Write a file under a temporary name in the same folder, and rename it when it is complete.

    A crash, a full disk or an exception in the body leaves neither a half-written file nor the temporary one,
    and an existing file stays as it was. Missing folders above the file are made.

    Args:
        path: the file to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "new" / "note.txt") as file:
    ...     _ = file.write(b"complete")
    >>> (folder / "new" / "note.txt").read_bytes()
    b'complete'
    """
    path = Path(path)
    if not overwrite and path.exists():
        raise OutputExistsError(f"{path} exists already: choose another name or allow overwriting")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(temporary).chmod(0o666 & ~_umask())  # mkstemp makes it private; a result is not a secret
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's file mode mask; the only way to read it is to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
