"""Results: one JSON file per measured claim, from which every table in README and docs is made."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from math import isfinite
from pathlib import Path

from morpho.atomic import replacing
from morpho.errors import DataError, InputError
from morpho.machine import current_commit, describe

__all__ = ["Cell", "Record", "Stopwatch"]

#: A number, a text, or ``None`` for a number that is missing and is shown as missing.
Cell = str | int | float | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was measured, how to repeat it, and where.

    Attributes:
        name: the file's name without ``.json``: lower-case letters, digits, ``-`` and ``_``.
        title: what the table shows, in one line.
        command: the command line that repeats the measurement.
        protocol: how it was measured, and where that differs from a paper's way.
        columns: the headings; a column called ``source`` says where published numbers in a row come from.
        rows: one list of cells per row, rounded to the digits that mean something.
        seeds: the seeds of the runs; empty where nothing is random.
        n: the number of things measured (images, runs, repetitions).
        wall_seconds: how long the command took.
        notes: what a reader has to know besides.
        machine: see ``morpho.machine.describe``; filled in.
        commit: the code's git commit; filled in.
        date: the day, ISO 8601; filled in.

    Raises:
        InputError: the name is no file name, a row does not fit the columns, or a number is not finite.

    >>> record = Record(name="toy", title="Toy", command="true", protocol="none", columns=["a"], rows=[[1.5]],
    ...                 n=1, wall_seconds=0.1)
    >>> Record.from_json(record.to_json()) == record
    True
    """

    name: str
    title: str
    command: str
    protocol: str
    columns: list[str]
    rows: list[list[Cell]]
    n: int
    wall_seconds: float
    seeds: list[int] = field(default_factory=list)
    notes: str = ""
    machine: dict[str, str | int | float | None] = field(default_factory=describe)
    commit: str = field(default_factory=current_commit)
    date: str = field(default_factory=lambda: date.today().isoformat())

    def __post_init__(self) -> None:
        if not self.name or not all(c.islower() or c.isdigit() or c in "-_" for c in self.name):
            raise InputError(f"{self.name!r} cannot name a results file: use a-z, 0-9, - and _")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(
                    f"a row of results {self.name!r} has {len(row)} cells for {len(self.columns)} columns: "
                    f"use None for a missing number ({row})"
                )
            if any(isinstance(cell, float) and not isfinite(cell) for cell in row):
                raise InputError(f"a row of results {self.name!r} holds no number: use None instead ({row})")

    def to_json(self) -> str:
        """Return the record as JSON with a fixed order of keys and one table row per line."""
        plain = asdict(self)
        rows = ",\n".join(f"    {_dumps(row)}" for row in plain.pop("rows"))
        lines = [f"  {_dumps(key)}: {_dumps(value)}" for key, value in plain.items()]
        lines.append(f'  "rows": [\n{rows}\n  ]' if rows else '  "rows": []')
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read a record back.

        Raises:
            DataError: the text is no record.
        """
        try:
            plain = json.loads(text)
            missing = {f.name for f in fields(cls)} ^ set(plain)
            if missing:
                raise DataError(f"a results record needs exactly the keys of Record: check {sorted(missing)}")
            return cls(**plain)
        except (ValueError, TypeError, RecursionError) as error:
            raise DataError(f"this is not a results record ({error}): write it with Record.write") from error

    def write(self, folder: Path | str) -> Path:
        """Write ``folder/NAME.json``, replacing an older measurement, and return its path."""
        path = Path(folder) / f"{self.name}.json"
        with replacing(path, overwrite=True) as file:
            file.write(self.to_json().encode())
        return path

    @classmethod
    def read(cls, path: Path | str) -> Record:
        """Read a record from a file.

        Raises:
            DataError: the file is missing or no record, or its name is not the record's.
        """
        path = Path(path)
        try:
            record = cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): run the command that measures it") from error
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if record.name != path.stem:
            raise DataError(f"{path} holds the results {record.name!r}: a record's file is called as the record")
        return record


class Stopwatch:
    """Measures ``Record.wall_seconds``: start it by making it.

    >>> Stopwatch().seconds >= 0
    True
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start, rounded to milliseconds."""
        return round(time.perf_counter() - self._start, 3)


def _dumps(value: str | float | Sequence[object] | dict[str, object] | None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
