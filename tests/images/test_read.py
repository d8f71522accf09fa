"""Reading: every kind of file that Pillow can write, orientations, and everything that is no picture."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from morpho.errors import ImageError, InputError
from morpho.images import Metadata, Picture, psnr, read
from tests.images.samples import BLUE, GREEN, ICC, RED, XMP, exif_block, noise, saved, smooth

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}, "TIFF": {}, "BMP": {}}
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def image_of(mode: str) -> Image.Image:
    pixels = noise(9, 14, CHANNELS[mode])
    return Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels)


@pytest.mark.parametrize(
    ("format", "mode"),
    [(format, mode) for format in LOSSLESS for mode in CHANNELS if format != "BMP" or "A" not in mode],
)
def test_lossless_formats(format: str, mode: str) -> None:
    image = image_of(mode)
    picture = read(saved(image, format, **LOSSLESS[format]))
    stored = image.convert({"L": "RGB", "LA": "RGBA"}.get(mode, mode)) if format == "WEBP" else image
    expected = np.asarray(stored).reshape(9, 14, -1)
    assert picture.format == format
    assert np.array_equal(picture.pixels, expected)
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(mode: str) -> None:
    pixels = smooth(40, 50, CHANNELS[mode])
    data = saved(Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels), "JPEG", quality=95)
    picture = read(data)
    assert picture.pixels.shape == pixels.shape
    assert psnr(picture.pixels, pixels) > 38
    assert np.array_equal(picture.pixels, np.asarray(Image.open(io.BytesIO(data))).reshape(40, 50, -1))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(compression: str | None) -> None:
    image = image_of("RGB")
    assert np.array_equal(read(saved(image, "TIFF", compression=compression)).pixels, np.asarray(image))


def test_palettes() -> None:
    image = Image.new("P", (2, 2))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2, 0])
    for format in ("PNG", "TIFF", "BMP"):
        assert read(saved(image, format)).pixels.tolist() == [[[*RED], [*GREEN]], [[*BLUE], [*RED]]]
    for transparency in (1, b"\xff\x00\x80"):
        picture = read(saved(image, "PNG", transparency=transparency))
        second = 128 if isinstance(transparency, bytes) else 255
        assert picture.pixels.tolist() == [[[*RED, 255], [*GREEN, 0]], [[*BLUE, second], [*RED, 255]]]


@pytest.mark.parametrize(("mode", "key", "opaque"), [("L", 7, 8), ("RGB", (7, 7, 7), (7, 7, 8))])
def test_a_transparent_colour_becomes_alpha(mode: str, key: Any, opaque: Any) -> None:
    image = Image.new(mode, (2, 1), key)
    image.putpixel((1, 0), opaque)
    picture = read(saved(image, "PNG", transparency=key))
    assert picture.alpha is not None
    assert picture.alpha[0, :, 0].tolist() == [0, 255]
    assert picture.color[0, 1].tolist() == ([8] if mode == "L" else [7, 7, 8])


def test_one_bit_becomes_grey() -> None:
    image = Image.fromarray(np.eye(5, 9, dtype=bool))
    for format in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(read(saved(image, format)).pixels[:, :, 0], np.eye(5, 9, dtype=np.uint8) * 255)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bit_grey_tiff(byteorder: Any, compression: str | None) -> None:
    pixels = noise(11, 13, dtype="uint16")
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, byteorder=byteorder, compression=compression)
    picture = read(stream.getvalue())
    assert picture.pixels.dtype == np.dtype("uint16")
    assert np.array_equal(picture.pixels[:, :, 0], pixels)


def test_large_pictures_are_copied_whole() -> None:
    pixels = noise(1500, 1100, 3)
    assert np.array_equal(read(saved(Image.fromarray(pixels), "PNG", compress_level=1)).pixels, pixels)


def test_the_first_picture_of_many() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    for format, options in (("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        data = saved(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert read(data).pixels[0, 0].tolist() == [*RED], format


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_and_reset(orientation: int, format: str) -> None:
    image = Image.fromarray(smooth(20, 30))
    data = saved(image, format, exif=b"Exif\0\0" + exif_block(orientation=orientation))
    picture = read(data)
    with Image.open(io.BytesIO(data)) as stored:
        stored.load()
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal(picture.pixels, expected)
    assert picture.pixels.flags.c_contiguous
    assert picture.metadata.orientation == 1
    assert picture.metadata.exif is not None


def test_orientation_by_hand() -> None:
    image = Image.new("RGB", (2, 1))
    image.putdata([RED, GREEN])
    picture = read(saved(image, "PNG", exif=b"Exif\0\0" + exif_block(orientation=6)))
    assert picture.pixels.tolist() == [[[*RED]], [[*GREEN]]], "6: turn a quarter clockwise"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_are_read(format: str) -> None:
    exif = exif_block(orientation=1, thumbnail=b"\xff\xd8 thumb \xff\xd9")
    options: dict[str, Any] = {"icc_profile": ICC, "dpi": (300, 300)}
    if format == "TIFF":
        tags = Image.Exif()
        tags.load(b"Exif\0\0" + exif)
        tags[700] = XMP
        data = saved(image_of("RGB"), format, exif=tags, **options)
    else:
        options |= {"exif": b"Exif\0\0" + exif} | ({"xmp": XMP} if format != "PNG" else {})
        data = saved(image_of("RGB"), format, **options)
    metadata = read(data).metadata
    assert metadata.icc == ICC
    assert metadata.dpi == (pytest.approx((300, 300), abs=0.02) if format != "WEBP" else None)
    assert metadata.xmp == (None if format == "PNG" else XMP.replace(b'"6"', b'"1"'))
    assert metadata.exif is not None
    assert b"maker note" in metadata.exif
    assert b"thumb" not in metadata.exif


def test_tags_of_storage_are_no_exif() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x013B] = "Camera", "Somebody"
    metadata = read(saved(image_of("RGB"), "TIFF", exif=exif, compression="tiff_lzw")).metadata
    reader = Image.Exif()
    reader.load(b"Exif\0\0" + (metadata.exif or b""))
    assert dict(reader) == {0x010F: "Camera", 0x013B: "Somebody"}


def test_streams_and_paths(tmp_path: Path) -> None:
    image = image_of("RGB")
    data = saved(image, "PNG")
    path = tmp_path / "a picture.txt"
    path.write_bytes(data)
    link = tmp_path / "link"
    link.symlink_to(path)
    for source in (path, str(path), link, data, io.BytesIO(data)):
        assert np.array_equal(read(source).pixels, np.asarray(image))
    with gzip.open(io.BytesIO(gzip.compress(data))) as stream:
        assert np.array_equal(read(stream).pixels, np.asarray(image))  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = saved(image_of("RGB"), "JPEG")
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert read(pipe).pixels.shape == (9, 14, 3)
    writer.join()


def bad_files() -> dict[str, tuple[bytes, str]]:
    good = {format: saved(Image.fromarray(smooth(64, 64)), format) for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP")}
    header = b"BM" + bytes(16) + (40).to_bytes(4, "little")
    cases = {f"half a {format}": (data[: len(data) // 2], "damaged") for format, data in good.items()}
    cases |= {f"start of a {format}": (data[:20], "damaged") for format, data in good.items()}
    wide = io.BytesIO()
    tifffile.imwrite(wide, noise(5, 6, 3, dtype="uint16"), photometric="rgb")
    real = io.BytesIO()
    tifffile.imwrite(real, np.zeros((5, 6), np.float32))
    return cases | {
        "empty": (b"", "empty"),
        "text": (b"Dear diary,\n", "not a picture"),
        "one byte": (b"\xff", "not a picture"),
        "zip": (b"PK\3\4" + bytes(60), "not a picture"),
        "gif": (saved(image_of("L"), "GIF"), "not a picture"),
        "svg": (b"<svg/>", "not a picture"),
        "starts like a BMP": (b"BMW is a make of car" * 4, "damaged"),
        "BMP without size": (header + bytes(60), "damaged"),
        "CMYK JPEG": (saved(Image.new("CMYK", (4, 4)), "JPEG"), "CMYK"),
        "CMYK TIFF": (saved(Image.new("CMYK", (4, 4)), "TIFF"), "CMYK"),
        "Lab TIFF": (saved(Image.new("LAB", (4, 4)), "TIFF"), "CIE Lab"),
        "float TIFF": (real.getvalue(), "floating-point"),
        "16-bit RGB TIFF": (wide.getvalue(), "16-bit PNG"),
    }


@pytest.mark.parametrize("case", sorted(bad_files()))
def test_no_picture_gives_one_sentence(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, words = bad_files()[case]
    path = tmp_path / "file.jpg"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(ImageError, match=words) as caught:
            read(source)
        message = str(caught.value)
        assert message.startswith(str(path) if source is path else "the picture")
        assert "\n" not in message and not message.endswith(".") and "<" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_no_cut_does_anything_else(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    exif = {} if format == "BMP" else {"exif": b"Exif\0\0" + exif_block()}
    data = saved(Image.fromarray(smooth(16, 16)), format, **exif)
    failures = 0
    for length in range(1, len(data), 7):
        try:
            read(data[:length])
        except ImageError:
            failures += 1
    assert failures > len(data) // 7 // 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_flipped_bytes_give_a_picture_or_one_sentence(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    exif = {} if format == "BMP" else {"exif": b"Exif\0\0" + exif_block()}
    data = saved(Image.fromarray(smooth(16, 16)), format, **exif)
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for at in random.integers(0, min(len(data), 400), 3):
            damaged[at] = random.integers(0, 256)
        try:
            assert isinstance(read(bytes(damaged), max_pixels=1_000_000), Picture)
        except ImageError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_bombs(format: str) -> None:
    data = saved(Image.new("RGB", (200, 300)), format)
    with pytest.raises(ImageError, match="declares 200 x 300 pixels, more than the 59999 allowed"):
        read(data, max_pixels=59_999)
    assert read(data, max_pixels=60_000).pixels.shape == (300, 200, 3)


def test_large_honest_pictures_are_no_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow would warn above and refuse twice that
    assert read(saved(Image.new("L", (100, 100)), "PNG")).pixels.shape == (100, 100, 1)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "nothing.png", "does not exist"),
        (tmp_path / "nothing" / "at all.png", "does not exist"),
        ("zero\0byte.png", "cannot be opened"),
        ("x" * 5000, "cannot be opened"),
    ):
        with pytest.raises(ImageError, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(saved(image_of("L"), "PNG"))

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"a\.png cannot be opened \(Permission denied\)"):
        read(path)


def test_pillow_is_loaded_on_first_use() -> None:
    code = "import sys, morpho.images; print([name for name in ('PIL', 'numba') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pictures() -> None:
    picture = Picture(noise(3, 4, 4), Metadata(icc=ICC), "PNG")
    assert (picture.height, picture.width) == (3, 4)
    assert picture.color.shape == (3, 4, 3)
    assert picture.alpha is not None
    assert picture.alpha.shape == (3, 4, 1)
    assert np.shares_memory(picture.alpha, picture.pixels)
    assert Picture(noise(3, 4, 2)).color.shape == (3, 4, 1)
    assert Picture(noise(3, 4, 1)).alpha is None
    other = picture.with_pixels(noise(6, 8, 3))
    assert (other.metadata, other.format, other.width) == (picture.metadata, "PNG", 8)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 4), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((3, 4, 3)),
        None,
    ],
)
def test_unusable_pixels(pixels: Any) -> None:
    with pytest.raises(InputError):
        Picture(pixels)
