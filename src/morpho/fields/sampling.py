"""Which samples a step of training sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Uniform", "generator"]


def generator(seed: int, purpose: int, step: int, device: torch.device) -> torch.Generator:
    """Return a generator of its own for one step, so that a run that goes on draws what an uninterrupted one does."""
    word = np.random.SeedSequence([seed, purpose, step]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(word >> np.uint64(1)))


class Uniform:
    """Every sample is as likely as any other, at every step anew.

    Args:
        count: the number of samples.
        batch: how many are drawn; 0 for all of them, in order.
        block: at most so many are returned at a time.
        seed: of the draws.
        device: where the indices are wanted.
    """

    def __init__(self, count: int, batch: int, *, block: int, seed: int, device: torch.device) -> None:
        self.count, self.batch, self.block, self.seed, self.device = count, batch, block, seed, device

    def draw(self, step: int) -> Iterator[Tensor]:
        """Go through the indices of a step, int64 ``(N,)`` each."""
        if not self.batch:
            yield from torch.arange(self.count, device=self.device).split(self.block)
            return
        source = generator(self.seed, 1, step, self.device)
        yield from torch.randint(self.count, (self.batch,), generator=source, device=self.device).split(self.block)

    def learn(self, index: Tensor, errors: Tensor) -> None:
        """Hear the errors of what was drawn."""

    def state_dict(self) -> dict[str, Any]:
        """What has been learnt."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
