"""Lookup tables of colours: ``.cube`` and Hald files, and the engine that applies them."""

from morpho.luts.engine import Engine as Engine
from morpho.luts.engine import apply as apply
from morpho.luts.files import read as read
from morpho.luts.files import write as write
from morpho.luts.lut import Domain as Domain
from morpho.luts.lut import Lut as Lut
from morpho.luts.operations import blend as blend
from morpho.luts.operations import compose as compose
from morpho.luts.operations import evaluate as evaluate
from morpho.luts.operations import mix as mix
from morpho.luts.operations import resample as resample
from morpho.luts.report import Report as Report
from morpho.luts.report import RoundTrip as RoundTrip
from morpho.luts.report import measure as measure
from morpho.luts.report import round_trip as round_trip

__all__ = [
    "Domain",
    "Engine",
    "Lut",
    "Report",
    "RoundTrip",
    "apply",
    "blend",
    "compose",
    "evaluate",
    "measure",
    "mix",
    "read",
    "resample",
    "round_trip",
    "write",
]
