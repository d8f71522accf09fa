"""Kinds by suffix, names of fields, and sizes, ranges and rectangles as people type them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclopts import Token

from morpho.cli.field_files import FieldNamer, byte_count, crop, frame_range, kind_of, pixel_size
from morpho.cli.plan import make_plan
from morpho.errors import InputError, OutputExistsError
from tests.cli.test_photos import put


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(converter: Callable[..., Any], text: str) -> Any:
    return converter(None, [Token(value=text)])


def planned(*inputs: str, **options: Any) -> list[tuple[str, str]]:
    plan = make_plan(inputs, suffix="", names=FieldNamer, **options)
    return [(str(job.source or "-"), str(job.target)) for job in plan.jobs]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "picture"),
        ("a.b.JPEG", "picture"),
        ("clip.MP4", "video"),
        ("dragon.ply", "mesh"),
        ("x.obj", "mesh"),
        ("v.npy", "volume"),
        ("v.mat", "volume"),
        ("thai_statue.mat.zip", "volume"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert kind_of(Path("folder", name)) == kind


@pytest.mark.parametrize("name", ["notes.txt", "photos.zip", "png", ".png.bak", "x.svg"])
def test_what_is_of_no_kind_is_told_what_there_is(name: str) -> None:
    with pytest.raises(InputError, match=r"no suffix of a kind .* a picture \(\.png .*a mesh \(\.ply"):
        kind_of(Path(name))


def test_a_field_is_not_fitted_again() -> None:
    with pytest.raises(InputError, match=r"x\.field is a field already: `morpho render` decodes it"):
        kind_of(Path("x.field"))


@pytest.mark.parametrize(
    ("text", "count"),
    [("50KB", 50_000), ("50kb", 50_000), ("48KiB", 49_152), ("1.5MB", 1_500_000), ("2000", 2000), ("2000B", 2000),
     ("3 K", 3000), ("1GiB", 2**30)],
)  # fmt: skip
def test_file_sizes(text: str, count: int) -> None:
    assert read(byte_count, text) == count


@pytest.mark.parametrize("text", ["", "KB", "-5KB", "0", "50XB", "1e99GB", "nan", "9999999GB", "50KB!"])
def test_no_file_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is no file size: give for example 50KB"):
        read(byte_count, text)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("0:60", (0, 60, 1)),
        (":60", (0, 60, 1)),
        ("100:", (100, None, 1)),
        (":", (0, None, 1)),
        ("0:250:5", (0, 250, 5)),
    ],
)
def test_ranges_of_frames(text: str, frames: tuple[int, int | None, int]) -> None:
    assert read(frame_range, text) == frames


@pytest.mark.parametrize("text", ["60", "", "5:5", "9:3", "0:9:0", "-3:5", "a:b", "1:2:3:4"])
def test_no_ranges_of_frames(text: str) -> None:
    with pytest.raises(ValueError, match="is no range of frames: give for example 0:60"):
        read(frame_range, text)


def test_sizes_and_rectangles() -> None:
    assert read(pixel_size, "1024x683") == (1024, 683)
    assert read(pixel_size, "4X5") == (4, 5)
    assert read(crop, "10,0,30, 40") == (10, 0, 30, 40)


@pytest.mark.parametrize("text", ["", "1024", "0x5", "5x0", "-3x4", "axb", "1024x683x3", "99999999x1"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: give width and height"):
        read(pixel_size, text)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,0,4", "1,2,3,0", "-1,2,3,4", "1,2,3,4,5", "a,b,c,d"])
def test_no_rectangles(text: str) -> None:
    with pytest.raises(ValueError, match="is no rectangle: give X,Y,W,H"):
        read(crop, text)


# --- names ---


def test_a_field_lies_beside_its_original() -> None:
    put("shots/a.b.png")
    assert planned("shots/a.b.png", "thai.mat.zip", "clip.mp4") == [
        ("shots/a.b.png", "shots/a.b.field"),
        ("thai.mat.zip", "thai.field"),
        ("clip.mp4", "clip.field"),
    ]


def test_a_field_is_named_by_file_folder_or_template() -> None:
    assert planned("a.png", output="x.field") == [("a.png", "x.field")]
    assert planned("a.png", "b.mp4", output="out/") == [("a.png", "out/a.field"), ("b.mp4", "out/b.field")]
    assert planned("a.png", "v.mat.zip", output="new/{stem}_1{ext}") == [
        ("a.png", "new/a_1.field"),
        ("v.mat.zip", "new/v_1.field"),
    ]
    assert planned("-", output="x.field") == [("-", "x.field")]


def test_folders_keep_their_shape() -> None:
    put("album/a.png", "album/sub/b.jpg")
    assert planned("album", recursive=True, output="out/") == [
        ("album/a.png", "out/a.field"),
        ("album/sub/b.jpg", "out/sub/b.field"),
    ]


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (("a.png",), "a.png", "a.png is no name for a field: let it end in .field"),
        (("a.png",), "x.safetensors", "let it end in .field"),
        (("a.png",), "{stem}.png", "let it end in .field"),
        (("a.png", "b.png"), "x.field", "several pictures cannot all become x.field: give a folder"),
        (("-",), None, "a field is a file of its own, not a stream"),
        (("a.png",), "-", "a field is a file of its own, not a stream"),
        (("a.png", "a.jpg"), None, "a.png and a.jpg would both become a.field"),
        (("a.png",), "{size}.field", "unknown field {size}"),
    ],
)
def test_names_that_cannot_be(inputs: tuple[str, ...], output: str | None, message: str) -> None:
    with pytest.raises(InputError) as caught:
        planned(*inputs, output=output)
    assert message in str(caught.value)


def test_an_input_is_never_replaced() -> None:
    put("a.png")
    Path("a.png").rename("a.field")
    with pytest.raises(OutputExistsError, match="inputs are never overwritten"):
        planned("a.field", overwrite=True)
