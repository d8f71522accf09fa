"""What the verbs on fields read and write: kinds of files, names of fields, sizes as people type them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from cyclopts import Token

from morpho.cli.inputs import Found
from morpho.cli.names import Namer
from morpho.errors import ArtifactError, InputError, OutputExistsError
from morpho.fields.sources import check_source
from morpho.images.io import SUFFIXES as _PICTURES

if TYPE_CHECKING:
    from morpho.fields.field import Field

__all__ = [
    "FIELD",
    "FieldNamer",
    "Kind",
    "byte_count",
    "check_apart",
    "crop",
    "frame_range",
    "kind_of",
    "open_field",
    "pixel_size",
]

#: The suffix of a field's file.
FIELD = ".field"

#: What an original is, or what a field is rendered to.
Kind: TypeAlias = Literal["picture", "video", "mesh", "volume"]

_SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "picture": tuple(_PICTURES),
    "video": (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"),
    "mesh": (".ply", ".obj", ".stl", ".off", ".glb"),
    "volume": (".npy", ".npz", ".mat", ".mat.zip"),
}
_BYTES = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "KI": 1024, "MI": 1024**2, "GI": 1024**3}


def kind_of(path: Path) -> Kind:
    """Tell what a file holds by its suffix.

    Raises:
        InputError: the suffix is of no kind that a field can hold.

    >>> kind_of(Path("cat.JPG")), kind_of(Path("thai.mat.zip"))
    ('picture', 'volume')
    """
    if kind := _kind(path):
        return kind
    if path.name.lower().endswith(FIELD):
        raise InputError(f"{path} is a field already: `morpho render` decodes it")
    known = "; ".join(f"a {kind} ({' '.join(suffixes)})" for kind, suffixes in _SUFFIXES.items())
    raise InputError(f"{path} has no suffix of a kind that fields hold: give {known}")


def _kind(path: Path) -> Kind | None:
    name = path.name.lower()
    return next((kind for kind, suffixes in _SUFFIXES.items() if name.endswith(suffixes)), None)


def open_field(path: Path) -> Field:
    """Read a field; files of other kinds are called by their names.

    Raises:
        InputError: there is no such file, or it is something else, as its suffix says.
        ArtifactError: it cannot be used, see `morpho.fields.load`.
    """
    from morpho.fields.files import load

    check_source(path, "field")
    try:
        return load(path)
    except ArtifactError as error:
        if kind := _kind(path):
            raise InputError(f"{path} is a {kind}, not a field: `morpho fit` makes one of it") from error
        raise


def check_apart(option: str, path: Path, *others: Path) -> None:
    """Refuse to write a file over one that is read, or that is written too, be it through a link.

    Raises:
        OutputExistsError: both are one file.
    """
    for other in others:
        if path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other)):
            raise OutputExistsError(f"{path} is {other}, which is never overwritten: choose another name with {option}")


class FieldNamer(Namer):
    """Names the fields of originals: ``photo.jpg`` becomes ``photo.field``."""

    #: With the suffix of the original, since ``{ext}`` is the same for all.
    apart, example = "fields/{parent}/{name}.field", "fields/{stem}.field"

    def name(self, found: Found) -> Path | None:
        """Name the field of an original.

        Raises:
            InputError: the name does not end in ``.field``, or there is no name for what comes from stdin.
        """
        path = found.path
        if path is not None and path.name.lower().endswith(".mat.zip"):
            found = replace(found, path=path.with_suffix(""))
        target = super().name(found)
        if target is None:
            raise InputError("a field is a file of its own, not a stream: name one with -o, such as photo.field")
        return target

    def _ext(self, source: Path) -> str:
        return FIELD

    def _check_suffix(self, path: Path) -> None:
        if path.suffix != FIELD:
            raise InputError(f"{path} is no name for a field: let it end in {FIELD}")


def byte_count(_: object, tokens: Sequence[Token]) -> int:
    """Take a number of bytes, such as 50KB (50,000), 48KiB (49,152) or 2000."""
    text = tokens[0].value.strip()
    parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMG]I?|)B?", text.upper())
    count = float(parts[1]) * _BYTES[parts[2]] if parts else 0.0
    if not 1 <= count < 2**40:
        raise ValueError(f"{text} is no file size: give for example 50KB, 1.5MB or 48KiB")
    return int(count)


def frame_range(_: object, tokens: Sequence[Token]) -> tuple[int, int | None, int]:
    """Take a range of frames, as slices are written: 10:70, :60, 0:250:5."""
    text = tokens[0].value.strip()
    parts = re.fullmatch(r"([0-9]{0,9}):([0-9]{0,9})(?::([0-9]{0,9}))?", text)
    start = int(parts[1] or 0) if parts else 0
    stop = int(parts[2]) if parts and parts[2] else None
    step = int(parts[3] or 1) if parts and parts[3] is not None else 1
    if parts is None or step < 1 or (stop is not None and stop <= start):
        raise ValueError(f"{text} is no range of frames: give for example 0:60, 100: or 0:250:5")
    return start, stop, step


def pixel_size(_: object, tokens: Sequence[Token]) -> tuple[int, int]:
    """Take a width and a height, such as 1024x683."""
    text = tokens[0].value.strip()
    parts = re.fullmatch(r"([0-9]{1,7})[xX×]([0-9]{1,7})", text)
    width, height = (int(parts[1]), int(parts[2])) if parts else (0, 0)
    if not width or not height:
        raise ValueError(f"{text} is no size: give width and height in pixels, such as 1024x683")
    return width, height


def crop(_: object, tokens: Sequence[Token]) -> tuple[int, int, int, int]:
    """Take a rectangle X,Y,W,H: its left upper corner, its width and its height, in pixels of the result."""
    text = tokens[0].value.strip()
    parts = re.fullmatch(r"([0-9]{1,7}),([0-9]{1,7}),([0-9]{1,7}),([0-9]{1,7})", text.replace(" ", ""))
    if parts is None or not int(parts[3]) or not int(parts[4]):
        raise ValueError(f"{text} is no rectangle: give X,Y,W,H in pixels, such as 100,50,640,480")
    return int(parts[1]), int(parts[2]), int(parts[3]), int(parts[4])
