"""What became of a network's layers: parameters, multiply-adds and errors, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from morpho.butterfly.chain import Chain

__all__ = ["LayerReport", "Report"]


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer.

    Attributes:
        name: where it is in the network.
        kind: what it was, such as ``Conv2d``.
        size: rows and columns of its matrix; None where it has none.
        chain: what it became; None where it was kept.
        parameters: of its weights now, without the bias.
        dense_parameters: of its weights before.
        positions: output positions per item; None where no sample was given.
        error: relative Frobenius error of the projected weights, weighted by activations where a sample was given;
            None where the layer was kept or begins anew.
        reason: why it was kept; empty where it was converted.
    """

    name: str
    kind: str
    size: tuple[int, int] | None
    chain: Chain | None
    parameters: int
    dense_parameters: int
    positions: int | None
    error: float | None
    reason: str

    @property
    def macs(self) -> int | None:
        """Multiply-adds per item; None where no sample was given."""
        return None if self.positions is None else self.parameters * self.positions

    @property
    def dense_macs(self) -> int | None:
        """Multiply-adds per item before."""
        return None if self.positions is None else self.dense_parameters * self.positions


@dataclass(frozen=True, kw_only=False)
class Report:
    """A network's conversion.

    Attributes:
        layers: in the network's order.
        parameters: of the whole network now, biases and normalisations included.
        dense_parameters: of the whole network before.
    """

    layers: tuple[LayerReport, ...]
    parameters: int
    dense_parameters: int

    @property
    def share(self) -> float:
        """Parameters now as a part of those before."""
        return self.parameters / self.dense_parameters

    @property
    def kept(self) -> tuple[LayerReport, ...]:
        """Layers that were not converted, with their reasons."""
        return tuple(layer for layer in self.layers if layer.chain is None)
