"""What is in memory is checked, can be indexed and moved, and is split class by class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from morpho.datasets import Dataset, Labelled
from morpho.errors import DataError, InputError


def numbered(labels: list[int], classes: int = 3) -> Labelled:
    """Pictures whose first two bytes are their own numbers."""
    inputs = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    numbers = torch.arange(len(labels))
    inputs[:, 0, 0, 0], inputs[:, 0, 0, 1] = numbers // 256, numbers % 256
    return Labelled(inputs, torch.tensor(labels, dtype=torch.int64), tuple(f"class {i}" for i in range(classes)))


def numbers(data: Labelled) -> list[int]:
    return (data.inputs[:, 0, 0, 0].long() * 256 + data.inputs[:, 0, 0, 1]).tolist()


@pytest.mark.parametrize(
    "inputs",
    [
        torch.zeros(2, 3, 4, 4),
        torch.zeros(2, 4, 4, 3, dtype=torch.uint8),
        torch.zeros(2, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 9, 2),
        torch.zeros(2, 9, 3, dtype=torch.float64),
    ],
)
def test_other_inputs_are_refused(inputs: torch.Tensor) -> None:
    with pytest.raises(DataError, match="give pictures as uint8"):
        Labelled(inputs, torch.zeros(2, dtype=torch.int64), ("a",))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.zeros(3, dtype=torch.int64), r"int64 \(3,\)"),
        (torch.zeros(2, dtype=torch.int32), "int32"),
        (torch.zeros(2, 1, dtype=torch.int64), "give int64"),
        (torch.tensor([0, 2]), "from 0 to 2"),
        (torch.tensor([-1, 1]), "from -1 to 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: torch.Tensor, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Labelled(torch.zeros(2, 5, 3), labels, ("a", "b"))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2]),
        (torch.tensor([3, 0]), [3, 0]),
        (torch.tensor([False, True, True, False]), [1, 2]),
        (slice(4, None), []),
    ],
)
def test_an_index_takes_inputs_with_their_labels(index: Any, expected: list[int]) -> None:
    data = numbered([0, 1, 2, 1])
    assert numbers(data[index]) == expected
    assert data[index].labels.tolist() == [[0, 1, 2, 1][i] for i in expected]
    assert data[index].classes == data.classes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_moved_data_stay_together() -> None:
    moved = numbered([0, 1, 2, 1] * 9).to("cuda")
    assert moved.inputs.is_cuda
    assert moved.labels.is_cuda
    assert numbers(moved.split(0.5, 3)[1]) == numbers(numbered([0, 1, 2, 1] * 9).split(0.5, 3)[1])


@given(st.lists(st.integers(0, 2), min_size=20, max_size=300), st.floats(0.2, 0.8), st.integers(0, 5))
def test_a_split_is_one_of_each_class(labels: list[int], held: float, seed: int) -> None:
    data = numbered(labels)
    rest, part = data.split(held, seed)
    assert sorted(numbers(rest) + numbers(part)) == list(range(len(labels)))
    assert numbers(rest) == sorted(numbers(rest))
    assert numbers(part) == sorted(numbers(part))
    assert part.labels.tolist() == [labels[i] for i in numbers(part)]
    for label in range(3):
        assert part.labels.tolist().count(label) == round(held * labels.count(label))


def test_a_split_depends_on_its_seed_alone() -> None:
    data = numbered([0, 1, 2] * 50)
    first, again, other = (numbers(data.split(0.4, seed)[1]) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("held", [0, 1, -0.1, 1.5, 0.01, float("nan")])
def test_a_split_with_an_empty_part_is_refused(held: float) -> None:
    with pytest.raises(InputError, match="leaves one part empty"):
        numbered([0, 1, 2] * 4).split(held, 0)


def test_the_parts_of_a_data_set_must_fit() -> None:
    data = numbered([0, 1])
    with pytest.raises(DataError, match="differ in their classes"):
        Dataset("x", data, numbered([0, 1], classes=4))
    with pytest.raises(DataError, match="shape of an input"):
        Dataset("x", data, Labelled(data.inputs[..., :1], data.labels, data.classes))
    with pytest.raises(DataError, match="2 items to learn from and 0 to measure on"):
        Dataset("x", data, data[2:])
