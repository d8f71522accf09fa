"""Where the benchmarks find the repository and the data, and where their records go."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from morpho.console import print_table
from morpho.errors import DataError
from morpho.records import Record

__all__ = ["ROOT", "data_root", "write"]

ROOT = Path(__file__).resolve().parents[1]


def data_root(folder: str) -> Path:
    """The shared data: MORPHO_DATA, or ``shared/data`` beside the checkout.

    Args:
        folder: what must be in it.

    Raises:
        DataError: it is not.
    """
    root = Path(os.environ.get("MORPHO_DATA") or ROOT.parent / "shared" / "data")
    if not (root / folder).is_dir():
        raise DataError(f"{root} holds no folder {folder}: set MORPHO_DATA to the data folder")
    return root


def write(records: Iterable[Record]) -> int:
    """Print records, write them to results/, and return the exit status."""
    for record in records:
        print_table(record.columns, record.rows, title=record.title)
        print(record.write(ROOT / "results"))
    return 0
