"""Automatic retouching by lookup tables (ICELUT): ``morpho.enhance(photo)``."""

from morpho.callable_module import make_callable
from morpho.enhance.enhancer import Enhancer as Enhancer
from morpho.enhance.enhancer import enhance as enhance
from morpho.enhance.tables import Tables as Tables

__all__ = ["Enhancer", "Tables", "enhance"]

make_callable(__name__, "enhance")
