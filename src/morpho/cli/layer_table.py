"""The report of a compression: what became of each layer, and how long it takes.

This module imports torch: verbs import it when they run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from morpho.butterfly.convert import Compressed
from morpho.butterfly.report import LayerReport, Report
from morpho.cli.chains import short
from morpho.console import print_table
from morpho.timing import seconds, time_in_turn

__all__ = ["Times", "as_json", "print_report", "timed"]

#: Of the runs of a layer the fastest is shown: as many as fit into so many seconds.
_SECONDS, _FEWEST, _MOST = 0.2, 3, 50
_NUMBERS = ["before", "after", "MACs before", "MACs after", "error", "ms before", "ms after"]


@dataclass(frozen=True)
class Times:
    """Milliseconds for a batch, dense and compressed.

    Attributes:
        batch: items at once.
        network: of the whole network.
        layers: by name.
        positions: output positions per item, by the layer's name.
    """

    batch: int
    network: tuple[float, float]
    layers: dict[str, tuple[float, float]]
    positions: dict[str, int]


def timed(dense: nn.Module, compressed: Compressed, sample: Tensor) -> Times:
    """Time both networks and their layers on a batch, in turn, on the device they are on.

    Args:
        dense: before.
        compressed: after.
        sample: a batch of inputs.
    """
    small = compressed.model
    dense.eval(), small.eval()
    names = [row.name for row in compressed.report.layers if row.size is not None]
    with torch.inference_mode():
        met = _inputs(dense, names, sample)
        layers = {
            name: _pair(dense.get_submodule(name), small.get_submodule(name), inputs)
            for name, (inputs, _) in met.items()
        }
        return Times(
            len(sample), _pair(dense, small, sample), layers, {name: count for name, (_, count) in met.items()}
        )


def with_positions(report: Report, times: Times | None) -> Report:
    """A report that counts multiply-adds, where the layers were seen at work."""
    if times is None:
        return report
    rows = (replace(row, positions=row.positions or times.positions.get(row.name)) for row in report.layers)
    return replace(report, layers=tuple(rows))


def as_json(report: Report, times: Times | None) -> dict[str, Any]:
    """The report as one JSON object."""
    rows = []
    for row in report.layers:
        before, after = _of(times, row.name)
        plain = {**asdict(row), "chain": row.chain.numbers() if row.chain else None, "macs": row.macs}
        rows.append({**plain, "dense_macs": row.dense_macs, "milliseconds": after, "dense_milliseconds": before})
    network = times.network if times else (None, None)
    return {
        "parameters": report.parameters,
        "dense_parameters": report.dense_parameters,
        "share": round(report.share, 6),
        "macs": _sum([row.macs for row in report.layers]),
        "dense_macs": _sum([row.dense_macs for row in report.layers]),
        "milliseconds": network[1],
        "dense_milliseconds": network[0],
        "batch": times.batch if times else None,
        "layers": rows,
    }


def print_report(report: Report, times: Times | None) -> None:
    """Print the report as a table, kept layers with their reasons, and the whole network below."""
    rows = [_row(row, *_of(times, row.name)) for row in report.layers]
    macs, dense_macs = (_sum(column) for column in zip(*((r.macs, r.dense_macs) for r in report.layers), strict=True))
    network = times.network if times else (None, None)
    counts = [_number(report.dense_parameters), _number(report.parameters), _number(dense_macs), _number(macs)]
    rows.append(["network", "", "", f"{report.share:.2%} of the parameters", *counts, None, *map(_ms, network)])
    batch = f"; ms for a batch of {times.batch}" if times else ""
    title = f"Parameters of weights, multiply-adds per item{batch}"
    print_table(["layer", "kind", "size", "chain", *_NUMBERS], rows, title=title, right=_NUMBERS)
    reasons: dict[str, list[str]] = {}
    for row in report.kept:
        reasons.setdefault(row.reason, []).append(row.name)
    for reason, names in reasons.items():
        print(f"kept: {', '.join(names)}: {reason}")


def _row(row: LayerReport, before: float | None, after: float | None) -> list[object]:
    size = f"{row.size[0]} x {row.size[1]}" if row.size else None
    chain = "kept" if row.chain is None else short(row.chain)
    if row.chain is not None and len(row.chain.factors) == 1:
        chain = f"{chain}, dense"
    counts = [_number(value) for value in (row.dense_parameters, row.parameters, row.dense_macs, row.macs)]
    error = None if row.error is None else f"{row.error:.3f}"
    return [row.name, row.kind, size, chain, *counts, error, _ms(before), _ms(after)]


def _of(times: Times | None, name: str) -> tuple[float | None, float | None]:
    return (None, None) if times is None else times.layers.get(name, (None, None))


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _inputs(model: nn.Module, names: Sequence[str], sample: Tensor) -> dict[str, tuple[Tensor, int]]:
    """What each layer is given in a forward pass, and its output positions per item."""
    met: dict[str, tuple[Tensor, int]] = {}

    def watch(name: str, channels: int) -> Any:
        def see(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            met[name] = inputs[0].clone(), output.numel() // channels // len(inputs[0])

        return see

    layers = {name: model.get_submodule(name) for name in names}
    hooks = [layer.register_forward_hook(watch(name, _outputs(layer))) for name, layer in layers.items()]
    try:
        model(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return met


def _outputs(layer: nn.Module) -> int:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.shape[0]


def _pair(before: nn.Module, after: nn.Module, inputs: Tensor) -> tuple[float, float]:
    before(inputs), after(inputs)  # merges weights, compiles
    runs = round(min(max(_SECONDS / seconds(lambda: (before(inputs), after(inputs))), _FEWEST), _MOST))
    one, other = time_in_turn({"0": (1, lambda: before(inputs)), "1": (1, lambda: after(inputs))}, runs)
    return round(one.fastest, 4), round(other.fastest, 4)
