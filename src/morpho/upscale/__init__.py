"""Super-resolution by lookup tables (HKLUT): ``morpho.upscale(image, scale=4)``."""

from morpho.callable_module import make_callable
from morpho.upscale.tables import Stage as Stage
from morpho.upscale.tables import Tables as Tables
from morpho.upscale.upscaler import Upscaler as Upscaler
from morpho.upscale.upscaler import upscale as upscale

__all__ = ["Stage", "Tables", "Upscaler", "upscale"]

make_callable(__name__, "upscale")
