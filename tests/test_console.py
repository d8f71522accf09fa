"""What a person sees, with and without a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from morpho.console import format_bytes, format_seconds, note, print_table, progress, track


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (104448, "102.0 KiB"), (2**50, "1024.0 TiB")],
)
def test_format_bytes(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 µs"),
        (0.000999, "999.0 µs"),
        (0.001, "1.0 ms"),
        (1, "1.00 s"),
        (59.99, "59.99 s"),
        (59.999, "1 min 00 s"),
        (3600, "1 h 00 min"),
        (3599.7, "1 h 00 min"),
    ],
)
def test_format_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_table_in_a_pipe_is_never_cut_or_marked_up(capsys: pytest.CaptureFixture[str]) -> None:
    long = "photo [bold]" + "x" * 300
    print_table(["file", "n"], [[long, 1], ["b", None]], right=["n"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(long)
    assert lines[3].endswith("–")
    assert all(line == line.rstrip() for line in lines)


def test_note_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("hello")
    assert capsys.readouterr() == ("", "morpho: hello\n")


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("working", total=2) as advance:
        advance(1)
    assert list(track(iter("ab"), "going")) == ["a", "b"]
    assert capsys.readouterr() == ("", "")


def test_progress_shows_on_the_terminal_of_stderr_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track([1, 2, 3], "counting")) == [1, 2, 3]
    assert "counting" in screen.getvalue()
    assert "3/3" in screen.getvalue()
    assert capsys.readouterr().out == ""
