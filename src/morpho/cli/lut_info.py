"""``morpho lut info``: what a table does to colours, and what is wrong with it."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from morpho.console import note, print_table
from morpho.errors import MorphoError
from morpho.luts import Domain, Lut, Report, RoundTrip, measure, read, round_trip

__all__ = ["info"]


def info(
    files: Annotated[list[Path], Parameter(name="FILE")],
    /,
    *,
    inverse: Path | None = None,
    json: bool = False,
) -> int:
    """Say what lookup tables do to colours, and what is wrong with them.

    Levels are those of 8 bits. Steps down: more in makes less out. Curvature: second differences between
    neighbouring nodes; where it is large, gradients show bands. Folded and flat: parts of the lattice that no
    other table can undo. The change, and CIEDE2000, are against doing nothing.

    Args:
        files: .cube files or Hald pictures.
        inverse: A table that should undo each of them: how well it does is measured too.
        json: Print one JSON object per file.
    """
    undo = None if inverse is None else read(inverse)
    reports: list[tuple[Path, Report, RoundTrip | None]] = []
    for path in files:
        try:
            lut = read(path)
        except MorphoError as error:
            note(str(error))
            continue
        reports.append((path, measure(lut), _undone(lut, undo)))
        if json:
            print(jsonlib.dumps(_record(*reports[-1]), ensure_ascii=False), flush=True)
    if reports and not json:
        _print(reports)
    return 0 if len(reports) == len(files) else 1


def _undone(lut: Lut, undo: Lut | None) -> RoundTrip | None:
    return None if undo is None else round_trip(lut, undo)


def _record(path: Path, report: Report, undone: RoundTrip | None) -> dict[str, Any]:
    record = {"file": str(path), **report.record()}
    return record if undone is None else {**record, "round_trip": vars(undone)}


def _print(reports: Sequence[tuple[Path, Report, RoundTrip | None]]) -> None:
    columns = [_cells(report) | _round_trip_cells(undone) for _, report, undone in reports]
    rows = [[what, *(cells[what] for cells in columns)] for what in columns[0]]
    print_table(["what", *(str(path) for path, _, _ in reports)], rows)


def _cells(report: Report) -> dict[str, str]:
    ranges = zip("RGB", report.lowest, report.highest, strict=True)
    return {
        "title": report.title,
        "lattice": "none" if report.nodes is None else f"{report.nodes} nodes{_of(report.lattice_domain)}",
        "curves": "none" if report.samples is None else f"{report.samples} samples{_of(report.curves_domain)}",
        "values": ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, low, high in ranges),
        "values outside 0..1": _percent(report.outside),
        "steps down": f"{report.steps_down} ({_percent(report.steps_down_share)})",
        "steps down on greys": str(report.grey_steps_down),
        "curvature, mean": f"{report.curvature_mean:.3f} levels per node",
        "curvature, largest": f"{report.curvature_max:.2f} levels per node",
        "folded": _percent(report.folded),
        "flat": _percent(report.flat),
        "can be undone": "yes" if report.invertible else "no",
        "change, mean": f"{report.change_mean:.2f} levels",
        "change, largest": f"{report.change_max:.2f} levels",
        "CIEDE2000, mean": f"{report.delta_e_mean:.2f}",
        "CIEDE2000, largest": f"{report.delta_e_max:.2f}",
    }


def _round_trip_cells(undone: RoundTrip | None) -> dict[str, str]:
    if undone is None:
        return {}
    return {
        "undone, mean error": f"{undone.mean:.2f} levels",
        "undone, largest error": f"{undone.max:.2f} levels",
        "undone within a level": _percent(undone.within_one_level),
        "undone, CIEDE2000 mean": f"{undone.delta_e_mean:.2f}",
    }


def _of(domain: Domain | None) -> str:
    if domain is None or domain == Domain():
        return ""
    if len({*domain.low}) == len({*domain.high}) == 1:
        return f" from {domain.low[0]:g} to {domain.high[0]:g}"
    return f" from {' '.join(f'{low:g}' for low in domain.low)} to {' '.join(f'{high:g}' for high in domain.high)}"


def _percent(share: float) -> str:
    """A share in percent; what is there but rounds to nothing is not called nothing.

    >>> _percent(0.0), _percent(1e-7), _percent(0.123456)
    ('0 %', '< 0.001 %', '12.346 %')
    """
    if 0 < share < 1e-5:
        return "< 0.001 %"
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + " %"
