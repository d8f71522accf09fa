"""``morpho bench butterfly`` on small layers."""

from __future__ import annotations

import json
import sys

import pytest

from morpho.butterfly.chain import Chain
from morpho.cli.app import main

Capture = pytest.CaptureFixture[str]
SMALL = ["--runs", "2", "--batch", "8"]


def test_tables(capsys: Capture) -> None:
    assert main(["bench", "butterfly", "64x64", "(8,9)(2,2)^2", "--budget", "30%", *SMALL]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "64 x 64, (8,8)^2, 25.00%, batch 8"
    assert lines.count("32 x 36, (8,9)(2,2)^2, 36.11%, batch 8") == 1
    for method in ("dense, torch", "morpho", "as released"):
        assert sum(line.startswith(f"{method} ") for line in lines) == 2
    ratios = {line.split("  ")[0]: float(line.split()[-1]) for line in lines[3:6]}
    assert max(ratio for method, ratio in ratios.items() if method.startswith("dense")) <= 1


def test_json(capsys: Capture) -> None:
    assert main(["bench", "butterfly", "(4,9)(4,4)", *SMALL, "--side", "6", "--threads", "2", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"dense, torch", "morpho", "as released"} <= {row["method"] for row in rows}
    for row in rows:
        assert Chain.parse(row["chain"]) == Chain.parse("(4,9)(4,4)")
        assert (row["batch"], row["side"], row["threads"], row["runs"]) == (8, 6, 2, 2)
        assert row["milliseconds"] >= row["fastest"] > 0
    best = min(row["milliseconds"] for row in rows if row["method"].startswith("dense"))
    ours = next(row for row in rows if row["method"] == "morpho")
    assert ours["speed"] == pytest.approx(best / ours["milliseconds"], abs=0.006)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["64x64", "--budget", "10"], "the fewest are"),
        (["99999x64"], "a layer of 99999 x 64 is not timed"),
        (["64"], "a line of 1 numbers is no chain"),
        (["(4,4)^2", "--side", "8"], "9 columns per channel, not 16"),
    ],
)
def test_unusable_layers(capsys: Capture, words: list[str], sentence: str) -> None:
    assert main(["bench", "butterfly", *words]) == 1
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("words", [["--batch", "0"], ["--threads", "0"], ["--runs", "x"], ["--side", "513"]])
def test_unusable_numbers(capsys: Capture, words: list[str]) -> None:
    assert main(["bench", "butterfly", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_torch(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["bench", "butterfly"]) == 1
    assert 'pip install "morpho[torch]"' in capsys.readouterr().err
