"""Recipes can be built, and a teacher and its student learn within seconds."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from morpho import nets
from morpho.butterfly import convert
from morpho.butterfly.convert import count_parameters
from morpho.butterfly.distil import Distillation
from morpho.butterfly.train import AUGMENTS, RECIPES, Recipe, built, measured_on, train_dense, train_student
from morpho.datasets import READERS, Dataset, Labelled
from morpho.errors import InputError
from morpho.training.fit import as_float

#: Inputs of each recipe's data, without reading them.
_SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32), "modelnet10": (128, 3)}


def _some(dataset: str, count: int = 64) -> Dataset:
    random = torch.Generator().manual_seed(0)
    shape = (count, *_SHAPES[dataset])
    inputs = torch.randint(256, shape, generator=random).to(torch.uint8)
    if dataset.startswith("modelnet"):
        inputs = torch.rand(shape, generator=random) - 0.5
    part = Labelled(inputs, torch.arange(count) % 10, tuple("0123456789"))
    return Dataset(dataset, part, part)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_can_be_built_and_compressed(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.dataset in READERS
    data = _some(recipe.dataset)
    model = built(recipe, data).eval()
    assert model(as_float(data.test.inputs[:2])).shape == (2, 10)
    layers = {layer for layer, _ in model.named_modules()}
    assert set(recipe.keep) <= layers
    if recipe.net != "pointnet":  # its search takes seconds; it is the same code
        made = convert(model, budget=recipe.budget, keep=recipe.keep, single=recipe.single)
        limit = recipe.budget if recipe.budget > 1 else recipe.budget * count_parameters(model)
        # Fresh convolutions that are the identity have few chains worth taking.
        assert (0.7 if recipe.net == "airbench" else 0.97) * limit < made.report.parameters <= limit


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_take_a_step_each(name: str, tmp_path: Path) -> None:
    """Teacher and student, with the recipe's own augmentation, optimizer and loss, on noise."""
    old = RECIPES[name]
    recipe = replace(
        old, teacher=replace(old.teacher, epochs=1, batch=4), student=replace(old.student, epochs=1, batch=4)
    )
    data = _some(recipe.dataset, 8)
    teacher = train_dense(recipe, data, folder=tmp_path / "teacher", device="cpu")
    student = copy.deepcopy(teacher)
    before = [weights.clone() for weights in teacher.parameters()]
    trained = train_student(recipe, data, student, teacher, folder=tmp_path / "student", device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))
    assert all(bool(weights.isfinite().all()) for weights in trained.parameters())
    assert (tmp_path / "student" / "log.jsonl").exists()


def test_a_student_learns_what_random_weights_do_not_know(tmp_path: Path) -> None:
    """The dense network at a third of its weights: fresh factors begin at chance, and distillation must lift them."""
    pytest.importorskip("sklearn")
    from morpho.datasets import load

    data = load("digits")
    old = RECIPES["mlp-digits"]
    recipe = replace(
        old,
        options={"sizes": (64, 64, 64, 10)},
        teacher=replace(old.teacher, epochs=8, learning_rate=0.1, average=0.9),
        student=replace(old.student, epochs=8, learning_rate=0.01, average=0.9),
    )
    measure = measured_on(data.test)
    teacher = train_dense(recipe, data, folder=tmp_path / "teacher", device="cpu", every=8)
    known = measure(teacher)["accuracy"]
    assert known > 0.93
    fresh = convert(teacher, budget=0.35, initialise="random").model
    assert measure(fresh)["accuracy"] < 0.35
    student = train_student(recipe, data, fresh, teacher, folder=tmp_path / "student", device="cpu", every=8)
    assert count_parameters(student) <= 0.35 * count_parameters(teacher)
    assert measure(student)["accuracy"] > 0.85


def test_students_listen_to_their_teacher(tmp_path: Path) -> None:
    """Labels that are wrong do no harm where only the teacher counts, and are followed where only they count."""
    pytest.importorskip("sklearn")
    from morpho.datasets import load

    true = load("digits")
    wrong = replace(true, train=replace(true.train, labels=(true.train.labels + 1) % 10))
    recipe = replace(RECIPES["mlp-digits"], options={"sizes": (64, 32, 10)})
    recipe = replace(
        recipe,
        teacher=replace(recipe.teacher, epochs=5, learning_rate=0.1, average=0.9),
        student=replace(recipe.student, epochs=5, learning_rate=0.01, average=0.9),
    )
    teacher = train_dense(recipe, true, folder=tmp_path / "teacher", device="cpu", every=5)
    found = []
    for number, loss in enumerate((Distillation(gamma=0, alpha=1), Distillation(gamma=1, alpha=0))):
        fresh = nets.build("mlp", sizes=(64, 32, 10), seed=9)
        folder = tmp_path / str(number)
        student = train_student(
            replace(recipe, distillation=loss), wrong, fresh, teacher, folder=folder, device="cpu", every=5
        )
        found.append(measured_on(true.test)(student)["accuracy"])
    assert found[0] > 0.85
    assert found[1] < 0.1


def test_seeds_and_options_of_networks() -> None:
    recipe = RECIPES["mlp-digits"]
    first, same, other = (built(recipe, _some("digits"), seed=seed, sizes=(64, 8, 10)) for seed in (1, 1, 2))
    weights = [torch.cat([w.detach().flatten() for w in net.parameters()]) for net in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert len(weights[0]) == 64 * 8 + 8 + 80 + 10


def test_airbench_is_whitened_by_the_training_pictures() -> None:
    data = _some("cifar10")
    model = built(RECIPES["cnn-cifar10"], data)
    assert isinstance(model, nets.Airbench)
    fresh = nets.build("airbench", widths=(16, 64, 64))
    assert isinstance(fresh, nets.Airbench)
    assert not torch.equal(model.whitening.weight, fresh.whitening.weight)


@pytest.mark.parametrize("name", AUGMENTS)
def test_augmentations_change_inputs_by_their_generator_only(name: str) -> None:
    change = AUGMENTS[name]
    if change is None:
        return
    inputs = torch.rand((4, 1024, 3) if name == "points" else (4, 3, 32, 32))
    found = [change(inputs.clone(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert found[0].shape == ((4, 128, 3) if name == "points" else inputs.shape)


def test_measuring_is_the_share_of_right_answers() -> None:
    data = _some("digits", 20).test

    class Always(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(torch.full((len(x),), 3), 10).float()

    assert measured_on(data)(Always(1, 1)) == {"accuracy": 0.1}


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the augmentation 'blur' is not known: use one of none, shift"):
        Recipe(net="mlp", dataset="digits", augment="blur")
    with pytest.raises(InputError, match="8 items are less than one batch of 64"):
        train_dense(RECIPES["mlp-digits"], _some("digits", 8), folder=tmp_path, device="cpu")
