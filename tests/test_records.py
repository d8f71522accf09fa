"""Records survive the disk, and the machine is described without naming it."""

from __future__ import annotations

import getpass
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from morpho import machine
from morpho.errors import DataError, InputError
from morpho.records import Record, Stopwatch


def record(**changes: Any) -> Record:
    plain: dict[str, Any] = {
        "name": "toy-1",
        "title": "A toy",
        "command": "morpho bench toy",
        "protocol": "Best of 3.",
        "columns": ["what", "dB", "source"],
        "rows": [["ours", 30.34, "measured"], ["theirs", None, "paper"]],
        "seeds": [0, 1],
        "n": 5,
        "wall_seconds": 1.25,
    }
    return Record(**plain | changes)


def test_record_comes_back_from_disk(tmp_path: Path) -> None:
    path = record().write(tmp_path / "results")
    assert path == tmp_path / "results" / "toy-1.json"
    assert Record.read(path) == record()
    assert path.read_text(encoding="utf-8").count("\n    [") == 2  # one row per line: a readable diff


def test_new_measurement_replaces_the_old_one(tmp_path: Path) -> None:
    record().write(tmp_path)
    path = record(n=6).write(tmp_path)
    assert Record.read(path).n == 6


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "a.json"])
def test_name_must_be_a_plain_file_name(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a results file"):
        record(name=name)


def test_row_must_fit_the_columns() -> None:
    with pytest.raises(InputError, match="has 2 cells for 3 columns"):
        record(rows=[["ours", 1.0]])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_number_that_json_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(InputError, match="use None instead"):
        record(rows=[["ours", number, ""]])


@pytest.mark.parametrize("text", ["", "[]", "{", "3", '{"name": "toy-1"}', '{"name": "x", "more": 1}'])
def test_something_else_is_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "toy-1.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"toy-1\.json"):
        Record.read(path)


def test_missing_and_renamed_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run the command that measures it"):
        Record.read(tmp_path / "toy-1.json")
    record().write(tmp_path).rename(tmp_path / "other.json")
    with pytest.raises(DataError, match="holds the results 'toy-1'"):
        Record.read(tmp_path / "other.json")


def test_machine_is_described_and_not_named() -> None:
    told = json.dumps(machine.describe())
    assert machine.describe()["python"] == platform.python_version()
    assert machine.cores() >= 1
    assert platform.node() not in told
    assert f'"{getpass.getuser()}"' not in told


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_is_that_of_this_checkout_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = machine.current_commit().removesuffix("+")
    assert commit == "unknown" or (len(commit) == 10 and int(commit, 16) >= 0)
    installed = tmp_path / "site-packages" / "morpho"
    installed.mkdir(parents=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "somebody else's"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    monkeypatch.setattr(machine, "__file__", str(installed / "machine.py"))
    assert machine.current_commit() == "unknown"


def test_stopwatch_counts_up() -> None:
    watch = Stopwatch()
    assert 0 <= watch.seconds <= watch.seconds < 60
