"""Writing ``.cube`` files; the format is described in `morpho.luts.cube`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from morpho.atomic import replacing
from morpho.errors import InputError, LutError
from morpho.luts.lut import Domain, Lut

__all__ = ["Dialect", "write"]

Dialect = Literal["adobe", "resolve"]

#: Rows formatted at a time.
_BLOCK = 1 << 16


def write(path: Path | str, lut: Lut, *, dialect: Dialect | None = None, overwrite: bool = False) -> None:
    """Write a ``.cube`` file; it appears under its name only when it is complete.

    Values get eight decimals, so that what is read back differs by 5e-9 at most. Ranges of 0 to 1, which every
    reader assumes, are not written: a plain lattice is the same file in both dialects.

    Args:
        path: the file, by custom ending in ``.cube``.
        lut: the table.
        dialect: ``"adobe"`` or ``"resolve"``; by default Adobe's, which more programs read, where it can hold
            the table.
        overwrite: whether an existing file may be replaced.

    Raises:
        LutError: the dialect cannot hold the table.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    dialect = dialect or ("adobe" if lut.curves is None or lut.lattice is None else "resolve")
    header = _header_lines(Path(path), lut, dialect)
    with replacing(path, overwrite=overwrite) as file:
        file.write("".join(f"{line}\n" for line in header).encode())
        if lut.curves is not None:
            _write_rows(file, lut.curves)
        if lut.lattice is not None:
            _write_rows(file, lut.lattice.transpose(2, 1, 0, 3).reshape(-1, 3))


def _header_lines(path: Path, lut: Lut, dialect: Dialect) -> list[str]:
    if dialect not in ("adobe", "resolve"):
        raise InputError(f"the dialect {dialect!r} is unknown: use adobe or resolve")
    if dialect == "adobe" and lut.curves is not None and lut.lattice is not None:
        raise LutError(f"{path}: Adobe's dialect holds curves or a lattice, not both: use Resolve's, or resample")
    title = " ".join(lut.title.replace('"', "'").split())
    # As a comment for Resolve, whose dialect has no titles: OpenColorIO refuses a file that has both.
    lines = [f'{"# " if dialect == "resolve" else ""}TITLE "{title}"'] if title else []
    for key, table, domain in (("1D", lut.curves, lut.curves_domain), ("3D", lut.lattice, lut.lattice_domain)):
        if table is not None:
            # ffmpeg wants the size before the domain.
            lines += [f"LUT_{key}_SIZE {len(table)}", *_domain_lines(path, key, domain, dialect)]
    return lines


def _domain_lines(path: Path, key: str, domain: Domain, dialect: Dialect) -> list[str]:
    if domain == Domain():
        return []
    if dialect == "adobe":
        return [f"DOMAIN_MIN {_digits(domain.low)}", f"DOMAIN_MAX {_digits(domain.high)}"]
    if len(set(domain.low)) > 1 or len(set(domain.high)) > 1:
        raise LutError(f"{path}: Resolve's dialect has one range for all channels: use Adobe's, or resample")
    return [f"LUT_{key}_INPUT_RANGE {_digits((domain.low[0], domain.high[0]))}"]


def _digits(numbers: Sequence[float]) -> str:
    return " ".join(np.format_float_positional(number, trim="0") for number in numbers)


def _write_rows(file: BinaryIO, rows: NDArray[np.float64]) -> None:
    for start in range(0, len(rows), _BLOCK):
        # Rounded here, so that no tiny negative number becomes -0.00000000.
        block = np.round(rows[start : start + _BLOCK], 8) + 0.0
        file.write((("%.8f %.8f %.8f\n" * len(block)) % tuple(block.ravel().tolist())).encode())
