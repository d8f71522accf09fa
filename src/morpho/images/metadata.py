"""What a picture file says beside its pixels: EXIF, colour profile, XMP, resolution.

EXIF is edited in place (orientation, pixel dimensions, thumbnail), never parsed and written anew: maker notes
hold absolute offsets, which would point nowhere afterwards.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["Metadata"]

_PREFIX = b"Exif\x00\x00"
_ORIENTATION, _EXIF_IFD, _THUMBNAIL, _THUMBNAIL_LENGTH = 0x0112, 0x8769, 0x0201, 0x0202
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
#: Formats of the field types that hold one unsigned whole number.
_WHOLE = {1: "B", 3: "H", 4: "I"}
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:>|=["']))[2-8](?=[<"'])""")


@dataclass(frozen=True)
class Metadata:
    r"""EXIF, ICC profile, XMP and resolution of a picture; None where there is none.

    Attributes:
        exif: a TIFF structure, without the ``Exif\0\0`` that JPEG puts before it.
        icc: the colour profile.
        xmp: the XMP packet, UTF-8.
        dpi: dots per inch, horizontal and vertical, from 1 to 65535 (all formats can say that); else None.

    >>> Metadata(dpi=(300.0, 300.0)).orientation
    1
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.exif is not None and self.exif.startswith(_PREFIX):
            object.__setattr__(self, "exif", self.exif[len(_PREFIX) :])
        if self.dpi is not None and not all(1 <= dots <= 65535 for dots in self.dpi):
            object.__setattr__(self, "dpi", None)

    @property
    def orientation(self) -> int:
        """How the stored pixels must be turned, 1 (not at all) to 8, by EXIF; 1 where it does not say.

        >>> Metadata().orientation
        1
        """
        value = _Exif(self.exif or b"").get(_ORIENTATION)
        return value if value is not None and 1 <= value <= 8 else 1

    def upright(self) -> Metadata:
        """The same, saying that the pixels need not be turned (EXIF and XMP), without a thumbnail.

        >>> Metadata(xmp=b'<a tiff:Orientation="6"/>').upright().xmp
        b'<a tiff:Orientation="1"/>'
        """
        exif = _Exif(self.exif or b"")
        exif.set(_ORIENTATION, 1)
        exif.drop_thumbnail()
        xmp = None if self.xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>1", self.xmp)
        dpi = self.dpi[::-1] if self.dpi is not None and self.orientation >= 5 else self.dpi
        return replace(self, exif=exif.tobytes(), xmp=xmp, dpi=dpi)

    def resized(self, width: int, height: int) -> Metadata:
        """The same, with EXIF's tags of the pixel dimensions set where they exist, without a thumbnail.

        >>> Metadata().resized(640, 480)
        Metadata(exif=None, icc=None, xmp=None, dpi=None)
        """
        exif = _Exif(self.exif or b"")
        for tags, value in ((_WIDTHS, width), (_HEIGHTS, height)):
            for tag in tags:
                exif.set(tag, value)
        exif.drop_thumbnail()
        return replace(self, exif=exif.tobytes())


@dataclass(frozen=True)
class _Field:
    """One entry of a directory: where it stands, its type and count."""

    at: int
    tag: int
    kind: int
    count: int


class _Exif:
    """A TIFF structure to be patched; one that makes no sense has no fields and stays as it is."""

    def __init__(self, blob: bytes) -> None:
        self._blob = bytearray(blob)
        self._order = {b"II*\0": "<", b"MM\0*": ">"}.get(blob[:4], "")
        self._first = self._read("I", 4) if self._order else 0

    def tobytes(self) -> bytes | None:
        return bytes(self._blob) or None

    def get(self, tag: int) -> int | None:
        return next((self._value(field) for field in self._all_fields() if field.tag == tag), None)

    def set(self, tag: int, value: int) -> None:
        """Overwrite a whole number where it exists; a short that would overflow becomes a long."""
        for field in list(self._all_fields()):
            if field.tag == tag and field.count == 1 and field.kind in _WHOLE:
                kind = field.kind if value < 256 ** struct.calcsize(_WHOLE[field.kind]) else 4
                self._write("H", field.at + 2, kind)
                self._write(_WHOLE[kind], field.at + 8, value)

    def drop_thumbnail(self) -> None:
        """Unlink the second directory, and cut off or blank the picture that it points to."""
        link = self._end_of_fields(self._first)
        second = self._read("I", link) if link else 0
        if not second:
            return
        fields = {field.tag: self._value(field) for field in self._fields(second)}
        start, length = fields.get(_THUMBNAIL), fields.get(_THUMBNAIL_LENGTH)
        self._write("I", link, 0)
        if start is None or length is None or not second < start <= start + length <= len(self._blob):
            return
        if start + length == len(self._blob):
            del self._blob[start:]
        else:
            self._blob[start : start + length] = bytes(length)

    def _all_fields(self) -> Iterator[_Field]:
        """The main directory, then the EXIF directory inside it."""
        for field in self._fields(self._first):
            yield field
            if field.tag == _EXIF_IFD:
                yield from self._fields(self._value(field) or 0)

    def _fields(self, directory: int) -> Iterator[_Field]:
        end = self._end_of_fields(directory)
        for at in range(directory + 2, end, 12):
            yield _Field(at, self._read("H", at), self._read("H", at + 2), self._read("I", at + 4))

    def _end_of_fields(self, directory: int) -> int:
        """Where the link to the next directory stands; 0 where there is no whole directory."""
        if directory < 8 or directory + 2 > len(self._blob):
            return 0
        end = directory + 2 + 12 * self._read("H", directory)
        return end if end + 4 <= len(self._blob) else 0

    def _value(self, field: _Field) -> int | None:
        """A single whole number, which stands in the entry itself."""
        if field.count != 1 or field.kind not in _WHOLE:
            return None
        return self._read(_WHOLE[field.kind], field.at + 8)

    def _read(self, code: str, at: int) -> int:
        whole = at + struct.calcsize(code) <= len(self._blob)
        return int(struct.unpack_from(self._order + code, self._blob, at)[0]) if whole else 0

    def _write(self, code: str, at: int, value: int) -> None:
        struct.pack_into(self._order + code, self._blob, at, value)
