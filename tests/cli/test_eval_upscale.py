"""``morpho eval upscale``: numbers for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from morpho.cli.app import main
from morpho.upscale import Upscaler
from morpho.upscale.evaluate import bicubic, evaluate
from tests.images.samples import noise, png_file
from tests.upscale.photos import save_photos
from tests.upscale.synthetic import save_tables

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets of pictures, and an installation that ships synthetic tables."""
    weights = tmp_path / "weights"
    for factors, name in (((2, 2), "hklut-s-x4"), ((2,), "hklut-s-x2")):
        save_tables(weights, *factors, name=name)
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", weights)
    monkeypatch.chdir(tmp_path)
    save_photos(tmp_path / "SetA", 2, 30, 25)
    save_photos(tmp_path / "SetB", 1, 24, 24)
    return tmp_path


def measured(capsys: Capture, *words: str) -> list[dict[str, object]]:
    assert main(["eval", "upscale", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return [json.loads(line) for line in captured.out.splitlines()]


def test_one_record_per_set(capsys: Capture) -> None:
    records = measured(capsys, "SetA", "SetB")
    assert [set(record) for record in records] == [{"set", "images", "psnr_y", "ssim_y", "bytes", "scale", "model"}] * 2
    assert [(r["set"], r["images"], r["bytes"], r["scale"]) for r in records] == [
        ("SetA", 2, 102_400, 4),
        ("SetB", 1, 102_400, 4),
    ]
    assert records[0] == evaluate(Upscaler.load("hklut-s-x4"), "SetA").as_dict()


def test_which_tables(capsys: Capture) -> None:
    assert measured(capsys, "SetA", "--scale", "2")[0]["model"] == "hklut-s-x2"
    assert measured(capsys, "SetA", "-m", "hklut-s-x2")[0]["scale"] == 2
    assert measured(capsys, "SetA", "--tables", "weights/hklut-s-x2.safetensors")[0]["bytes"] == 51_200
    assert measured(capsys, "SetA", "-m", "bicubic", "-s", "3") == [bicubic("SetA", 3).as_dict()]
    assert measured(capsys, "SetA", "-m", "bicubic")[0]["scale"] == 4


def test_the_table_shows_bicubic_beside_it(capsys: Capture) -> None:
    assert main(["eval", "upscale", "SetA", "SetB", "-s", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["set", "images"]
    rows = [line.split() for line in lines[2:]]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (name, model, "x2") for name in ("SetA", "SetB") for model in ("bicubic", "hklut-s-x2")
    ]
    assert rows[0][4] == f"{bicubic('SetA', 2).psnr_y:.2f}"
    assert main(["eval", "upscale", "SetA", "-m", "bicubic"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["weights"], "weights holds no picture"),
        (["bad"], "a photo of the set is unusable: bad/a.png"),
        (["deep"], "deep/a.png has 16 bits per channel"),
        (["small"], "small/00.png is 40x9, too small to measure"),
        (["SetA", "bad"], "a photo of the set is unusable"),
        (["SetA", "-s", "3"], "there are no hklut-s tables for scale 3"),
        (["SetA", "-m", "nothing"], "there is no artefact called 'nothing'"),
        (["SetA", "-m", "hklut-s", "--tables", "weights/hklut-s-x2.safetensors"], "contradict each other"),
    ],
)
def test_one_sentence_per_failure(desk: Path, capsys: Capture, words: list[str], expected: str) -> None:
    for name in ("bad", "deep"):
        (desk / name).mkdir()
    (desk / "bad" / "a.png").write_bytes(b"hello")
    (desk / "deep" / "a.png").write_bytes(png_file(noise(40, 40, 3, dtype="uint16")))
    save_photos(desk / "small", 1, 9, 40)
    for extra in ([], ["--json"]):
        assert main(["eval", "upscale", *words, *extra]) == 1
        captured = capsys.readouterr()
        assert expected in captured.err
        assert captured.err.startswith("morpho: ")
        assert captured.err.count("\n") == 1
        assert "unexpected" not in captured.err


@pytest.mark.parametrize("scale", ["0", "1", "-2", "7"])
def test_no_such_scale(capsys: Capture, scale: str) -> None:
    for model in ("hklut-s", "bicubic"):
        assert main(["eval", "upscale", "SetA", "-m", model, "-s", scale]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert "unexpected" not in captured.err


def test_a_folder_is_needed(capsys: Capture) -> None:
    assert main(["eval", "upscale"]) == 2
    assert "morpho eval upscale --help" in capsys.readouterr().err
