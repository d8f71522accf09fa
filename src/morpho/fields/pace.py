"""How fast a fit goes, and when it is over: after so many steps, after a time, or when the signal is good enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Pace"]

#: Where the end is not known, the rate falls as (100 / step)^0.7, which with a mean over the last steps is at every
#: step within some tenths of a decibel of what a cosine that ends there would have reached.
_FLAT, _POWER = 100, 0.7


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The factor on the learning rate, and the part of a run that is done.

    Attributes:
        steps: at most.
        seconds: of training, which then decide instead of steps; 0 for steps.
        goal: whether the run ends at a score, and nobody knows when.
        warmup: steps over which the rate rises.
        final_rate: what is left of the rate at the end, where the end is known.

    >>> pace = Pace(steps=100, warmup=10, final_rate=0.0)
    >>> [round(pace.factor(step, 0.0), 2) for step in (0, 9, 50, 100)]
    [0.1, 0.98, 0.5, 0.0]
    >>> Pace(steps=100, seconds=60.0).part(7, 15.0)
    0.25
    """

    steps: int
    seconds: float = 0.0
    goal: bool = False
    warmup: int = 0
    final_rate: float = 0.01

    def part(self, step: int, seconds: float) -> float:
        """Return the part of the run that is done, 0 to 1."""
        return min(1.0, seconds / self.seconds if self.seconds else step / self.steps)

    def factor(self, step: int, seconds: float) -> float:
        """Return the factor on the learning rate for a step: up to 1 within the warm-up, then down along a cosine."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.goal:
            return warm * math.pow(min(1.0, _FLAT / max(1, step)), _POWER)
        cosine = (1 + math.cos(math.pi * self.part(step, seconds))) / 2
        return min(warm, self.final_rate + (1 - self.final_rate) * cosine)
