"""Fits: that they learn, what they return, how they end, and how they go on after a stop."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from morpho.errors import ArtifactError, InputError
from morpho.fields import train
from morpho.fields.field import Field
from morpho.fields.files import load, save
from morpho.fields.model import Scone
from morpho.fields.pace import Pace
from morpho.fields.peers import FourierFeatures
from morpho.fields.plus import SconePlus
from morpho.fields.quantise import integers
from morpho.fields.registry import build
from morpho.fields.signal import Signal
from morpho.fields.solids import VolumeTarget
from morpho.fields.targets import GridTarget
from morpho.fields.train import Progress, Recipe, fit

SMALL = Scone(width=24, omegas=(15.0, 10.0, 5.0, 2.0), mask="sin")
ASTRONAUT: NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
PICTURE = ASTRONAUT[40:88, 200:248]
QUICK = Recipe(model=SMALL, steps=60, batch=512, warmup=10)


def target(picture: NDArray[np.uint8] = PICTURE) -> GridTarget:
    return GridTarget(Signal(kind="image", shape=picture.shape[:2], channels=3, colour="rgb"), picture)


def psnr_of(field: Field, picture: NDArray[np.uint8] = PICTURE) -> float:
    """PSNR by NumPy in float64, from the field alone."""
    grid = np.stack(np.meshgrid(*field.signal.coordinates(), indexing="ij"), -1)
    error = np.clip(field(grid), 0, 1) - picture / 255
    return float(-10 * np.log10(np.mean(error**2)))


@pytest.fixture(scope="module")
def plain() -> Field:
    return fit(target(), QUICK, device="cpu")


def test_a_fit_learns(plain: Field) -> None:
    """From the mean colour's 12 dB; steps with the wrong coordinates or values stay there."""
    assert plain.card.numbers["psnr"] > 23
    assert plain.card.numbers["steps"] == 60
    assert plain.card.recipe["batch"] == 512


def test_the_card_tells_what_the_weights_reach(plain: Field) -> None:
    assert plain.card.numbers["psnr"] == pytest.approx(psnr_of(plain), abs=1e-3)


@pytest.mark.parametrize("changes", [{}, {"sampler": "hard"}, {"between": 0.3}, {"batch": 0}], ids=str)
def test_live_scores_come_near_the_true_one(changes: dict[str, Any]) -> None:
    """Whatever else is drawn, hard samples or points between them, does not count."""
    told: list[Progress] = []
    field = fit(target(), replace(QUICK, **changes), device="cpu", report=told.append)
    assert [progress.step for progress in told] == [20, 40, 60]
    assert told[0].score + 2 < told[-1].score == pytest.approx(field.card.numbers["psnr"], abs=1.5)
    assert 0 < told[0].seconds < told[-1].seconds


def test_fits_are_repeatable(plain: Field) -> None:
    again, other = fit(target(), QUICK, device="cpu"), fit(target(), replace(QUICK, seed=1), device="cpu")
    for name, tensor in plain.tensors.items():
        assert np.array_equal(again.tensors[name], tensor)
    assert not np.array_equal(other.tensors["head.weight"], plain.tensors["head.weight"])


def test_a_fit_that_collapses_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    fit(target(), QUICK, device="cpu")
    assert capsys.readouterr().err == ""
    fit(target(), replace(QUICK, learning_rate=0.02, clip=0.0, warmup=60, steps=90), device="cpu", every=5)
    assert capsys.readouterr().err.endswith(" dB on the way: give a lower learning rate than 0.02\n")


def test_even_samples_beat_random_ones(plain: Field) -> None:
    random = fit(target(), replace(QUICK, sampler="random"), device="cpu")
    assert plain.card.numbers["psnr"] > random.card.numbers["psnr"]


@pytest.mark.parametrize("bits", [32, 8])
def test_whole_pictures_in_blocks(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradients of blocks add up to those of the whole: one step leads to the same weights."""
    recipe = replace(QUICK, steps=3, batch=0, clip=0.0, bits=bits, finetune=1.0)
    whole = fit(target(), recipe, device="cpu")
    monkeypatch.setattr(train, "BLOCK", 1000)
    blocks = fit(target(), recipe, device="cpu")
    for name, tensor in whole.tensors.items():
        step = 0.0 if whole.scales is None else whole.scales[name]  # a rounding may fall to the other side
        np.testing.assert_allclose(blocks.tensors[name], tensor, atol=2e-5 + step)


@pytest.mark.parametrize("name", ["scone+", "siren"])
def test_coarse_products_of_gradients_make_another_fit_that_is_as_good(name: str) -> None:
    recipe = replace(QUICK, model=build(name, width=40), steps=120)
    fine, coarse = (fit(target(), replace(recipe, precision=each), device="cpu") for each in ("float32", "bfloat16"))
    assert not np.array_equal(fine.tensors["head.weight"], coarse.tensors["head.weight"])
    assert coarse.card.numbers["psnr"] == pytest.approx(fine.card.numbers["psnr"], abs=1)


@pytest.mark.parametrize("faster", [True, False])
def test_products_are_coarse_where_that_is_faster(faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "is_faster", lambda device: faster)
    recipe = replace(QUICK, model=SconePlus(width=40), steps=5)
    precision: Any = "bfloat16" if faster else "float32"
    auto, named = (fit(target(), replace(recipe, precision=each), device="cpu") for each in ("auto", precision))
    assert all(np.array_equal(auto.tensors[name], tensor) for name, tensor in named.tensors.items())


def test_the_published_recipe() -> None:
    recipe = Recipe.published(SMALL, steps=8)
    assert (recipe.batch, recipe.rate(target().signal), recipe.clip, recipe.warmup) == (0, 1e-4, 0, 0)
    assert recipe.precision == "float32"
    pace = Pace(steps=10_000, final_rate=recipe.final_rate)
    assert [pace.factor(step, 0.0) * 1e-4 for step in (0, 5000, 10_000)] == pytest.approx([1e-4, 5.05e-5, 1e-6])
    assert fit(target(), recipe, device="cpu").card.numbers["steps"] == 8


def test_a_goal_ends_the_fit() -> None:
    field = fit(target(), replace(QUICK, psnr=22.0, steps=2000), device="cpu", every=5)
    assert 22 <= field.card.numbers["psnr"] < 23.5
    assert field.card.numbers["psnr"] == pytest.approx(psnr_of(field), abs=1e-3)
    assert field.card.numbers["steps"] < 100


def test_a_goal_that_is_not_reached() -> None:
    assert fit(target(), replace(QUICK, psnr=90.0, steps=30), device="cpu").card.numbers["steps"] == 30


def test_a_goal_with_few_bits() -> None:
    field = fit(target(), replace(QUICK, psnr=21.0, steps=500, bits=7), device="cpu")
    assert field.card.numbers["psnr"] == pytest.approx(psnr_of(field), abs=1e-3)
    assert field.card.numbers["psnr"] > 21
    assert field.scales is not None


def test_time_ends_the_fit() -> None:
    start = time.monotonic()
    field = fit(target(), replace(QUICK, seconds=1.5, steps=1), device="cpu")
    assert field.card.numbers["seconds"] == pytest.approx(1.5, rel=0.1)
    assert time.monotonic() - start < 4
    assert field.card.numbers["steps"] > 5


def test_the_rate_follows_time() -> None:
    pace = Pace(steps=1, seconds=10.0, warmup=2, final_rate=0.1)
    assert [round(pace.factor(step, t), 3) for step, t in ((0, 0.0), (1, 0.0), (50, 5.0), (90, 10.0), (99, 11.0))] == [
        0.5, 1.0, 0.55, 0.1, 0.1,
    ]  # fmt: skip


def test_without_an_end_the_rate_falls_ever_more_slowly() -> None:
    pace = Pace(steps=1, goal=True, warmup=4)
    factors = [pace.factor(step, 0.0) for step in (0, 100, 200, 400, 10_000)]
    assert factors == pytest.approx([0.25, 1, 0.5**0.7, 0.25**0.7, 0.01**0.7])


class Stop(Exception):
    """Stands for a power cut."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampler": "hard", "average": 0.9},
        {"bits": 6, "finetune": 0.6},
        {"bits": 8, "finetune": 0.6, "size": 2500},
        {"between": 0.3},
        {"between": 0.3, "interpolation": "directed"},
        {"psnr": 90.0, "bits": 8},
        {"batch": 0},
    ],
    ids=lambda changes: ",".join(changes) or "plain",
)
def test_a_resumed_fit_equals_an_uninterrupted_one(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_PAUSE", 0.0)
    recipe = replace(QUICK, steps=30, **changes)

    def cut(progress: Progress) -> None:
        if progress.step == 20:
            raise Stop

    with pytest.raises(Stop):
        fit(target(), recipe, folder=tmp_path, device="cpu", report=cut, every=5)
    resumed = fit(target(), recipe, folder=tmp_path, resume=True, device="cpu", every=5)
    straight = fit(target(), recipe, device="cpu", every=5)
    for name, tensor in straight.tensors.items():
        assert np.array_equal(resumed.tensors[name], tensor), name
    assert resumed.card.numbers["psnr"] == straight.card.numbers["psnr"]
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20, 25, 30]


def test_a_finished_fit_resumes_to_its_result(tmp_path: Path) -> None:
    recipe = replace(QUICK, seconds=0.3)
    first = fit(target(), recipe, folder=tmp_path, device="cpu")
    again = fit(target(), recipe, folder=tmp_path, resume=True, device="cpu")
    assert first.card.numbers["steps"] == again.card.numbers["steps"]
    assert np.array_equal(first.tensors["head.weight"], again.tensors["head.weight"])


def test_times_go_on_after_a_stop() -> None:
    one, other = (train._Fit(target(), QUICK, torch.device("cpu"), None, False) for _ in range(2))
    one.spent, one.measuring = 12.0, 5.0  # seven of training, five of looks at the goal
    other.load_state_dict(one.state_dict())
    assert other.measuring == 5.0
    assert other.seconds == pytest.approx(7.0, abs=0.5)


def test_another_fit_is_not_resumed(tmp_path: Path) -> None:
    recipe = replace(QUICK, steps=4)
    with pytest.raises(ArtifactError, match="cannot be read"):
        fit(target(), recipe, folder=tmp_path, resume=True, device="cpu")
    fit(target(), recipe, folder=tmp_path, device="cpu")
    for other in (replace(recipe, learning_rate=1e-3), replace(recipe, model=Scone(width=25))):
        with pytest.raises(ArtifactError, match="another recipe"):
            fit(target(), other, folder=tmp_path, resume=True, device="cpu")
    with pytest.raises(ArtifactError, match="another recipe"):
        fit(target(PICTURE[::-1]), recipe, folder=tmp_path, resume=True, device="cpu")
    with pytest.raises(ArtifactError, match="folder"):
        fit(target(), recipe, resume=True, device="cpu")


def test_rounded_weights_are_saved_as_they_are(plain: Field, tmp_path: Path) -> None:
    """The file holds the very weights, and six bits cost little."""
    rounded = fit(target(), replace(QUICK, bits=6), device="cpu")
    assert rounded.scales is not None
    assert all(integers(tensor, rounded.scales[name]) is not None for name, tensor in rounded.tensors.items())
    assert rounded.card.numbers["psnr"] == pytest.approx(psnr_of(rounded), abs=1e-3)
    assert rounded.card.numbers["psnr"] > plain.card.numbers["psnr"] - 0.5
    save(tmp_path / "a.field", rounded)
    for name, tensor in load(tmp_path / "a.field").tensors.items():
        assert np.array_equal(tensor, rounded.tensors[name])


@pytest.mark.parametrize("changes", [{}, {"psnr": 18.0, "steps": 300}, {"steps": 3}], ids=str)
def test_a_fit_within_a_size(changes: dict[str, Any], tmp_path: Path) -> None:
    """Frozen frequencies would be ruined, were their errors thought to cost nothing."""
    model = FourierFeatures(frequencies=24, width=24)
    recipe = replace(QUICK, model=model, learning_rate=5e-3, bits=8, size=2600, **changes)
    field = fit(target(), recipe, device="cpu")
    save(tmp_path / "a.field", field)
    assert 0.85 * 2600 < (tmp_path / "a.field").stat().st_size <= 2600
    assert field.card.numbers["psnr"] == pytest.approx(psnr_of(load(tmp_path / "a.field")), abs=1e-3)
    plain = fit(target(), replace(recipe, bits=32, size=0), device="cpu")
    assert field.card.numbers["psnr"] > plain.card.numbers["psnr"] - 1.5


def test_a_size_that_is_too_small_for_the_weights() -> None:
    with pytest.raises(InputError, match=r"weights do not go into 800 bytes: allow \d+$"):
        fit(target(), replace(QUICK, bits=8, size=800), device="cpu")


@pytest.mark.parametrize("model", [SconePlus(width=1), SconePlus(width=2), Scone(width=8, omegas=(5.0,))], ids=str)
def test_the_smallest_size_of_few_weights(model: Scone, tmp_path: Path) -> None:
    """Step sizes take two bytes for each tensor, however coarse they are: the search for them must end."""
    recipe = replace(QUICK, model=model, steps=3, bits=8)
    for size in range(700, 900):
        try:
            field = fit(target(), replace(recipe, size=size), device="cpu")
        except InputError:
            continue
        save(tmp_path / "a.field", field)
        assert (tmp_path / "a.field").stat().st_size <= size
        return
    pytest.fail("no size was enough")


def test_free_weights_make_up_for_settled_ones() -> None:
    recipe = replace(QUICK, steps=600, batch=256)
    plain = fit(target(), recipe, device="cpu")
    for bits in (3, 4):
        trained = fit(target(), replace(recipe, bits=bits), device="cpu")
        assert psnr_of(trained) > psnr_of(plain.quantised(bits)) + 0.8


@pytest.mark.parametrize(("steps", "every", "warmup"), [(10, 20, 50), (60, 10, 10)])
def test_a_goal_is_not_looked_at_before_weights_are_rounded(steps: int, every: int, warmup: int) -> None:
    recipe = replace(QUICK, psnr=12.0, bits=8, steps=steps, warmup=warmup)
    field = fit(target(), recipe, device="cpu", every=every)
    assert field.scales is not None
    assert field.card.numbers["steps"] == min(steps, 2 * warmup)


def test_half_precision_weights() -> None:
    half = fit(target(), replace(QUICK, bits=16, steps=20), device="cpu")
    assert all(np.array_equal(tensor, tensor.astype(np.float16)) for tensor in half.tensors.values())


def test_points_between_the_samples_make_a_field_smooth_there() -> None:
    picture = ASTRONAUT[40:88:2, 200:248:2]
    recipe = Recipe(model=Scone(width=32), steps=120, batch=0, warmup=10, learning_rate=3e-3)
    fields = [fit(target(picture), replace(recipe, between=share), device="cpu") for share in (0.0, 0.5)]
    places = torch.rand(2000, 2, generator=torch.Generator().manual_seed(1))
    coordinates, values = target(picture).between(places)
    errors = [np.abs(2 * field(coordinates.numpy()) - 1 - values.numpy()).mean() for field in fields]
    assert errors[1] < 0.6 * errors[0]


def test_a_block_is_no_larger_with_points_between_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "BLOCK", 100)
    seen = []

    class Watched(GridTarget):
        def errors(self, output: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            seen.append(len(output))
            return super().errors(output, values)

    whole = Watched(target().signal, PICTURE)
    fit(whole, Recipe(model=SMALL, steps=1, batch=0, between=0.9), device="cpu")
    assert max(seen) <= 100
    assert sum(seen) == pytest.approx(10 * PICTURE[..., 0].size, rel=0.01)


def test_frozen_weights_stay() -> None:
    model = FourierFeatures(width=16, layers=2, frequencies=8)
    field = fit(target(), Recipe(model=model, steps=3, batch=64), device="cpu")
    initial = model.initial(2, 3, np.random.default_rng(0))
    assert np.array_equal(field.tensors["frequencies"], initial["frequencies"])
    assert not np.array_equal(field.tensors["head.weight"], initial["head.weight"])


def test_starved_pictures_are_fitted_with_more_patience() -> None:
    recipe = Recipe(model=Scone(width=100))
    small, large = (Signal(kind="image", shape=(side, side), channels=3) for side in (64, 1024))
    assert [recipe.rate(signal) for signal in (small, large)] == pytest.approx([1.4e-3, 0.6 * 1.4e-3])
    assert recipe.rate(Signal(kind="sdf", shape=(256,) * 3, channels=1)) == pytest.approx(1.4e-3)
    assert replace(recipe, learning_rate=0.5).rate(large) == 0.5
    assert replace(recipe, psnr=40.0).rate(small) == recipe.rate(small)
    plus = Recipe(model=SconePlus(width=200), steps=500)
    assert replace(plus, psnr=40.0).rate(small) == pytest.approx(plus.rate(small) / 2)


def test_long_fits_go_more_slowly_and_wide_ones_more_so() -> None:
    signal = Signal(kind="image", shape=(1024, 1024), channels=3)
    few, many = (Recipe(model=SconePlus(width=width), steps=10_000) for width in (40, 200))
    assert few.rate(signal) == pytest.approx(1e-3)
    assert many.rate(signal) == pytest.approx(1e-3 * (72 / 200) ** 2)
    assert replace(many, steps=5000).rate(signal) == pytest.approx(2 * many.rate(signal))
    assert replace(many, steps=1000).rate(signal) == pytest.approx(0.6e-3)
    assert replace(few, steps=5000).rate(signal) == replace(few, seconds=60.0).rate(signal) == pytest.approx(2e-3)


def test_rates_differ_by_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's first step is as long as the learning rate, which a model can raise for some weights."""
    monkeypatch.setattr(Scone, "rates", lambda self: {"head": 5.0})
    field = fit(target(), Recipe(model=SMALL, steps=1, warmup=0, learning_rate=1e-3), device="cpu")
    initial = SMALL.initial(2, 3, np.random.default_rng(0))
    for name, length in (("head.bias", 5e-3), ("basis.1.bias", 1e-3)):
        moved = np.abs(field.tensors[name] - initial[name])
        assert np.median(moved) == pytest.approx(length, rel=0.05)


def test_shapes_are_fitted() -> None:
    axis = np.linspace(-1, 1, 24)
    ball = np.linalg.norm(np.meshgrid(axis, axis, axis), axis=0) < 0.6
    signal = Signal(kind="occupancy", shape=(24, 24, 24), channels=1)
    recipe = Recipe(model=SMALL, steps=80, batch=1024, warmup=10)
    field = fit(VolumeTarget(signal, ball), recipe, device="cpu")
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    inside = field(grid)[..., 0] > 0.5
    assert field.card.numbers["iou"] == pytest.approx((inside & ball).sum() / (inside | ball).sum(), abs=1e-4)
    assert field.card.numbers["iou"] > 0.95


@pytest.mark.parametrize("bits", [6, 16, 32])
def test_a_fit_that_diverges_says_so(bits: int) -> None:
    """Also where weights are rounded before anything is reported."""
    with pytest.raises(InputError, match="learning rate"):
        fit(target(), replace(QUICK, steps=10, learning_rate=1e30, clip=0.0, warmup=0, bits=bits), device="cpu")


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"batch": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"final_rate": 2.0},
        {"average": 1.0},
        {"clip": -1.0},
        {"sampler": "soft"},
        {"precision": "float16"},
        {"interpolation": "quintic"},
        {"between": 1.0},
        {"finetune": 0.0},
        {"psnr": float("inf")},
        {"seconds": float("inf")},
        {"bits": 1},
        {"bits": 24},
        {"bits": 8, "size": -1},
        {"bits": 16, "size": 9000},
        {"size": 9000},
        {"seed": -1},
    ],
    ids=str,
)
def test_recipes_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Recipe(**changes)


def test_goals_of_shapes_are_refused() -> None:
    signal = Signal(kind="occupancy", shape=(4, 4, 4), channels=1)
    with pytest.raises(InputError, match="PSNR"):
        fit(VolumeTarget(signal, np.zeros((4, 4, 4), bool)), replace(QUICK, psnr=30.0))
