"""Training by gradients: it learns, it resumes to the bit, and it says what it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from morpho.errors import ArtifactError, DataError, InputError
from morpho.images import psnr_y
from morpho.upscale import reference
from morpho.upscale import train as module
from morpho.upscale.corpus import crops, held_psnr, make_pairs, split
from morpho.upscale.linear import LinearStage
from morpho.upscale.model import Model, NetworkStage
from morpho.upscale.tables import Tables
from morpho.upscale.train import RECIPES, Recipe, train
from tests.upscale.photos import photos
from tests.upscale.synthetic import random_tables

PHOTOS = photos(20, 96, 96)
HELD = split(PHOTOS, held_every=10)[1]


def flat(*factors: int) -> Tables:
    """Tables that repeat pixels."""
    linears = [LinearStage.of(factor) for factor in factors]
    return Tables(tuple(linear.to_stage(np.zeros(linear.size)) for linear in linears))


def quick(**changes: Any) -> Recipe:
    small = {"steps": 30, "batch": 4, "crop": 12, "variations": 0, "average": 0.8, "held_every": 10}
    return Recipe(**{**small, **changes})


def assert_same(a: Tables, b: Tables) -> None:
    for one, other in zip(a.stages, b.stages, strict=True):
        np.testing.assert_array_equal(one.msb, other.msb)
        np.testing.assert_array_equal(one.lsb, other.lsb)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("factors", [(2, 2), (2, 1, 2), (3,)])
def test_finetuning_learns(tmp_path: Path, factors: tuple[int, ...]) -> None:
    start = flat(*factors)
    recipe = quick(factors=factors, learning_rate=2.0)
    tables, value = train(recipe, PHOTOS, start=start, folder=tmp_path, every=10, device="cpu")
    held = make_pairs(HELD, recipe.scale)
    assert value == held_psnr(tables, held)
    assert value > held_psnr(start, held) + 0.3
    lines = log(tmp_path)
    assert lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    assert all(np.abs(stage.msb.astype(int)).max() > 3 for stage in tables.stages)  # every stage has learnt


@pytest.mark.parametrize("factors", [(2, 2), (2, 1, 2), (1, 2, 2), (2, 2, 1)])
def test_stages_that_are_added_begin_by_changing_nothing(tmp_path: Path, factors: tuple[int, ...]) -> None:
    start = random_tables(2, 2, symmetric=True)
    recipe = quick(factors=factors, steps=1, learning_rate=1e-6)
    tables, _ = train(recipe, PHOTOS, start=start, folder=tmp_path, device="cpu")
    assert tuple(stage.factor for stage in tables.stages) == factors
    picture = PHOTOS[0][:20, :20]
    np.testing.assert_array_equal(reference.upscale(picture, tables), reference.upscale(picture, start))


def test_networks_learn_too(tmp_path: Path) -> None:
    recipe = quick(mode="network", steps=12, learning_rate=2e-3, average=0.0)
    tables, value = train(recipe, PHOTOS, folder=tmp_path, every=4, device="cpu")
    assert value == held_psnr(tables, make_pairs(HELD, 4))
    lines = log(tmp_path)
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert value == pytest.approx(max(line["held_psnr_y"] for line in lines), abs=1e-4)


def test_a_networks_start_follows_its_seed_alone(tmp_path: Path) -> None:
    def first_loss(seed: int, name: str) -> float:
        train(
            quick(factors=(2,), mode="network", steps=1, seed=seed),
            PHOTOS,
            folder=tmp_path / name,
            device="cpu",
        )
        return log(tmp_path / name)[0]["loss"]

    before = torch.random.get_rng_state()
    one = first_loss(0, "a")
    assert torch.equal(torch.random.get_rng_state(), before)  # whose numbers others may want
    torch.rand(3)
    assert first_loss(0, "b") == one
    assert first_loss(1, "c") != one


def test_the_log_has_a_line_per_evaluation(tmp_path: Path) -> None:
    train(quick(factors=(2,), steps=7), PHOTOS, start=flat(2), folder=tmp_path / "deep" / "run", every=3, device="cpu")
    lines = log(tmp_path / "deep" / "run")
    assert [line["step"] for line in lines] == [3, 6, 7]
    assert set(lines[0]) == {"step", "loss", "train_psnr", "held_psnr_y", "seconds"}
    for line in lines:
        assert line["train_psnr"] == pytest.approx(10 * np.log10(255**2 / line["loss"]), abs=1e-3)
    assert sorted(p.name for p in (tmp_path / "deep" / "run").iterdir()) == ["checkpoint.pt", "log.jsonl"]


def test_the_best_by_held_out_photos_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the last: here the second evaluation is said to be the best of three."""
    values, seen = iter([30.0, 31.0, 29.0]), []

    def score(tables: Tables, pairs: object) -> float:
        seen.append(tables)
        return next(values)

    monkeypatch.setattr(module, "held_psnr", score)
    recipe = quick(factors=(2,), steps=6, learning_rate=3.0)
    tables, value = train(recipe, PHOTOS, start=flat(2), folder=tmp_path, every=2, device="cpu")
    assert value == 31.0
    assert_same(tables, seen[1])
    assert not np.array_equal(seen[1].stages[0].msb, seen[2].stages[0].msb)


def test_a_mean_of_the_parameters_is_what_is_kept(tmp_path: Path) -> None:
    """With a decay next to one, tables hardly leave their start, however the parameters run."""
    kept = {}
    for average in (0.0, 0.999):
        recipe = quick(factors=(2,), steps=8, learning_rate=3.0, average=average)
        tables, _ = train(recipe, PHOTOS, start=flat(2), folder=tmp_path / str(average), device="cpu")
        kept[average] = np.abs(tables.stages[0].msb.astype(int)).max()
    assert kept[0.999] <= 4 < 8 <= kept[0.0]


def test_entries_stay_within_int8(tmp_path: Path) -> None:
    """Beyond, they would have to come back before anything changed."""
    recipe = quick(factors=(2,), steps=4, learning_rate=100.0)
    train(recipe, PHOTOS, start=flat(2), folder=tmp_path, device="cpu")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    entries = state["model"]["stages.0.entries"]
    assert (float(entries.min()), float(entries.max())) == (-128, 127)


# --- stopping and going on ---


def cut_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Interrupt training when it draws its crops for the step after these."""
    count = iter(range(1000))

    def draw(*arguments: Any) -> Any:
        if next(count) == steps:
            raise KeyboardInterrupt
        return crops(*arguments)

    monkeypatch.setattr(module, "crops", draw)


@pytest.mark.parametrize("mode", ["finetune", "network"])
def test_a_run_that_was_cut_ends_as_if_it_had_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any) -> None:
    recipe = quick(factors=(2,), mode=mode, steps=12, learning_rate=2.0 if mode == "finetune" else 1e-3)
    start = flat(2) if mode == "finetune" else None

    def run(name: str, *, resume: bool = False) -> tuple[Tables, float]:
        return train(recipe, PHOTOS, start=start, folder=tmp_path / name, resume=resume, every=4, device="cpu")

    whole, value = run("whole")
    with monkeypatch.context() as patch:
        cut_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert [line["step"] for line in log(tmp_path / "cut")] == [4]
    resumed, again = run("cut", resume=True)
    assert_same(resumed, whole)
    assert again == value

    def without_clock(name: str) -> list[dict[str, float]]:
        return [{k: v for k, v in line.items() if k != "seconds"} for line in log(tmp_path / name)]

    assert without_clock("cut") == without_clock("whole")
    finished, same = run("cut", resume=True)  # nothing is left to do
    assert_same(finished, whole)
    assert same == value
    assert len(log(tmp_path / "cut")) == 3


def test_the_best_survives_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([30.0, 29.0, 28.0])
    monkeypatch.setattr(module, "held_psnr", lambda tables, pairs: next(values))
    recipe = quick(factors=(2,), steps=6, learning_rate=3.0)
    arguments: dict[str, Any] = {"start": flat(2), "folder": tmp_path, "every": 2, "device": "cpu"}
    with monkeypatch.context() as patch:
        cut_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, PHOTOS, **arguments)
    assert train(recipe, PHOTOS, resume=True, **arguments)[1] == 30.0


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    recipe = quick(factors=(2,), steps=1)
    train(recipe, PHOTOS, start=flat(2), folder=tmp_path, device="cpu")
    for other in (quick(factors=(2,), steps=2), quick(factors=(2,), steps=1, seed=1)):
        with pytest.raises(ArtifactError, match=r"checkpoint\.pt is of a run with another recipe: repeat"):
            train(other, PHOTOS, start=flat(2), folder=tmp_path, resume=True, device="cpu")


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt cannot be read \(No such file.*start without --resume"):
        train(quick(factors=(2,)), PHOTOS, start=flat(2), folder=tmp_path, resume=True, device="cpu")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\3\4 hello"])
def test_a_damaged_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt"):
        train(quick(factors=(2,)), PHOTOS, start=flat(2), folder=tmp_path, resume=True, device="cpu")


# --- what it needs ---


@pytest.mark.parametrize(
    ("changes", "start", "error", "complaint"),
    [
        ({}, None, InputError, "finetune needs tables to start from"),
        ({}, flat(2, 1, 2), InputError, r"factors \(2, 1, 2\), which do not lead to \(2, 2\)"),
        ({"factors": (2, 1)}, flat(2, 2), InputError, r"factors \(2, 2\), which do not lead to \(2, 1\)"),
        ({}, flat(4), InputError, r"factors \(4,\), which do not lead to \(2, 2\)"),
        ({"held_every": 21}, flat(2, 2), InputError, "20 photos are too few to hold out one in 21"),
        ({"crop": 25}, flat(2, 2), DataError, "no training photo has 25 pixels per side"),
    ],
)
def test_unusable_starts(
    tmp_path: Path, changes: dict[str, Any], start: Tables | None, error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        train(quick(**changes), PHOTOS, start=start, folder=tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"factors": ()}, "stage factors"),
        ({"factors": (2, 0)}, r"\(2, 0\)"),
        ({"steps": 0}, "steps, batch and crop"),
        ({"batch": 0}, "steps, batch and crop"),
        ({"crop": -1}, "steps, batch and crop"),
        ({"held_every": 1}, "held_every at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"average": 1.0}, "average in 0..1"),
        ({"slope": -1.0}, "not negative"),
        ({"variations": -1}, "not negative"),
    ],
)
def test_unusable_recipes(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        quick(**changes)


def test_default_recipes() -> None:
    assert {mode: RECIPES[mode]((2, 1, 2)).mode for mode in RECIPES} == {m: m for m in ("network", "finetune")}
    assert RECIPES["network"]((2, 2)).learning_rate < 0.01 < RECIPES["finetune"]((2, 2)).learning_rate
    assert RECIPES["finetune"]((2, 1, 2)).scale == 4


def test_a_trained_networks_tables_are_its_forward(tmp_path: Path) -> None:
    """What is measured and shipped is what was trained."""
    recipe = quick(mode="network", steps=2, average=0.0)
    tables, _ = train(recipe, PHOTOS, folder=tmp_path, every=2, device="cpu")
    net = Model([NetworkStage(2), NetworkStage(2)])
    net.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"])
    assert_same(net.tables(), tables)
    (pair,) = make_pairs(HELD[:1], 4)
    with torch.no_grad():
        grey = net(torch.from_numpy(pair.low[None]))[0].numpy()
    value = held_psnr(tables, [pair])
    whole = np.floor((np.rint(6 * grey.astype(float)) + 3) / 6).astype(np.uint8)
    assert psnr_y(whole.transpose(1, 2, 0), pair.high.transpose(1, 2, 0), border=4) == pytest.approx(value, abs=1e-9)
