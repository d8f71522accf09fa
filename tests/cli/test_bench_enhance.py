"""``morpho bench enhance`` on a small picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morpho.cli.app import main
from morpho.enhance import bench
from tests.enhance.synthetic import save_tables

Capture = pytest.CaptureFixture[str]
SMALL = ["--width", "32", "--height", "24", "--runs", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Synthetic tables are shipped; the cold command, which would not find them, is said to take a second."""
    models: list[str] = []
    save_tables(tmp_path)
    save_tables(tmp_path, name="gentle", most=0.1)
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path)

    def command(image: Any, *, model: str) -> dict[str, float]:
        models.append(model)
        return {"command": 1.0, "python": 0.25}

    monkeypatch.setattr(bench, "cold_command", command)
    return models


def test_the_tables(capsys: Capture, cold: list[str]) -> None:
    assert main(["bench", "enhance", *SMALL]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "32x24, RGB, 8 bit"
    assert "lookup of 32x24, RGB, 33^3 nodes" in lines
    ways = ("histogram", "tables", "look applied", "morpho icelut", "Pillow autocontrast", "OpenColorIO, tetrahedral")
    for method in ways:
        assert sum(line.startswith(method) for line in lines) == 1
    row = next(line.split() for line in lines if line.startswith("Pillow autocontrast"))
    assert float(row[-1]) == pytest.approx(float(row[-3]) / (32 * 24 / 1e6), rel=0.2)
    assert "1.00 s (of which Python, NumPy and Pillow: 0.25 s)" in lines[-1]
    assert cold == ["icelut"]


def test_json(capsys: Capture, tmp_path: Path, cold: list[str]) -> None:
    own = tmp_path / "gentle.safetensors"
    assert main(["bench", "enhance", *SMALL, "--json", "--tables", str(own)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(rows[0]) == {"method", "threads", "milliseconds", "fastest", "runs", "width", "height"}
    assert {(row["width"], row["height"], row["runs"]) for row in rows[:-1]} == {(32, 24, 1)}
    assert "morpho gentle, 1 thread" in [row["method"] for row in rows]
    assert rows[-1] == {"method": "cold command", "command": 1.0, "python": 0.25}
    assert cold == [str(own)]


def test_a_frame_and_a_photo_by_default(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def picture(width: int, height: int) -> Any:
        sizes.append((width, height))
        return np.full((8, 9, 3), 50, np.uint8)

    monkeypatch.setattr(bench, "picture", picture)
    assert main(["bench", "enhance", "--runs", "1"]) == 0
    assert sizes[:2] == [(3840, 2160), (4000, 3000)]
    out = capsys.readouterr().out
    assert "3840x2160, RGB, 8 bit" in out
    assert "4000x3000, RGB, 8 bit" in out


@pytest.mark.parametrize("words", [["--runs", "0"], ["--width", "0"], ["--height", "20001"], ["--threads", "0"]])
def test_unusable_numbers(capsys: Capture, words: list[str]) -> None:
    assert main(["bench", "enhance", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-m", "nothing"], "there is no artefact called 'nothing'"),
        (["--width", "9"], "--width and --height belong together"),
        (["-m", "icelut", "--tables", "x"], "contradict each other"),
    ],
)
def test_unusable_options(capsys: Capture, words: list[str], sentence: str) -> None:
    assert main(["bench", "enhance", *words]) == 1
    assert sentence in capsys.readouterr().err
