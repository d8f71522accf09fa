"""The ``.cube`` format, in its two dialects.

    TITLE "name"                      optional, as are the ranges; the default is 0 to 1
    LUT_1D_SIZE 1024                  curves, or
    LUT_3D_SIZE 33                    a lattice; only the Resolve dialect allows both, curves before lattice
    DOMAIN_MIN 0 0 0                  Adobe: the input range of the one table, per channel
    DOMAIN_MAX 1 1 1
    LUT_1D_INPUT_RANGE 0 1            Resolve: the input range of the curves, equal for all channels,
    LUT_3D_INPUT_RANGE 0 1            and that of the lattice
    LUT_IN_VIDEO_RANGE                Resolve: input, or output, has black at 64/1023 and white at 940/1023
    LUT_OUT_VIDEO_RANGE
    0.0 0.0 0.0                       the rows: red, green, blue; in a lattice, red runs fastest

Reading forgives what other programs write: byte order marks, any line ends, tabs, lower case, comments
anywhere, Latin-1, keywords that say nothing about the numbers. It does not forgive what could change a colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError, LutError
from morpho.luts.cube_rows import KEYWORD, Source, number_of, read_rows, shown, starts_row, words_of
from morpho.luts.cube_writer import Dialect, write
from morpho.luts.lut import MOST_NODES, MOST_SAMPLES, Domain, Lut

__all__ = ["Dialect", "read", "write"]

#: How many numbers follow each keyword that we know.
_KEYWORDS = {
    "LUT_1D_SIZE": 1,
    "LUT_3D_SIZE": 1,
    "DOMAIN_MIN": 3,
    "DOMAIN_MAX": 3,
    "LUT_1D_INPUT_RANGE": 2,
    "LUT_3D_INPUT_RANGE": 2,
    "LUT_IN_VIDEO_RANGE": 0,
    "LUT_OUT_VIDEO_RANGE": 0,
}
_MOST = {"LUT_1D_SIZE": MOST_SAMPLES, "LUT_3D_SIZE": MOST_NODES}
#: How a file of Resolve's dialect, which has no titles, tells its title all the same.
_TITLE = re.compile(r'#\s*TITLE\s+"')
#: The longest table with 60 characters per number has less.
_MOST_BYTES = 1 << 32
#: Video black, and the distance to video white, of 10-bit codes.
_BLACK, _SPAN, _PEAK = 64.0, 876.0, 1023.0


@dataclass
class _Header:
    """What stands before the rows: each keyword's numbers, and its line."""

    title: str = ""
    numbers: dict[str, list[float]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def size(self, keyword: str) -> int:
        """Samples or nodes, 0 where there is no such table."""
        return int(self.numbers.get(keyword, [0])[0])

    @property
    def rows(self) -> int:
        """How many rows must follow."""
        return self.size("LUT_1D_SIZE") + self.size("LUT_3D_SIZE") ** 3


def read(path: Path | str) -> Lut:
    r"""Read a ``.cube`` file of either dialect.

    Args:
        path: the file.

    Returns:
        The curves, the lattice, or both. A video range, where the file names one, has become part of the
        domain and of the values: the table works on full-range colours.

    Raises:
        LutError: it cannot be read, in one sentence with the line: a size that is missing or out of range, a
            row that is not three finite numbers, too few or too many rows, a keyword that would change the
            meaning of the numbers and is not known.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "dim.cube"
    >>> _ = path.write_text("LUT_1D_SIZE 2\n0 0 0\n.5 .5 .5 # half as bright\n")
    >>> read(path).curves.tolist()
    [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]
    """
    path = Path(path)
    with _opened(path) as stream:
        source = Source(path, stream)
        header, first = _read_header(source)
        values = read_rows(source, first, header.rows)
    return _assemble(source, header, values)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The text as Latin-1, which can be any bytes; only the title has letters that matter."""
    try:
        if path.is_dir():
            raise LutError(f"{path} is a folder: name a .cube file in it")
        if path.stat().st_size > _MOST_BYTES:
            raise LutError(f"{path} is over {_MOST_BYTES >> 30} GiB: no .cube file is as large as that")
        with path.open("rb") as binary:  # once, because it may be a pipe
            wide = binary.peek(2)[:2] in (b"\xff\xfe", b"\xfe\xff")
            yield io.TextIOWrapper(binary, encoding="utf-16" if wide else "latin-1")
    except FileNotFoundError as error:
        raise LutError(f"{path} does not exist: check the path") from error
    except OSError as error:
        raise LutError(f"{path} cannot be read ({error.strerror}): check the path and its rights") from error
    except UnicodeDecodeError as error:
        raise LutError(f"{path} is damaged UTF-16 text: get a fresh copy") from error


def _read_header(source: Source) -> tuple[_Header, str]:
    """Everything up to the first row, and that row's line."""
    header = _Header()
    for text in source:
        text = text.removeprefix("\xef\xbb\xbf") if source.line == 1 else text
        words = words_of(text)
        if not words:
            header.title = header.title or (_title(text) if _TITLE.match(text) else "")
            continue
        if starts_row(words[0]):
            if not header.rows:
                source.refuse("the rows begin before LUT_1D_SIZE or LUT_3D_SIZE has said how many they are")
            return header, text
        if not KEYWORD.fullmatch(words[0]):
            source.refuse(f"{shown(words[0])} is neither a keyword nor a number: is this a .cube file?")
        if words[0].upper() == "TITLE":
            header.title = _title(text)
        else:
            _keep(source, header, words[0].upper(), words[1:])
    if not header.rows:
        raise LutError(f"{source.path} has no LUT_1D_SIZE and no LUT_3D_SIZE: it is empty or no .cube file")
    source.refuse(f"the file ends before the first of {header.rows} rows: it is truncated, get a fresh copy")


def _title(text: str) -> str:
    """What stands in quotes, which may hold a #, or else the rest of the line."""
    quoted = re.search(r'"([^"]*)"', text)
    title = quoted[1] if quoted else text.partition("#")[0].strip()[len("TITLE") :].strip().strip('"')
    try:
        return title.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return title


def _keep(source: Source, header: _Header, keyword: str, words: list[str]) -> None:
    """Check and keep a keyword's numbers; keywords of others say nothing about colours, unless they look so."""
    if keyword not in _KEYWORDS:
        if keyword.startswith(("LUT_", "DOMAIN_")):
            source.refuse(
                f"the keyword {shown(keyword)} is unknown and may change the colours: remove it if it does not"
            )
        return
    if keyword in header.lines:
        source.refuse(f"{keyword} is there a second time, after line {header.lines[keyword]}: remove one")
    if len(words) != _KEYWORDS[keyword]:
        source.refuse(f"{keyword} is followed by {len(words)} words instead of {_KEYWORDS[keyword]}: correct it")
    numbers = [float(_size(source, keyword, words[0]))] if keyword in _MOST else []
    header.numbers[keyword] = numbers or [number_of(source, word) for word in words]
    header.lines[keyword] = source.line


def _size(source: Source, keyword: str, word: str) -> int:
    whole = word.isascii() and word.isdigit() and len(word) < 10
    if not whole or not 2 <= int(word) <= _MOST[keyword]:
        source.refuse(f"{keyword} is {shown(word)}, which is no whole number from 2 to {_MOST[keyword]}")
    return int(word)


def _assemble(source: Source, header: _Header, values: NDArray[np.float64]) -> Lut:
    samples, nodes = header.size("LUT_1D_SIZE"), header.size("LUT_3D_SIZE")
    if "LUT_OUT_VIDEO_RANGE" in header.lines:
        last = values[samples if nodes else 0 :]
        last[:] = _from_video(last)
    one, three = _domains(source, header)
    # Blue is the slowest in the file: its axis comes first, and goes last.
    lattice = np.ascontiguousarray(values[samples:].reshape(nodes, nodes, nodes, 3).transpose(2, 1, 0, 3))
    try:
        return Lut(lattice if nodes else None, values[:samples] if samples else None, three, one, header.title)
    except InputError as error:  # values that only video range carries beyond what is a colour
        raise LutError(f"{source.path}: {error}") from error


def _domains(source: Source, header: _Header) -> tuple[Domain, Domain]:
    """The input ranges of curves and lattice."""
    both = {"LUT_1D_SIZE", "LUT_3D_SIZE"} <= header.lines.keys()
    first = "LUT_1D_INPUT_RANGE" if "LUT_1D_SIZE" in header.lines else "LUT_3D_INPUT_RANGE"
    ranges = {key: [[n] * 3 for n in header.numbers.get(key, [0.0, 1.0])] for key in _KEYWORDS if "INPUT" in key}
    adobe = [header.numbers.get("DOMAIN_MIN", [0.0] * 3), header.numbers.get("DOMAIN_MAX", [1.0] * 3)]
    if adobe != [[0.0] * 3, [1.0] * 3]:
        line = max(header.lines.get("DOMAIN_MIN", 0), header.lines.get("DOMAIN_MAX", 0))
        if both:
            source.refuse("DOMAIN_MIN and DOMAIN_MAX are ambiguous with two tables: use the INPUT_RANGEs", line=line)
        if first in header.lines and ranges[first] != adobe:
            source.refuse(f"DOMAIN_MIN and DOMAIN_MAX contradict {first}: remove one of them", line=line)
        ranges[first] = adobe
    if "LUT_IN_VIDEO_RANGE" in header.lines:
        ranges[first] = [_from_video(np.array(bound)).tolist() for bound in ranges[first]]
    one, three = (_domain(source, header, ranges[key], key) for key in ("LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"))
    return one, three


def _domain(source: Source, header: _Header, bounds: list[list[float]], keyword: str) -> Domain:
    low, high = ((bound[0], bound[1], bound[2]) for bound in bounds)
    try:
        return Domain(low, high)
    except InputError as error:
        lines = [header.lines.get(key, 0) for key in (keyword, "DOMAIN_MIN", "DOMAIN_MAX")]
        source.refuse(f"{error}: correct the range", line=lines[0] or max(lines))


def _from_video(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From codes with black at 64 and white at 940 of 1023 to 0 and 1."""
    return (values * _PEAK - _BLACK) / _SPAN
