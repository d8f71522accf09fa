"""``morpho butterfly chains``: fronts, chains within a budget, one chain described and drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morpho.butterfly.chain import Chain
from morpho.butterfly.picture import draw
from morpho.butterfly.plan import best_plan, dense_plan, predicted_seconds
from morpho.cli.app import main
from morpho.cli.chains import allowed, short
from morpho.images import read
from tests.contract.test_light_import import BLOCK_TORCH

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def records(capsys: Capture, *words: str) -> list[dict[str, Any]]:
    assert main(["butterfly", "chains", *words, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def complaint(capsys: Capture, *words: str, status: int = 1) -> str:
    assert main(["butterfly", "chains", *words]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("morpho: ")
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    return captured.err


def test_a_front_as_a_table(capsys: Capture) -> None:
    assert main(["butterfly", "chains", "512x4608"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "Pareto front of deformable butterflies for 512 x 4608"
    assert lines[1].split() == ["chain", "kind", "factors", "parameters", "share", "widest", "speed"]
    assert lines[3].split()[:6] == ["(1,9)(4,4)^4(2,2)", "monotonic", "6", "13,824", "0.59%", "4608"]
    assert lines[-1].split() == ["(512,4608)", "dense", "1", "2,359,296", "100.00%", "4608", "1.0x"]


def test_chains_within_a_budget(capsys: Capture) -> None:
    found = records(capsys, "512x4608", "--budget", "3%")
    front = [row for row in found if row["group"] == "front"]
    within = [row for row in found if row["group"] == "debut"]
    assert len(front) == 6
    assert len(within) == 8
    for row in found:
        chain = Chain.parse(row["chain"])
        assert (chain.m, chain.n) == (row["rows"], row["columns"]) == (512, 4608)
        assert chain.parameters == row["parameters"]
        assert row["share"] == row["parameters"] / (512 * 4608)
        assert row["widest"] == max(chain.widths)
    assert all(row["parameters"] <= 0.03 * 512 * 4608 for row in within)
    assert len(records(capsys, "512x4608", "--budget", "0.03", "--all")) > 40
    assert records(capsys, "512x4608", "--budget", "70778") == found


@pytest.mark.parametrize(("family", "kinds"), [("low-rank", {"rank 9"}), ("monarch", {"monotonic", "growing"})])
def test_families(capsys: Capture, family: str, kinds: set[str]) -> None:
    within = [row for row in records(capsys, "64x64", "--budget", "0.3", "--family", family) if row["group"] == family]
    assert {row["kind"] for row in within} <= kinds
    assert {row["factors"] for row in within} == {2}


@pytest.mark.parametrize("columns", [1, 40, 5000])
def test_the_speed_is_the_planner_s(capsys: Capture, columns: int) -> None:
    chain = Chain.parse("(4,4)^5")
    (row,) = records(capsys, "(4,4)^5", "--columns", str(columns))
    dense, planned = (predicted_seconds(p, columns) for p in (dense_plan(chain), best_plan(chain, columns)))
    assert row["speed"] == round(dense / planned, 2)


def test_a_chain_is_described_in_each_notation(capsys: Capture) -> None:
    shown = []
    for text in ("(8,9)(2,2)(2,4)", "32 <-(2,4,16)- 64 <-(2,2,8)- 64 <-(8,9,1)- 72"):
        assert main(["butterfly", "chains", text]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    for part in ("(8,9)(2,2)(2,4)", "64 72 8 9 1 64 64 2 2 8 32 64 2 4 16", "832 of 2,304 (36.11%)", "72 64 64 32"):
        assert part in shown[0]
    assert main(["butterfly", "chains", "6 <-(6,2,1)- 2 <-(2,8,1)- 8"]) == 0
    assert "rank 2" in capsys.readouterr().out


def test_the_picture_is_the_chain(capsys: Capture) -> None:
    assert main(["butterfly", "chains", "(4,4)^2", "-o", "new/chain.png"]) == 0
    assert capsys.readouterr().err == "morpho: new/chain.png: (4,4)^2\n"
    np.testing.assert_array_equal(read("new/chain.png").pixels, draw(Chain.parse("(4,4)^2")))


def test_the_picture_of_a_search_is_its_first_chain(capsys: Capture) -> None:
    found = records(capsys, "64x64", "--budget", "0.3", "-o", "a.png")
    first = next(row for row in found if row["group"] == "debut")
    np.testing.assert_array_equal(read("a.png").pixels, draw(Chain.parse(first["chain"])))
    records(capsys, "64x64", "-o", "b.png")
    np.testing.assert_array_equal(read("b.png").pixels, draw(Chain.parse(found[0]["chain"])))


def test_an_existing_picture_is_not_replaced(capsys: Capture) -> None:
    Path("a.png").write_bytes(b"precious")
    assert "a.png exists already" in complaint(capsys, "(4,4)^2", "-o", "a.png")
    assert Path("a.png").read_bytes() == b"precious"
    assert main(["butterfly", "chains", "(4,4)^2", "-o", "a.png", "--overwrite"]) == 0
    assert read("a.png").width > 100


def test_padding_is_offered(capsys: Capture) -> None:
    assert main(["butterfly", "chains", "43x101"]) == 0
    assert "here are 4343; padded with zeros to 45 x 108 they are " in capsys.readouterr().err
    assert "the fewest are 4343, and padded with zeros to 45 x 108" in complaint(capsys, "43x101", "--budget", "3000")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["512x4608", "--budget", "100"], "the fewest are 13824"),
        (["hello"], "'hello' is no chain: write it as"),
        (["(8,9)(2,"], "is no chain: write it as"),
        (["48 72 4 6 1 16 48 4 12 2"], "50% of the product is zero"),
        (["64 <-(2,2,16)- 64 <-(8,9,1)- 72"], "75% of the product is zero: t must be"),
        (["1x1"], "has no chain"),
        (["0x5"], "give rows and columns from 1 to"),
        (["9999999x9999999"], "give rows and columns from 1 to"),
        (["64x64", "--family", "general"], "give --budget too to list general chains"),
        (["(4,4)^2", "--budget", "0.1"], "give --budget with a size"),
        (["(4,4)^2", "-o", "a.txt"], "names no picture format"),
    ],
)
def test_unusable_words(capsys: Capture, words: list[str], sentence: str) -> None:
    assert sentence in complaint(capsys, *words)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("budget", ["0", "1.5", "-1", "nan", "inf", "100%", "few", "0%"])
def test_unusable_budgets(capsys: Capture, budget: str) -> None:
    text = complaint(capsys, "64x64", f"--budget={budget}", status=2)
    assert "is no budget: give a part such as 0.05 or 5%, or a number of parameters" in text


def test_it_needs_no_torch() -> None:
    code = BLOCK_TORCH + (
        "from morpho.cli.app import main\n"
        "assert main(['butterfly', 'chains', '64x64', '--budget', '0.3', '-o', 'a.png']) == 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("a.png").exists()


def test_short_forms_are_read_back() -> None:
    for text in ("(8,9)(2,2)^3(2,4)", "(2,1)", "6 <-(6,2,1)- 2 <-(2,8,1)- 8"):
        assert Chain.parse(short(Chain.parse(text))) == Chain.parse(text)
    assert (allowed(0.07, 100), allowed(7.0, 100)) == (7, 7)
