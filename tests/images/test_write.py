"""Writing: what goes in comes back, metadata survive, and no file is ever harmed."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from morpho.errors import ImageError, InputError, OutputExistsError
from morpho.images import SUFFIXES, Metadata, Picture, format_of, psnr, read, write
from tests.images.samples import ICC, XMP, exif_block, noise, saved, smooth

FULL = Metadata(exif=exif_block(orientation=1, thumbnail=b"\xff\xd8 thumb"), icc=ICC, xmp=XMP, dpi=(300.0, 300.0))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_comes_back(suffix: str, channels: int, tmp_path: Path) -> None:
    pixels = smooth(33, 47, channels)
    path = tmp_path / f"picture{suffix.upper()}"
    kind = SUFFIXES[suffix]
    if channels in (2, 4) and kind in ("JPEG", "BMP"):
        with pytest.raises(ImageError, match=f"{kind} has no transparency, so write PNG"):
            write(Picture(pixels), path)
        assert files(tmp_path) == []
        return
    write(Picture(pixels), path, quality=97)
    back = read(path)
    assert back.format == kind
    expected = np.repeat(pixels[:, :, :1], 3, axis=2) if kind == "WEBP" and channels == 1 else pixels
    if kind == "WEBP" and channels == 2:
        expected = pixels[:, :, [0, 0, 0, 1]]
    if kind in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(back.pixels, expected)
    else:
        assert back.pixels.shape == expected.shape
        assert psnr(back.pixels, expected) > 40
    assert files(tmp_path) == [path.name]


def test_webp_of_quality_100_is_lossless() -> None:
    pixels = noise(20, 30, 4)
    pixels[:5, :, 3] = 0
    stream = io.BytesIO()
    write(Picture(pixels), stream, format="webp", quality=100)
    assert np.array_equal(read(stream.getvalue()).pixels, pixels)


def test_jpeg_keeps_colour_in_full_resolution_at_the_given_quality(tmp_path: Path) -> None:
    sizes = []
    for quality in (30, 92):
        write(Picture(smooth(64, 64)), tmp_path / f"{quality}.jpg", quality=quality)
        sizes.append((tmp_path / f"{quality}.jpg").stat().st_size)
    assert sizes[0] < sizes[1]
    with Image.open(tmp_path / "92.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0
    write(Picture(smooth(64, 64)), tmp_path / "default.jpg")
    assert (tmp_path / "default.jpg").read_bytes() == (tmp_path / "92.jpg").read_bytes()


@pytest.mark.parametrize("layout", ["read-only", "fortran", "strided", "flipped"])
@pytest.mark.parametrize("format", ["png", "tiff", "bmp"])
def test_any_memory_layout(layout: str, format: str) -> None:
    pixels = noise(12, 15, 3)
    wide = np.zeros((24, 15, 3), np.uint8)
    wide[::2] = pixels
    given = {
        "read-only": np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape),
        "fortran": np.asfortranarray(pixels),
        "strided": wide[::2],
        "flipped": np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1],
    }[layout]
    stream = io.BytesIO()
    write(Picture(given), stream, format=format)
    assert np.array_equal(read(stream.getvalue()).pixels, pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("start", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_survive_from_any_format_to_any(start: str, suffix: str, tmp_path: Path) -> None:
    first = io.BytesIO()
    write(Picture(smooth(7, 11), FULL), first, format=start)
    picture = read(first.getvalue()).with_pixels(smooth(28, 44))
    path = tmp_path / f"out{suffix}"
    write(picture, path)
    metadata = read(path).metadata
    assert metadata.icc == ICC
    assert metadata.xmp == XMP.replace(b'"6"', b'"1"')
    if "WEBP" not in (start, SUFFIXES[suffix]):
        assert metadata.dpi == pytest.approx((300, 300), abs=0.02)
    with Image.open(path) as image:
        image.load()
        exif = image.getexif()
        tags = exif.get_ifd(0x8769)
        assert exif.get(0x0112, 1) == 1
        assert (tags[0xA002], tags[0xA003], tags[0x927C]) == (44, 28, b"maker note")
        assert b"thumb" not in path.read_bytes()
        assert image.info["icc_profile"] == ICC


def test_the_picture_of_another_camera_does_not_confuse_tiff(tmp_path: Path) -> None:
    exif = Image.Exif()
    for tag, value in ((262, 0), (259, 5), (278, 1), (273, 99), (0x010F, "Camera")):
        exif[tag] = value
    pixels = noise(6, 7, 1)
    write(Picture(pixels, Metadata(exif=exif.tobytes())), tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif").pixels, pixels)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.getexif()[0x010F] == "Camera"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_strip_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    write(Picture(smooth(7, 11), FULL), tmp_path / f"full{suffix}")
    write(Picture(smooth(7, 11), FULL), tmp_path / f"bare{suffix}", strip=True)
    metadata = read(tmp_path / f"bare{suffix}").metadata
    assert (metadata.exif, metadata.icc, metadata.xmp) == (None, None, None)
    assert metadata.dpi is None or SUFFIXES[suffix] == "BMP"  # BMP always has a resolution; Pillow writes 96
    assert b"maker note" not in (tmp_path / f"bare{suffix}").read_bytes()


def test_metadata_that_do_not_fit_give_one_sentence(tmp_path: Path) -> None:
    for metadata in (Metadata(xmp=b"x" * 70_000), Metadata(exif=exif_block(note=b"n" * 70_000))):
        with pytest.raises(ImageError, match=r"too long.*strip the metadata") as caught:
            write(Picture(smooth(4, 4), metadata), tmp_path / "a.jpg", overwrite=True)
        assert "\n" not in str(caught.value)
        write(Picture(smooth(4, 4), metadata), tmp_path / "a.jpg", strip=True, overwrite=True)
        write(Picture(smooth(4, 4), metadata), tmp_path / "a.png", overwrite=True)
        assert files(tmp_path) == ["a.jpg", "a.png"]


@pytest.mark.parametrize(("suffix", "channels"), [(".jpg", 3), (".webp", 3), (".bmp", 1), (".tif", 3), (".tif", 2)])
def test_sixteen_bits_are_not_cut_to_eight(suffix: str, channels: int, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"would lose the lower 8 of 16 bits, so write PNG"):
        write(Picture(noise(5, 5, channels, dtype="uint16")), tmp_path / f"a{suffix}")
    assert files(tmp_path) == []


def test_sixteen_bit_grey_tiff(tmp_path: Path) -> None:
    pixels = noise(9, 10, 1, dtype="uint16")
    write(Picture(pixels, FULL), tmp_path / "a.tif")
    back = read(tmp_path / "a.tif")
    assert np.array_equal(back.pixels, pixels)
    assert back.metadata.icc == ICC


@pytest.mark.parametrize(("suffix", "length"), [(".webp", 16_384), (".jpg", 65_501)])
def test_sides_over_the_limit_give_one_sentence(suffix: str, length: int, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{length} x 1 is over .* {length - 1} pixels, so write PNG"):
        write(Picture(np.zeros((1, length, 3), np.uint8)), tmp_path / f"a{suffix}")
    write(Picture(np.zeros((1, length - 1, 3), np.uint8)), tmp_path / f"a{suffix}")


def test_png_is_deflated_at_level_1(tmp_path: Path) -> None:
    write(Picture(smooth(64, 64)), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data[data.index(b"IDAT") + 4 :].startswith(b"\x78\x01")


def test_existing_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    for target in (path, str(path)):
        with pytest.raises(OutputExistsError, match=r"a\.png exists"):
            write(Picture(smooth(4, 4)), target)
    assert path.read_bytes() == b"old"
    write(Picture(smooth(4, 4)), path, overwrite=True)
    assert read(path).pixels.shape == (4, 4, 3)
    dangling = tmp_path / "link.png"
    dangling.symlink_to(tmp_path / "nothing.png")
    with pytest.raises(OutputExistsError):
        write(Picture(smooth(4, 4)), dangling)


@pytest.mark.parametrize("way", ["itself", "symlink", "hardlink", "other spelling", "through a linked folder"])
def test_the_input_is_never_overwritten(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    source = folder / "a.png"
    data = saved(Image.new("RGB", (3, 3)), "PNG")
    source.write_bytes(data)
    target = folder / "b.png"
    if way == "itself":
        target = source
    elif way == "symlink":
        target.symlink_to(source)
    elif way == "hardlink":
        target.hardlink_to(source)
    elif way == "other spelling":
        target = folder / ".." / "folder" / "a.png"
    else:
        (tmp_path / "link").symlink_to(folder)
        target = tmp_path / "link" / "a.png"
    with pytest.raises(OutputExistsError, match="is the input itself"):
        write(read(source), target, overwrite=True, source=source)
    assert source.read_bytes() == data
    write(read(source), folder / "c.png", source=source)
    write(read(source), folder / "c.png", source=source, overwrite=True)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("morpho.images.png._deflate", fail)
    with pytest.raises(ImageError, match=r"a\.png cannot be written as PNG \(No space left on device\)"):
        write(Picture(smooth(4, 4)), path, overwrite=True)
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["a.png"]


def test_unwritable_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    for target, words in (
        (tmp_path / "file" / "a.png", "cannot be written"),
        (tmp_path / ("x" * 300 + ".png"), "cannot be written"),
        ("zero\0byte.png", "cannot be written"),
    ):
        with pytest.raises(ImageError, match=words) as caught:
            write(Picture(smooth(4, 4)), target)
        assert "\n" not in str(caught.value)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match="is a folder"):
        write(Picture(smooth(4, 4)), tmp_path / "folder.png", overwrite=True)

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("morpho.images.io.replacing", refuse)
    with pytest.raises(ImageError, match=r"cannot be written \(Permission denied\)"):
        write(Picture(smooth(4, 4)), tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(ImageError, match="Permission denied"):
            write(Picture(smooth(4, 4)), tmp_path / "a.png")
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write(Picture(smooth(4, 4)), tmp_path / "new" / "folder" / "a.png")
    assert read(tmp_path / "new" / "folder" / "a.png").width == 4


class FullDisk(io.RawIOBase):
    """A stream that takes nothing."""

    def write(self, _: Any) -> int:
        raise OSError(28, "No space left on device")


def test_streams() -> None:
    for start, format, expected in ((None, None, "PNG"), ("JPEG", None, "JPEG"), ("JPEG", ".TIFF", "TIFF")):
        stream = io.BytesIO()
        write(Picture(smooth(4, 4), format=start), stream, format=format)
        assert read(stream.getvalue()).format == expected
    with pytest.raises(ImageError, match="No space left"):
        write(Picture(smooth(4, 4)), FullDisk())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.xyz", "a.gif", "a", ".png", "a.jpg.bak"])
def test_unknown_suffixes(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"use one of \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff, \.bmp$"):
        format_of(name)
    with pytest.raises(ImageError):
        write(Picture(smooth(4, 4)), tmp_path / name)
    write(Picture(smooth(4, 4)), tmp_path / name, format="png")
    assert read(tmp_path / name).format == "PNG"


def test_unknown_formats() -> None:
    for format in ("gif", "x"):
        with pytest.raises(ImageError, match="use one of"):
            write(Picture(smooth(4, 4)), io.BytesIO(), format=format)


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_unusable_quality(quality: int) -> None:
    with pytest.raises(InputError, match="out of range"):
        write(Picture(smooth(4, 4)), io.BytesIO(), quality=quality)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_absurd_resolutions_are_left_out(format: str) -> None:
    for dpi in ((1e300, 1e-300), (1e-3, 300.0), (1e6, 1e6)):
        stream = io.BytesIO()
        write(Picture(smooth(4, 4), Metadata(dpi=dpi)), stream, format=format)
        assert read(stream.getvalue()).metadata.dpi is None or format == "BMP"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_damaged_exif_gives_a_file_or_one_sentence(format: str) -> None:
    random = np.random.default_rng(1)
    for _ in range(100):
        block = bytearray(exif_block(thumbnail=b"thumb"))
        for at in random.integers(8, len(block), 4):
            block[at] = random.integers(0, 256)
        stream = io.BytesIO()
        try:
            write(Picture(smooth(4, 4), Metadata(exif=bytes(block))), stream, format=format)
        except ImageError as error:
            assert "\n" not in str(error)
        else:
            assert read(stream.getvalue()).pixels.size == 48
