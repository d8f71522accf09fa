"""Which samples a step of training sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morpho.fields.recipe import Sampling

__all__ = ["Sampler", "generator"]

#: Purposes of random draws, see CONTRIBUTING.md.
_SAMPLES, _STARTS, _HARD = 1, 2, 4
#: Errors that are remembered: of larger signals, one for so many samples that there are no more.
_MOST_REMEMBERED = 2**24
#: Candidates per hard sample: of them, those of the largest errors are taken.
_CANDIDATES = 4


def generator(seed: int, purpose: int, step: int, device: torch.device) -> torch.Generator:
    """Return a generator for one step alone, so that a run that goes on draws what an uninterrupted one does."""
    word = np.random.SeedSequence([seed, purpose, step]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(word >> np.uint64(1)))


class Sampler:
    """Draws the samples of a step.

    ``even``: the samples are divided, in their order, into as many equal parts as are drawn, and each part gives one
    at every step, each of its samples in turn from a random start: every step sees all of the signal, and every
    sample is seen equally often. ``random``: independently, as published. ``hard``: a share that shrinks from
    ``hard`` to none at the end of the run is taken from where the error was large when it was last seen (after
    "Nonparametric Teaching of Implicit Neural Representations", ICML 2024), the rest evenly.

    Args:
        sampling: which of them.
        count: samples there are.
        batch: samples drawn; 0 for all of them, in order.
        hard: the share of hard ones at the start.
        seed: of the draws.
        device: where the indices are wanted.

    >>> sampler = Sampler("even", 12, 4, seed=0, device=torch.device("cpu"))
    >>> (sampler.draw(0, 0.0)[0] // 3).tolist()
    [0, 1, 2, 3]
    """

    def __init__(
        self, sampling: Sampling, count: int, batch: int, *, hard: float = 0.5, seed: int, device: torch.device
    ) -> None:
        self.sampling, self.count, self.batch = sampling, count, batch
        self.hard, self.seed, self.device = hard if sampling == "hard" else 0.0, seed, device
        self._group = -(-count // _MOST_REMEMBERED)
        remembered = -(-count // self._group) if sampling == "hard" else 0
        self._errors = torch.full((remembered,), torch.inf, device=device)

    @property
    def full(self) -> bool:
        """Whether a step sees everything."""
        return not self.batch or (self.sampling == "even" and self.batch >= self.count)

    def draw(self, step: int, part: float) -> tuple[Tensor, int]:
        """Return the indices of a step, int64 ``(N,)``, and how many of them, at the front, stand for all samples.

        Args:
            step: from 0.
            part: of the run that is done, 0 to 1.
        """
        if self.full:
            return torch.arange(self.count, device=self.device), self.count
        hard = int(self.batch * self.hard * (1 - part))
        plain = self.batch - hard
        index = (
            self._random(plain, step) if self.sampling == "random" or plain > self.count else self._even(plain, step)
        )
        if not hard:
            return index, plain
        candidates = self._random(_CANDIDATES * hard, step, _HARD)
        errors = self._errors[candidates // self._group]
        return torch.cat([index, candidates[errors.topk(hard).indices]]), plain

    def learn(self, index: Tensor, errors: Tensor) -> None:
        """Hear the errors of what was drawn."""
        if self.hard:
            self._errors[index // self._group] = errors

    def _even(self, count: int, step: int) -> Tensor:
        """One sample of each of so many parts; within one part, by steps of about the golden section."""
        longest = -(-self.count // count)
        turn, time = divmod(step, longest)
        source = generator(self.seed, _STARTS, turn, self.device)
        starts = torch.randint(2**31, (count,), generator=source, device=self.device)
        bounds = torch.arange(count + 1, device=self.device) * self.count // count
        sizes = bounds.diff()
        strides = torch.where(sizes == longest, _golden(longest), _golden(longest - 1))
        return bounds[:-1] + (starts + time * strides) % sizes

    def _random(self, count: int, step: int, purpose: int = _SAMPLES) -> Tensor:
        source = generator(self.seed, purpose, step, self.device)
        return torch.randint(self.count, (count,), generator=source, device=self.device)

    def state_dict(self) -> dict[str, Any]:
        """What has been learnt."""
        return {"errors": self._errors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        self._errors = state["errors"].to(self.device)


def _golden(size: int) -> int:
    """The stride nearest to the golden section of a size that visits every one of so many places.

    >>> [_golden(size) for size in (1, 2, 8, 48)]
    [1, 1, 5, 29]
    """
    centre = max(1, round(0.618 * size))
    return next(stride for d in range(centre) for stride in (centre - d, centre + d) if math.gcd(stride, size) == 1)
