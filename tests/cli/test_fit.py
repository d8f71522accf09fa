"""``morpho fit``: originals of every kind to fields, within budgets, with bad input too."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from morpho.cli import originals
from morpho.cli.app import main
from morpho.cli.originals import open_picture
from morpho.fields import meshes, train
from morpho.fields.files import load
from morpho.fields.signal import Signal
from morpho.fields.targets import GridTarget
from morpho.fields.video import write_video
from morpho.images import Metadata, Picture, write
from tests.images.profiles import P3, SRGB_CURVE, matrix_profile

Capture = pytest.CaptureFixture[str]
SHORT = ("--steps", "30", "--batch", "256", "--parameters", "600", "--model", "siren")


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ramp(height: int = 24, width: int = 32, channels: int = 3, dtype: Any = np.uint8) -> Picture:
    """A smooth picture, which any model learns in a few steps."""
    rows, columns = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    planes = [rows, columns, rows * columns, 0.5 + rows / 2][:channels]
    return Picture(np.rint(np.stack(planes, axis=-1) * np.iinfo(dtype).max).astype(dtype))


def fit(*words: str) -> int:
    return main(["fit", *words])


def files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*") if path.is_file())


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    """The one sentence with which a command fails; nothing is written."""
    before = files()
    assert fit(*words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    assert files() == before
    return captured.err


# --- what the command line refuses, before anything is read ---


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parameters", "0"], "Must be >= 1"),
        (["--parameters", "2.5"], "2.5 is no whole number"),
        (["--size", "big"], "big is no file size"),
        (["--bpp", "0"], "Must be > 0"),
        (["--bits", "13"], "13 bits per weight are not possible: give 2 to 12, 16 or 32"),
        (["--bits", "1"], "not possible"),
        (["--steps", "-1"], "Must be >= 1"),
        (["--batch", "-1"], "Must be >= 0"),
        (["--psnr", "nan"], "psnr"),
        (["--psnr", "400"], "Must be <= 100"),
        (["--seconds", "-3"], "Must be > 0"),
        (["--between", "1"], "Must be < 1"),
        (["--sampler", "best"], "sampler"),
        (["--rate", "0"], "Must be > 0"),
        (["--seed", "-1"], "Must be >= 0"),
        (["--as", "mesh"], "--as"),
        (["--frames", "60"], "60 is no range of frames"),
        (["--scale", "2"], "Must be <= 1"),
        (["--nix"], "Unknown option"),
    ],
)
def test_wrong_options(words: list[str], message: str, capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert message in complaint(capsys, "a.png", *words, status=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope.png"], "nope.png does not exist: check the path"),
        (["nope.ply"], "nope.ply does not exist: check the path"),
        (["nope.npy"], "nope.npy does not exist: check the path"),
        (["nope.mp4"], "nope.mp4 does not exist: check the path"),
        (["notes.txt"], "notes.txt has no suffix of a kind that fields hold"),
        (["old.field"], "old.field is a field already"),
        (["."], ". is a folder: add -r"),
        ([""], "empty name"),
        (["a.png", "-o", "a.png"], "no name for a field"),
        (["a.png", "-o", "-"], "a field is a file of its own"),
        (["a.png", "--parameters", "900", "--size", "9KB"], "--parameters and --size contradict each other"),
        (["a.png", "--bpp", "2", "--size", "9KB"], "--size and --bpp contradict each other"),
        (["a.png", "--steps", "9", "--seconds", "9"], "--steps and --seconds contradict each other"),
        (["a.png", "--frames", "0:5"], "--frames is for a video, and a.png is a picture: leave it out"),
        (["a.png", "--scale", "0.5"], "--scale is for a video or volume"),
        (["a.png", "--as", "sdf"], "--as is for a mesh or volume"),
        (["a.mp4", "--keep-profile"], "--keep-profile is for a picture, and a.mp4 is a video"),
        (["a.ply", "--psnr", "40"], "--psnr is for a picture or video, and a.ply is a mesh"),
        (["a.npy", "--between", "0.5"], "--between is for a picture or video, and a.npy is a volume"),
        (["a.ply", "--bpp", "1"], "--bpp is for a picture or video or volume"),
        (["a.png", "--model", "scoone"], "no field model 'scoone': did you mean 'scone'?"),
        (["a.png", "--device", "tpu"], "tpu"),
        (["a.png", "--size", "100"], "100 bytes are too few for a field"),
        (["a.png", "--parameters", "3"], "3 parameters are too few"),
        (["a.png", "--parameters", "99999999999"], "at most"),
    ],
)
def test_what_cannot_work(words: list[str], message: str, capsys: Capture) -> None:
    write(ramp(), "a.png")
    Path("notes.txt").write_text("hello")
    Path("old.field").write_text("hello")
    assert message in complaint(capsys, *words)


def test_torch_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    write(ramp(), "a.png")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert 'pip install "morpho[torch]"' in complaint(capsys, "a.png")


# --- fits ---


def test_a_picture_becomes_a_field_beside_it(capsys: Capture) -> None:
    write(ramp(), "shots/a.png")
    assert fit("shots/a.png", *SHORT) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    field = load("shots/a.field")
    assert files() == ["shots/a.field", "shots/a.png"]  # no checkpoint is left
    assert field.signal == Signal(kind="image", shape=(24, 32), channels=3, colour="rgb")
    assert (field.model.name, field.card.name) == ("siren", "a")
    count, size = sum(tensor.size for tensor in field.tensors.values()), Path("shots/a.field").stat().st_size
    assert 500 < count <= 600
    assert captured.out == (
        f"shots/a.png -> shots/a.field  32 x 24  {field.card.numbers['psnr']:.2f} dB  siren: {count} parameters, "
        f"{size / 1024:.1f} KiB  {8 * size / 768:.3g} bits/pixel  {' '.join(captured.out.split()[-2:])}\n"
    )


def test_the_psnr_that_is_told_is_that_of_the_file(capsys: Capture) -> None:
    write(ramp(), "a.png")
    for bits in ("4", "8", "16", "32"):
        assert fit("a.png", *SHORT, "--bits", bits, "--overwrite", "--json") == 0
        record = json.loads(capsys.readouterr().out)
        field = load("a.field")
        points = np.stack(np.meshgrid(*field.signal.coordinates(), indexing="ij"), axis=-1)
        errors = np.clip(field(points), 0, 1) - ramp().pixels / 255
        assert record["numbers"]["psnr"] == pytest.approx(-10 * np.log10((errors**2).mean()), abs=0.01)
        assert record["bytes"] == Path("a.field").stat().st_size
        assert record["bits_per_sample"] == pytest.approx(8 * record["bytes"] / 768, abs=1e-4)
        assert (record["status"], record["model"], record["shape"]) == ("done", "siren", [24, 32])


@pytest.mark.parametrize(
    ("channels", "dtype", "colour"),
    [(1, np.uint8, "grey"), (2, np.uint8, "grey-alpha"), (4, np.uint8, "rgba"), (3, np.uint16, "rgb")],
)
def test_grey_alpha_and_sixteen_bits_are_kept(channels: int, dtype: Any, colour: str) -> None:
    write(ramp(channels=channels, dtype=dtype), "a.png")
    assert fit("a.png", *SHORT, "-q") == 0
    signal = load("a.field").signal
    assert (signal.channels, signal.colour, signal.depth) == (channels, colour, 8 * np.dtype(dtype).itemsize)


def test_the_default_model_is_the_best_one() -> None:
    write(ramp(), "a.png")
    assert fit("a.png", "--steps", "2", "--parameters", "900", "-q") == 0
    assert load("a.field").model.name == "scone+"


@pytest.mark.parametrize(("budget", "most"), [(["--size", "1900"], 1900), (["--bpp", "20"], 1920)])
def test_a_file_stays_within_its_bytes(budget: list[str], most: int, capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert fit("a.png", *budget, "--steps", "20") == 0
    assert capsys.readouterr().err == ""
    size = Path("a.field").stat().st_size
    assert 0.88 * most < size <= most
    assert "coded" in Path("a.field").read_bytes()[:1500].decode("latin-1")  # 8 bits


def test_a_long_name_does_not_make_a_file_larger_than_allowed(capsys: Capture) -> None:
    name = "\u5c71" * 40 + "n" * 100
    write(ramp(), f"{name}.png")
    assert fit(f"{name}.png", "--size", "1900", "--steps", "20", "-q") == 0
    assert capsys.readouterr().err == ""
    assert Path(f"{name}.field").stat().st_size <= 1900
    assert load(f"{name}.field").card.name == "\u5c71" * 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no text")
def test_a_name_that_is_no_text() -> None:
    name = os.fsdecode(b"bad\xff")
    write(ramp(), "a.png")
    Path("a.png").rename(f"{name}.png")
    write(ramp(), "c.png")
    assert fit(f"{name}.png", "c.png", *SHORT, "-q") == 0
    assert load(f"{name}.field").card.name == "bad\N{REPLACEMENT CHARACTER}"
    assert load("c.field").card.name == "c"


def test_half_the_memory_with_floats(capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert fit("a.png", "--size", "4KB", "--bits", "16", "--steps", "2") == 0
    assert capsys.readouterr().err == ""
    assert Path("a.field").stat().st_size <= 4000


def test_several_pictures_into_a_folder_and_one_that_fails(capsys: Capture) -> None:
    write(ramp(), "album/a.png")
    write(ramp(20, 16), "album/sub/b.png")
    Path("album/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert fit("album", "-r", "-o", "out/", *SHORT) == 1
    captured = capsys.readouterr()
    assert [line.split("  ")[0] for line in captured.out.splitlines()] == [
        "album/a.png -> out/a.field",
        "album/sub/b.png -> out/sub/b.field",
    ]
    first, last = captured.err.splitlines()
    assert "album/broken.png" in first
    assert last == "morpho: 1 of 3 fits failed"
    assert load("out/sub/b.field").signal.shape == (20, 16)


def test_an_existing_field_stays(capsys: Capture) -> None:
    write(ramp(), "a.png")
    Path("a.field").write_text("mine")
    assert "a.field exists already" in complaint(capsys, "a.png", *SHORT)
    assert Path("a.field").read_text() == "mine"
    assert fit("a.png", *SHORT, "--overwrite", "-q") == 0
    assert load("a.field").model.name == "siren"


def test_a_picture_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    stream = io.BytesIO()
    write(ramp(), stream, format="PNG")
    stdin = io.TextIOWrapper(io.BytesIO(stream.getvalue()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert fit("-", "-o", "x.field", *SHORT) == 0
    assert capsys.readouterr().out.startswith("- -> x.field  32 x 24")


def test_a_profile_is_converted_unless_it_is_to_be_kept() -> None:
    plain = np.full((16, 16, 3), (200, 40, 40), np.uint8)
    write(Picture(plain, Metadata(icc=matrix_profile(P3, SRGB_CURVE))), "p3.png")
    opened = [open_picture(Path("p3.png"), keep_profile=keep).grid for keep in (False, True)]
    assert opened[0][0, 0, 0] > 205  # the same red has a larger number in sRGB
    np.testing.assert_array_equal(opened[1], plain)


def test_the_template_that_is_proposed_tells_pictures_apart(capsys: Capture) -> None:
    write(ramp(), "a.png")
    write(ramp(), "a.jpg")
    template = "fields/{parent}/{name}.field"
    assert f"a template such as {template} after -o" in complaint(capsys, "a.png", "a.jpg")
    assert "a template (fields/{stem}.field)" in complaint(capsys, "a.png", "a.jpg", "-o", "b.field")
    assert fit("a.png", "a.jpg", "-o", template, "-q", "--steps", "2", *SHORT[2:]) == 0
    assert files() == ["a.jpg", "a.png", "fields/a.jpg.field", "fields/a.png.field"]


def test_points_between_the_pixels_are_interpolated_along_edges(capsys: Capture) -> None:
    write(ramp(), "a.png")
    for share, way in (("0.5", "directed"), ("0", "linear")):
        assert fit("a.png", *SHORT, "--between", share, "--overwrite") == 0
        assert capsys.readouterr().err == ""
        recipe = load("a.field").card.recipe
        assert (recipe["between"], recipe["interpolation"]) == (float(share), way)


# --- stop and go on ---


def test_a_fit_that_is_stopped_early_says_that_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write(ramp(), "a.png")
    monkeypatch.setattr(train._Fit, "_advance", _interrupted(train._Fit._advance, after=2))
    assert fit("a.png", *SHORT) == 130
    assert "nothing is kept, since it is too early for a checkpoint" in capsys.readouterr().err
    assert files() == ["a.png"]


@pytest.mark.parametrize("more", [(), ("--between", "0.4")])
def test_an_interrupted_fit_is_resumed_and_ends_the_same(
    more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write(ramp(), "a.png")
    words = ("a.png", *SHORT[2:], "--steps", "60", "--seed", "3", *more)
    assert fit(*words, "-o", "whole.field") == 0
    monkeypatch.setattr(train, "_PAUSE", 0.0)  # a checkpoint at every look
    with monkeypatch.context() as patch:
        patch.setattr(train._Fit, "_advance", _interrupted(train._Fit._advance, after=45))
        assert fit(*words, "-o", "part.field") == 130
    assert (Path("part.run") / "checkpoint.pt").exists()
    assert not Path("part.field").exists()
    assert "the same command with --resume goes on" in capsys.readouterr().err
    assert fit(*words, "-o", "part.field", "--resume") == 0
    assert not Path("part.run").exists()
    whole, part = load("whole.field"), load("part.field")
    for name, tensor in whole.tensors.items():
        np.testing.assert_array_equal(part.tensors[name], tensor)
    assert fit(*words, "-o", "part.field", "--resume") == 0
    assert capsys.readouterr().err == "morpho: all fields are there already: nothing is left to resume\n"


def test_a_checkpoint_of_other_options_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _stop_with_a_checkpoint(monkeypatch)
    capsys.readouterr()
    assert "another recipe" in complaint(capsys, "a.png", *SHORT, "--seed", "9", "--resume")


def test_a_stopped_fit_is_not_begun_anew_without_a_word(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _stop_with_a_checkpoint(monkeypatch)
    capsys.readouterr()
    before = Path("a.run/checkpoint.pt").read_bytes()
    assert "a.run holds a stopped fit: add --resume" in complaint(capsys, "a.png", *SHORT)
    assert Path("a.run/checkpoint.pt").read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr(train._Fit, "_advance", _interrupted(train._Fit._advance, after=2))
        assert fit("a.png", *SHORT, "--overwrite") == 130
    assert "nothing is kept" in capsys.readouterr().err  # and not that of the first
    assert files() == ["a.png"]


def test_the_remains_of_a_killed_fit_are_removed() -> None:
    write(ramp(), "a.png")
    Path("a.run").mkdir()
    Path("a.run/.checkpoint.pt.x1y2.part").write_bytes(b"half")
    assert fit("a.png", *SHORT, "-q") == 0
    assert files() == ["a.field", "a.png"]


def test_what_else_lies_in_the_folder_of_a_run_stays() -> None:
    write(ramp(), "a.png")
    Path("a.run").mkdir()
    Path("a.run/mine.txt").write_text("precious")
    assert fit("a.png", *SHORT, "-q") == 0
    assert files() == ["a.field", "a.png", "a.run/mine.txt"]


def test_where_nothing_can_be_written_the_others_go_on(capsys: Capture) -> None:
    write(ramp(), "a.png")
    write(ramp(), "b.png")
    Path("a.run").write_text("no folder")
    assert fit("a.png", "b.png", *SHORT) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("morpho: a.png: a.field or the run's files beside it cannot be written (")
    assert last == "morpho: 1 of 2 fits failed"
    assert files() == ["a.png", "a.run", "b.field", "b.png"]


def test_a_fit_that_fails_leaves_nothing(capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert "diverged" in complaint(capsys, "a.png", *SHORT[:-2], "--model", "scone", "--rate", "1e30")


def test_a_goal_ends_the_fit(capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert fit("a.png", "--parameters", "900", "--model", "siren", "--psnr", "25", "--json", "--batch", "256") == 0
    numbers = json.loads(capsys.readouterr().out)["numbers"]
    assert 25 <= numbers["psnr"] < 35
    assert numbers["steps"] < 2000


def test_a_goal_that_is_missed_is_told_of(capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert fit("a.png", *SHORT, "--psnr", "90") == 0
    err = capsys.readouterr().err
    assert err.startswith("morpho: a.field reaches ")
    assert "after 30 steps, not 90: give more --parameters, or more --steps" in err


def _stop_with_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin to fit a.png, which is made, and press Ctrl-C."""
    write(ramp(), "a.png")
    monkeypatch.setattr(train, "_PAUSE", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(train._Fit, "_advance", _interrupted(train._Fit._advance, after=25))
        assert fit("a.png", *SHORT) == 130


def _interrupted(advance: Any, *, after: int) -> Any:
    """A step that is Ctrl-C'd once there were enough."""
    done = 0

    def step(self: Any) -> Any:
        nonlocal done
        done += 1
        if done > after:
            raise KeyboardInterrupt
        return advance(self)

    return step


def test_one_that_takes_too_much_memory_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    plain = train._Fit._advance

    def greedy(self: Any) -> Any:
        if self.target.signal.shape[0] == 25:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: ...")
        return plain(self)

    monkeypatch.setattr(train._Fit, "_advance", greedy)
    write(ramp(height=25), "a.png")
    write(ramp(), "b.png")
    assert fit("a.png", "b.png", *SHORT, "-q") == 1
    error = capsys.readouterr().err
    assert error == (
        "morpho: a.png: the memory does not suffice: use a smaller --batch, or --scale and --frames for a video\n"
        "morpho: 1 of 2 fits failed\n"
    )
    assert files() == ["a.png", "b.field", "b.png"]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: ..."),
    ],
)
def test_memory_that_ends_before_the_first_step(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def greedy(signal: Signal, pixels: Any) -> Any:
        if signal.shape[0] == 25:
            raise error
        return GridTarget(signal, pixels)

    monkeypatch.setattr(originals, "_grid", greedy)
    write(ramp(height=25), "a.png")
    write(ramp(), "b.png")
    assert fit("a.png", "b.png", *SHORT, "-q") == 1
    assert capsys.readouterr().err.startswith("morpho: a.png: the memory does not suffice")
    assert files() == ["a.png", "b.field", "b.png"]


def test_other_errors_of_torch_are_unexpected(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def broken(self: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(train._Fit, "_advance", broken)
    write(ramp(), "a.png")
    assert fit("a.png", *SHORT, "-q") == 1
    assert "unexpected" in capsys.readouterr().err


def test_a_time_that_ends_before_the_psnr(capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert fit("a.png", *SHORT[2:], "--seconds", "0.05", "--psnr", "99") == 0
    assert "give more --parameters, or more --seconds\n" in capsys.readouterr().err


def test_a_file_is_no_folder_for_fields(capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert "as a.png is no folder" in complaint(capsys, "a.png", "-o", "a.png/x.field", *SHORT)


@pytest.mark.parametrize("name", ["-dash.png", "-*.png", "-missing.png"])
def test_everything_behind_two_dashes_is_a_name(name: str, capsys: Capture) -> None:
    write(ramp(), "./-dash.png")
    status = fit(*SHORT, "-q", "--", name)
    error = capsys.readouterr().err
    assert "option" not in error
    assert (status, error) == (0, "") or "-missing.png does not exist" in error


def test_names_behind_two_dashes_may_begin_with_one() -> None:
    write(ramp(), "./-dash.png")
    assert fit(*SHORT, "-q", "--", "-dash.png") == 0
    assert files() == ["-dash.field", "-dash.png"]


@pytest.mark.parametrize(
    "words",
    [
        ("--bpp", "inf"),
        ("--bpp", "nan"),
        ("--seconds", "inf"),
        ("--rate", "nan"),
        ("--level", "nan"),
        ("--level", "inf"),
        ("--level", "-inf"),
    ],
)
def test_numbers_are_finite(words: tuple[str, str], capsys: Capture) -> None:
    write(ramp(), "a.png")
    assert "Must be" in complaint(capsys, "a.png", *words, status=2)


def test_a_rate_whose_bytes_are_infinite_is_too_much(capsys: Capture) -> None:
    write(ramp(), "a.png")
    most = complaint(capsys, "a.png", "--bpp", "1e308")
    assert complaint(capsys, "a.png", "--bpp", "1e20") == most


# --- videos, meshes and volumes ---


def test_a_video(capsys: Capture) -> None:
    pytest.importorskip("av")
    frames = [ramp(16, 24).pixels // (1 + k // 3) for k in range(9)]
    write_video("clip.mkv", frames, 10.0)
    words = ("clip.mkv", *SHORT, "--frames", "2:9:2", "--scale", "0.5")
    assert fit(*words) == 0
    assert "12 x 8 x 4 frames" in capsys.readouterr().out
    signal = load("clip.field").signal
    assert (signal.kind, signal.shape, signal.channels, signal.frame_rate) == ("video", (4, 8, 12), 3, 5.0)
    assert fit(*words, "--between", "0.3", "--overwrite", "-q") == 0
    assert load("clip.field").card.recipe["interpolation"] == "linear"
    assert "has no frame 50" in complaint(capsys, "clip.mkv", *SHORT, "--frames", "50:", "--overwrite")


@pytest.mark.parametrize("form", ["sdf", "occupancy"])
def test_a_mesh(form: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("igl")
    monkeypatch.setattr(meshes, "_MEASURED", 24)
    monkeypatch.setattr(meshes, "_POINTS", 3000)
    trimesh.creation.box((2, 4, 6)).export("box.ply")
    assert fit("box.ply", *SHORT[2:6], "--as", form, "--steps", "200", "--rate", "0.005") == 0
    out = capsys.readouterr().out
    assert out.startswith("box.ply -> box.field  12 triangles  IoU ")
    assert "bits/" not in out
    field = load("box.field")
    assert field.signal.kind == form
    assert field.signal.extent == pytest.approx([6 / 0.9] * 3)
    assert field.card.numbers["iou"] > (0.3 if form == "sdf" else 0.15)


def test_a_mesh_with_holes_is_told_of(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("igl")
    monkeypatch.setattr(meshes, "_MEASURED", 24)
    monkeypatch.setattr(meshes, "_POINTS", 3000)
    sphere = trimesh.creation.icosphere(subdivisions=3)
    sphere.update_faces(np.arange(len(sphere.faces)) > 9)
    sphere.invert()
    sphere.export("holes.ply")
    assert fit("holes.ply", *SHORT) == 0
    told = capsys.readouterr().err
    assert "morpho: holes.ply is not watertight: its inside is where triangles wind around a point\n" in told
    assert "morpho: the triangles of holes.ply faced inwards and were turned round\n" in told


@pytest.mark.parametrize(("form", "words"), [("sdf", []), ("occupancy", ["--as", "occupancy"])])
def test_a_volume(form: str, words: list[str], capsys: Capture) -> None:
    pytest.importorskip("scipy")
    axis = np.linspace(-1, 1, 24)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    np.save("ball.npy", x**2 + y**2 + z**2 < 0.4)
    assert fit("ball.npy", *SHORT[2:], "--steps", "60", *words) == 0
    out = capsys.readouterr().out
    assert "24 x 24 x 24  IoU " in out
    assert "bits/voxel" in out
    field = load("ball.field")
    assert field.signal.kind == form
    assert field.card.numbers["iou"] > 0.8
    assert fit("ball.npy", *SHORT, *words, "--scale", "0.5", "-o", "half.field") == 0
    half = load("half.field").signal
    assert (half.shape, half.extent) == ((12, 12, 12), (23.0, 23.0, 23.0))


def test_one_volume_of_several_at_a_level(capsys: Capture) -> None:
    axis = np.linspace(-1, 1, 16)
    ball = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    np.savez("two.npz", ball=2 - ball, box=np.zeros((4, 4, 4)))
    assert "give its name as the key" in complaint(capsys, "two.npz", *SHORT)
    assert fit("two.npz", "--key", "ball", "--level", "1.5", "--as", "occupancy", *SHORT, "-q") == 0
    assert load("two.field").signal.shape == (16, 16, 16)
    scored = ["eval", "fields", "two.npz", "two.field", "--resolution", "16", "--json"]
    assert main(scored) == 1
    assert "give its name as the key" in capsys.readouterr().err
    main([*scored, "--key", "ball", "--level", "1.5"])
    assert "key" not in capsys.readouterr().err
    assert "is for a volume" in complaint(capsys, "photo.png", "--level", "0", *SHORT)


def test_a_volume_of_unequal_sides_keeps_its_size(capsys: Capture) -> None:
    volume = np.zeros((8, 12, 16), bool)
    volume[2:6, 3:9, 4:12] = True
    np.save("box.npy", volume)
    assert "which --scale 0.5 cannot make smaller" in complaint(capsys, "box.npy", *SHORT, "--scale", "0.5")
    assert fit("box.npy", *SHORT, "-q") == 0
    assert load("box.field").signal.shape == (8, 12, 16)


@pytest.mark.parametrize("name", ["bad.ply", "bad.npy", "bad.mat", "bad.mat.zip", "bad.mp4", "bad.png"])
def test_damaged_files_are_one_sentence(name: str, capsys: Capture) -> None:
    Path(name).write_bytes(b"\x00\x01damaged" * 40)
    assert name in complaint(capsys, name, *SHORT)


def test_kinds_may_be_mixed(capsys: Capture) -> None:
    write(ramp(), "a.png")
    volume = np.zeros((10, 10, 10), bool)
    volume[3:7, 3:7, 3:7] = True
    np.save("v.npy", volume)
    assert fit("a.png", "v.npy", *SHORT, "-o", "out/") == 0
    assert files() == ["a.png", "out/a.field", "out/v.field", "v.npy"]
