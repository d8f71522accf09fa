"""EXIF and XMP of TIFF files, where they stand among the tags that say how the file is stored."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from morpho.images.metadata import Metadata

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["has_resolution", "quiet", "read_exif", "tags"]

#: The tags that describe the picture: text, camera, orientation, software, date, artist, host, copyright.
_DESCRIPTIVE = (270, 271, 272, 274, 305, 306, 315, 316, 33432)
#: The directories of EXIF and GPS.
_GROUPS = (0x8769, 0x8825)
_XMP_TAG, _BYTE, _X_RESOLUTION = 700, 1, 282
_LOCK = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings on odd headers; a lock, because the filters belong to the whole process."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def has_resolution(image: ImageFile) -> bool:
    """Whether the file says one; Pillow makes up one dot per inch where it does not."""
    return _X_RESOLUTION in getattr(image, "tag_v2", {})


def read_exif(image: ImageFile) -> bytes | None:
    """The tags that describe the picture, out of those of the file, as an EXIF block of its own."""
    from PIL.Image import Exif

    with quiet():
        source, exif = image.getexif(), Exif()
        for tag in _DESCRIPTIVE:
            if tag in source:
                exif[tag] = source[tag]
        for group in _GROUPS:
            if group in source and (fields := source.get_ifd(group)):
                exif[group] = dict(fields)
        return exif.tobytes() if len(exif) else None


def tags(metadata: Metadata) -> Any:
    """EXIF and XMP as tags of a TIFF file, without those that say how the other file was stored."""
    from PIL.Image import Exif
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory, exif = ImageFileDirectory_v2(), Exif()
    with quiet():
        exif.load(b"Exif\0\0" + metadata.exif if metadata.exif else b"")
        for tag in _DESCRIPTIVE:
            if tag in exif:
                directory[tag] = exif[tag]
        for group in _GROUPS:
            if fields := exif.get_ifd(group):
                directory[group] = dict(fields)
    if metadata.xmp is not None:
        directory.tagtype[_XMP_TAG] = _BYTE
        directory[_XMP_TAG] = metadata.xmp
    return directory
