"""``morpho eval fields``: PSNR, SSIM and bits of a field beside its original, and pictures of its errors and stages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import metrics

from morpho.cli.app import main
from morpho.fields.field import Field
from morpho.fields.files import load, save
from morpho.fields.shapes import Shape
from morpho.fields.video import write_video
from morpho.images import Metadata, Picture, read, write
from tests.cli.fields import save_field

Capture = pytest.CaptureFixture[str]
oracle: Any = metrics  # scikit-image's functions have no types


@pytest.fixture(autouse=True)
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Field:
    """A field x.field, and as its original a.png what it decodes to, with noise."""
    monkeypatch.chdir(tmp_path)
    field = save_field("x.field")
    noise = np.random.default_rng(1).integers(-9, 10, (24, 36, 3))
    write(Picture(np.clip(field.render() + noise, 0, 255).astype(np.uint8)), "a.png")
    return field


def evaluate(*words: str) -> int:
    return main(["eval", "fields", *words])


def test_a_picture(photo: Field, capsys: Capture) -> None:
    assert evaluate("a.png", "x.field", "--json") == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    original = read("a.png").pixels
    size = Path("x.field").stat().st_size
    points = np.stack(np.meshgrid(*photo.signal.coordinates(), indexing="ij"), axis=-1)
    exact = np.clip(photo(points), 0, 1)
    assert facts["psnr"] == pytest.approx(oracle.peak_signal_noise_ratio(original / 255, exact, data_range=1), abs=1e-3)
    wanted = oracle.structural_similarity(original / 255, exact, data_range=1, channel_axis=2)
    assert facts["ssim"] == pytest.approx(wanted, abs=1e-4)
    assert facts["bytes"] == size
    assert facts["bits_per_sample"] == pytest.approx(8 * size / (24 * 36), abs=1e-4)
    assert facts["parameters"] == sum(tensor.size for tensor in photo.tensors.values())
    assert (facts["kind"], facts["model"], facts["field"]) == ("image", "scone", "x.field")


def test_the_table_says_the_protocol(capsys: Capture) -> None:
    assert evaluate("a.png", "x.field") == 0
    out = capsys.readouterr().out
    assert "psnr" in out
    assert out.splitlines()[-1].startswith("PSNR of clipped, unrounded values over all channels")


def test_a_picture_too_small_for_ssim(capsys: Capture) -> None:
    field = save_field("small.field", shape=(6, 8))
    write(Picture(255 - field.render()), "small.png")
    assert evaluate("small.png", "small.field", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ssim"] is None
    assert facts["psnr"] > 0


def test_pictures_of_errors_and_stages() -> None:
    assert evaluate("a.png", "x.field", "--errors", "e.png", "--stages", "new/s.png") == 0
    assert read("e.png").width >= 36
    assert read("new/s.png").width > 8 * 100
    assert evaluate("a.png", "x.field", "--errors", "e.png") == 1
    assert evaluate("a.png", "x.field", "--errors", "e.png", "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.png", "x.field"], "no.png does not exist"),
        (["a.png", "no.field"], "no.field"),
        (["x.field", "a.png"], "a.png"),
        (["other.png", "x.field"], "x.field is of 24 x 36, 3 channels, and other.png of 24 x 30, 3 channels"),
        (["grey.png", "x.field"], "and grey.png of 24 x 36, 1 channels"),
        (["a.png", "clip.field"], "clip.field is a field of the kind 'video', and a.png is of 'image'"),
        (["a.png", "siren.field", "--stages", "s.png"], "no collage stages"),
        (["a.png", "x.field", "--errors", "e.txt"], "names no picture format"),
        (["a.png", "x.field", "--stages", "a.png"], "a.png exists already: choose another name with --stages"),
    ],
)
def test_what_cannot_work(words: list[str], message: str, capsys: Capture) -> None:
    save_field("clip.field", "video")
    save_field("siren.field", model="siren")
    write(Picture(np.zeros((24, 30, 3), np.uint8)), "other.png")
    write(Picture(np.zeros((24, 36, 1), np.uint8)), "grey.png")
    assert evaluate(*words) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--errors", "a.png"], "a.png is a.png, which is never overwritten: choose another name with --errors"),
        (["--stages", "link.png"], "link.png is a.png, which is never overwritten: choose another name with --stages"),
        (["--errors", "e.png", "--stages", "./e.png"], "e.png is e.png, which is never overwritten"),
        (["--frames", "0:5"], "--frames does not go with x.field, a field of the kind 'image': leave it out"),
        (["--scale", "0.5"], "--scale does not go with x.field"),
    ],
)
def test_originals_stay_and_options_belong(words: list[str], message: str, capsys: Capture) -> None:
    Path("link.png").symlink_to("a.png")
    before = Path("a.png").read_bytes()
    assert evaluate("a.png", "x.field", *words, "--overwrite") == 1
    assert message in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before
    assert not Path("e.png").exists()


def test_a_picture_has_no_voxels(capsys: Capture) -> None:
    assert evaluate("a.png", "x.field", "--resolution", "64") == 1
    assert "--resolution does not go with x.field" in capsys.readouterr().err


def test_a_damaged_profile_is_told_of_with_its_file(capsys: Capture) -> None:
    write(Picture(read("a.png").pixels, Metadata(icc=b"none at all")), "b.png")
    assert evaluate("b.png", "x.field") == 1
    assert capsys.readouterr().err.startswith("morpho: b.png: the embedded colour profile is no ICC profile: ")


def test_a_map_of_errors_below_a_file(capsys: Capture) -> None:
    assert evaluate("a.png", "x.field", "--errors", "a.png/e.png") == 1
    assert capsys.readouterr().err == (
        "morpho: a.png/e.png cannot be written, as a.png is no folder: choose another name\n"
    )


def test_levels_are_finite(capsys: Capture) -> None:
    assert evaluate("a.npy", "x.field", "--level", "nan") == 2
    assert "Must be" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["fit", "eval fields"])
def test_the_help_says_how_frames_are_written(verb: str, capsys: Capture) -> None:
    main([*verb.split(), "--help"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "--frames" in line)
    assert "A:B" in line
    assert "INT" not in line


# --- videos and shapes ---


def test_a_video(capsys: Capture) -> None:
    pytest.importorskip("av")
    field = save_field("clip.field", "video")
    frames = np.stack(list(field.frames()))
    random = np.random.default_rng(0)
    noisy = [np.clip(frame + random.integers(-9, 10, frame.shape), 0, 255).astype(np.uint8) for frame in frames]
    write_video("clip.mkv", [noisy[0], *noisy, noisy[0]], 10.0)
    assert evaluate("clip.mkv", "clip.field", "--frames", "1:6", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    wanted = [oracle.peak_signal_noise_ratio(ours, theirs) for ours, theirs in zip(frames, noisy, strict=True)]
    assert facts["psnr"] == pytest.approx(np.mean(wanted), abs=0.05)  # of unrounded values
    assert facts["frames"] == 5
    assert evaluate("clip.mkv", "clip.field") == 1
    assert "(--frames and --scale say what was fitted)" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["sdf", "occupancy"])
def test_a_volume(kind: str, capsys: Capture) -> None:
    pytest.importorskip("scipy")
    field = save_field("shape.field", kind)
    values = field.volume(32)
    np.save("same.npy", values < 0 if kind == "sdf" else values > 0.5)
    assert evaluate("same.npy", "shape.field", "--resolution", "20", "--json") == 0
    assert json.loads(capsys.readouterr().out)["iou"] == 1.0  # voxels in even steps, where they lie
    assert evaluate("same.npy", "shape.field", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["iou"], facts["resolution"]) == (1.0, 32)
    assert 0 <= facts["chamfer"] < 0.05
    assert "bits_per_sample" in facts
    np.save("other.npy", np.flip(values < 0 if kind == "sdf" else values > 0.5, axis=0))
    assert evaluate("other.npy", "shape.field", "--resolution", "32", "--json") == 0
    worse = json.loads(capsys.readouterr().out)
    assert worse["iou"] < 0.9
    assert worse["chamfer"] > facts["chamfer"]


def test_a_mesh(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    trimesh = pytest.importorskip("trimesh")
    monkeypatch.setattr(Shape, "inside", lambda self, points: np.linalg.norm(points, axis=1) < 0.9)
    trimesh.creation.icosphere(subdivisions=3).export("ball.ply")
    save_field("shape.field", "sdf")
    assert evaluate("ball.ply", "shape.field", "--resolution", "24", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert 0 < facts["iou"] < 1
    assert "bits_per_sample" not in facts
    assert evaluate("ball.ply", "shape.field", "--errors", "e.png") == 1
    assert "--errors draws a picture's" in capsys.readouterr().err
    placed = load("shape.field")
    moved = replace(placed.signal, origin=(-5.0, -5.0, -5.0), extent=(9.0, 9.0, 9.0))
    save("moved.field", Field(moved, placed.model, placed.tensors, placed.card))
    assert evaluate("ball.ply", "moved.field") == 1
    assert "a shape of another place or size than ball.ply" in capsys.readouterr().err
    small = trimesh.creation.icosphere(subdivisions=3, radius=1e-9)
    small.export("small.obj", digits=15)
    tiny = replace(placed.signal, origin=(-2e-9, -2e-9, -2e-9), extent=(4e-9, 4e-9, 4e-9))
    save("tiny.field", Field(tiny, placed.model, placed.tensors, placed.card))
    assert evaluate("small.obj", "tiny.field") == 1
    assert "another place or size than small.obj" in capsys.readouterr().err
