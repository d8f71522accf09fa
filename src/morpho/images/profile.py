"""Pictures in sRGB: what an embedded ICC profile says about the colours is carried out on the pixels.

A profile of the kind that cameras, screens and editors embed has a curve per channel, which makes light of the
stored values, and a matrix, whose columns are the colours of the three lights (ICC.1:2010, 8.3.3 and F.3). Those,
and grey profiles with their single curve, are computed here, 8 and 16 bits alike: each channel's share of linear
sRGB comes from a table of integers, the three shares are added, clipped and encoded by one more table.

Profiles that hold tables of colours instead (of printers and scanners) are left to LittleCMS, which Pillow brings
for 8 bits. It is asked for the relative colorimetric intent without black point compensation: colours that sRGB has
stay exact, as by matrix and curves, where the perceptual intent would squeeze them to make room for those it lacks.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from morpho.errors import ImageError
from morpho.images.picture import Picture

__all__ = ["srgb_profile", "to_srgb"]

_Convert = Callable[[NDArray[Any]], NDArray[Any]]
_Floats = NDArray[np.float64]

_HEADER, _ENTRY = 128, 12
#: One in the fixed-point numbers of profiles.
_ONE = 65536
#: Linear sRGB (columns) in the profiles' XYZ, which is adapted to D50.
_SRGB = np.array([[0x6FA0, 0x6297, 0x249F], [0x38F5, 0xB787, 0x0F84], [0x0390, 0x18D9, 0xB6C3]]) / _ONE
#: Steps of linear light between black and white: fine enough for 16 bits where sRGB is steepest.
_STEPS = 1 << 20
#: How many numbers each kind of parametric curve has.
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
#: Pixels converted at a time, which bounds the memory.
_BAND = 1 << 16
#: Nodes per axis of the colours by which sRGB in effect is recognised.
_NODES = 18


def to_srgb(picture: Picture) -> Picture:
    """Convert a picture to sRGB by its embedded ICC profile, which is replaced by that of sRGB.

    Colours that sRGB does not have are clipped. Alpha is untouched. A picture without a profile, or whose profile
    is sRGB in effect (no colour moves by more than one of 255 levels), is returned as it is. Grey pictures may
    have a grey profile, or an RGB profile, which is then read for equal channels.

    Args:
        picture: 8 or 16 bits, any channels.

    Returns:
        A picture of the same shape and depth.

    Raises:
        ImageError: the profile is damaged, is for other channels, or describes 16-bit pixels by tables.

    >>> picture = Picture(np.zeros((2, 2, 3), np.uint8))
    >>> to_srgb(picture) is picture
    True
    """
    if picture.metadata.icc is None:
        return picture
    grey = picture.color.shape[2] == 1
    profile = _Profile(picture.metadata.icc)
    colors = _colors(grey)
    if np.abs(_converter(profile, colors)(colors).astype(int) - colors).max() <= 1:
        return picture
    convert, source = _converter(profile, picture.color), picture.color
    pixels = picture.pixels.copy()
    for band in _bands(picture):
        pixels[band, :, : source.shape[2]] = convert(source[band])
    return replace(picture, pixels=pixels, metadata=replace(picture.metadata, icc=srgb_profile()))


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB: 588 bytes, the same each time.

    >>> srgb_profile()[36:40]
    b'acsp'
    """
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07d0 0001 0001 0000 0000 0000")  # not the time of this run
    return bytes(profile)


def _colors(grey: bool) -> NDArray[np.uint8]:
    """All greys, or a lattice of colours."""
    if grey:
        return np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    levels = np.linspace(0, 255, _NODES).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(_NODES, -1, 3)


def _bands(picture: Picture) -> Iterator[slice]:
    rows = max(1, _BAND // picture.width)
    return (slice(top, top + rows) for top in range(0, picture.height, rows))


def _converter(profile: _Profile, pixels: NDArray[Any]) -> _Convert:
    """What converts such pixels.

    Raises:
        ImageError: nothing does.
    """
    grey, levels = pixels.shape[2] == 1, np.iinfo(pixels.dtype).max + 1
    if profile.space == b"GRAY" and grey:
        table = _encoded(profile.light(b"kTRC", levels), levels)[:, np.newaxis]
        return lambda pixels: table[pixels[:, :, 0]]
    if profile.space != b"RGB ":
        has = "grey" if grey else "RGB"
        _fail(f"is for {profile.space_name} but the picture is {has}")
    if profile.has_tables and levels == 256 and not grey:
        return _by_littlecms(profile)
    if not profile.has_matrix:
        _fail("holds tables of colours, which morpho reads for 8-bit RGB only")
    lights = np.stack([profile.light(channel + b"TRC", levels) for channel in (b"r", b"g", b"b")])
    if grey:
        table = _encoded(profile.matrix[1] @ lights, levels)[:, np.newaxis]
        return lambda pixels: table[pixels[:, :, 0]]
    return _by_matrix(np.asarray(np.linalg.solve(_SRGB, profile.matrix), np.float64), lights)


def _by_matrix(matrix: _Floats, lights: _Floats) -> _Convert:
    """Through tables of each channel's share of linear sRGB, in steps; sums of three stay within 32 bits."""
    shares = np.rint(_STEPS * lights[:, :, np.newaxis] * matrix.T[:, np.newaxis, :])
    red, green, blue = np.clip(shares, -(1 << 29), 1 << 29).astype(np.int32)
    encode = _encoding(lights.shape[1])

    def convert(pixels: NDArray[Any]) -> NDArray[Any]:
        sums = red.take(pixels[:, :, 0], axis=0)
        sums += green.take(pixels[:, :, 1], axis=0)
        sums += blue.take(pixels[:, :, 2], axis=0)
        return np.asarray(encode.take(sums, mode="clip"))

    return convert


@cache
def _encoding(levels: int) -> NDArray[Any]:
    """The sRGB value of each step of linear light."""
    return _encoded(np.arange(_STEPS + 1) / _STEPS, levels)


def _encoded(light: _Floats, levels: int) -> NDArray[Any]:
    """Encode linear light, 0 to 1, as sRGB: integers of 8 or 16 bits."""
    light = np.clip(light, 0, 1)
    value = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    rounded: NDArray[Any] = np.rint((levels - 1) * value).astype(np.uint8 if levels == 256 else np.uint16)
    return rounded


def _by_littlecms(profile: _Profile) -> _Convert:
    from PIL import Image, ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile.data)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise ImageError(_sentence(f"is damaged ({error})")) from error
    return lambda pixels: np.asarray(transform.apply(Image.fromarray(np.ascontiguousarray(pixels))))


@dataclass(frozen=True)
class _Profile:
    """An ICC profile: a header of 128 bytes, then a directory of tags, then what they hold."""

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) < _HEADER + 4 or self.data[36:40] != b"acsp":
            _fail("is no ICC profile")
        if not _HEADER + 4 <= int.from_bytes(self.data[:4], "big") <= len(self.data):
            _fail("is damaged (it is cut off)")

    @property
    def space(self) -> bytes:
        """What its channels are: ``b"RGB "``, ``b"GRAY"``, or others."""
        return self.data[16:20]

    @property
    def space_name(self) -> str:
        name = self.space.decode("ascii", "replace").strip()
        return name if name.isalnum() else "unknown channels"

    @property
    def has_tables(self) -> bool:
        return any(f"A2B{i}".encode() in self._tags for i in range(3))

    @property
    def has_matrix(self) -> bool:
        return all(channel + b"XYZ" in self._tags for channel in (b"r", b"g", b"b"))

    @property
    def matrix(self) -> _Floats:
        """Linear channels to XYZ."""
        return np.stack([self._color(channel + b"XYZ") for channel in (b"r", b"g", b"b")], axis=1)

    def light(self, tag: bytes, levels: int) -> _Floats:
        """Light, 0 to 1, at each level of a channel."""
        content = self._content(tag)
        value = np.arange(levels) / (levels - 1)
        kind = content[:4]
        if kind == b"curv":
            light = _sampled(content, value)
        elif kind == b"para":
            light = _parametric(content, value)
        else:
            _fail("is damaged (it has a curve of an unknown kind)")
        if tag == b"kTRC" and self.data[20:24] == b"Lab ":  # then the curve gives the lightness, not the light
            light = np.where(light > 0.08, ((light + 0.16) / 1.16) ** 3, light * 2.7 / 24.389)
        return np.clip(light, 0, 1)

    @cached_property
    def _tags(self) -> dict[bytes, tuple[int, int]]:
        """Where each tag's content starts and how long it is; where one stands twice, the first counts."""
        count = int.from_bytes(self.data[_HEADER : _HEADER + 4], "big")
        if _HEADER + 4 + count * _ENTRY > len(self.data):
            _fail("is damaged (it declares more tags than it has room for)")
        directory = self.data[_HEADER + 4 : _HEADER + 4 + count * _ENTRY]
        found: dict[bytes, tuple[int, int]] = {}
        for name, start, length in struct.iter_unpack(">4sII", directory):
            found.setdefault(name, (start, length))
        return found

    def _content(self, tag: bytes) -> bytes:
        if tag not in self._tags:
            _fail(f"is damaged (it has no {tag.decode()})")
        start, length = self._tags[tag]
        if length < _ENTRY or start + length > len(self.data):
            _fail(f"is damaged (its {tag.decode()} is cut off)")
        return self.data[start : start + length]

    def _color(self, tag: bytes) -> _Floats:
        content = self._content(tag)
        if content[:4] != b"XYZ " or len(content) < 20:
            _fail(f"is damaged (its {tag.decode()} is no colour)")
        return np.frombuffer(content, ">i4", 3, 8) / _ONE


def _sampled(content: bytes, value: _Floats) -> _Floats:
    """A curve by its samples: none is a straight line, one is a gamma."""
    count = int.from_bytes(content[8:12], "big")
    if 12 + 2 * count > len(content):
        _fail("is damaged (a curve is cut off)")
    samples = np.frombuffer(content, ">u2", count, 12)
    if count == 0:
        return value
    if count == 1:
        return np.asarray(value ** (samples[0] / 256))
    return np.interp(value, np.linspace(0, 1, count), samples / 65535)


def _parametric(content: bytes, value: _Floats) -> _Floats:
    """A curve by its formula: ``(a x + b)^g + e`` from ``d`` on, below ``c x + f``."""
    kind = int.from_bytes(content[8:10], "big")
    count = _PARAMETERS.get(kind)
    if count is None or 12 + 4 * count > len(content):
        _fail("is damaged (a curve is unknown or cut off)")
    given = [float(number) / _ONE for number in np.frombuffer(content, ">i4", count, 12)]
    g, a, b, c, d, e, f = (given + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(given) - 1 :])[:7]
    if kind in (1, 2):
        d = -b / a if a else np.inf
        c, e, f = 0.0, given[3] if kind == 2 else 0.0, given[3] if kind == 2 else 0.0
    with np.errstate(all="ignore"):
        light = np.where(value >= d, np.maximum(a * value + b, 0) ** g + e, c * value + f)
    if np.isnan(light).any():
        _fail("is damaged (a curve makes no sense)")
    return light


def _fail(what: str) -> NoReturn:
    raise ImageError(_sentence(what))


def _sentence(what: str) -> str:
    return f"the embedded colour profile {what}: convert the picture to sRGB, or take the profile out"
