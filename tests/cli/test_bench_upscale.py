"""``morpho bench upscale`` on a small picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from morpho.cli.app import main
from morpho.upscale import bench
from tests.upscale.synthetic import save_tables

Capture = pytest.CaptureFixture[str]
SMALL = ["--width", "32", "--height", "24", "--runs", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthetic tables are shipped; the cold command, which would not find them, is said to take a second."""
    save_tables(tmp_path, 2, 2, name="hklut-s-x4")
    save_tables(tmp_path, 2, name="hklut-s-x2")
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path)
    monkeypatch.setattr(bench, "cold_command", lambda image, **options: {"command": 1.0, "python": 0.25})


def test_the_table(capsys: Capture) -> None:
    assert main(["bench", "upscale", *SMALL, "-s", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "32x24 to 64x48, RGB"
    for method in ("morpho hklut-s-x2", "Pillow bicubic", "Pillow Lanczos", "torch eager", "NumPy twin"):
        assert sum(line.startswith(method) for line in lines) == 1
    (row,) = (line.split() for line in lines if line.startswith("Pillow bicubic"))
    assert row[-1] == "1.00"
    assert "1.00 s (of which Python, NumPy and Pillow: 0.25 s)" in lines[-1]


def test_json(capsys: Capture) -> None:
    assert main(["bench", "upscale", *SMALL, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(rows[0]) == {"method", "threads", "milliseconds", "fastest", "runs", "output_megapixels"}
    assert (rows[0]["method"], rows[0]["runs"], rows[0]["threads"]) == ("morpho hklut-s-x4, 1 thread", 1, 1)
    assert {row["output_megapixels"] for row in rows[:-1]} == {0.012}
    assert rows[-1] == {"method": "cold command", "command": 1.0, "python": 0.25}


@pytest.mark.parametrize("words", [["--runs", "0"], ["--width", "0"], ["--height", "20001"], ["--threads", "0"]])
def test_unusable_numbers(capsys: Capture, words: list[str]) -> None:
    assert main(["bench", "upscale", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unknown_tables(capsys: Capture) -> None:
    assert main(["bench", "upscale", "-m", "nothing"]) == 1
    assert "there is no artefact called 'nothing'" in capsys.readouterr().err
