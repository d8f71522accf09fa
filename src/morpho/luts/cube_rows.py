"""The rows of ``.cube`` files: numbers, line by line, of which nothing is known to be right."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

import numpy as np
from numpy.typing import NDArray

from morpho.errors import LutError
from morpho.luts.lut import LARGEST

__all__ = ["KEYWORD", "Source", "number_of", "read_rows", "shown", "starts_row", "words_of"]

#: What a keyword looks like, known or not.
KEYWORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: Lines read at a time.
_BLOCK = 1 << 16
#: Where none of so many lines is a row, they are looked at one by one.
_PROBE = 100


class Source:
    """The lines of a file, counted."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.path = path
        self.line = 0
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        for text in self._stream:
            self.line += 1
            yield text

    def block(self) -> list[str]:
        """Some of the lines that are left."""
        lines = list(itertools.islice(self._stream, _BLOCK))
        self.line += len(lines)
        return lines

    def refuse(self, what: str, *, line: int | None = None) -> NoReturn:
        """Say what is wrong with a line: the last one that was read, unless another is named."""
        raise LutError(f"{self.path}, line {self.line if line is None else line}: {what}")


def words_of(text: str) -> list[str]:
    """The words of a line, without its comment."""
    return text.partition("#")[0].split()


def starts_row(word: str) -> bool:
    """Whether a line that begins with this word is meant to be a row."""
    return word[0] in "+-.0123456789" or word.lower() in ("nan", "inf", "infinity")


def number_of(source: Source, word: str, *, line: int | None = None) -> float:
    """The number that a word says, or a refusal of the line."""
    if word.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        source.refuse(f"{shown(word)} is no colour: the program that wrote it divided by zero", line=line)
    if not _NUMBER.fullmatch(word):
        hint = ": decimals are written with a point" if "," in word else ""
        source.refuse(f"{shown(word)} is no number{hint}", line=line)
    value = float(word)
    if not abs(value) <= LARGEST:
        source.refuse(f"{shown(word)} is beyond +-{LARGEST:g}, no colour: the file is damaged", line=line)
    return value


def shown(word: str) -> str:
    """A word for a sentence: quoted, and cut where it is long."""
    return repr(word if len(word) <= 40 else f"{word[:37]}...")


def read_rows(source: Source, first: str, total: int) -> NDArray[np.float64]:
    """The rows, ``(total, 3)``; memory is taken as they come, whatever the header promised."""
    blocks, count, start, lines = list[NDArray[np.float64]](), 0, source.line, [first]
    while lines:
        rows = _fast(lines)
        blocks.append(_slow(source, lines, start) if rows is None else rows)
        if count + len(blocks[-1]) > total:
            _refuse_excess(source, lines, start, total - count, total)
        count += len(blocks[-1])
        start = source.line + 1
        lines = source.block()
    if count < total:
        source.refuse(f"the file ends after {count} of {total} rows: it is truncated, get a fresh copy")
    return np.concatenate(blocks)


def _fast(lines: Sequence[str]) -> NDArray[np.float64] | None:
    """The rows of lines without anything unusual, or None."""
    if not any(map(words_of, lines[:_PROBE])):
        return None  # NumPy warns where there are no rows
    try:
        values = np.loadtxt(lines, np.float64, comments="#", ndmin=2)
    except ValueError:
        return None
    return values if values.shape[1] == 3 and (np.abs(values) <= LARGEST).all() else None


def _slow(source: Source, lines: Sequence[str], start: int) -> NDArray[np.float64]:
    """The rows of any lines, or what is wrong with the first that is none."""
    rows = []
    for number, text in enumerate(lines, start):
        if not (words := words_of(text)):
            continue
        if KEYWORD.fullmatch(words[0]) and not starts_row(words[0]):
            source.refuse(f"{shown(words[0])} comes after the first row: keywords belong before all rows", line=number)
        row = [number_of(source, word, line=number) for word in words]
        if len(row) != 3:
            source.refuse(f"a row has red, green and blue, but this one has {len(row)} numbers", line=number)
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, 3)


def _refuse_excess(source: Source, lines: Sequence[str], start: int, expected: int, total: int) -> NoReturn:
    filled = [number for number, text in enumerate(lines, start) if words_of(text)]
    source.refuse(f"this row is one too many: the sizes ask for {total} rows", line=filled[expected])
