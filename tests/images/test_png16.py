"""16-bit PNG: our reader and writer against the letter of the standard, and Pillow as far as it goes."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from morpho.errors import ImageError
from morpho.images import Metadata, Picture, png, read, write
from tests.images.samples import ICC, XMP, chunk, exif_block, noise, png_file

CHANNELS = st.integers(1, 4)
FILTERS = st.lists(st.integers(0, 4), min_size=1, max_size=5)


def encoded(pixels: NDArray[Any], metadata: Metadata | None = None, *, threads: int | None = None) -> bytes:
    stream = io.BytesIO()
    png.encode(stream, pixels, metadata or Metadata(), threads=threads)
    return stream.getvalue()


def by_pillow(data: bytes, channels: int) -> NDArray[Any]:
    """What Pillow makes of it: all of grey, the high bytes of everything else."""
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels[:, :, ::3] if pixels.shape[2] == 4 and channels == 2 else pixels


@given(st.integers(1, 20), st.integers(1, 20), CHANNELS, FILTERS, st.booleans(), st.sampled_from([1, 7, 1 << 16]))
def test_reads_what_the_standard_says(
    height: int, width: int, channels: int, filters: list[int], interlaced: bool, idat_length: int
) -> None:
    pixels = noise(height, width, channels, dtype="uint16")
    data = png_file(pixels, filters=filters, interlaced=interlaced, idat_length=idat_length)
    picture = read(data)
    assert picture.pixels.dtype == np.uint16
    assert picture.format == "PNG"
    assert np.array_equal(picture.pixels, pixels)


@given(st.integers(1, 40), st.integers(1, 40), CHANNELS, st.sampled_from(["uint8", "uint16"]))
def test_what_is_written_comes_back(height: int, width: int, channels: int, dtype: str) -> None:
    pixels = noise(height, width, channels, dtype=dtype)
    pixels.setflags(write=False)
    for layout in (pixels, np.asfortranarray(pixels), pixels[::-1, ::-1][::-1, ::-1]):
        data = encoded(layout)
        assert np.array_equal(read(data).pixels, pixels)
    whole = dtype == "uint8" or channels == 1
    assert np.array_equal(by_pillow(data, channels), pixels if whole else pixels >> 8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_pillow_agrees_on_the_samples(channels: int, interlaced: bool) -> None:
    pixels = noise(19, 23, channels, dtype="uint16")
    data = png_file(pixels, filters=[0, 1, 2, 3, 4], interlaced=interlaced)
    assert np.array_equal(by_pillow(data, channels), pixels if channels == 1 else pixels >> 8)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_bytes_do_not_depend_on_threads(dtype: str) -> None:
    pixels = noise(700, 1200, 3, dtype=dtype)
    data = encoded(pixels, threads=1)
    assert encoded(pixels, threads=3) == data
    assert np.array_equal(read(data).pixels, pixels)
    # Several bands make one zlib stream, with the checksum of the whole.
    rows = zlib.decompress(b"".join(bytes(content) for kind, content in png.chunks(data) if kind == b"IDAT"))
    assert len(rows) == 700 * (1 + 1200 * 3 * pixels.itemsize)


def test_smooth_pictures_get_small() -> None:
    ramp = np.arange(200, dtype=np.uint8)[np.newaxis, :, np.newaxis] + np.arange(50, dtype=np.uint8)[:, None, None]
    stream = io.BytesIO()
    Image.fromarray(ramp[:, :, 0]).save(stream, "PNG", compress_level=1)
    assert len(encoded(ramp)) < 1.2 * len(stream.getvalue()) + 100


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_metadata_stay(dtype: str) -> None:
    metadata = Metadata(exif=exif_block(orientation=1), icc=ICC, xmp=XMP, dpi=(300.0, 150.0))
    pixels = noise(5, 6, 3, dtype=dtype)
    found = read(encoded(pixels, metadata)).metadata
    assert (found.exif, found.icc) == (metadata.exif, metadata.icc)
    assert found.xmp == XMP.replace(b'"6"', b'"1"')
    assert found.dpi == pytest.approx((300, 150), abs=0.02)
    with Image.open(io.BytesIO(encoded(pixels, metadata))) as image:
        image.load()
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == XMP
        assert image.info["exif"] == b"Exif\0\0" + exif_block(orientation=1)
        assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_compressed_xmp_is_read() -> None:
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<xmp/>"))
    other = chunk(b"iTXt", b"Comment\0\0\0\0\0hello")
    assert read(png_file(noise(2, 2, 1, dtype="uint16"), extra=other + text)).metadata.xmp == b"<xmp/>"


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", b"name\0\0not zlib"),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(1 << 27), 9)),
        chunk(b"iCCP", b"no end of the name"),
        chunk(b"iTXt", b"XML:com.adobe.xmp"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not zlib"),
        chunk(b"pHYs", b"short"),
        chunk(b"pHYs", struct.pack(">IIB", 0, 0, 1)),
        chunk(b"eXIf", b""),
    ],
)
def test_useless_metadata_are_left_out(extra: bytes) -> None:
    pixels = noise(3, 4, 3, dtype="uint16")
    picture = read(png_file(pixels, extra=extra))
    assert np.array_equal(picture.pixels, pixels)
    assert picture.metadata in (Metadata(), Metadata(xmp=None))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_becomes_alpha(channels: int) -> None:
    pixels = noise(6, 6, channels, dtype="uint16")
    key = pixels[0, 0].astype(">u2").tobytes()
    picture = read(png_file(pixels, extra=chunk(b"tRNS", key)))
    assert np.array_equal(picture.color, pixels)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha[:, :, 0] == 0, (pixels == pixels[0, 0]).all(axis=2))
    assert set(np.unique(picture.alpha)) == {0, 65535}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_sixteen_bits_too(orientation: int) -> None:
    pixels = noise(4, 6, 3, dtype="uint16")
    block = exif_block(orientation=orientation)
    picture = read(png_file(pixels, extra=chunk(b"eXIf", block)))
    stream = io.BytesIO()
    exif = b"Exif\0\0" + block
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(stream, "PNG", exif=exif)
    assert np.array_equal(picture.pixels >> 8, read(stream.getvalue()).pixels)
    assert picture.metadata.orientation == 1


def damaged() -> dict[str, bytes]:
    good = png_file(noise(6, 5, 3, dtype="uint16"))
    flipped = bytearray(good)
    flipped[-13] ^= 1  # the last byte of the checksum of the pixel data
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 6, 16, 2, 0, 0, 0))
    start, end = good[:8] + header, chunk(b"IEND", b"")

    def with_header(*fields: int) -> bytes:
        return good[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", *fields)) + good[8 + len(header) :]

    rows = 6 * (1 + 5 * 6)
    return {
        "checksum": bytes(flipped),
        "no pixels": start + end,
        "too few pixels": start + chunk(b"IDAT", zlib.compress(bytes(rows - 1))) + end,
        "not zlib": start + chunk(b"IDAT", b"x" * 50) + end,
        "unknown filter": start + chunk(b"IDAT", zlib.compress(b"\5" * rows)) + end,
        "cut": good[: len(good) // 2],
        "no end": good[:-12],
        "width 0": with_header(0, 6, 16, 2, 0, 0, 0),
        "negative height": with_header(5, 2**31 + 1, 16, 2, 0, 0, 0),
        "palette of 16 bits": with_header(5, 6, 16, 3, 0, 0, 0),
        "unknown packing": with_header(5, 6, 16, 2, 1, 0, 0),
        "unknown interlacing": with_header(5, 6, 16, 2, 0, 0, 2),
        "a lie about its size": with_header(20_000, 20_000, 16, 2, 0, 0, 0),
        "transparent colour": start + chunk(b"tRNS", b"\0") + chunk(b"IDAT", zlib.compress(bytes(rows))) + end,
    }


@pytest.mark.parametrize("case", sorted(damaged()))
def test_damage_gives_one_sentence(case: str) -> None:
    with pytest.raises(ImageError, match=r"the picture cannot be read as PNG .*: it is damaged") as caught:
        read(damaged()[case])
    assert "\n" not in str(caught.value)


def test_every_cut_gives_one_sentence() -> None:
    good = png_file(noise(4, 4, 3, dtype="uint16"), filters=[4])
    for length in range(1, len(good)):
        with pytest.raises(ImageError):
            read(good[:length])


def test_bombs_are_refused_before_memory_is_taken() -> None:
    huge = struct.pack(">IIBBBBB", 100_000, 100_000, 16, 6, 0, 0, 0)
    data = png.SIGNATURE + chunk(b"IHDR", huge) + chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9))
    with pytest.raises(ImageError, match=r"100000 x 100000 pixels, more than the 500000000 allowed"):
        read(data)
    with pytest.raises(ImageError, match="more than the 29 allowed"):
        read(png_file(noise(5, 6, 1, dtype="uint16")), max_pixels=29)
    assert read(png_file(noise(5, 6, 1, dtype="uint16")), max_pixels=30).height == 5


def test_lies_about_the_size_take_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="end early"):
            read(damaged()["a lie about its size"])
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_more_data_than_declared_are_ignored() -> None:
    pixels = np.zeros((6, 5, 3), np.uint16)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 6, 16, 2, 0, 0, 0))
    packed = chunk(b"IDAT", zlib.compress(bytes(50_000_000), 9))
    data = png.SIGNATURE + header + packed + packed + chunk(b"IEND", b"")
    assert np.array_equal(read(data).pixels, pixels)


def test_sixteen_bits_through_the_front_door(tmp_path: Any) -> None:
    pixels = noise(9, 8, 4, dtype="uint16")
    write(Picture(pixels), tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png").pixels, pixels)
