"""Decoding and encoding of 8-bit pictures with Pillow, and what each format can hold.

Files are told apart by their first bytes, and Pillow's decoder for that format is called directly: no other
decoder sees the file, and Pillow's own size limit, a global setting of the process, is left alone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morpho.errors import ImageError, MorphoError
from morpho.images import png, png16, tiff
from morpho.images.metadata import Metadata
from morpho.images.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = ["check_format", "decode", "encode", "sniff"]

_PLUGINS = {
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
}
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Pillow's mode -> the mode we read it as, without and with transparency.
_MODES = {
    "1": ("L", "LA"),
    "L": ("L", "LA"),
    "P": ("RGB", "RGBA"),
    "RGB": ("RGB", "RGBA"),
    "RGBX": ("RGB", "RGB"),
    "YCbCr": ("RGB", "RGB"),
    **dict.fromkeys(("LA", "La"), ("LA", "LA")),
    **dict.fromkeys(("PA", "RGBA", "RGBa"), ("RGBA", "RGBA")),
}
_NAMES = {"CMYK": "CMYK", "LAB": "CIE Lab", "F": "floating-point", "I": "32-bit"}
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}
_NO_ALPHA = ("JPEG", "BMP")
#: Bytes copied at a time between Pillow and NumPy.
_BAND = 1 << 20


def sniff(head: bytes) -> str | None:
    r"""The format of a file that starts so (16 bytes will do), or None.

    >>> sniff(b"RIFF\x00\x00\x00\x00WEBPVP8 ")
    'WEBP'
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(png.SIGNATURE):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in _TIFF_MAGIC:
        return "TIFF"
    return "BMP" if head[:2] == b"BM" else None


def decode(stream: IO[bytes], *, name: str, max_pixels: int) -> Picture:
    """Read a picture from a seekable stream, as it is stored: EXIF's orientation is not applied.

    Raises:
        ImageError: it is no picture, damaged, too large, or of a kind we do not read.
    """
    head = stream.read(32)
    stream.seek(0)
    kind = sniff(head)
    if kind is None:
        raise ImageError(f"{name} is not a picture in a known format: convert it to PNG, JPEG, WebP, TIFF or BMP")
    with _reading(name, kind):
        if png.is_sixteen_bit(head):
            data = stream.read()
            _check_size(png16.size(data), name, max_pixels)
            return Picture(*png16.decode(data), format=kind)
        with _open(stream, kind) as image:
            _check_size(image.size, name, max_pixels)
            _check_depth(image, name)
            image.load()
            return Picture(_pixels(image), _metadata(image), kind)


def check_format(picture: Picture, kind: str, name: str) -> None:
    """See to it that a format can hold a picture.

    Raises:
        ImageError: it cannot; the sentence says which one can.
    """
    height, width, channels = picture.pixels.shape
    if picture.alpha is not None and kind in _NO_ALPHA:
        raise ImageError(f"{name} cannot be written: {kind} has no transparency, so write PNG, WebP or TIFF")
    if picture.pixels.itemsize == 2 and not (kind == "PNG" or (kind == "TIFF" and channels == 1)):
        raise ImageError(f"{name} cannot be written: {kind} would lose the lower 8 of 16 bits, so write PNG")
    longest = _LONGEST_SIDE.get(kind, math.inf)
    if max(height, width) > longest:
        raise ImageError(
            f"{name} cannot be written: {width} x {height} is over {kind}'s {longest} pixels, so write PNG"
        )


def encode(stream: IO[bytes], picture: Picture, kind: str, *, name: str, quality: int) -> None:
    """Write a picture to a binary stream, with its metadata as they are.

    Raises:
        ImageError: the stream or the encoder failed.
    """
    try:
        if kind == "PNG":
            png.encode(stream, picture.pixels, picture.metadata)
        else:
            _encode_with_pillow(stream, picture, kind, quality)
    except Exception as error:
        raise ImageError(
            f"{name} cannot be written as {kind} ({_reason(error)}): check the disk, strip the metadata, or write PNG"
        ) from error


@contextmanager
def _reading(name: str, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into one sentence."""
    try:
        yield
    except MorphoError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name} does not fit the memory: use a smaller picture") from error
    except Exception as error:
        raise ImageError(
            f"{name} cannot be read as {kind} ({_reason(error)}): it is damaged, get a fresh copy"
        ) from error


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:120].rstrip(".:")


def _open(stream: IO[bytes], kind: str) -> ImageFile:
    module, name = _PLUGINS[kind]
    plugin = getattr(importlib.import_module(module), name)
    with tiff.quiet():
        image: ImageFile = plugin(stream)
    return image


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            f"{name} declares {width} x {height} pixels, more than the {max_pixels} allowed: "
            "raise max_pixels if you trust it"
        )


def _check_depth(image: ImageFile, name: str) -> None:
    """Refuse what would lose something: CMYK and other spaces, and 16-bit colour in TIFF."""
    bits = getattr(image, "tag_v2", {}).get(258, (8,)) if image.format == "TIFF" else (8,)
    if image.mode.startswith("I;16"):
        return
    if image.mode not in _MODES:
        label = _NAMES.get(image.mode, image.mode)
        raise ImageError(f"{name} is a {label} picture, which morpho does not read: convert it to RGB first")
    if max(bits) > 8:
        raise ImageError(f"{name} is a TIFF of {max(bits)} bits per channel: convert it to a 16-bit PNG first")


def _pixels(image: ImageFile) -> NDArray[Any]:
    if image.mode.startswith("I;16"):
        return _to_array(image, 1, np.dtype(np.uint16))
    wanted = _MODES[image.mode][image.has_transparency_data]
    converted = image if image.mode == wanted else image.convert(wanted)
    return _to_array(converted, len(converted.getbands()), np.dtype(np.uint8))


def _to_array(image: Image, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Copy in bands: asking Pillow for the whole array would take twice its memory on the way."""
    width, height = image.size
    pixels = np.empty((height, width, channels), dtype)
    rows = max(1, _BAND // (width * channels))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom))).reshape(-1, width, channels)
    return pixels


def _metadata(image: ImageFile) -> Metadata:
    info = image.info
    exif = tiff.read_exif(image) if image.format == "TIFF" else info.get("exif")
    xmp = info.get("xmp")
    return Metadata(
        exif=exif or None,
        icc=info.get("icc_profile") or None,
        xmp=(xmp.encode() if isinstance(xmp, str) else xmp) or None,
        dpi=_dpi(info.get("dpi")) if image.format != "TIFF" or tiff.has_resolution(image) else None,
    )


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        return float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return None


def _encode_with_pillow(stream: IO[bytes], picture: Picture, kind: str, quality: int) -> None:
    from PIL.Image import fromarray

    pixels, metadata = picture.pixels, picture.metadata
    image = fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    options: dict[str, Any] = {}
    if metadata.icc is not None and kind != "BMP":
        options["icc_profile"] = metadata.icc
    if metadata.dpi is not None and kind != "WEBP":
        options["dpi"] = metadata.dpi
    if kind == "TIFF":
        options["tiffinfo"] = tiff.tags(metadata)
    elif kind != "BMP":
        options["exif"] = b"Exif\0\0" + metadata.exif if metadata.exif else b""
        options["xmp"] = metadata.xmp or b""
    if kind == "JPEG":
        options |= {"quality": quality, "subsampling": 0}
    if kind == "WEBP":
        options |= {"quality": quality, "lossless": quality == 100, "exact": True}
    image.save(stream, kind, **options)
