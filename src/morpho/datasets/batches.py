"""Batches of a data set, in its order or in a drawn one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from morpho.datasets.labelled import Labelled
from morpho.errors import InputError

__all__ = ["batches"]


def batches(
    data: Labelled, size: int, *, generator: torch.Generator | None = None, drop_last: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give all items once, ``size`` at a time, as they are in memory.

    Args:
        data: the items.
        size: of a batch.
        generator: draws their order; without one they come in the order of the data.
        drop_last: leave out the last batch where it would be smaller.

    Returns:
        An iterator over inputs ``(size, ...)`` and labels ``(size,)``.

    Raises:
        InputError: ``size`` is less than 1.

    >>> tiny = Labelled(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.arange(5), tuple("abcde"))
    >>> [labels.tolist() for _, labels in batches(tiny, 2)]
    [[0, 1], [2, 3], [4]]
    """
    if size < 1:
        raise InputError(f"a batch of {size} items holds nothing: use at least 1")
    return _batches(data, size, generator, drop_last)


def _batches(
    data: Labelled, size: int, generator: torch.Generator | None, drop_last: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    end = len(data) - len(data) % size if drop_last else len(data)
    if generator is None:
        for start in range(0, end, size):
            yield data.inputs[start : start + size], data.labels[start : start + size]
        return
    order = torch.randperm(len(data), generator=generator, device=generator.device).to(data.labels.device)
    for start in range(0, end, size):
        index = order[start : start + size]
        yield data.inputs[index], data.labels[index]
