"""EXIF is edited in place: what must change changes, all else stays byte for byte."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from morpho.images import Metadata
from tests.images.samples import XMP, entry, exif_block

ORIENTATION, WIDTH, HEIGHT, MAKER_NOTE = 0x0112, 0xA002, 0xA003, 0x927C
BLOCKS = [exif_block(order, 6, thumbnail=thumb) for order in "<>" for thumb in (b"", b"\xff\xd8thumb\xff\xd9")]


def by_pillow(exif: bytes | None) -> dict[int, object]:
    """All tags of the main and the EXIF directory."""
    reader = Image.Exif()
    reader.load(b"Exif\0\0" + (exif or b""))
    return {**dict(reader), **reader.get_ifd(0x8769)}


@pytest.mark.parametrize("block", BLOCKS)
def test_upright_and_resized_by_pillows_reading(block: bytes) -> None:
    before = Metadata(exif=block)
    assert before.orientation == 6
    after = before.upright().resized(800, 600)
    assert after.orientation == 1
    tags = by_pillow(after.exif)
    assert (tags[ORIENTATION], tags[WIDTH], tags[HEIGHT]) == (1, 800, 600)
    assert tags[MAKER_NOTE] == b"maker note"


@pytest.mark.parametrize("order", ["<", ">"])
def test_nothing_else_changes(order: str) -> None:
    block = exif_block(order, 8)
    after = Metadata(exif=block).upright().resized(300, 200).exif or b""
    assert len(after) == len(block)
    changed = {at for at in range(len(block)) if block[at] != after[at]}
    places = [
        block.index(entry(order, tag, 3, value)) + 8 for tag, value in ((ORIENTATION, 8), (WIDTH, 11), (HEIGHT, 7))
    ]
    assert changed <= {place + i for place in places for i in range(2)}


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnails_go(order: str) -> None:
    thumbnail = b"\xff\xd8 a small picture of a face \xff\xd9"
    block = exif_block(order, thumbnail=thumbnail)
    for longer in (block, block + b"more after it"):
        after = Metadata(exif=longer).resized(5, 5).exif or b""
        assert b"face" in longer and b"face" not in after
        assert b"maker note" in after
        reader = Image.Exif()
        reader.load(b"Exif\0\0" + after)
        assert reader.get_ifd(1) == {}
    assert after.endswith(b"more after it")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_short_that_is_too_small_becomes_a_long(order: str) -> None:
    for side in (3, 4):
        tags = by_pillow(Metadata(exif=exif_block(order, side=side)).resized(70_000, 65_535).exif)
        assert (tags[WIDTH], tags[HEIGHT]) == (70_000, 65_535)


@given(st.binary(max_size=60))
def test_rubbish_stays_as_it_is(rubbish: bytes) -> None:
    for block in (rubbish, b"II*\0" + rubbish, b"MM\0*" + rubbish):
        metadata = Metadata(exif=block)
        assert 1 <= metadata.orientation <= 8
        metadata.upright().resized(9, 9)


@given(
    st.sampled_from(BLOCKS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
)
def test_damaged_blocks_do_no_harm(block: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(block)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    for candidate in (damaged, damaged[:length]):
        after = Metadata(exif=bytes(candidate)).upright().resized(9, 9)
        assert len(after.exif or b"") <= len(candidate)  # blocks are patched in place, and at most cut


@pytest.mark.parametrize("block", BLOCKS)
def test_no_cut_of_a_block_does_harm(block: bytes) -> None:
    for length in range(len(block)):
        after = Metadata(exif=block[:length]).upright().resized(70_000, 70_000).exif or b""
        assert len(after) <= length


@pytest.mark.parametrize(("start", "length"), [(0, 60), (8, 0xFFFFFFFF), (100, 0xFFFFFFF0), (0xFFFFFFFF, 4)])
def test_thumbnails_that_are_elsewhere_stay_where_they_are(start: int, length: int) -> None:
    block = bytearray(exif_block(thumbnail=b"thumb"))
    for tag, value in ((0x0201, start), (0x0202, length)):
        at = bytes(block).index(struct.pack("<HHI", tag, 4, 1)) + 8
        block[at : at + 4] = struct.pack("<I", value)
    after = Metadata(exif=bytes(block)).upright()
    assert len(after.exif or b"") == len(block)
    assert by_pillow(after.exif)[ORIENTATION] == 1


def test_orientations_out_of_range_count_as_none() -> None:
    for value in (0, 9, 65535):
        assert Metadata(exif=exif_block(orientation=value)).orientation == 1


def test_loops_end() -> None:
    block = bytearray(exif_block())
    at = bytes(block).index(struct.pack("<H", 0x8769)) + 8
    block[at : at + 4] = struct.pack("<I", 8)
    assert Metadata(exif=bytes(block)).upright().orientation == 1


def test_xmp_is_turned_upright_in_both_spellings() -> None:
    for before, after in (
        (XMP, XMP.replace(b'"6"', b'"1"')),
        (b"<tiff:Orientation>8</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b"<a tiff:Orientation='3'/>", b"<a tiff:Orientation='1'/>"),
        (b"<a exif:Width='3'/>", b"<a exif:Width='3'/>"),
    ):
        assert Metadata(xmp=before).upright().xmp == after


def test_the_prefix_of_jpeg_is_taken_off() -> None:
    assert Metadata(exif=b"Exif\0\0" + exif_block()) == Metadata(exif=exif_block())


def test_resolutions_turn_with_the_picture() -> None:
    assert Metadata(exif=exif_block(orientation=6), dpi=(300, 150)).upright().dpi == (150, 300)
    assert Metadata(exif=exif_block(orientation=3), dpi=(300, 150)).upright().dpi == (300, 150)


def test_samples_are_what_pillow_takes_for_exif() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (3, 3)).save(stream, "JPEG", exif=b"Exif\0\0" + BLOCKS[0])
    with Image.open(stream) as image:
        assert image.getexif()[ORIENTATION] == 6
