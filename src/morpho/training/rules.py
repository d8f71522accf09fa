"""How a run moves: optimiser, schedule of the learning rate, and which mean of the parameters is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from morpho.errors import InputError

__all__ = ["Rules", "cosine", "parameter_groups"]


def cosine(part: float) -> float:
    """Fall from 1 to 0 along a cosine.

    >>> [round(cosine(part), 3) for part in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """
    return (1 + math.cos(math.pi * part)) / 2


def adam(groups: Iterable[Any], learning_rate: float) -> torch.optim.Optimizer:
    """Adam as torch has it."""
    return torch.optim.Adam(groups, lr=learning_rate)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a `Run` does beyond counting steps; the default is Adam along a cosine with a running mean.

    Attributes:
        optimizer: makes the optimiser from parameter groups and the learning rate.
        schedule: factor on the learning rate for the part of the run that is done, 0 to 1.
        averaging: ``ema``, a mean that decays per step; ``swa``, the plain mean of the ends of epochs (the caller
            says when, and renews batch statistics); ``last``, no mean at all.
        clip: largest norm of the gradient; None for any.
        weight_decay: on weights of two dimensions or more; biases and normalisations are left alone.
    """

    optimizer: Callable[[Iterable[Any], float], torch.optim.Optimizer] = adam
    schedule: Callable[[float], float] = cosine
    averaging: Literal["ema", "swa", "last"] = "ema"
    clip: float | None = None
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.averaging not in ("ema", "swa", "last"):
            raise InputError(f"averaging {self.averaging!r} is not known: use ema, swa or last")

    def mean_of(self, model: nn.Module, decay: float) -> AveragedModel:
        """A copy of the model that will hold the mean."""
        if self.averaging == "swa":
            return AveragedModel(model)
        # A decay of zero copies. Running statistics of batches are averaged as the parameters are.
        kept = 0.0 if self.averaging == "last" else decay
        return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(kept), use_buffers=True)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters with and without weight decay: biases and normalisations, which have one dimension, go without.

    Raises:
        InputError: no parameter is to be trained.

    >>> [len(group["params"]) for group in parameter_groups(nn.Linear(2, 2), 0.1)]
    [1, 1]
    """
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    if not matrices and not rest:
        raise InputError(f"a {type(model).__name__} has no parameter that requires a gradient: unfreeze some")
    return [group for group in groups if group["params"]]
