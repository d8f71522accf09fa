"""How often a network is right, with an interval; a cloud of points may be seen in several disjoint parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from morpho.datasets import Labelled
from morpho.errors import InputError
from morpho.training import predict

__all__ = ["Score", "evaluate", "wilson"]

#: Standard deviations on either side of the mean that hold 95 % of a normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a network reaches on a data set.

    Attributes:
        accuracy: share of right answers, 0 to 1.
        n: how many answers there were.
        interval: where the true share lies with 95 % confidence, see `wilson`.
    """

    accuracy: float
    n: int
    interval: tuple[float, float]

    def as_dict(self) -> dict[str, float | int | list[float]]:
        """Return it with rounded numbers, ready for JSON."""
        return {
            "accuracy": round(self.accuracy, 5),
            "n": self.n,
            "interval": [round(end, 5) for end in self.interval],
        }


def evaluate(model: nn.Module, data: Labelled, *, votes: int = 1, batch: int = 256) -> Score:
    """Measure a classifier; it works in evaluation mode and is left in the mode it was in.

    With several votes, a cloud of P points is split into as many disjoint parts: part ``v`` has the points
    ``v, v + votes, v + 2 votes, ...``. The classes' probabilities (softmax) are averaged over the parts, so all points
    are seen once, in networks that were trained on fewer.

    Args:
        model: gives logits ``(N, classes)`` for floats: pictures in [0, 1] or points.
        data: what it is measured on.
        votes: parts of each cloud; 1 for pictures.
        batch: items at once; the result does not depend on it.

    Raises:
        InputError: there are no data, the votes do not divide the points, pictures are to vote, or the network has
            another number of classes.
    """
    _check(data, votes, batch)
    scores = sum(_probabilities(model, part, batch) for part in _parts(data.inputs, votes))
    assert isinstance(scores, Tensor)
    if scores.shape != (len(data), len(data.classes)):
        raise InputError(
            f"the network gives {tuple(scores.shape[1:])} numbers for each item of data with {len(data.classes)} "
            "classes: measure it on data of the kind that it was trained on"
        )
    right = int((scores.argmax(1) == data.labels.cpu()).sum())
    return Score(accuracy=right / len(data), n=len(data), interval=wilson(right, len(data)))


def wilson(right: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of a share, 95 %: it stays within 0 and 1, also for few items and near the ends.

        (p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n),  p = right/n,  z = 1.96

    Raises:
        InputError: ``right`` is not between 0 and ``n``, or ``n`` is 0.

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    if not 0 <= right <= n or n < 1:
        raise InputError(f"{right} of {n} answers is no share: give 0 <= right <= n and n of at least 1")
    share, spread = right / n, _Z**2 / n
    middle = share + spread / 2
    half = math.sqrt(spread * (share * (1 - share) + spread / 4))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def _check(data: Labelled, votes: int, batch: int) -> None:
    if len(data) < 1 or batch < 1:
        raise InputError(f"{len(data)} items in batches of {batch}: give at least one item and batches of at least 1")
    points = data.inputs.shape[1] if data.inputs.ndim == 3 else 1
    if votes < 1 or points % votes:
        what = f"clouds of {points} points" if data.inputs.ndim == 3 else "pictures"
        raise InputError(f"{votes} votes do not divide {what} into equal parts: use a divisor, or 1 for pictures")


def _parts(inputs: Tensor, votes: int) -> list[Tensor]:
    return [inputs] if votes == 1 else [inputs[:, vote::votes] for vote in range(votes)]


def _probabilities(model: nn.Module, inputs: Tensor, batch: int) -> Tensor:
    # In double precision: a batch's size must not decide which of two near answers wins.
    return torch.softmax(predict(model, inputs, batch=batch).double(), dim=1)
