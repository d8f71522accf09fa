"""What the tests of pictures are made of: pixels, EXIF blocks, PNG files by the letter of the standard."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
ICC = b"\0\0\0\x20 not really a profile, but kept as it is" * 9
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6" note="\xc3\xa4"/></x:xmpmeta>'


def noise(*shape: int, dtype: str = "uint8", seed: int = 0) -> NDArray[Any]:
    """Random pixels with some flat rows, so that every filter of PNG is worth using somewhere."""
    kind = np.dtype(dtype)
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    pixels[: shape[0] // 3] = pixels[0, 0]
    return pixels


def smooth(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """A soft gradient that JPEG keeps within a few grey levels."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    parts = [128 + 100 * np.sin(3 * x + i) * np.cos(2 * y - i) for i in range(channels)]
    return np.stack(parts, axis=2).astype(np.uint8)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def entry(order: str, tag: int, kind: int, value: int) -> bytes:
    """A directory entry of EXIF that holds one short (3) or long (4)."""
    packed = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
    return struct.pack(order + "HHI", tag, kind, 1) + packed


def exif_block(
    order: str = "<",
    orientation: int = 6,
    *,
    thumbnail: bytes = b"",
    note: bytes = b"maker note",
    side: int = 3,
) -> bytes:
    """An EXIF block as cameras write them: two directories, a note behind them, a thumbnail at the end.

    ``side`` is the type of the pixel dimensions: 3 (short) or 4 (long).
    """
    exif_at = 8 + 2 + 2 * 12 + 4
    second_at = exif_at + 2 + 3 * 12 + 4 + len(note)
    picture_at = second_at + 2 + 2 * 12 + 4
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    main = entry(order, 0x0112, 3, orientation) + entry(order, 0x8769, 4, exif_at)
    dimensions = entry(order, 0xA002, side, 11) + entry(order, 0xA003, side, 7)
    maker = struct.pack(order + "HHII", 0x927C, 7, len(note), exif_at + 2 + 3 * 12 + 4)
    second = entry(order, 0x0201, 4, picture_at) + entry(order, 0x0202, 4, len(thumbnail))
    return b"".join(
        [
            head,
            struct.pack(order + "H", 2) + main + struct.pack(order + "I", second_at if thumbnail else 0),
            struct.pack(order + "H", 3) + maker + dimensions + bytes(4) + note,
            (struct.pack(order + "H", 2) + second + bytes(4) + thumbnail) if thumbnail else b"",
        ]
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_file(
    pixels: NDArray[np.uint16],
    *,
    filters: Sequence[int] = (0,),
    interlaced: bool = False,
    extra: bytes = b"",
    idat_length: int = 1 << 16,
) -> bytes:
    """A 16-bit PNG whose rows use the given filters in turn, written byte by byte as the standard says."""
    height, width, channels = pixels.shape
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    passes = [pixels[y::dy, x::dx] for y, x, dy, dx in starts] if interlaced else [pixels]
    rows = b"".join(_filtered(part, filters) for part in passes if part.size)
    packed = zlib.compress(rows)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlaced)
    pieces = [packed[i : i + idat_length] for i in range(0, len(packed), idat_length)]
    body = [chunk(b"IHDR", header), extra, *(chunk(b"IDAT", piece) for piece in pieces), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _filtered(pixels: NDArray[np.uint16], filters: Sequence[int]) -> bytes:
    step, rows = 2 * pixels.shape[2], [row.astype(">u2").tobytes() for row in pixels]
    result, above = bytearray(), bytes(len(rows[0]))
    for y, row in enumerate(rows):
        kind = filters[y % len(filters)]
        result.append(kind)
        for x, value in enumerate(row):
            left, corner = (row[x - step], above[x - step]) if x >= step else (0, 0)
            guess = (0, left, above[x], (left + above[x]) // 2, _paeth(left, above[x], corner))[kind]
            result.append((value - guess) % 256)
        above = row
    return bytes(result)


def _paeth(a: int, b: int, c: int) -> int:
    """The predictor of section 9.4: the neighbour that is nearest to a + b - c; ties: left, above, corner."""
    return min((a, b, c), key=lambda neighbour: abs(a + b - c - neighbour))
