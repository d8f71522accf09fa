"""Distillation: its terms against hand computations, and what is learned from a teacher."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morpho.butterfly.distil import Distillation, contrastive, distil, soft_cross_entropy
from morpho.errors import ArtifactError, InputError
from morpho.training import Fit, last_numbers, predict
from tests.training.problems import Small, rings, shuffled

STILL = Fit(epochs=1, learning_rate=1e-12, momentum=0.0, weight_decay=0.0, schedule="constant")


def logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


def softmax(values: Any) -> Any:
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """``T^2 KL``, the mean over items, in double precision."""
    wanted, given = (softmax(one.detach().double().numpy() / temperature) for one in (teacher, student))
    return float(temperature**2 * (wanted * np.log(wanted / given)).sum(1).mean())


def contrast(student: Tensor, teacher: Tensor, tau: float) -> float:
    """Mean of minus the log of the share of the right pair, per item and direction."""
    first, second = (one.detach().double().numpy() for one in (student, teacher))
    cosines = first @ second.T / np.outer(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))
    shares = [np.diag(softmax(table / tau)) for table in (cosines, cosines.T)]
    return float(-np.log(shares).mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_divergence(temperature: float) -> None:
    student, teacher = logits(7, 5), logits(7, 5, seed=1)
    value = soft_cross_entropy(student, teacher, temperature)
    assert value.item() == pytest.approx(divergence(student, teacher, temperature), rel=1e-5)
    assert value.item() != pytest.approx(divergence(teacher, student, temperature), rel=1e-2)  # not the other way
    same = soft_cross_entropy(student, student + 3, temperature)  # softmax does not see a shift
    assert 0 <= same.item() < 1e-6 * temperature**2


def test_the_divergence_teaches_the_student() -> None:
    """Its gradient is ``T (softmax(student / T) - softmax(teacher / T)) / N``, which T keeps at one size."""
    student, teacher = logits(4, 3).requires_grad_(), logits(4, 3, seed=1)
    soft_cross_entropy(student, teacher, 4.0).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    wanted = 4 * ((student / 4).softmax(1) - (teacher / 4).softmax(1)) / 4
    torch.testing.assert_close(student.grad, wanted.detach())


@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_the_contrast(tau: float) -> None:
    student, teacher = logits(6, 4), logits(6, 4, seed=1)
    wanted = contrast(student, teacher, tau)
    assert contrastive(student, teacher, tau).item() == pytest.approx(wanted, rel=1e-4)
    assert contrastive(teacher, student, tau).item() == pytest.approx(wanted, rel=1e-4)
    assert contrastive(student * 5, teacher / 7, tau).item() == pytest.approx(wanted, rel=1e-4)
    assert contrastive(student, student, 0.01).item() < 1e-3
    assert contrastive(torch.ones(6, 4), teacher, tau).item() > math.log(6) - 1e-3  # nothing is told apart


def terms(student: Small, teacher: Small, chosen: Distillation, inputs: Tensor, labels: Tensor) -> float:
    """The loss but for the contrast, of a student in training mode."""
    given, wanted = copy.deepcopy(student).train()(inputs), copy.deepcopy(teacher).eval()(inputs)
    right = float(-given.log_softmax(1)[range(len(labels)), labels].mean().detach())
    return chosen.gamma * right + chosen.alpha * divergence(given, wanted, chosen.temperature)


@pytest.mark.parametrize(
    "chosen",
    [
        Distillation(),
        Distillation(gamma=1.0, alpha=0.0),
        Distillation(gamma=0.0, alpha=1.0, temperature=2.0),
        Distillation(gamma=0.3, alpha=2.0, temperature=1.0),
    ],
)
def test_the_loss_of_a_batch(tmp_path: Path, chosen: Distillation) -> None:
    student, teacher, data = Small(), used(Small(seed=1)), rings(32)
    wanted = terms(student, teacher, chosen, *data)
    options: dict[str, Any] = {"steps_per_epoch": 1, "folder": tmp_path, "device": "cpu"}
    distil(student, teacher, STILL, shuffled(*data, 32), distillation=chosen, **options)
    assert last_numbers(tmp_path)["loss"] == pytest.approx(wanted, abs=3e-5)


def used(model: Small) -> Small:
    """With batch statistics that are not those of the problem."""
    cast(Tensor, model.norm.running_mean).fill_(0.2)
    cast(Tensor, model.norm.running_var).fill_(0.1)
    return model


class Watched(Small):
    """Notes the mode in which it is used, also in copies."""

    modes: list[tuple[bool, bool]] = []  # noqa: RUF012

    def features(self, inputs: Tensor) -> Tensor:
        result = super().features(inputs)
        self.modes.append((self.norm.training, result.requires_grad))
        return result


@pytest.mark.parametrize("chosen", [Distillation(), Distillation(beta=0.5, width=4)])
@pytest.mark.parametrize("training", [True, False])
def test_the_teacher_stays_as_it_is(tmp_path: Path, chosen: Distillation, training: bool) -> None:
    teacher = Watched(seed=1).train(training)
    teacher.first.bias.requires_grad_(False)
    before = copy.deepcopy(teacher.state_dict())
    Watched.modes.clear()
    options: dict[str, Any] = {"steps_per_epoch": 2, "folder": tmp_path, "device": "cpu"}
    distil(Small(), teacher, Fit(epochs=2), shuffled(*rings(32), 16), distillation=chosen, **options)
    assert Watched.modes
    assert set(Watched.modes) == {(False, False)}  # in evaluation mode, without gradients
    assert teacher.training == training
    assert teacher.norm.training == training
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert [name for name, one in teacher.named_parameters() if not one.requires_grad] == ["first.bias"]
    assert all(parameter.grad is None for parameter in teacher.parameters())


def agreement(first: nn.Module, second: nn.Module) -> float:
    fresh = rings(1000, seed=9)[0]
    return (predict(first, fresh).argmax(1) == predict(second, fresh).argmax(1)).float().mean().item()


def test_a_student_learns_answers_where_labels_are_noise(tmp_path: Path) -> None:
    inputs, _ = rings(512)
    noise = torch.randint(3, (512,), generator=torch.Generator().manual_seed(5))
    teacher, student = used(Small(width=6, seed=7)), Small(width=32)
    plan = Fit(epochs=20, optimizer="adam", learning_rate=0.03, weight_decay=0.0)
    options: dict[str, Any] = {"steps_per_epoch": 8, "folder": tmp_path, "device": "cpu"}
    seen: list[nn.Module] = []

    def measure(model: nn.Module) -> dict[str, float]:
        seen.append(model)
        return {"agreement": agreement(model, teacher)}

    options |= {"distillation": Distillation(gamma=0.0, alpha=1.0), "measure": measure, "every": 10}
    before = agreement(student, teacher)
    taught = distil(student, teacher, plan, shuffled(inputs, noise, 64), **options)
    assert before < 0.8
    assert agreement(taught, teacher) > 0.96
    assert last_numbers(tmp_path)["agreement"] == pytest.approx(agreement(taught, teacher))
    assert isinstance(taught, Small)
    assert all(model is taught for model in seen)
    assert not taught.training


def test_the_contrast_falls_and_trains_both_maps(tmp_path: Path) -> None:
    student, teacher = Small(), Small(width=24, seed=1)
    inputs, labels = rings(256)
    losses: list[float] = []
    states: list[dict[str, Tensor]] = []

    def measure(model: nn.Module) -> dict[str, float]:
        """What was logged and kept at the end of the epoch before."""
        if (tmp_path / "checkpoint.pt").exists():
            losses.append(last_numbers(tmp_path)["loss"])
            states.append(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"])
        return {}

    plan = Fit(epochs=9, optimizer="adam", learning_rate=0.01, weight_decay=0.0)
    chosen = Distillation(gamma=0.0, alpha=0.0, beta=1.0, width=8)
    options: dict[str, Any] = {"steps_per_epoch": 8, "folder": tmp_path, "device": "cpu", "measure": measure}
    distil(student, teacher, plan, shuffled(inputs, labels, 32), distillation=chosen, **options)
    assert losses[-1] < 0.6 * losses[0]
    maps = [f"maps.{number}.{kind}" for number in (0, 1) for kind in ("weight", "bias")]
    assert {name for name in states[0] if not name.startswith("student.")} == set(maps)
    assert [tuple(states[0][name].shape) for name in maps] == [(8, 16), (8,), (8, 24), (8,)]
    for name in ("maps.0.weight", "maps.1.weight", "student.first.weight"):
        assert (states[-1][name] - states[0][name]).abs().max() > 0.01, name
    assert torch.equal(states[-1]["student.classifier.weight"], student.classifier.weight)


def test_the_contrast_is_weighed_with_the_others(tmp_path: Path) -> None:
    student, teacher, data = Small(), used(Small(seed=1)), rings(32)
    chosen = Distillation(gamma=0.2, alpha=0.5, beta=0.7, tau=0.5, width=8)
    wanted = terms(student, teacher, chosen, *data)
    own, known = copy.deepcopy(student).train().features(data[0]), copy.deepcopy(teacher).eval().features(data[0])
    options: dict[str, Any] = {"steps_per_epoch": 1, "folder": tmp_path, "device": "cpu"}
    distil(student, teacher, STILL, shuffled(*data, 32), distillation=chosen, **options)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    pair = [
        features @ state[f"maps.{number}.weight"].T + state[f"maps.{number}.bias"]
        for number, features in enumerate((own, known))
    ]
    wanted += 0.7 * contrast(pair[0], pair[1], 0.5)
    assert last_numbers(tmp_path)["loss"] == pytest.approx(wanted, abs=1e-4)


class Headless(nn.Module):
    """Has features, but no linear layer that reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Linear(2, 3))

    def features(self, inputs: Tensor) -> Tensor:
        return inputs


class Featureless(nn.Module):
    """Has a classifier, but no features."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.classifier(inputs)  # type: ignore[no-any-return]


@pytest.mark.parametrize("other", [nn.Sequential(nn.Linear(2, 3)), Headless(), Featureless()])
@pytest.mark.parametrize("first", [True, False])
def test_networks_without_features(tmp_path: Path, other: nn.Module, first: bool) -> None:
    student, teacher = (other, Small()) if first else (Small(), other)
    options: dict[str, Any] = {"steps_per_epoch": 1, "folder": tmp_path, "device": "cpu"}
    with pytest.raises(InputError, match=rf"the features of a {type(other).__name__} cannot be contrasted: .* beta at"):
        distil(student, teacher, STILL, shuffled(*rings(8), 8), distillation=Distillation(beta=0.1), **options)


def test_any_network_can_be_taught_answers(tmp_path: Path) -> None:
    student = nn.Sequential(nn.Linear(2, 3))
    options: dict[str, Any] = {"steps_per_epoch": 1, "folder": tmp_path, "device": "cpu"}
    assert isinstance(distil(student, Small(), STILL, shuffled(*rings(8), 8), **options), nn.Sequential)


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("averaging", ["last", "ema", "swa"])
def test_a_resumed_distillation_is_the_uninterrupted_one(tmp_path: Path, averaging: Any) -> None:
    """Also after SWA, which measures batch statistics of the student."""
    teacher, batches = Small(seed=1), shuffled(*rings(64), 16)
    plan = Fit(epochs=3, learning_rate=0.02, averaging=averaging, swa_start=0.5)
    chosen = Distillation(beta=0.2, width=8)
    begun = iter(range(100))

    def cut(random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        if next(begun) == 2:
            raise KeyboardInterrupt
        return iter(batches(random))

    options: dict[str, Any] = {"steps_per_epoch": 4, "device": "cpu", "distillation": chosen}
    before = torch.get_rng_state()
    whole = distil(Small(), teacher, plan, batches, folder=tmp_path / "whole", **options)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)  # the maps do not depend on what was drawn before
    with pytest.raises(KeyboardInterrupt):
        distil(Small(), teacher, plan, cut, folder=tmp_path / "cut", **options)
    options |= {"folder": tmp_path / "cut", "resume": True}
    for other in (replace(chosen, alpha=0.5), replace(chosen, temperature=1.0), replace(chosen, width=4)):
        with pytest.raises(ArtifactError, match="is of a run with another recipe"):
            distil(Small(), teacher, plan, batches, **{**options, "distillation": other})
    with pytest.raises(ArtifactError, match="is of a run with another recipe"):
        distil(Small(), teacher, replace(plan, seed=1), batches, **options)
    resumed = distil(Small(), teacher, plan, batches, **options)
    assert torch.equal(weights(resumed), weights(whole))
    assert all(torch.equal(a, b) for a, b in zip(resumed.buffers(), whole.buffers(), strict=True))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        *(({name: -0.1}, "must not be negative, nor all zero") for name in ("gamma", "alpha", "beta")),
        ({"gamma": 0.0, "alpha": 0.0}, r"gamma, alpha, beta = \(0.0, 0.0, 0.0\) must not be negative, nor all zero"),
        *(({name: 0}, "temperature, tau and width must be positive") for name in ("temperature", "tau", "width")),
        *(({name: math.nan}, "must") for name in ("gamma", "alpha", "beta", "temperature", "tau")),
    ],
)
def test_weights_out_of_range(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Distillation(**options)
