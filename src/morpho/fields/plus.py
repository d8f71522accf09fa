"""SCONE+, what the collage became here: six stages, plain sine masks, a faster first mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from morpho.fields.model import Scone, patience, steady

__all__ = ["SconePlus"]


@dataclass(frozen=True, kw_only=True)
class SconePlus(Scone):
    """SCONE with the settings that were best at equal parameters, steps and trials (docs/fields.md has the numbers).

    The formula is that of `morpho.fields.model.Scone`. Six stages instead of four, since a stage reads the coordinate
    anew and so, unlike a SIREN, gains from depth at equal parameters; sines as masks instead of their squares, which
    start faster; and a first mask that begins with ``first`` times the published frequencies.

    Attributes:
        width: waves per stage.
        omegas: the frequency of each stage's basis, in radians per half side of the signal; descending.
        omega0: the frequency of the masks.
        mask: as in `morpho.fields.model.Scone`.
        first: factor on the initial weights and biases of the first mask.

    >>> SconePlus().parameters(2, 3)
    193809
    """

    name: ClassVar[str] = "scone+"
    #: Kodim07: 36 dB after 440 steps instead of 770; on its corner of 256 x 256, 40 dB after 160 instead of 190.
    goal_factor: ClassVar[float] = 0.5

    width: int = 194
    omegas: tuple[float, ...] = (100.0, 60.0, 40.0, 25.0, 15.0, 7.0)
    mask: str = "sin"
    first: float = 2.0

    def rate_for(self, values: float, steps: int = 0) -> float:
        """Return about ``0.2 / width``, see `patience` and `steady`, with a short warm-up and clipped gradients."""
        return min(0.2 / self.width * patience(values), steady(steps, self.width))

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the weights from the published laws, the first mask's from a wider one."""
        tensors = super().initial(dimensions, channels, random)
        for part in ("weight", "bias"):
            tensors[f"mask.1.{part}"] *= np.float32(self.first)
        return tensors
