"""The loop for classifiers, against closed forms and against loops written by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, update_bn

from morpho.errors import ArtifactError, InputError
from morpho.training import Fit, accuracy, cross_entropy, fit, generator, predict
from morpho.training.fit import Augment, Batches
from tests.training.problems import Small, Weight, rings, shuffled

#: Of moving averages, which tests of the parameters' path turn off.
PLAIN = Fit(momentum=0.0, weight_decay=0.0, schedule="constant", learning_rate=0.1)
ONE = torch.ones(1, 1), torch.zeros(1, dtype=torch.long)


def endless(random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """The same item again and again, for losses that do not read it."""
    while True:
        yield ONE


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def path_of(plan: Fit, folder: Path, *, steps: int, slope: tuple[float, float] = (1.0, 1.0)) -> list[list[float]]:
    """Weight and bias before each step, against a constant gradient; last the model that fit gives back."""
    seen: list[list[float]] = []

    def loss(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        weight, bias = model.parameters()
        seen.append([weight.item(), bias.item()])
        return slope[0] * weight.sum() + slope[1] * bias.sum()

    model = fit(Weight(), plan, endless, steps_per_epoch=steps, folder=folder, loss=loss, device="cpu")
    return [*seen, [model.weight.item(), model.bias.item()]]


def test_a_problem_is_learned(tmp_path: Path) -> None:
    inputs, labels = rings(512)
    model = Small()
    before = accuracy(model, *rings(500, seed=1))
    plan = Fit(epochs=12, batch=64, learning_rate=0.2, warmup=0.1)
    kept = fit(model, plan, shuffled(inputs, labels, 64), steps_per_epoch=8, folder=tmp_path, device="cpu")
    assert before < 0.6
    assert accuracy(kept, *rings(500, seed=1)) > 0.95
    assert not kept.training
    assert lines(tmp_path)[-1]["loss"] < 0.2 < lines(tmp_path)[0]["loss"]


def wanted_rate(schedule: str, part: float) -> float:
    if schedule == "step":
        return 1.0 if part < 0.3 else 0.2 if part < 0.6 else 0.04
    return {"cosine": math.cos(math.pi * part / 2) ** 2, "linear": 1 - part, "constant": 1.0}[schedule]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "step"])
def test_schedules(tmp_path: Path, schedule: Any) -> None:
    """Against a gradient of one, plain SGD moves by its learning rate."""
    plan = replace(PLAIN, schedule=schedule, epochs=4, milestones=(0.3, 0.6), gamma=0.2)
    weights = [weight for weight, _ in path_of(plan, tmp_path, steps=5)]
    moved = [before - after for before, after in pairwise(weights)]
    assert moved == pytest.approx([0.1 * wanted_rate(schedule, step / 20) for step in range(20)], abs=1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_warmup_comes_before_the_schedule(tmp_path: Path, schedule: Any) -> None:
    plan = replace(PLAIN, schedule=schedule, epochs=2, warmup=0.2)
    weights = [weight for weight, _ in path_of(plan, tmp_path, steps=10)]
    moved = [before - after for before, after in pairwise(weights)]
    late = [wanted_rate(schedule, (step - 4) / 16) for step in range(4, 20)]
    assert moved == pytest.approx([0.1 * factor for factor in [0, 0.25, 0.5, 0.75, *late]], abs=1e-6)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25])
def test_milestones_are_parts_of_the_whole_run(warmup: float) -> None:
    plan = Fit(schedule="step", milestones=(0.3, 0.6), gamma=0.5, warmup=warmup)
    for step in range(math.ceil(100 * warmup), 100):
        assert plan.rate(step / 100) == (1.0 if step < 30 else 0.5 if step < 60 else 0.25), step


def by_hand(model: Small, plan: Fit, batches: Batches, optimizer: torch.optim.Optimizer) -> list[dict[str, Tensor]]:
    """Train at a constant rate with nothing but torch; the state after each step."""
    states = []
    for epoch in range(plan.epochs):
        for inputs, labels in batches(generator(plan.seed, 1, epoch)):
            optimizer.zero_grad()
            functional.cross_entropy(model.train()(inputs), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            states.append({name: value.clone() for name, value in model.state_dict().items()})
    return states


def decayed(model: Small, rate: float) -> list[dict[str, Any]]:
    plain = [model.first.bias, model.norm.weight, model.norm.bias, model.classifier.bias]
    weights = [model.first.weight, model.classifier.weight]
    return [{"params": weights, "weight_decay": rate}, {"params": plain, "weight_decay": 0.0}]


OPTIMIZERS: dict[str, tuple[dict[str, Any], Callable[[Any], torch.optim.Optimizer]]] = {
    "nesterov": ({}, lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9, nesterov=True)),
    "plain": ({"momentum": 0.0}, lambda groups: torch.optim.SGD(groups, lr=0.02)),
    "adam": ({"optimizer": "adam"}, lambda groups: torch.optim.Adam(groups, lr=0.02)),
    "adamw": ({"optimizer": "adamw"}, lambda groups: torch.optim.AdamW(groups, lr=0.02)),
}
CONSTANT = Fit(epochs=3, schedule="constant", learning_rate=0.02, weight_decay=0.3, seed=4)


def equal(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_last_parameters_are_those_of_a_plain_loop(tmp_path: Path, name: str) -> None:
    options, make = OPTIMIZERS[name]
    plan, batches = replace(CONSTANT, **options), shuffled(*rings(64), 16)
    theirs = Small()
    by_hand(theirs, plan, batches, make(decayed(theirs, 0.3)))
    ours = Small().eval()  # it is trained in the other mode
    kept = fit(ours, plan, batches, steps_per_epoch=4, folder=tmp_path, device="cpu")
    assert equal(kept, theirs)
    assert equal(ours, theirs)
    assert kept is not ours


def test_a_running_mean_is_the_one_computed_by_hand(tmp_path: Path) -> None:
    plan, batches, theirs = replace(CONSTANT, averaging="ema", average=0.8), shuffled(*rings(64), 16), Small()
    states = by_hand(theirs, plan, batches, OPTIMIZERS["nesterov"][1](decayed(theirs, 0.3)))
    kept = fit(Small(), plan, batches, steps_per_epoch=4, folder=tmp_path, device="cpu").state_dict()
    for name in ("first.weight", "classifier.bias", "norm.weight", "norm.running_mean", "norm.running_var"):
        mean = states[0][name].double()
        for state in states[1:]:
            mean = 0.8 * mean + 0.2 * state[name].double()
        torch.testing.assert_close(kept[name].double(), mean, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(kept[name], states[-1][name], rtol=1e-3)


@pytest.mark.parametrize(
    ("start", "epochs"), [(0.5, [2, 3]), (0.75, [3]), (0.7, [2, 3]), (0.25, [1, 2, 3]), (0.0, [0, 1, 2, 3])]
)
def test_swa_is_the_mean_of_the_ends_of_late_epochs(tmp_path: Path, start: float, epochs: list[int]) -> None:
    """As torch.optim.swa_utils does it, by hand."""
    plan, batches = replace(CONSTANT, averaging="swa", swa_start=start, epochs=4), shuffled(*rings(64), 16)
    theirs = Small()
    states = by_hand(theirs, plan, batches, OPTIMIZERS["nesterov"][1](decayed(theirs, 0.3)))
    averaged = AveragedModel(theirs)
    for epoch in epochs:
        theirs.load_state_dict(states[4 * epoch + 3])
        averaged.update_parameters(theirs)
    before = {name: value.clone() for name, value in averaged.module.state_dict().items()}
    update_bn((inputs for inputs, _ in batches(generator(plan.seed, 1))), averaged)
    kept = fit(Small(), plan, batches, steps_per_epoch=4, folder=tmp_path, device="cpu")
    for name, value in averaged.module.state_dict().items():
        torch.testing.assert_close(kept.state_dict()[name], value)
    assert not torch.allclose(kept.state_dict()["norm.running_mean"], before["norm.running_mean"], rtol=1e-2)
    assert not kept.training


class Dropping(Small):
    """With dropout, whose draws must go on too."""

    def features(self, inputs: Tensor) -> Tensor:
        return functional.dropout(super().features(inputs), 0.2, self.training)


def noise(inputs: Tensor, random: torch.Generator) -> Tensor:
    return inputs.add(torch.randn(inputs.shape, generator=random), alpha=0.1)


class Stop(Exception):
    """Ends a run from outside."""


def stopping(batches: Batches, epoch: int) -> Batches:
    """Batches that end the run in the middle of an epoch."""
    begun = iter(range(1000))

    def draw(random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        late = next(begun) == epoch
        for number, batch in enumerate(batches(random)):
            if late and number == 2:
                raise Stop
            yield batch

    return draw


@pytest.mark.parametrize(("averaging", "every"), [("last", 1), ("ema", 2), ("swa", 1)])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path, averaging: Any, every: int) -> None:
    plan = Fit(epochs=5, learning_rate=0.05, averaging=averaging, swa_start=0.3, warmup=0.1, seed=3)
    batches, test = shuffled(*rings(64), 16), rings(50, seed=1)

    def run(name: str, batches: Batches, **options: Any) -> Dropping:
        def measure(model: nn.Module) -> dict[str, float]:
            return {"accuracy": accuracy(model, *test)}

        folder = tmp_path / name
        options |= {"augment": noise, "measure": measure, "every": every, "device": "cpu"}
        return fit(Dropping(), plan, batches, steps_per_epoch=4, folder=folder, **options)

    whole = run("whole", batches)
    with pytest.raises(Stop):
        run("cut", stopping(batches, 3))
    written = lines(tmp_path / "cut")
    assert written[-1]["step"] == 4 * (3 // every * every)
    torch.rand(7)  # what is drawn elsewhere changes nothing
    assert equal(run("cut", batches, resume=True), whole)
    logs = [[{**line, "seconds": 0} for line in lines(tmp_path / name)] for name in ("whole", "cut")]
    assert logs[0] == logs[1]
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "cut")]
    assert all(torch.equal(states[0]["model"][name], states[1]["model"][name]) for name in states[0]["model"])
    again = run("cut", batches, resume=True)  # nothing is left to do
    assert equal(again, whole)
    assert not again.training


def test_seeds_draw_order_augmentation_and_dropout(tmp_path: Path) -> None:
    """And the global generator is as it was."""
    batches = shuffled(*rings(32), 8)

    def run(seed: int, model: nn.Module, augment: Augment | None = None) -> nn.Module:
        plan = Fit(epochs=2, seed=seed)
        return fit(model, plan, batches, steps_per_epoch=4, folder=tmp_path, augment=augment, device="cpu")

    before = torch.get_rng_state()
    assert equal(run(1, Dropping(), noise), run(1, Dropping(), noise))
    assert torch.equal(torch.get_rng_state(), before)
    assert not equal(run(1, Small()), run(2, Small()))
    one, two = (generator(seed, 2, 0).initial_seed() for seed in (1, 2))
    assert one != two


def test_each_epoch_has_an_order_and_draws_of_its_own(tmp_path: Path) -> None:
    orders: list[list[int]] = []
    draws: list[Tensor] = []

    def batches(random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        orders.append(torch.randperm(50, generator=random).tolist())
        return endless(random)

    def augment(inputs: Tensor, random: torch.Generator) -> Tensor:
        draws.append(torch.rand(8, generator=random))
        draws.append(torch.rand(8))  # as dropout draws
        return inputs

    loss: Any = lambda model, inputs, labels: model(inputs).sum()  # noqa: E731
    options: dict[str, Any] = {"folder": tmp_path, "loss": loss, "augment": augment, "device": "cpu"}
    fit(Weight(), replace(PLAIN, epochs=3), batches, steps_per_epoch=2, **options)
    assert len({tuple(order) for order in orders}) == 3
    assert len({tuple(draw.tolist()) for draw in draws}) == 12


def interrupted(folder: Path, plan: Fit) -> None:
    with pytest.raises(Stop):
        fit(Small(), plan, stopping(shuffled(*rings(32), 8), 1), steps_per_epoch=4, folder=folder, device="cpu")


@pytest.mark.parametrize("change", [{"epochs": 3}, {"learning_rate": 0.2}, {"seed": 1}, {"milestones": (0.5,)}])
def test_the_checkpoint_of_another_plan_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    plan = Fit(epochs=2)
    interrupted(tmp_path, plan)
    batches = shuffled(*rings(32), 8)
    other = replace(plan, **change)
    with pytest.raises(ArtifactError, match=r"is of a run with another recipe: repeat its options, or start anew"):
        fit(Small(), other, batches, steps_per_epoch=4, folder=tmp_path, device="cpu", resume=True)
    with pytest.raises(ArtifactError, match="another recipe"):
        fit(Small(), plan, batches, steps_per_epoch=3, folder=tmp_path, device="cpu", resume=True)
    with pytest.raises(ArtifactError, match="is of a model of another shape: repeat its options, or start anew"):
        fit(Small(width=8), plan, batches, steps_per_epoch=4, folder=tmp_path, device="cpu", resume=True)
    fit(Small(), plan, batches, steps_per_epoch=4, folder=tmp_path, device="cpu", resume=True)


def test_label_smoothing(tmp_path: Path) -> None:
    """At a rate next to nothing, the loss is that of the first logits."""
    inputs, labels = rings(16)
    plan = replace(PLAIN, epochs=1, learning_rate=1e-12, label_smoothing=0.3)

    def loss_of(plan: Fit, loss: Any = None) -> float:
        batches = shuffled(inputs, labels, 16)
        fit(Small(), plan, batches, steps_per_epoch=1, folder=tmp_path, loss=loss, device="cpu")
        return float(lines(tmp_path)[0]["loss"])

    answers = Small()(inputs).log_softmax(1).detach()
    right, all_of_them = -answers[range(16), labels].mean().item(), -answers.mean().item()
    assert loss_of(plan) == pytest.approx(0.7 * right + 0.3 * all_of_them, abs=2e-5)
    assert loss_of(replace(plan, label_smoothing=0.0)) == pytest.approx(right, abs=2e-5)
    assert loss_of(plan, cross_entropy) == pytest.approx(right, abs=2e-5)  # a loss that is given is left alone


@pytest.mark.parametrize(("clip", "length"), [(None, 5.0), (6.0, 5.0), (0.5, 0.5)])
def test_clipping(tmp_path: Path, clip: float | None, length: float) -> None:
    path = path_of(replace(PLAIN, epochs=1, clip=clip), tmp_path, steps=2, slope=(3.0, 4.0))
    assert path[1] == pytest.approx([-0.1 * length * 0.6, -0.1 * length * 0.8], rel=1e-5)
    assert path[2] == pytest.approx([-0.2 * length * 0.6, -0.2 * length * 0.8], rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision(tmp_path: Path, precision: Any) -> None:
    kinds = set()

    def loss(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        answers = model(inputs)
        kinds.add(answers.dtype)
        return functional.cross_entropy(answers, labels)

    plan = Fit(epochs=12, learning_rate=0.2, precision=precision)
    batches = shuffled(*rings(512), 64)
    kept = fit(Small(), plan, batches, steps_per_epoch=8, folder=tmp_path, loss=loss, device="cpu")
    assert kinds == {getattr(torch, precision)}
    assert {parameter.dtype for parameter in kept.parameters()} == {torch.float32}
    assert accuracy(kept, *rings(500, seed=1)) > 0.93


def test_fewer_batches_than_promised(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an epoch has fewer batches than the 5 promised: count them again"):
        fit(Small(), Fit(), shuffled(*rings(32), 8), steps_per_epoch=5, folder=tmp_path, device="cpu")


@pytest.mark.parametrize(("steps", "every"), [(0, 1), (4, 0)])
def test_counts_below_one(tmp_path: Path, steps: int, every: int) -> None:
    with pytest.raises(InputError, match=f"steps_per_epoch {steps} and every {every} must be at least 1"):
        fit(Small(), Fit(), endless, steps_per_epoch=steps, every=every, folder=tmp_path, device="cpu")


def test_the_log(tmp_path: Path) -> None:
    """Mean losses since the last line; what is measured is measured on the mean, in evaluation mode."""
    seen: list[Small] = []

    def measure(model: Small) -> dict[str, float]:
        assert not model.training
        seen.append(model)
        return {"accuracy": 0.1 * len(seen)}

    losses = iter(range(100))
    loss: Any = lambda model, inputs, labels: 0 * model(inputs).sum() + next(losses)  # noqa: E731
    batches, model = shuffled(*rings(32), 8), Small()
    options: dict[str, Any] = {"loss": loss, "measure": measure, "every": 2, "device": "cpu"}
    kept = fit(model, Fit(epochs=5), batches, steps_per_epoch=4, folder=tmp_path, **options)
    written = lines(tmp_path)
    assert [line["step"] for line in written] == [8, 16, 20]
    assert [line["loss"] for line in written] == [3.5, 11.5, 17.5]
    assert [line["accuracy"] for line in written] == pytest.approx([0.1, 0.2, 0.3])
    assert all(set(line) == {"step", "loss", "accuracy", "seconds"} for line in written)
    assert all(one is kept for one in seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.jsonl"]


def test_bytes_are_scaled(tmp_path: Path) -> None:
    inputs = torch.tensor([[0, 51], [255, 102]], dtype=torch.uint8)
    wanted = torch.tensor([[0.0, 0.2], [1.0, 0.4]])
    seen, augmented = [], []

    def loss(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        seen.append(inputs)
        return cast(Tensor, 0 * model(inputs).sum())

    def augment(inputs: Tensor, random: torch.Generator) -> Tensor:
        augmented.append(inputs)
        return inputs + 1

    labels = torch.zeros(2, dtype=torch.long)
    plan = Fit(epochs=1, averaging="swa")
    draw = lambda random: iter([(inputs, labels)])  # noqa: E731
    options: dict[str, Any] = {"loss": loss, "augment": augment, "device": "cpu"}
    kept = fit(Small(), plan, draw, steps_per_epoch=1, folder=tmp_path, **options)
    torch.testing.assert_close(augmented[0], wanted)
    torch.testing.assert_close(seen[0], wanted + 1)
    torch.testing.assert_close(predict(kept, inputs), predict(kept, wanted))
    mean = cast(Tensor, kept.norm.running_mean)  # of SWA: of scaled inputs, not augmented
    torch.testing.assert_close(mean, kept.first(wanted).square().mean(0).detach())
    assert inputs.tolist() == [[0, 51], [255, 102]]


def test_predictions_depend_neither_on_the_batch_nor_on_the_mode() -> None:
    inputs, labels = rings(101)
    model = Dropping()
    cast(Tensor, model.norm.running_mean).fill_(0.3)
    whole = predict(model.eval(), inputs)
    torch.testing.assert_close(whole, model(inputs).detach())
    model.train()
    model.norm.eval()  # a frozen part
    for batch in (1, 7, 100, 1000):
        torch.testing.assert_close(predict(model, inputs, batch=batch), whole)
        assert accuracy(model, inputs, labels, batch=batch) == accuracy(model, inputs, labels)
        assert model.training
        assert model.first.training
        assert not model.norm.training
    assert not predict(model.eval(), inputs).requires_grad
    assert not model.training
    assert torch.equal(cast(Tensor, model.norm.running_mean), torch.full((16,), 0.3))
    assert accuracy(model, inputs, whole.argmax(1)) == 1.0
    shifted = torch.where(torch.arange(101) < 25, (whole.argmax(1) + 1) % 3, whole.argmax(1))
    assert accuracy(model, inputs, shifted) == pytest.approx(76 / 101)


def test_a_failure_leaves_the_mode() -> None:
    model = Small().train()
    with pytest.raises(RuntimeError):
        predict(model, torch.zeros(3, 5))
    assert model.training
    assert model.norm.training


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"optimizer": "lion"}, "the optimizer 'lion' is not known: use one of sgd, adam, adamw"),
        ({"schedule": "sine"}, "the schedule 'sine' is not known: use one of cosine, linear, constant, step"),
        ({"averaging": "mean"}, "the averaging 'mean' is not known: use one of last, ema, swa"),
        ({"precision": "float16"}, "the precision 'float16' is not known: use one of float32, bfloat16"),
        *(({name: 0}, f"the {name} 0 is out of range") for name in ("epochs", "batch", "learning_rate", "clip")),
        *(({name: math.nan}, f"the {name} nan is out") for name in ("learning_rate", "clip", "gamma", "warmup")),
        *(({name: -1}, f"the {name} -1 is out of range") for name in ("momentum", "weight_decay", "gamma", "seed")),
        *(({name: 1.0}, f"the {name} 1.0 is out") for name in ("warmup", "swa_start", "average", "label_smoothing")),
    ],
)
def test_plans_out_of_range(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Fit(**options)
