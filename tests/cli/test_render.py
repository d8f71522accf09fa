"""``morpho render``: fields to pictures at any size, frames and volumes, without torch, with bad input too."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import morpho.cli.render as render_module
from morpho import fields
from morpho.cli.app import main
from morpho.fields import surface, video
from morpho.fields.field import Field
from morpho.fields.video import read_video
from morpho.images import read
from tests.cli.fields import new_field, save_field

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Field:
    """The field of a picture of 36 x 24 pixels, as x.field."""
    monkeypatch.chdir(tmp_path)
    return save_field("x.field")


def render(*words: str) -> int:
    return main(["render", *words])


def files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    """The one sentence with which a command fails; nothing is written."""
    before = files()
    assert render(*words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    assert files() == before
    return captured.err


def test_a_picture_at_its_own_size(photo: Field, capsys: Capture) -> None:
    assert render("x.field", "-o", "new/out.png") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("x.field -> new/out.png  36 x 24  ")
    pixels = read("new/out.png").pixels
    np.testing.assert_array_equal(pixels, photo.render())
    assert pixels.std() > 20


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (["--size", "50x40"], (40, 50)),
        (["--scale", "2"], (48, 72)),
        (["--scale", "0.5"], (12, 18)),
        (["--scale", "0.001"], (1, 1)),
        (["--size", "7x100", "--threads", "1"], (100, 7)),
    ],
)
def test_other_sizes(photo: Field, words: list[str], size: tuple[int, int]) -> None:
    assert render("x.field", "-o", "out.png", "-q", *words) == 0
    np.testing.assert_array_equal(read("out.png").pixels, photo.render(size))


def test_a_crop_is_a_part_of_the_whole(photo: Field) -> None:
    assert render("x.field", "-o", "out.png", "--scale", "3", "--crop", "10,20,30,15") == 0
    whole = photo.render((72, 108))
    np.testing.assert_array_equal(read("out.png").pixels, whole[20:35, 10:40])


def test_a_part_of_what_fits_no_memory(photo: Field) -> None:
    assert render("x.field", "-o", "out.png", "--size", "2000000x1000000", "--crop", "1999990,0,10,5") == 0
    pixels = read("out.png").pixels
    assert pixels.shape == (5, 10, 3)
    assert np.abs(pixels.astype(int) - photo.render()[0, -1]).max() <= 1  # the corner, hugely enlarged


def test_a_picture_on_stdout(photo: Field, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream))
    assert render("x.field", "-o", "-") == 0
    np.testing.assert_array_equal(read(stream.getvalue()).pixels, photo.render())
    assert capsys.readouterr().err.startswith("x.field -> -  36 x 24")


def test_jpeg_in_the_wanted_quality() -> None:
    for quality in ("10", "95"):
        assert render("x.field", "-o", f"q{quality}.jpg", "--quality", quality, "-q") == 0
    assert Path("q10.jpg").stat().st_size < Path("q95.jpg").stat().st_size


def test_a_format_that_cannot_hold_the_picture_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    save_field("rgba.field", channels=4, colour="rgba")
    monkeypatch.setattr(Field, "render", None)
    assert "over JPEG's 65500" in complaint(capsys, "x.field", "-o", "x.jpg", "--size", "70000x10")
    assert "has no transparency" in complaint(capsys, "rgba.field", "-o", "x.jpg")


def test_sixteen_bits_and_alpha_come_back() -> None:
    field = save_field("deep.field", channels=4, colour="rgba", depth=16)
    assert render("deep.field", "-o", "deep.png") == 0
    pixels = read("deep.png").pixels
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, field.render())
    assert render("deep.field", "-o", "deep.jpg") == 1  # JPEG holds neither


def test_a_frame_of_a_video(capsys: Capture) -> None:
    field = save_field("clip.field", "video")
    assert render("clip.field", "-o", "out.png", "--frame", "2.5", "--scale", "2", "--crop", "1,2,3,4") == 0
    np.testing.assert_array_equal(read("out.png").pixels, field.frame(2.5, (32, 48))[2:6, 1:4])
    capsys.readouterr()
    assert "clip.field is a video of 5 frames: choose one with --frame" in complaint(
        capsys, "clip.field", "-o", "more.png"
    )
    assert "has the frames 0 to 4: there is no frame 5" in complaint(
        capsys, "clip.field", "-o", "more.png", "--frame", "5"
    )


def test_a_picture_of_absurd_size_is_refused_before_it_is_made(capsys: Capture) -> None:
    save_field("large.field", "image", shape=(2**31, 2**31))
    assert "is too large: choose a smaller size" in complaint(capsys, "large.field", "-o", "a.png")


@pytest.mark.parametrize(("kind", "name"), [("image", "a.png"), ("video", "a.mkv"), ("sdf", "a.npy"), ("sdf", "a.ply")])
def test_a_file_is_no_folder(kind: str, name: str, capsys: Capture) -> None:
    save_field("any.field", kind)
    assert "as any.field is no folder" in complaint(capsys, "any.field", "-o", f"any.field/{name}")


@pytest.mark.parametrize(
    ("kind", "name"), [("video", "a.mp4"), ("video", "a.mkv"), ("sdf", "a.npy"), ("sdf", "a.ply"), ("sdf", "a.obj")]
)
def test_a_full_disk_is_told_of_by_name(kind: str, name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def full(path: Path, *, overwrite: bool = False) -> Iterator[object]:
        with Path("/dev/full").open("wb", buffering=0) as file:
            yield file

    for module in (video, surface, render_module):
        monkeypatch.setattr(module, "replacing", full)
    save_field("any.field", kind)
    coarse = ("--resolution", "16") if kind == "sdf" else ()
    assert complaint(capsys, "any.field", "-o", name, *coarse).startswith(f"morpho: {name} cannot be written (")


@pytest.mark.parametrize("kind", ["sdf", "occupancy"])
def test_a_volume_of_values(kind: str, capsys: Capture) -> None:
    field = save_field("shape.field", kind)
    assert render("shape.field", "-o", "out.npy", "--resolution", "12") == 0
    assert capsys.readouterr().out.startswith("shape.field -> out.npy  12 x 12 x 12")
    np.testing.assert_array_equal(np.load("out.npy"), field.volume(12))
    assert render("shape.field", "-o", "back.npy") == 0
    assert np.load("back.npy").shape == field.signal.shape


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.field"], "--output"),
        (["-o", "a.png"], "FIELD"),
        (["x.field", "-o", "a.png", "--size", "10"], "10 is no size: give width and height"),
        (["x.field", "-o", "a.png", "--crop", "1,2,3"], "is no rectangle"),
        (["x.field", "-o", "a.png", "--scale", "0"], "Must be > 0"),
        (["x.field", "-o", "a.png", "--scale", "nan"], "scale"),
        (["x.field", "-o", "a.png", "--quality", "0"], "Must be >= 1"),
        (["x.field", "-o", "a.png", "--quality", "2.5"], "2.5 is no whole number"),
        (["x.field", "-o", "a.png", "--threads", "2.5"], "2.5 is no whole number"),
        (["x.field", "-o", "a.png", "--resolution", "1"], "Must be >= 2"),
        (["x.field", "-o", "a.png", "--frame", "-1"], "Must be >= 0"),
    ],
)
def test_wrong_usage(words: list[str], message: str, capsys: Capture) -> None:
    assert message in complaint(capsys, *words, status=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.field", "-o", "a.png"], "no.field does not exist: check the path"),
        (["photo.png", "-o", "a.png"], "photo.png is a picture, not a field: `morpho fit` makes one of it"),
        (["junk.field", "-o", "a.png"], "junk.field"),
        (["x.field", "-o", "a.txt"], "cannot become a.txt: name a picture (.png .jpg .webp .tif .bmp)"),
        (["x.field", "-o", "a"], "cannot become a: name a picture"),
        (["x.field", "-o", "y.field"], "cannot become y.field: name a picture"),
        (["x.field", "-o", "a.mp4"], "of the kind 'image', which cannot become a.mp4: name a picture (.png"),
        (["x.field", "-o", "a.ply"], "cannot become a.ply"),
        (["clip.field", "-o", "a.ply"], "cannot become a.ply: name a video (.mp4 .mkv) or a picture"),
        (["shape.field", "-o", "a.png"], "cannot become a.png: name a mesh (.ply .obj .stl) or a volume (.npy)"),
        (["shape.field", "-o", "a.mat"], "cannot become a.mat"),
        (["shape.field", "-o", "a.glb"], "cannot become a.glb: name a mesh (.ply .obj .stl) or a volume (.npy)"),
        (["shape.field", "-o", "a.off"], "cannot become a.off: name a mesh (.ply .obj .stl) or a volume (.npy)"),
        (["clip.field", "-o", "a.webm"], "cannot become a.webm: name a video (.mp4 .mkv) or a picture"),
        (["shape.field", "-o", "-"], "cannot become stdout"),
        (["shape.field", "-o", "a.npy", "--size", "3x4"], "--size is for pictures and videos"),
        (["shape.field", "-o", "a.npy", "--crop", "0,0,3,4"], "--crop is for pictures and videos"),
        (["x.field", "-o", "a.png", "--resolution", "64"], "--resolution is for shapes"),
        (["x.field", "-o", "a.png", "--frame", "0"], "--frame takes one picture out of a video"),
        (["x.field", "-o", "a.png", "--size", "3x4", "--scale", "2"], "--size and --scale contradict each other"),
        (["x.field", "-o", "a.png", "--crop", "30,0,10,10"], "30,0,10,10 does not lie in the picture of 36x24"),
        (["x.field", "-o", "a.png", "--size", "1000000x1000000"], "too large"),
        (["x.field", "-o", "there.png"], "there.png exists already: choose another name with -o, or add --overwrite"),
        (["x.field", "-o", "folder.png"], "folder.png is a folder"),
    ],
)
def test_what_cannot_work(words: list[str], message: str, capsys: Capture) -> None:
    save_field("clip.field", "video")
    save_field("shape.field", "sdf")
    Path("junk.field").write_bytes(b"junk" * 100)
    Path("photo.png").write_bytes(b"no field")
    Path("there.png").write_text("mine")
    Path("folder.png").mkdir()
    assert message in complaint(capsys, *words)
    assert Path("there.png").read_text() == "mine"


@pytest.mark.parametrize("name", ["x.gif", "x", "y.field", "out/"])
def test_names_that_say_nothing(name: str, capsys: Capture) -> None:
    message = complaint(capsys, "x.field", "-o", name)
    assert "a field of the kind 'image', which cannot become" in message
    assert message.endswith("name a picture (.png .jpg .webp .tif .bmp)\n")


def test_a_field_is_never_overwritten(capsys: Capture) -> None:
    Path("x.field").rename("x.png")
    before = Path("x.png").read_bytes()
    assert "which is never overwritten" in complaint(capsys, "x.png", "-o", "x.png", "--overwrite")
    assert Path("x.png").read_bytes() == before


def test_overwrite(photo: Field) -> None:
    Path("out.png").write_text("old")
    assert render("x.field", "-o", "out.png", "--overwrite") == 0
    np.testing.assert_array_equal(read("out.png").pixels, photo.render())


def test_torch_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['scipy'] = None; sys.modules['skimage'] = None\n"
        "from morpho.cli.app import main\n"
        "sys.exit(main(['render', 'x.field', '-o', 'out.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read("out.png").pixels.shape == (24, 36, 3)


# --- videos and meshes ---


def test_a_video_frame_by_frame(capsys: Capture) -> None:
    pytest.importorskip("av")
    field = save_field("clip.field", "video")
    assert render("clip.field", "-o", "out.mkv", "--scale", "2", "--crop", "4,2,20,16") == 0
    assert capsys.readouterr().out.startswith("clip.field -> out.mkv  20 x 16 x 5 frames, 10 per second  ")
    video = read_video("out.mkv")
    wanted = np.stack([field.frame(time, (32, 48))[2:18, 4:24] for time in range(5)])
    np.testing.assert_array_equal(video.frames, wanted)  # .mkv loses nothing
    assert video.frame_rate == 10


def test_a_video_in_the_wanted_quality() -> None:
    pytest.importorskip("av")
    save_field("clip.field", "video")
    for quality in ("80", "100"):
        assert render("clip.field", "-o", f"q{quality}.mp4", "--quality", quality, "--scale", "4", "-q") == 0
    assert Path("q80.mp4").stat().st_size < Path("q100.mp4").stat().st_size


def test_a_video_at_a_rate_that_no_player_has() -> None:
    pytest.importorskip("av")
    save_field("fast.field", "video", frame_rate=1e6)
    assert render("fast.field", "-o", "fast.mp4") == 1
    assert not Path("fast.mp4").exists()


def test_a_video_without_end(capsys: Capture) -> None:
    pytest.importorskip("av")
    save_field("long.field", "video", shape=(2**31, 4, 4))
    assert "of more than 1,000,000 frames is not written" in complaint(capsys, "long.field", "-o", "long.mp4")
    assert render("long.field", "-o", "some.png", "--frame", "2e9", "-q") == 0


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
@pytest.mark.parametrize("kind", ["sdf", "occupancy"])
def test_a_mesh_in_its_own_units(kind: str, suffix: str, capsys: Capture) -> None:
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("skimage")
    place = {"origin": (100.0, 0.0, 0.0), "extent": (10.0, 10.0, 10.0)}
    save_field("shape.field", kind, **place)
    assert render("shape.field", "-o", f"out{suffix}", "--resolution", "24", "--exact") == 0
    told = capsys.readouterr().out
    mesh = trimesh.load(f"out{suffix}", process=False)
    assert f"{len(mesh.faces):,} triangles" in told
    assert mesh.bounds[0][0] >= 100 - 1e-4
    assert mesh.bounds[1][0] <= 110 + 1e-4
    assert mesh.bounds[1][1] <= 10 + 1e-4


def test_a_shape_without_a_surface_is_one_sentence(capsys: Capture) -> None:
    pytest.importorskip("skimage")
    field = new_field("sdf")
    field.tensors["head.weight"][:] = 0
    field.tensors["head.bias"][:] = 1
    fields.save("empty.field", field)
    assert "there is no surface" in complaint(capsys, "empty.field", "-o", "out.ply", "--resolution", "16")
    assert "--exact is for meshes" in complaint(capsys, "empty.field", "-o", "out.npy", "--exact")


def test_a_mesh_too_far_for_stl_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    pytest.importorskip("skimage")
    save_field("far.field", "sdf", origin=(5e6, 0.0, 0.0), extent=(2.0, 2.0, 2.0))
    assert render("far.field", "-o", "far.ply", "--resolution", "16", "--exact", "-q") == 0
    monkeypatch.setattr(Field, "__call__", None)
    message = complaint(capsys, "far.field", "-o", "far.stl", "--resolution", "16")
    assert "far.stl cannot hold a mesh so far from its origin, as .stl has 7 digits: write .ply or .obj" in message
