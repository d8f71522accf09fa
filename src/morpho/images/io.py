"""Reading and writing picture files."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from morpho.atomic import replacing
from morpho.errors import ImageError, InputError, OutputExistsError
from morpho.images.codecs import check_format, decode, encode
from morpho.images.metadata import Metadata
from morpho.images.picture import Picture

__all__ = ["SUFFIXES", "format_of", "read", "write"]

#: The format that each suffix of a file name stands for.
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}


def read(source: Path | str | bytes | BinaryIO, *, max_pixels: int = 500_000_000) -> Picture:
    """Read a JPEG, PNG, WebP, TIFF or BMP picture, turned upright.

    Palettes become RGB or RGBA, one bit becomes grey; 16-bit PNG and 16-bit grey TIFF stay 16-bit. Of an
    animation or a multi-page file the first picture is read.

    Args:
        source: a path, the content of a file, or a binary stream.
        max_pixels: refuse files that declare more, before memory is taken.

    Returns:
        The picture: EXIF's orientation is applied to the pixels and reset, its thumbnail is dropped.

    Raises:
        ImageError: it cannot be read, in one sentence: no such file, a folder, empty, no picture, damaged,
            CMYK, or too large.

    >>> read("no/such/file.png")
    Traceback (most recent call last):
    morpho.errors.ImageError: no/such/file.png does not exist: check the path
    """
    with _opened(source) as (stream, name):
        picture = decode(stream, name=name, max_pixels=max_pixels)
    pixels = _turned(picture.pixels, picture.metadata.orientation)
    return Picture(np.ascontiguousarray(pixels), picture.metadata.upright(), picture.format)


def write(
    picture: Picture,
    target: Path | str | BinaryIO,
    *,
    format: str | None = None,
    quality: int = 92,
    strip: bool = False,
    overwrite: bool = False,
    source: Path | str | None = None,
) -> None:
    """Write a picture; a file appears under its name only when it is complete.

    EXIF, colour profile, XMP and resolution are kept as far as the format has a place for them (WebP has none
    for the resolution, BMP only for that); EXIF's pixel dimensions are brought up to date. PNG is deflated at
    level 1; JPEG stores colour in full resolution (4:4:4); TIFF is not compressed.

    Args:
        picture: the pixels and metadata.
        target: a path, or a binary stream. Missing folders above the path are made.
        format: ``"PNG"``, ``"JPEG"``, ``"WEBP"``, ``"TIFF"``, ``"BMP"`` or a suffix; by default the target's
            suffix, or for a stream the picture's own format, or else PNG.
        quality: of JPEG and WebP, 1 to 100; 100 makes WebP lossless.
        strip: leave out all metadata. Without its profile a wide-gamut picture looks paler.
        overwrite: replace an existing file.
        source: the file that the picture was made from, which is never overwritten.

    Raises:
        ImageError: the format cannot hold the picture, or the file cannot be written.
        OutputExistsError: the target exists and ``overwrite`` is not set, or it is the source.
        InputError: the quality is out of range.

    >>> stream = io.BytesIO()
    >>> write(Picture(np.zeros((2, 3, 3), np.uint8)), stream)
    >>> read(stream.getvalue()).pixels.shape
    (2, 3, 3)
    """
    if not 1 <= quality <= 100:
        raise InputError(f"the quality {quality} is out of range: give 1 to 100")
    is_path = isinstance(target, (str, Path))
    name = str(target) if is_path else "the picture"
    kind = _kind(format) if format else format_of(name) if is_path else picture.format or "PNG"
    check_format(picture, kind, name)
    metadata = Metadata() if strip else picture.metadata.resized(picture.width, picture.height)
    ready = Picture(picture.pixels, metadata)
    try:
        if isinstance(target, (str, Path)):
            _check_target(Path(target), source, overwrite)
            with replacing(target, overwrite=overwrite) as stream:
                encode(stream, ready, kind, name=name, quality=quality)
        else:
            buffer = io.BytesIO()
            encode(buffer, ready, kind, name=name, quality=quality)
            target.write(buffer.getbuffer())
    except InputError as error:  # a ValueError that is a sentence already
        raise ImageError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{name} cannot be written ({_reason(error)}): check the disk, and that you may write there"
        ) from error


def format_of(path: Path | str) -> str:
    """The format that the suffix of a file name stands for.

    Raises:
        ImageError: the suffix is unknown.

    >>> format_of("holiday.JPG")
    'JPEG'
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        what = f"the suffix {suffix!r}, which names no picture format" if suffix else "no suffix"
        raise ImageError(f"{path} has {what}: use one of {known}")
    return SUFFIXES[suffix]


def _kind(format: str) -> str:
    """Accept ``png``, ``.PNG``, ``jpg`` for the name of a format."""
    kind = SUFFIXES.get("." + format.lower().lstrip("."))
    if kind is None:
        raise ImageError(f"{format!r} is no picture format that can be written: use one of {', '.join(SUFFIXES)}")
    return kind


@contextmanager
def _opened(source: Path | str | bytes | BinaryIO) -> Iterator[tuple[IO[bytes], str]]:
    """A seekable stream, and what to call it."""
    if isinstance(source, (str, Path)):
        with _opened_file(Path(source)) as stream:
            yield stream, str(source)
        return
    data = source if isinstance(source, bytes) else source.read()
    if not data:
        raise ImageError("the picture is empty (0 bytes): check where it comes from")
    yield io.BytesIO(data), "the picture"


@contextmanager
def _opened_file(path: Path) -> Iterator[IO[bytes]]:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{path} is a folder: name a picture file in it")
        stream: IO[bytes] = path.open("rb")
        if not stat.S_ISREG(mode):
            with stream:
                stream = io.BytesIO(stream.read())
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist: check the path") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be opened ({_reason(error)}): check the path and its rights") from error
    with stream:
        if not stream.read(1):
            raise ImageError(f"{path} is empty (0 bytes): get a fresh copy")
        stream.seek(0)
        yield stream


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A view turned as EXIF's orientation says: 5 to 8 swap the axes, then rows and columns are flipped."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return pixels[rows, columns]


def _check_target(path: Path, source: Path | str | None, overwrite: bool) -> None:
    if source is not None and _same(path, Path(source)):
        raise OutputExistsError(f"{path} is the input itself, which is never overwritten: choose another name")
    if path.is_dir():
        raise ImageError(f"{path} is a folder: name a file in it")
    if not overwrite and os.path.lexists(path):
        raise OutputExistsError(f"{path} exists: choose another name or allow overwriting")


def _same(path: Path, other: Path) -> bool:
    """Whether both name one file, through whatever links."""
    try:
        return path.samefile(other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
