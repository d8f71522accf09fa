"""Reading PNG files of 16 bits per channel, which Pillow cuts down to 8."""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morpho.images.metadata import Metadata
from morpho.images.png import INCH, SIGNATURE, XMP_KEY, chunks

__all__ = ["decode", "size"]

#: Channels of each colour type that has 16-bit files.
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
#: Adam7: first row and column, step of rows and columns of each pass.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
#: A profile or text that unpacks to more than this is left out.
_MOST_METADATA = 1 << 26


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    channels: int
    interlaced: bool

    @property
    def step(self) -> int:
        """Bytes per pixel."""
        return 2 * self.channels

    def passes(self) -> list[tuple[slice, slice, int, int]]:
        """Which rows and columns each pass fills, and how many; passes without pixels are not stored."""
        plan = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        parts = (
            (slice(y, None, dy), slice(x, None, dx), -((y - self.height) // dy), -((x - self.width) // dx))
            for y, x, dy, dx in plan
        )
        return [part for part in parts if part[2] > 0 and part[3] > 0]


def size(data: bytes) -> tuple[int, int]:
    """Width and height that the file declares.

    Raises:
        ValueError: the header is damaged.
    """
    header = _header(data)
    return header.width, header.height


def decode(data: bytes) -> tuple[NDArray[np.uint16], Metadata]:
    """Pixels and metadata of a PNG file of 16 bits per channel, interlaced or not.

    Args:
        data: the file. Its size must have been judged before: see `size`.

    Returns:
        ``(H, W, C)`` with C from 1 to 4 (a transparent colour becomes an alpha channel), and the metadata.

    Raises:
        ValueError: the file is damaged.
    """
    header = _header(data)
    parts: list[memoryview] = []
    others: dict[bytes, list[memoryview]] = {}
    for kind, content in chunks(data):
        if kind == b"IDAT":
            parts.append(content)
        else:
            others.setdefault(kind, []).append(content)
    pixels = _unpack(_inflate(parts, header), header)
    if b"tRNS" in others:
        pixels = _with_alpha(pixels, others[b"tRNS"][0])
    return pixels, _metadata(others)


def _header(data: bytes) -> _Header:
    kind, content = next(chunks(data))
    if not data.startswith(SIGNATURE) or kind != b"IHDR" or len(content) != 13:
        raise ValueError("it does not begin with a PNG header")
    width, height, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", content)
    known = depth == 16 and colour in _CHANNELS and packing == filtering == 0 and interlace in (0, 1)
    if not known or not 0 < width < 2**31 or not 0 < height < 2**31:
        raise ValueError("its header makes no sense")
    return _Header(width, height, _CHANNELS[colour], interlace == 1)


def _inflate(parts: list[memoryview], header: _Header) -> NDArray[np.uint8]:
    """Unpack exactly as many bytes as the header promises: more are ignored, fewer are an error."""
    total = sum(rows * (1 + columns * header.step) for _, _, rows, columns in header.passes())
    # Deflate packs at most 1032 to 1, so that a header that lies is found out before memory is taken.
    if sum(map(len, parts)) * 1032 < total:
        raise ValueError("its pixel data end early")
    buffer = np.empty(total, np.uint8)
    packer, filled = zlib.decompressobj(), 0
    for part in parts:
        if filled == total:
            break
        piece = packer.decompress(part, total - filled)
        buffer[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    if filled < total:
        raise ValueError("its pixel data end early")
    return buffer


def _unpack(buffer: NDArray[np.uint8], header: _Header) -> NDArray[np.uint16]:
    """Undo the filters, and the interlacing."""
    passes = header.passes()
    if len(passes) == 1 and not header.interlaced:
        return _unfilter(buffer, header.height, header.width, header)
    pixels = np.empty((header.height, header.width, header.channels), np.uint16)
    at = 0
    for rows, columns, height, width in passes:
        length = height * (1 + width * header.step)
        pixels[rows, columns] = _unfilter(buffer[at : at + length], height, width, header)
        at += length
    return pixels


def _unfilter(buffer: NDArray[np.uint8], height: int, width: int, header: _Header) -> NDArray[np.uint16]:
    from morpho.images.kernel import unfilter

    out = np.empty((height, width * header.step), np.uint8)
    wrong = unfilter(buffer.reshape(height, -1), header.step, out)
    if wrong >= 0:
        raise ValueError(f"row {wrong} has an unknown filter")
    words = out.view(np.uint16)
    if sys.byteorder == "little":
        words.byteswap(inplace=True)
    return words.reshape(height, width, header.channels)


def _with_alpha(pixels: NDArray[np.uint16], content: memoryview) -> NDArray[np.uint16]:
    """An alpha channel that is 0 where a pixel has the colour that the file calls transparent."""
    channels = pixels.shape[2]
    if channels not in (1, 3) or len(content) != 2 * channels:
        raise ValueError("its transparent colour makes no sense")
    key = np.frombuffer(content, ">u2")
    clear = (pixels == key).all(axis=2, keepdims=True)
    return np.concatenate([pixels, np.where(clear, 0, 65535).astype(np.uint16)], axis=2)


def _metadata(others: dict[bytes, list[memoryview]]) -> Metadata:
    first: dict[bytes, bytes] = {kind: bytes(contents[0]) for kind, contents in others.items()}
    texts = (_xmp(bytes(content)) for content in others.get(b"iTXt", []))
    return Metadata(
        exif=first.get(b"eXIf") or None,
        icc=_profile(first.get(b"iCCP", b"")),
        xmp=next((text for text in texts if text), None),
        dpi=_resolution(first.get(b"pHYs", b"")),
    )


def _profile(content: bytes) -> bytes | None:
    _, _, rest = content.partition(b"\0")
    return _expand(rest[1:]) if rest[:1] == b"\0" else None


def _xmp(content: bytes) -> bytes | None:
    key, _, rest = content.partition(b"\0")
    if key != XMP_KEY or rest[:2] not in (b"\0\0", b"\1\0"):
        return None
    text = rest[2:].split(b"\0", 2)[-1]
    return _expand(text) if rest[0] else text


def _expand(packed: bytes) -> bytes | None:
    """Unpack metadata; what is damaged or absurdly large is left out, as other readers do."""
    try:
        packer = zlib.decompressobj()
        content = packer.decompress(packed, _MOST_METADATA)
        return content if content and packer.eof else None
    except zlib.error:
        return None


def _resolution(content: bytes) -> tuple[float, float] | None:
    x, y, unit = struct.unpack(">IIB", content) if len(content) == 9 else (0, 0, 0)
    return (x * INCH, y * INCH) if unit == 1 and x and y else None
