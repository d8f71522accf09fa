"""``morpho bench fields``: models side by side, at equal parameters and steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from morpho.cli.app import main
from morpho.images import Picture, write

Capture = pytest.CaptureFixture[str]
QUICK = ("--steps", "4", "--batch", "64", "--parameters", "900")


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    write(Picture(pixels), "a.png")
    return tmp_path


def bench(*words: str) -> int:
    return main(["bench", "fields", *words])


def test_one_record_per_model_and_seed(capsys: Capture) -> None:
    assert bench("a.png", "--models", "siren,scone", *QUICK, "--seeds", "2", "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["model"], row["seed"]) for row in rows] == [("siren", 0), ("scone", 0), ("siren", 1), ("scone", 1)]
    assert all(700 < row["parameters"] <= 900 for row in rows)
    assert all(5 < row["psnr"] < 20 and row["step_seconds"] > 0 and row["decode_seconds"] > 0 for row in rows)
    assert rows[0]["psnr"] != rows[2]["psnr"]


def test_the_table_begins_with_the_best(capsys: Capture) -> None:
    assert bench("a.png", "--models", "siren, wire,siren", *QUICK) == 0
    title, head, _, first, second = capsys.readouterr().out.splitlines()
    assert title == "a.png, 20 x 16, 4 steps of 64 points"
    assert head.split() == ["model", "parameters", "rate", "PSNR", "/", "dB", "+-", "ms/step", "decode", "/", "s"]
    scores = [float(line.split()[3]) for line in (first, second)]
    assert scores == sorted(scores, reverse=True)
    assert {line.split()[0] for line in (first, second)} == {"siren", "wire"}
    assert first.split()[4] == "–"  # no deviation of one seed


def test_without_names_all_that_fit_are_compared(capsys: Capture) -> None:
    assert bench("a.png", "--steps", "1", "--batch", "8", "--parameters", "900", "--json") == 0
    captured = capsys.readouterr()
    models = [json.loads(line)["model"] for line in captured.out.splitlines()]
    assert {"scone+", "scone", "siren", "finer", "grid"} <= set(models)
    assert "left out: 900 parameters are too few for hash-grid" in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mp4"], "a.mp4 is no picture: the models are compared on one"),
        (["no.png"], "no.png does not exist"),
        (["a.png", "--models", "sirn"], "did you mean 'siren'"),
        (["a.png", "--models", ","], "--models names none"),
        (["a.png", "--models", "siren", "--parameters", "2"], "2 parameters are too few for siren"),
        (["a.png", "--models", "siren,scone", "--parameters", "2"], "no model is as small as 2 parameters"),
    ],
)
def test_what_cannot_work(words: list[str], message: str, capsys: Capture) -> None:
    assert bench(*words) == 1
    captured = capsys.readouterr()
    assert message in captured.err.splitlines()[-1]
    assert captured.out == ""


@pytest.mark.parametrize("words", [["--steps", "0"], ["--seeds", "0"], ["--parameters", "many"], ["--nix"]])
def test_wrong_usage(words: list[str]) -> None:
    assert bench("a.png", *words) == 2
