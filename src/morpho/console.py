"""What a person sees: progress bars, tables, sizes and times. Rich is imported at first use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["format_bytes", "format_seconds", "note", "print_table", "printable", "progress", "track"]

T = TypeVar("T")


def format_bytes(count: float) -> str:
    """Give a number of bytes in binary units, with one decimal from KiB on.

    >>> format_bytes(999), format_bytes(102_400), format_bytes(5 * 2**30)
    ('999 B', '100.0 KiB', '5.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def format_seconds(seconds: float) -> str:
    """Give a duration in the unit a person would choose.

    >>> [format_seconds(s) for s in (2.5e-5, 0.0123, 1.5, 125, 7500)]
    ['25.0 µs', '12.3 ms', '1.50 s', '2 min 05 s', '2 h 05 min']
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def printable(text: str) -> str:
    r"""Replace what a terminal would obey instead of show: a file can bring escape sequences in its texts.

    >>> printable("a\x1b[31mb")
    'a�[31mb'
    """
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def note(message: str) -> None:
    """Tell the person something, on stderr, so that it never mixes with results on stdout."""
    print(f"morpho: {printable(message)}", file=sys.stderr)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
) -> None:
    """Print a table on stdout, fitted to the screen in a terminal and as wide as it needs to be elsewhere.

    Args:
        columns: the headings.
        rows: one sequence of cells per row; ``None`` is shown as a dash.
        title: a line above the table.
        right: the headings of the columns that hold numbers.

    >>> print_table(["table", "bytes"], [["hklut-s-x4", 102400], ["mine", None]], right=["bytes"])
    table         bytes
    ───────────────────
    hklut-s-x4   102400
    mine              –
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # Text, not str: a file name may contain what rich would read as markup.
        table.add_row(*(Text("–" if cell is None else printable(str(cell))) for cell in row))
    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else 10_000, highlight=False)
    if terminal:
        console.print(table)
    else:
        with console.capture() as capture:
            console.print(table)
        for line in capture.get().splitlines():
            print(line.rstrip())


@contextmanager
def progress(description: str, *, total: int | None) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr while the body runs, if stderr is a terminal; else show nothing.

    Args:
        description: what is going on, in a few words.
        total: how many steps there are; ``None`` where nobody knows.

    Yields:
        ``advance(steps)``, to be called when that many more steps are done; any thread may call it. ``advance(steps,
        description)`` also changes what is said to go on.

    >>> with progress("working", total=3) as advance:
    ...     for _ in range(3):
    ...         advance(1)
    """
    if not sys.stderr.isatty():
        yield lambda steps, description=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps, description=None: bar.update(task, advance=steps, description=description)


def track(items: Iterable[T], description: str, *, total: int | None = None) -> Iterator[T]:
    """Go through ``items`` under a progress bar.

    >>> sum(track([1, 2, 3], "adding"))
    6
    """
    if total is None and isinstance(items, Sequence):
        total = len(items)
    with progress(description, total=total) as advance:
        for item in items:
            yield item
            advance(1)
