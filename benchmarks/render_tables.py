"""Fill the results blocks of README.md and docs/*.md from results/*.json.

    python benchmarks/render_tables.py            writes the pages
    python benchmarks/render_tables.py --check    changes nothing; status 1 and a list where a page is stale

A block stands between ``<!-- results:NAME -->`` and ``<!-- /results -->``, where NAME is that of
``results/NAME.json``. Where that file is missing the block says so: what was not measured is not shown.
"""

from __future__ import annotations

import argparse
import re
import sys
from decimal import Decimal
from pathlib import Path

from morpho.errors import DataError, MorphoError
from morpho.records import Cell, Record

ROOT = Path(__file__).resolve().parents[1]

_BLOCK = re.compile(r"(<!-- results:(?P<name>[a-z0-9_-]+) -->\n).*?(<!-- /results -->)", re.DOTALL)
_MOST_DECIMALS = 4


def pages(root: Path) -> list[Path]:
    """The pages that may hold blocks."""
    return [page for page in (root / "README.md", *sorted((root / "docs").glob("**/*.md"))) if page.is_file()]


def fill(text: str, results: Path) -> str:
    """Return a page's text with every block made anew.

    Raises:
        DataError: a record is damaged, or a block is opened and not closed.
    """
    opened, closed = text.count("<!-- results:"), text.count("<!-- /results -->")
    if opened != closed or opened != len(_BLOCK.findall(text)):
        raise DataError(f"{opened} results blocks are opened and {closed} closed: each needs its <!-- /results -->")
    return _BLOCK.sub(lambda match: match[1] + _block(match["name"], results) + match[3], text)


def render(record: Record) -> str:
    """A record as a Markdown table, with the line that says how to repeat it."""
    decimals = [_decimals([row[i] for row in record.rows]) for i in range(len(record.columns))]
    numeric = [all(not isinstance(row[i], str) for row in record.rows) for i in range(len(record.columns))]
    lines = [
        f"**{record.title}**",
        "",
        _line(record.columns),
        _line(["---:" if right else "---" for right in numeric]),
        *(_line([_cell(cell, places) for cell, places in zip(row, decimals, strict=True)]) for row in record.rows),
        "",
        _footer(record),
    ]
    return "\n".join(lines) + "\n"


def _block(name: str, results: Path) -> str:
    path = results / f"{name}.json"
    if not path.exists():
        return f"_Not measured yet: there is no `results/{name}.json`._\n"
    return render(Record.read(path))


def _decimals(cells: list[Cell]) -> int:
    """The decimals of the column's most precise number: so a column lines up, and no digit is lost."""
    numbers = [format(Decimal(repr(cell)), "f") for cell in cells if isinstance(cell, float)]
    return min(_MOST_DECIMALS, max((len(number.partition(".")[2]) for number in numbers), default=0))


def _cell(cell: Cell, decimals: int) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        tiny = 0 < abs(cell) < 10.0**-_MOST_DECIMALS
        return f"{cell:.3g}" if tiny else f"{cell:.{decimals}f}"
    return str(cell)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _footer(record: Record) -> str:
    machine = record.machine
    where = f"{machine.get('cpu')}, {machine.get('cores')} cores, Python {machine.get('python')}"
    seeds = f", seeds {', '.join(map(str, record.seeds))}" if record.seeds else ""
    notes = f" {record.notes}" if record.notes else ""
    return (
        f"{record.protocol} n = {record.n}{seeds}.{notes} Repeat with `{record.command}` "
        f"({record.wall_seconds:g} s on {where}; commit {record.commit}, {record.date})."
    )


def main(arguments: list[str] | None = None) -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description="Fill the results blocks of README.md and docs/*.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    options = parser.parse_args(arguments)
    stale = 0
    for page in pages(options.root):
        old = page.read_text(encoding="utf-8")
        try:
            new = fill(old, options.root / "results")
        except MorphoError as error:
            print(f"{page}: {error}", file=sys.stderr)
            return 1
        if new != old:
            stale += 1
            print(f"{page}: {'stale' if options.check else 'written'}", file=sys.stderr)
            if not options.check:
                page.write_text(new, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
