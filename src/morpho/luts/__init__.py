"""Lookup tables of colours: ``.cube`` and Hald files, and the engine that applies them."""

from morpho.luts.engine import Engine as Engine
from morpho.luts.engine import apply as apply
from morpho.luts.lut import Domain as Domain
from morpho.luts.lut import Lut as Lut

__all__ = ["Domain", "Engine", "Lut", "apply"]
