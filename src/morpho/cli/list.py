"""``morpho list``: the artefacts that morpho ships."""

from __future__ import annotations

import json as jsonlib

from morpho.artifacts import Entry, shipped
from morpho.console import format_bytes, print_table
from morpho.errors import ArtifactError

__all__ = ["list_artifacts"]


def list_artifacts(pattern: str = "*", /, *, json: bool = False) -> None:
    """List the tables and weights that morpho ships.

    Args:
        pattern: a shell pattern, quoted, such as 'hklut*'.
        json: print one JSON object per line instead of a table.
    """
    entries = shipped(pattern)
    if not entries:
        remedy = "this installation ships none" if pattern == "*" else "`morpho list` shows all"
        raise ArtifactError(f"no artefact matches {pattern!r}: {remedy}")
    if json:
        _print_json(entries)
    else:
        rows = [_row(entry) for entry in entries]
        print_table(["name", "kind", "version", "size", "numbers", "licence"], rows, right=["size"])


def _row(entry: Entry) -> list[str]:
    card = entry.card
    numbers = ", ".join(f"{key} {value:g}" for key, value in card.numbers.items())
    return [entry.name, card.kind, card.version, format_bytes(entry.nbytes), numbers, card.licence]


def _print_json(entries: list[Entry]) -> None:
    for entry in entries:
        card = jsonlib.loads(entry.card.to_json())
        print(jsonlib.dumps({"file": str(entry.path), "bytes": entry.nbytes, **card}, ensure_ascii=False))
