"""Batches hold every item once, in order or in a drawn one."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from morpho.datasets import Labelled, batches
from morpho.errors import InputError


def numbered(count: int) -> Labelled:
    numbers = torch.arange(count)
    points = numbers[:, None, None].expand(-1, 2, 3).float()
    return Labelled(points, numbers, tuple(map(str, range(count))))


def drawn(data: Labelled, size: int, seed: int, *, drop_last: bool = False) -> list[list[int]]:
    found = []
    for inputs, labels in batches(data, size, generator=torch.Generator().manual_seed(seed), drop_last=drop_last):
        assert inputs[:, 0, 0].tolist() == labels.tolist()
        found.append(labels.tolist())
    return found


@given(st.integers(1, 40), st.integers(1, 50), st.booleans())
def test_each_item_comes_once(count: int, size: int, drop_last: bool) -> None:
    data = numbered(count)
    found = drawn(data, size, 3, drop_last=drop_last)
    flat = sorted(chain.from_iterable(found))
    if drop_last:
        assert [len(batch) for batch in found] == [size] * (count // size)
        assert len(set(flat)) == len(flat)
    else:
        assert flat == list(range(count))
        assert all(len(batch) == size for batch in found[:-1])
    in_order = [labels.tolist() for _, labels in batches(data, size, drop_last=drop_last)]
    assert list(chain.from_iterable(in_order)) == list(range(len(flat)))


def test_the_order_is_the_generators() -> None:
    data = numbered(50)
    before = torch.random.get_rng_state()
    first, again, other = (list(chain(*drawn(data, 7, seed))) for seed in (1, 1, 2))
    assert first == again != other
    assert first != list(range(50))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_generator_goes_on_with_another_order() -> None:
    data, generator = numbered(50), torch.Generator().manual_seed(0)
    first, second = (torch.cat([labels for _, labels in batches(data, 8, generator=generator)]) for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("size", [0, -3])
def test_an_empty_batch_is_refused_at_once(size: int) -> None:
    with pytest.raises(InputError, match="use at least 1"):
        batches(numbered(3), size)
