"""Accuracy with its interval, and votes of the parts of a cloud."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from morpho.butterfly.evaluate import evaluate, wilson
from morpho.datasets import Labelled
from morpho.errors import InputError

CLASSES = ("low", "middle", "high")


class Brightness(nn.Module):
    """Logits by the mean of a picture: dark, medium, bright; it notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(50.0))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        self.seen.append(x)
        return -self.scale * (x.flatten(1).mean(1, keepdim=True) - torch.tensor([0.0, 0.5, 1.0])).abs()


def pictures(*values: int, labels: list[int]) -> Labelled:
    inputs = torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    return Labelled(inputs, torch.tensor(labels), CLASSES)


def test_counts_right_answers_on_scaled_pictures() -> None:
    model = Brightness().train()
    score = evaluate(model, pictures(0, 128, 255, 255, labels=[0, 1, 2, 0]))
    assert (score.accuracy, score.n) == (0.75, 4)
    assert score.interval == wilson(3, 4)
    assert model.training
    assert max(float(x.max()) for x in model.seen) == 1
    assert score.as_dict() == {"accuracy": 0.75, "n": 4, "interval": [round(end, 5) for end in wilson(3, 4)]}


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_batches_do_not_matter(batch: int) -> None:
    data = pictures(0, 128, 255, 255, 30, 200, 90, labels=[0, 1, 2, 0, 0, 1, 2])
    model = Brightness()
    assert evaluate(model, data, batch=batch) == evaluate(model, data)
    assert max(len(x) for x in model.seen[:-1]) == min(batch, 7)


@pytest.mark.parametrize("right", [0, 1, 13, 20])
def test_wilson_is_that_of_scipy(right: int) -> None:
    expected = binomtest(right, 20).proportion_ci(method="wilson")
    assert wilson(right, 20) == pytest.approx((expected.low, expected.high), abs=1e-12)


class Votes(nn.Module):
    """Each cloud's logits are its points, summed."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.seen: list[Tensor] = []

    def forward(self, points: Tensor) -> Tensor:
        self.seen.append(points)
        return self.scale * points.sum(1)


def cloud(*points: tuple[float, float, float]) -> Labelled:
    return Labelled(torch.tensor([points], dtype=torch.float32), torch.tensor([2]), CLASSES)


def test_votes_are_disjoint_parts_and_probabilities_are_averaged() -> None:
    # The parts are {0, 3}, {1, 4}, {2, 5}: one is sure of class 0, two are rather for 2; summed logits would say 0.
    data = cloud((20, 0, 0), (0, 0, 3), (0, 0, 0), (0, 0, 3), (0, 0, 0), (0, 0, 3))
    model = Votes()
    assert evaluate(model, data).accuracy == 0
    assert evaluate(model, data, votes=3).accuracy == 1
    assert [len(x[0]) for x in model.seen] == [6, 2, 2, 2]
    assert torch.equal(torch.stack(model.seen[1:], 2).flatten(1, 2), data.inputs)  # interleaved, each point once


def test_what_cannot_be_measured() -> None:
    model, data = Brightness(), pictures(0, 255, labels=[0, 2])
    with pytest.raises(InputError, match="0 items"):
        evaluate(model, data[:0])
    with pytest.raises(InputError, match="batches of 0"):
        evaluate(model, data, batch=0)
    with pytest.raises(InputError, match="4 votes do not divide pictures"):
        evaluate(model, data, votes=4)
    with pytest.raises(InputError, match="0 votes do not divide"):
        evaluate(model, data, votes=0)
    points = cloud((0, 0, 1), (0, 0, 0))
    with pytest.raises(InputError, match="3 votes do not divide clouds of 2 points"):
        evaluate(Votes(), points, votes=3)
    two = Labelled(data.inputs, torch.tensor([0, 1]), ("no", "yes"))
    with pytest.raises(InputError, match=r"gives \(3,\) numbers for each item of data with 2 classes"):
        evaluate(model, two)
    for right, n in ((-1, 3), (4, 3), (0, 0)):
        with pytest.raises(InputError, match="is no share"):
            wilson(right, n)
