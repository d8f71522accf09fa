"""Which pictures a person means: files, folders, patterns and stdin, and one machine's share of them."""

from __future__ import annotations

import glob
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from morpho.errors import InputError
from morpho.images.io import SUFFIXES

__all__ = ["Found", "Shard", "find_pictures", "identity", "is_picture"]


@dataclass(frozen=True)
class Found:
    """A picture to work on, and how it was found."""

    path: Path | None
    #: The folder of the path below the folder that was given; ``.`` for a file.
    folder: Path
    #: Whether the person named this very file.
    named: bool

    @property
    def key(self) -> str:
        """What decides about the shard: the same on every machine that has the folder at another place."""
        if self.path is None:
            return "-"
        return self.path.as_posix() if self.named else (self.folder / self.path.name).as_posix()

    def __str__(self) -> str:
        return "-" if self.path is None else str(self.path)


def find_pictures(inputs: Sequence[str], *, recursive: bool) -> list[Found]:
    """Find all pictures that the inputs stand for, in order, each once.

    Args:
        inputs: files, folders, patterns such as ``'shots/*.png'``, or ``-`` for stdin.
        recursive: take all pictures in folders, however deep.

    Raises:
        InputError: a folder without ``recursive``, a folder or pattern without a picture, an empty name.
    """
    found = (picture for text in inputs for picture in _find(text, recursive))
    return list({identity(picture.path): picture for picture in found}.values())


def identity(path: Path | None) -> str | None:
    """What two names of the same file have in common, short of links."""
    return None if path is None else os.path.normcase(Path(path).absolute())


def _find(text: str, recursive: bool) -> Iterator[Found]:
    """The pictures that one input stands for; a missing file fails when it is read, and the rest go on."""
    path = Path(text)
    if not text:
        raise InputError("an input has an empty name: name files, folders (with -r), patterns or -")
    if text == "-":
        yield Found(None, Path(), named=True)
    elif path.is_dir():
        if not recursive:
            raise InputError(f"{text} is a folder: add -r to take all pictures in it, or name files")
        yield from _walk(path)
    elif glob.has_magic(text) and not path.exists():
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute ones
        pictures = [Path(match) for match in matches if is_picture(match) and Path(match).is_file()]
        if not pictures:
            raise InputError(f"no picture matches {text!r}: check the pattern")
        root = _fixed_part(text)
        yield from (Found(picture, _below(picture, root), named=False) for picture in pictures)
    else:
        yield Found(path, Path(), named=True)


def _walk(root: Path) -> Iterator[Found]:
    """All pictures below a folder, sorted; hidden files and folders are none of our business."""
    pictures = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if is_picture(name) and not name.startswith("."):
                pictures += 1
                yield Found(Path(folder, name), _below(Path(folder, name), root), named=False)
    if not pictures:
        raise InputError(f"{root} holds no picture: the suffixes {', '.join(SUFFIXES)} are looked for")


def is_picture(name: str) -> bool:
    """Whether a file name has the suffix of a format that we read."""
    return Path(name).suffix.lower() in SUFFIXES


def _fixed_part(pattern: str) -> Path:
    """The folder above the first wildcard of a pattern."""
    parts = Path(pattern).parts
    return Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])


def _below(path: Path, root: Path) -> Path:
    return path.parent.relative_to(root)


@dataclass(frozen=True)
class Shard:
    """One of ``count`` machines' part of the work.

    A picture's part follows from its path below the folder or pattern that was given, not from its place in a
    list: machines agree on it whenever they start, and whatever files have appeared in between.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``, where i counts from 1.

        Raises:
            InputError: the text has another form, or i is not within 1 to n.

        >>> Shard.parse("2/8")
        Shard(index=2, count=8)
        """
        parts = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if parts is None or not 1 <= int(parts[1]) <= int(parts[2]):
            raise InputError(f"the shard {text!r} must be like 1/8, 2/8, ... 8/8")
        return cls(int(parts[1]), int(parts[2]))

    def takes(self, key: str) -> bool:
        """Whether this shard takes the picture with that key: exactly one of ``count`` does."""
        return zlib.crc32(key.encode("utf-8", "surrogateescape")) % self.count == self.index - 1
