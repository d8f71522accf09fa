"""Pictures, videos and 3D shapes as small neural fields: SCONE, its peers, fitting, files, a decoder without torch.

The names below are loaded at first use: whatever reads and renders fields needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from morpho.fields.defaults import model_for as model_for
    from morpho.fields.defaults import parameters_within as parameters_within
    from morpho.fields.field import Field as Field
    from morpho.fields.files import load as load
    from morpho.fields.files import save as save
    from morpho.fields.grids import Grid as Grid
    from morpho.fields.grids import HashGrid as HashGrid
    from morpho.fields.model import Model as Model
    from morpho.fields.model import Scone as Scone
    from morpho.fields.peers import Finer as Finer
    from morpho.fields.peers import FourierFeatures as FourierFeatures
    from morpho.fields.peers import Gauss as Gauss
    from morpho.fields.peers import Mfn as Mfn
    from morpho.fields.peers import Siren as Siren
    from morpho.fields.peers import Wire as Wire
    from morpho.fields.plus import SconePlus as SconePlus
    from morpho.fields.recipe import Recipe as Recipe
    from morpho.fields.registry import NAMES as NAMES
    from morpho.fields.registry import build as build
    from morpho.fields.registry import for_signal as for_signal
    from morpho.fields.registry import matched as matched
    from morpho.fields.signal import Signal as Signal
    from morpho.fields.solids import PointTarget as PointTarget
    from morpho.fields.solids import VolumeTarget as VolumeTarget
    from morpho.fields.targets import GridTarget as GridTarget
    from morpho.fields.targets import Target as Target
    from morpho.fields.train import Progress as Progress
    from morpho.fields.train import fit as fit

#: Public name -> the module of this package where it lives.
_HOMES = {
    "Field": "field",
    "Finer": "peers",
    "FourierFeatures": "peers",
    "Gauss": "peers",
    "Grid": "grids",
    "GridTarget": "targets",
    "HashGrid": "grids",
    "Mfn": "peers",
    "Model": "model",
    "NAMES": "registry",
    "PointTarget": "solids",
    "Progress": "train",
    "Recipe": "recipe",
    "Scone": "model",
    "SconePlus": "plus",
    "Signal": "signal",
    "Siren": "peers",
    "Target": "targets",
    "VolumeTarget": "solids",
    "Wire": "peers",
    "build": "registry",
    "fit": "train",
    "for_signal": "registry",
    "load": "files",
    "matched": "registry",
    "model_for": "defaults",
    "parameters_within": "defaults",
    "save": "files",
}

__all__ = [
    "NAMES",
    "Field",
    "Finer",
    "FourierFeatures",
    "Gauss",
    "Grid",
    "GridTarget",
    "HashGrid",
    "Mfn",
    "Model",
    "PointTarget",
    "Progress",
    "Recipe",
    "Scone",
    "SconePlus",
    "Signal",
    "Siren",
    "Target",
    "VolumeTarget",
    "Wire",
    "build",
    "fit",
    "for_signal",
    "load",
    "matched",
    "model_for",
    "parameters_within",
    "save",
]


if not TYPE_CHECKING:  # a type checker that saw this would accept any name at all

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'morpho.fields' has no attribute {name!r}")
        value = getattr(import_module(f"morpho.fields.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
