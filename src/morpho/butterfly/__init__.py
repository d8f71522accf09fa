"""Networks made of deformable butterflies (All-DeBut): chains of factors, their search, projection and layers.

The names below are loaded at first use: chains, search and projection need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morpho.butterfly.chain import Chain as Chain
    from morpho.butterfly.chain import low_rank as low_rank
    from morpho.butterfly.chain import monarch as monarch
    from morpho.butterfly.convert import Compressed as Compressed
    from morpho.butterfly.convert import convert as convert
    from morpho.butterfly.distil import Distillation as Distillation
    from morpho.butterfly.distil import distil as distil
    from morpho.butterfly.export import merge as merge
    from morpho.butterfly.export import to_onnx as to_onnx
    from morpho.butterfly.factor import Factor as Factor
    from morpho.butterfly.files import load as load
    from morpho.butterfly.files import save as save
    from morpho.butterfly.fold import fold_batchnorm as fold_batchnorm
    from morpho.butterfly.layers import ButterflyConv1d as ButterflyConv1d
    from morpho.butterfly.layers import ButterflyConv2d as ButterflyConv2d
    from morpho.butterfly.layers import ButterflyLinear as ButterflyLinear
    from morpho.butterfly.project import Projection as Projection
    from morpho.butterfly.project import project as project
    from morpho.butterfly.prune import prune as prune
    from morpho.butterfly.released import released_chain as released_chain
    from morpho.butterfly.report import LayerReport as LayerReport
    from morpho.butterfly.report import Report as Report
    from morpho.butterfly.search import Candidate as Candidate
    from morpho.butterfly.search import allocate as allocate
    from morpho.butterfly.search import best as best
    from morpho.butterfly.search import pareto as pareto
    from morpho.butterfly.tune import tune as tune

#: Public name -> the module of this package where it lives.
_HOMES = {
    "ButterflyConv1d": "layers",
    "ButterflyConv2d": "layers",
    "ButterflyLinear": "layers",
    "Candidate": "search",
    "Chain": "chain",
    "Compressed": "convert",
    "Distillation": "distil",
    "Factor": "factor",
    "LayerReport": "report",
    "Projection": "project",
    "Report": "report",
    "allocate": "search",
    "best": "search",
    "convert": "convert",
    "distil": "distil",
    "fold_batchnorm": "fold",
    "load": "files",
    "low_rank": "chain",
    "merge": "export",
    "monarch": "chain",
    "pareto": "search",
    "project": "project",
    "prune": "prune",
    "released_chain": "released",
    "save": "files",
    "to_onnx": "export",
    "tune": "tune",
}

__all__ = [
    "ButterflyConv1d",
    "ButterflyConv2d",
    "ButterflyLinear",
    "Candidate",
    "Chain",
    "Compressed",
    "Distillation",
    "Factor",
    "LayerReport",
    "Projection",
    "Report",
    "allocate",
    "best",
    "convert",
    "distil",
    "fold_batchnorm",
    "load",
    "low_rank",
    "merge",
    "monarch",
    "pareto",
    "project",
    "prune",
    "released_chain",
    "save",
    "to_onnx",
    "tune",
]


if not TYPE_CHECKING:  # a type checker that saw this would accept any name at all

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'morpho.butterfly' has no attribute {name!r}")
        value = getattr(import_module(f"morpho.butterfly.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
