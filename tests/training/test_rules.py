"""Rules of a run: which parameters decay, which mean is kept, how far a step goes."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
import torch
from torch import Tensor, nn

from morpho.errors import InputError
from morpho.training import Processes, Rules, Run
from morpho.training.rules import cosine, parameter_groups
from tests.training.problems import Small, Weight

ALONE = Processes(0, 1, torch.device("cpu"))


def sgd(groups: Any, rate: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=rate)


def run_of(model: nn.Module, folder: Path, rules: Rules, *, rate: float = 0.5, average: float = 0.9) -> Run[Any]:
    plan = SimpleNamespace(steps=10, learning_rate=rate, average=average)
    return Run(plan, model, ALONE, folder, rules=rules)


def test_cosine() -> None:
    parts = [step / 12 for step in range(13)]
    assert [cosine(part) for part in parts] == pytest.approx([math.cos(math.pi * part / 2) ** 2 for part in parts])
    assert (cosine(0.0), cosine(1.0)) == (1.0, 0.0)
    assert cosine(1 / 3) == pytest.approx(0.75)


def names_by_decay(model: nn.Module, weight_decay: float) -> dict[float, list[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, weight_decay)
    return {group["weight_decay"]: [names[id(one)] for one in group["params"]] for group in groups}


def test_biases_and_norms_do_not_decay_and_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2), nn.LayerNorm(2))
    plain = ["0.bias", "1.weight", "1.bias", "3.bias", "4.weight", "4.bias"]
    assert names_by_decay(model, 0.1) == {0.1: ["0.weight", "3.weight"], 0.0: plain}
    model[0].weight.requires_grad_(False)
    model[3].bias.requires_grad_(False)
    plain.remove("3.bias")
    assert names_by_decay(model, 0.1) == {0.1: ["3.weight"], 0.0: plain}
    assert names_by_decay(nn.BatchNorm1d(2), 0.1) == {0.0: ["weight", "bias"]}  # no group is empty
    assert names_by_decay(nn.Linear(2, 2, bias=False), 0.1) == {0.1: ["weight"]}


def test_nothing_to_train() -> None:
    with pytest.raises(InputError, match="a Linear has no parameter that requires a gradient: unfreeze some"):
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), 0.1)


def test_decay_shrinks_weights_alone(tmp_path: Path) -> None:
    model = Weight(2.0, 2.0)
    run = run_of(model, tmp_path, Rules(optimizer=sgd, schedule=lambda part: 1.0, weight_decay=0.1))
    for _ in range(3):
        run.update(0 * (model.weight.sum() + model.bias.sum()))
        run.average()
    assert model.weight.item() == pytest.approx(2 * (1 - 0.5 * 0.1) ** 3)
    assert model.bias.item() == 2.0


@pytest.mark.parametrize(("clip", "length"), [(None, 5.0), (10.0, 5.0), (2.0, 2.0), (0.1, 0.1)])
def test_a_step_is_no_longer_than_the_clip(tmp_path: Path, clip: float | None, length: float) -> None:
    """The gradient is (3, 4), over both parameters."""
    model = Weight()
    run = run_of(model, tmp_path, Rules(optimizer=sgd, clip=clip))
    run.update((3 * model.weight + 4 * model.bias).sum())
    assert model.weight.item() == pytest.approx(-0.5 * length * 3 / 5, rel=1e-5)
    assert model.bias.item() == pytest.approx(-0.5 * length * 4 / 5, rel=1e-5)


def test_the_schedule_is_a_factor_on_the_rate(tmp_path: Path) -> None:
    model, parts = Weight(), []

    def schedule(part: float) -> float:
        parts.append(part)
        return 0.0 if part == 0.5 else 1.0

    run = run_of(model, tmp_path, Rules(optimizer=sgd, schedule=schedule), rate=0.25)
    moved = []
    for _ in range(10):
        before = model.weight.item()
        run.update(-model.weight.sum())
        run.average()
        moved.append(model.weight.item() - before)
    assert list(dict.fromkeys(parts)) == [step / 10 for step in range(10)]
    assert moved == pytest.approx([0.25] * 5 + [0.0] + [0.25] * 4)


Averaging = Literal["ema", "swa", "last"]


def means(averaging: Averaging, decay: float, states: list[float]) -> tuple[float, Tensor]:
    """The mean of models whose weight and running mean of a batch normalisation are these."""
    model = Small()
    mean = Rules(averaging=averaging).mean_of(model, decay)
    for state in states:
        with torch.no_grad():
            model.first.weight.fill_(state)
            cast(Tensor, model.norm.running_mean).fill_(10 * state)
        mean.update_parameters(model)
    kept = cast(Small, mean.module)
    assert kept.first.weight.data_ptr() != model.first.weight.data_ptr()
    assert torch.equal(kept.first.weight, kept.first.weight[:1, :1].expand(16, 2))
    return kept.first.weight[0, 0].item(), cast(Tensor, kept.norm.running_mean)


def test_means_of_parameters() -> None:
    states = [1.0, 3.0, 0.3]
    weight, batch = means("ema", 0.75, states)
    wanted = 0.75 * (0.75 * 1.0 + 0.25 * 3.0) + 0.25 * 0.3
    assert weight == pytest.approx(wanted)
    assert batch.tolist() == pytest.approx([10 * wanted] * 16)
    weight, batch = means("swa", 0.75, states)
    assert weight == pytest.approx(4.3 / 3)
    assert torch.equal(batch, torch.full((16,), 3.0))  # of the last; the caller renews them
    weight, batch = means("last", 0.75, states)
    assert weight == float(torch.tensor(0.3))  # bit by bit
    assert torch.equal(batch, torch.full((16,), 3.0))


def test_unknown_averaging() -> None:
    with pytest.raises(InputError, match="averaging 'mean' is not known: use ema, swa or last"):
        Rules(averaging=cast(Any, "mean"))
