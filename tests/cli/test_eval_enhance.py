"""``morpho eval enhance``: numbers for people and for programs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from morpho.cli.app import main
from morpho.cli.eval_enhance import Control
from morpho.enhance import Enhancer
from morpho.enhance.controls import CONTROLS
from morpho.enhance.evaluate import evaluate
from tests.enhance.synthetic import save_tables
from tests.images.samples import smooth

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pairs, and an installation that ships synthetic tables."""
    save_tables(tmp_path / "weights")
    save_tables(tmp_path / "weights", name="gentle", most=0.1)
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    for folder, share in (("in", 0.6), ("out", 1.0)):
        Path(folder).mkdir()
        for i, name in enumerate(("a.png", "b.bmp")):
            photo = (share * smooth(20 + i, 30)).astype(np.uint8)
            Image.fromarray(photo).save(Path(folder, name).with_suffix(".png" if folder == "in" else ".bmp"))


def measured(capsys: Capture, *words: str) -> dict[str, object]:
    assert main(["eval", "enhance", *words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    found: dict[str, object] = json.loads(captured.out)
    return found


def test_one_record(capsys: Capture) -> None:
    found = measured(capsys, "in", "out")
    assert list(found) == ["pairs", "psnr", "ssim", "delta_e"]
    assert found == evaluate(Enhancer.load(), "in", "out").as_dict()


def test_which_tables(capsys: Capture) -> None:
    gentle = evaluate(Enhancer.load("gentle"), "in", "out").as_dict()
    assert measured(capsys, "in", "out", "-m", "gentle") == gentle
    assert measured(capsys, "in", "out", "--tables", "weights/gentle.safetensors") == gentle
    assert measured(capsys, "in", "out") != gentle


def test_all_controls_can_be_asked_for() -> None:
    assert get_args(Control) == tuple(CONTROLS)


@pytest.mark.parametrize("method", CONTROLS)
def test_controls(capsys: Capture, method: str) -> None:
    assert measured(capsys, "in", "out", "--method", method) == evaluate(CONTROLS[method], "in", "out").as_dict()


def test_equal_folders_are_valid_json(capsys: Capture) -> None:
    assert measured(capsys, "in", "in", "--method", "input") == {"pairs": 2, "psnr": None, "ssim": 1.0, "delta_e": 0.0}
    assert main(["eval", "enhance", "in", "in", "--method", "input"]) == 0
    assert str(math.inf) in capsys.readouterr().out


def test_the_table_shows_the_input_beside_it(capsys: Capture) -> None:
    assert main(["eval", "enhance", "in", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[2:]]
    assert [(row[0], row[1]) for row in rows] == [("input", "2"), ("icelut", "2")]
    assert rows[0][2] == f"{evaluate(CONTROLS['input'], 'in', 'out').psnr:.2f}"
    assert float(rows[1][2]) > float(rows[0][2]) + 1
    assert main(["eval", "enhance", "in", "out", "--method", "input"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere", "out"], "nowhere is no folder"),
        (["in", "weights"], "weights holds no picture"),
        (["in", "one"], "b.png has no partner in one (1 such pictures)"),
        (["in", "one", "--method", "input"], "pairs have the same name in both folders"),
        (["in", "other"], "have the sizes 30x20 and 9x9"),
        (["in", "out", "-m", "nothing"], "no artefact called 'nothing'"),
        (["in", "out", "-m", "icelut", "--method", "input"], "--model and --method contradict each other"),
        (["in", "out", "-m", "icelut", "--tables", "x"], "--model and --tables contradict each other"),
    ],
)
def test_what_cannot_be_measured(capsys: Capture, words: list[str], sentence: str) -> None:
    for folder, names in (("one", ("a.png",)), ("other", ("a.png", "b.png"))):
        Path(folder).mkdir()
        for name in names:
            Image.fromarray(smooth(9, 9)).save(Path(folder, name))
    assert main(["eval", "enhance", *words]) == 1
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("words", [[], ["in"], ["in", "out", "more"], ["in", "out", "--method", "magic"]])
def test_usage(capsys: Capture, words: list[str]) -> None:
    assert main(["eval", "enhance", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
