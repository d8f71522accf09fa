"""How a command line ends: status, and what is said on which stream."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from morpho import __version__, errors
from morpho.cli.app import VERBS, Verb, build, main
from morpho.luts import write as write_lut
from tests.luts.looks import lattice_of, warm

Capture = pytest.CaptureFixture[str]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make ``morpho cite`` raise an error."""

    def cite(*verbs: str) -> None:
        raise error

    monkeypatch.setattr("morpho.cli.cite.cite", cite)


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"morpho {__version__}"


def test_success_says_nothing_on_stderr(capsys: Capture) -> None:
    assert main(["cite", "upscale"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("@inproceedings{hklut,")
    assert captured.err == ""


def test_morpho_error_is_one_sentence_and_status_1(capsys: Capture) -> None:
    assert main(["cite", "upscayl"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: nothing to cite under 'upscayl'")
    assert captured.err.count("\n") == 1


def test_debug_shows_the_traceback_too(capsys: Capture) -> None:
    assert main(["cite", "--debug", "upscayl"]) == 1
    error = capsys.readouterr().err
    assert "Traceback (most recent call last)" in error
    assert error.splitlines()[-1].startswith("morpho: nothing to cite")


def test_debug_behind_two_dashes_is_a_name(capsys: Capture) -> None:
    assert main(["cite", "--", "--debug"]) == 1
    error = capsys.readouterr().err
    assert "'--debug'" in error
    assert "Traceback" not in error


def test_names_of_results_behind_two_dashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are not there yet."""
    monkeypatch.chdir(tmp_path)
    write_lut("./-a.cube", lattice_of(warm, 3))
    assert main(["lut", "convert", "--", "-a.cube", "-b.cube"]) == 0
    assert Path("-b.cube").exists()


@pytest.mark.parametrize("verb", ["upscale", "enhance", "fit"])
def test_pictures_behind_two_dashes(verb: str, capsys: Capture) -> None:
    assert main([verb, "--", "-missing.png"]) == 1
    assert "-missing.png does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bogus"], 'Unknown command "bogus"'),
        (["info"], "requires an argument"),
        (["cite", "--nix"], "Unknown option: --nix. (see `morpho cite --help`)"),
        (["list", "a", "b"], "Unused"),
    ],
)
def test_wrong_usage_is_status_2(words: list[str], message: str, capsys: Capture) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("morpho: ")
    assert message in captured.err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.InputError("it is wrong: mend it"), 1, "morpho: it is wrong: mend it\n"),
        (KeyboardInterrupt(), 130, "morpho: interrupted\n"),
        (PermissionError(13, "Permission denied", "x.png"), 1, "morpho: Permission denied: x.png\n"),
        (OSError(28, "No space left on device"), 1, "morpho: No space left on device\n"),
        (MemoryError(), 1, "morpho: MemoryError (unexpected: repeat with --debug and report it)\n"),
        (
            ZeroDivisionError("by 0"),
            1,
            "morpho: ZeroDivisionError: by 0 (unexpected: repeat with --debug and",
        ),
        (errors.ImageError("\x1b[2Jx"), 1, "morpho: \N{REPLACEMENT CHARACTER}[2Jx\n"),
    ],
)
def test_each_failure_has_its_status_and_sentence(
    error: BaseException, status: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    fail_with(monkeypatch, error)
    assert main(["cite"]) == status
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert "Traceback" not in captured.err


def test_number_that_a_verb_returns_is_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def some_failed(*verbs: str) -> int:
        return 1

    monkeypatch.setattr("morpho.cli.cite.cite", some_failed)
    assert main(["cite"]) == 1


def test_no_words_shows_the_help(capsys: Capture) -> None:
    assert main([]) == 0
    assert "Commands" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_help(verb: Verb, capsys: Capture) -> None:
    assert main([*verb.name.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: morpho {verb.name}" in out
    assert verb.help.split()[0] in out


def test_one_line_registers_a_verb_of_one_or_two_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugin_verbs.py").write_text("def f(x: int = 1, *, fast: bool = False):\n    return x + fast\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    app = build([Verb("grow", "plugin_verbs:f", "Grow."), Verb("train grow", "plugin_verbs:f", "Learn to grow.")])
    assert "plugin_verbs" not in sys.modules
    assert app(["grow", "3"]) == 3
    assert app(["train", "grow", "--fast"]) == 2


def morpho(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from morpho.cli.app import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, env=os.environ | environment
    )


@pytest.mark.parametrize("lines", [1, 100_000], ids=["noticed at the end", "noticed on the way"])
def test_closed_pipe_is_quiet(lines: int) -> None:
    code = (
        "import sys, morpho.cli.cite; from morpho.cli.app import main\n"
        f"def cite(*verbs: str) -> None:\n  for _ in range({lines}): print('a line')\n"
        "morpho.cli.cite.cite = cite\n"
        "sys.exit(main(['cite']))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_code_page_without_the_characters_of_a_table_is_no_failure(tmp_path: Path) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    done = morpho("info", str(tmp_path / "a.png"), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert re.search(r"dpi +\| \?", done.stdout)  # the dash for "none" is not ASCII
