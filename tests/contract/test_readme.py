"""What the README tells a person to type exists and works."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from morpho.artifacts import shipped
from morpho.cli.app import GROUPS, VERBS, main

MAIN_LINE = "pip install . && morpho demo"
TEST_LINE = 'pip install -e ".[dev]" && pytest'

#: Verbs that take no time and leave nothing behind: their lines are run.
CHEAP = {"check", "list", "info", "cite"}
NAMES = [verb.name for verb in VERBS]
ROOT = Path(__file__).resolve().parents[2]


def shell_lines(page: Path) -> list[str]:
    """The command lines in a page's ```sh blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [shlex.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def morpho_commands(page: Path) -> list[list[str]]:
    """The words after ``morpho`` of each command in a page; the parts of ``a && b`` and of pipes too."""
    words = [shlex.split(part) for line in shell_lines(page) for part in re.split(r"'&&'|'\|'", line)]
    return [command[1:] for command in words if command[:1] == ["morpho"]]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
COMMANDS = [pytest.param(c, id=f"{page.name}: {shlex.join(c)}") for page in PAGES for c in morpho_commands(page)]


def verb_of(command: list[str]) -> str:
    return " ".join(command[: 2 if command[0] in GROUPS else 1])


def test_the_two_lines_stand_alone_in_the_readme() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines.count(MAIN_LINE) == 1
    assert [line for line in lines if line.startswith("pip install -e ")] == [TEST_LINE]  # .ci/run takes this one


def test_blocks_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nmorpho a 'x*' # why\n\npip install . && morpho b\n```\n```python\nmorpho\n```\n")
    assert morpho_commands(page) == [["a", "x*"], ["b"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_verb_and_options_exist(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verb_of(command) in NAMES
    assert main([*verb_of(command).split(), "--help"]) == 0
    shown = capsys.readouterr().out
    options = {word.partition("=")[0] for word in command if word.startswith("-") and word != "-"}
    assert {option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", shown)} == set()


@pytest.mark.parametrize("command", [p for p in COMMANDS if verb_of(p.values[0]) in CHEAP])  # type: ignore[arg-type]
def test_cheap_command_runs(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if command[0] in {"list", "info"} and not shipped():
        pytest.skip("this checkout ships no artefacts")
    assert main(command) == 0
    assert capsys.readouterr().out


def test_ci_runs_the_readme_line(root: Path) -> None:
    script = root / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert "grep -m1 '^pip install -e ' README.md" in text
    for step in ("ruff check", "ruff format --check", "mypy"):
        assert f"step {step}" in text


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
