"""Training enhancers: it learns what no fixed table could, resumes to the bit, and shares its work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from morpho.enhance import Enhancer, Tables
from morpho.enhance import train as module
from morpho.enhance.corpus import Pair, Photo
from morpho.enhance.degrade import Degradation
from morpho.enhance.model import Network, Shape
from morpho.enhance.train import RECIPES, Recipe, histograms, train
from morpho.errors import ArtifactError, InputError
from tests.enhance.synthetic import card
from tests.training.torchrun import torchrun
from tests.upscale.photos import photo, photos

SMALL = Shape(groups=2, bases=3, levels=9, widths=(16,), hidden=16, nodes=5, own_rank=3, rest_rank=4)
PHOTOS = photos(8, 40, 40)
#: Exposure alone, wrong by stops.
DARK = Degradation(
    saturation=(1.0, 1.0), contrast=(1.0, 1.0), exposure=(-1.5, 0.3), white_balance=0.0, tint=0.0, gamma=0.0
)


def quick(**changes: Any) -> Recipe:
    small = {"shape": SMALL, "steps": 3, "batch": 4, "pixels": 64, "points": 32, "learning_rate": 2e-2, "average": 0.9}
    return Recipe(**{**small, "held_every": 4, **changes})


def bare(**changes: Any) -> Recipe:
    """Nothing but the distance to the target."""
    return quick(**{"smoothness": 0.0, "monotony": 0.0, "anchor": 0.0, "stability": 0.0, "variation": None, **changes})


def twice_as_bright(seeds: range) -> list[Pair]:
    dark = [photo(seed, 40, 40) // 2 for seed in seeds]
    return [Pair(str(number), picture, 2 * picture) for number, picture in enumerate(dark)]


def psnr(one: Photo, other: Photo) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same(one: Tables, other: Tables) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), value)


def differ(one: Tables, other: Tables) -> bool:
    return any(not np.array_equal(getattr(other, name), value) for name, value in vars(one).items())


# --- it learns ---


def test_pairs_teach_to_make_pictures_twice_as_bright(tmp_path: Path) -> None:
    recipe = quick(steps=60, batch=8, pixels=256, points=128)
    network = train(recipe, pairs=twice_as_bright(range(8)), folder=tmp_path, device="cpu", every=20)
    enhancer = Enhancer(network.tables(), card())
    for pair in twice_as_bright(range(90, 93)):
        assert psnr(pair.input, pair.target) < 18
        assert psnr(enhancer(pair.input), pair.target) > 28
    losses = [line["loss"] for line in log(tmp_path)]
    assert losses[-1] < 0.5 * losses[0]


def scene(seed: int) -> Pair:
    """A photo that is to become darker beside white, and brighter beside black."""
    left = np.clip(photo(seed, 32, 32), 45, 210)
    side, change = (np.full_like(left, 255), -40) if seed % 2 else (np.zeros_like(left), 40)
    target = (left.astype(int) + change).astype(np.uint8)
    return Pair(str(seed), np.hstack([left, side]), np.hstack([target, side]))


def test_looks_depend_on_the_picture(tmp_path: Path) -> None:
    """The best fixed table changes nothing here, which is 19 dB."""
    recipe = bare(steps=60, batch=8, pixels=256, points=128, learning_rate=4e-2)
    network = train(recipe, pairs=[scene(seed) for seed in range(8)], folder=tmp_path, device="cpu")
    enhancer = Enhancer(network.tables(), card())
    for pair in map(scene, range(50, 54)):
        assert psnr(pair.input, pair.target) < 19.2
        assert psnr(enhancer(pair.input), pair.target) > 27


@pytest.mark.parametrize(("objective", "rise"), [("undo", 5.0), ("retouch", 3.0)])
def test_photos_alone_teach(tmp_path: Path, objective: Any, rise: float) -> None:
    """By so many dB on photos that were held out."""
    sizes: dict[str, Any] = {"batch": 8, "pixels": 256, "points": 128}
    recipe = quick(objective=objective, steps=50, learning_rate=4e-2, average=0.8, degradation=DARK, **sizes)
    train(recipe, photos=PHOTOS, folder=tmp_path, device="cpu", every=5)
    held = [line["held_psnr"] for line in log(tmp_path)]
    assert held[-1] > held[0] + rise


def test_the_published_recipe_in_small(tmp_path: Path) -> None:
    published = RECIPES["published"]()
    assert published.batch == 1
    assert published.loss == "published"
    shape = replace(published.shape, widths=(8, 8), hidden=8)
    recipe = replace(published, shape=shape, steps=2)
    network = train(recipe, pairs=twice_as_bright(range(2)), folder=tmp_path, device="cpu")
    tables = network.tables()
    assert tables.groups.shape == (5, 64, 64, 10)
    assert tables.thumbnail == 32
    assert tables.lsb is not None
    picture = photo(0)
    assert Enhancer(tables, card())(picture).shape == picture.shape


def test_recipes() -> None:
    assert RECIPES["default"]() == Recipe()
    refine = RECIPES["refine"]()
    assert refine.shape == Recipe().shape  # it goes on from the default's weights
    assert refine.steps < Recipe().steps / 10
    assert RECIPES["published"]().shape == Shape.published()


# --- what a step sees ---


def first_loss(folder: Path, recipe: Recipe, color: tuple[int, int, int], target: tuple[int, int, int]) -> float:
    """Of one pair of constant pictures, and a network that changes nothing yet."""
    pictures = [np.full((9, 7, 3), value, np.uint8) for value in (color, target)]
    train(recipe, pairs=[Pair("a", *pictures)], folder=folder, device="cpu")
    return log(folder)[0]["loss"]


def test_the_loss_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    """A look that changes nothing is smooth, rises, keeps black and white, and does not depend on the picture."""
    color, target = (100, 150, 50), (120, 120, 90)
    one, other = np.array(color) / 255, np.array(target) / 255
    error = np.sqrt(np.square(one - other).mean() + 1e-5)
    assert first_loss(tmp_path, bare(steps=1), color, target) == pytest.approx(error, abs=2e-5)
    weighted = bare(steps=1, smoothness=9.0, monotony=9.0, anchor=9.0)
    assert first_loss(tmp_path, weighted, color, target) == pytest.approx(error, abs=2e-5)
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    published = np.abs(one - other).mean() + 1 - cosine
    assert first_loss(tmp_path, bare(steps=1, loss="published"), color, target) == pytest.approx(published, abs=2e-5)


def negative(folder: Path, **changes: Any) -> Network:
    """A network that learns to turn colours around, and rather not, where a weight is against it."""
    pairs = [Pair(pair.name, pair.input, 255 - pair.input) for pair in twice_as_bright(range(4))]
    return train(bare(steps=40, **changes), pairs=pairs, folder=folder, device="cpu")


@torch.no_grad()
def lattice_of(network: Network) -> torch.Tensor:
    """The correction for a photo."""
    pixels = torch.from_numpy(photo(70).reshape(1, -1, 3)).float() / 255
    lattice: torch.Tensor = network(*histograms(network, pixels), pixels)[1][0]
    return lattice


def test_each_weight_of_the_loss_does_its_work(tmp_path: Path) -> None:
    def falls(lattice: torch.Tensor) -> float:
        own = torch.stack([lattice[..., c].diff(dim=c).flatten() for c in range(3)])
        return float((-0.25 - own).clamp(min=0).mean())

    def bends(lattice: torch.Tensor) -> float:
        return float(sum(lattice.diff(n=2, dim=axis).square().mean() for axis in range(3)))

    def lifts(lattice: torch.Tensor) -> float:
        return float((lattice[0, 0, 0].clamp(min=0) - lattice[-1, -1, -1].clamp(max=0)).mean())

    plain = lattice_of(negative(tmp_path))
    measures: dict[str, Callable[[torch.Tensor], float]] = {"monotony": falls, "smoothness": bends, "anchor": lifts}
    for name, measure in measures.items():
        weighted = lattice_of(negative(tmp_path, **{name: 30.0}))
        assert measure(weighted) < 0.5 * measure(plain), name


def test_histograms_are_shares_of_colors() -> None:
    pictures = np.stack([photo(seed, 16, 16) for seed in range(3)]).reshape(3, -1, 3)
    pixels = torch.from_numpy(pictures).float() / 255
    high, low = histograms(Network(replace(SMALL, low=True)), pixels)
    assert low is not None
    for found, nibbles in ((high, pictures // 16), (low, pictures % 16)):
        index = nibbles.astype(int) @ [256, 16, 1]
        wanted = np.stack([np.bincount(row, minlength=4096) / 256 for row in index])
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
    assert histograms(Network(SMALL), pixels)[1] is None


def trained(folder: Path, recipe: Recipe, **data: Any) -> Tables:
    return train(recipe, folder=folder, device="cpu", **data).tables()


def test_pairs_are_not_left_out_in_silence(tmp_path: Path) -> None:
    pairs = [Pair("a", PHOTOS[0], PHOTOS[0])]
    with pytest.raises(InputError, match=r"a share of 0\.01 of 4 pictures is no pair: raise share or batch"):
        trained(tmp_path, quick(share=0.01, batch=4), photos=PHOTOS, pairs=pairs)


def test_the_share_of_pairs(tmp_path: Path) -> None:
    """With none of them it is as if there were none, with nothing else as if there were no photos."""
    pairs = twice_as_bright(range(3))
    both = {share: trained(tmp_path, quick(share=share), photos=PHOTOS, pairs=pairs) for share in (0.0, 0.5, 1.0)}
    assert_same(both[0.0], trained(tmp_path, quick(share=0.0), photos=PHOTOS))
    assert_same(both[1.0], trained(tmp_path, quick(share=1.0), pairs=pairs))
    assert differ(both[0.5], both[0.0])
    assert differ(both[0.5], both[1.0])


def test_held_out_photos_are_not_trained_on(tmp_path: Path) -> None:
    def changed(number: int) -> list[Photo]:
        return [255 - picture if i == number else picture for i, picture in enumerate(PHOTOS)]

    before = trained(tmp_path, quick(), photos=PHOTOS)
    (line,) = log(tmp_path)
    for number in (3, 7):
        assert_same(trained(tmp_path, quick(), photos=changed(number)), before)
        (other,) = log(tmp_path)
        assert other["loss"] == line["loss"]
        assert other["held_psnr"] != line["held_psnr"]
    assert differ(trained(tmp_path, quick(held_every=0), photos=PHOTOS), before)
    assert "held_psnr" not in log(tmp_path)[0]


def test_a_result_follows_its_seed_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    first = trained(tmp_path, quick(), photos=PHOTOS, pairs=twice_as_bright(range(2)))
    assert torch.equal(torch.random.get_rng_state(), before)  # whose numbers others may want
    torch.rand(3)
    assert_same(trained(tmp_path, quick(), photos=PHOTOS, pairs=twice_as_bright(range(2))), first)
    assert differ(trained(tmp_path, quick(seed=1), photos=PHOTOS, pairs=twice_as_bright(range(2))), first)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_the_smallest_photos(tmp_path: Path, size: tuple[int, int]) -> None:
    pairs = [Pair("a", photo(0, *size), photo(1, *size))]
    trained(tmp_path, quick(), photos=[photo(seed, *size) for seed in range(4)], pairs=pairs)
    assert np.isfinite(list(log(tmp_path)[0].values())).all()


def test_the_log(tmp_path: Path) -> None:
    train(quick(steps=7), photos=PHOTOS, folder=tmp_path / "deep" / "run", every=3, device="cpu")
    lines = log(tmp_path / "deep" / "run")
    assert [line["step"] for line in lines] == [3, 6, 7]
    assert set(lines[0]) == {"step", "loss", "held_psnr", "seconds"}


def test_the_mean_of_the_last_steps_is_kept(tmp_path: Path) -> None:
    network = train(quick(steps=5), pairs=twice_as_bright(range(2)), folder=tmp_path, every=2, device="cpu")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name, value in network.state_dict().items():
        assert torch.equal(state["mean"][f"module.{name}"], value)
    assert any(not torch.equal(state["model"][name], value) for name, value in network.state_dict().items())


# --- stopping, going on, starting from another run ---


def cut_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Interrupt training when it counts the colours of the step after these."""

    def count(network: Network, pixels: torch.Tensor) -> Any:
        nonlocal steps
        steps -= 1
        if steps < 0:
            raise KeyboardInterrupt
        return histograms(network, pixels)

    monkeypatch.setattr(module, "histograms", count)


def test_a_run_that_was_cut_ends_as_if_it_had_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = bare(steps=12, held_every=0, variation=DARK)

    def run(name: str, *, resume: bool = False) -> Tables:
        data: dict[str, Any] = {"photos": PHOTOS, "pairs": twice_as_bright(range(3))}
        return train(recipe, folder=tmp_path / name, resume=resume, every=4, device="cpu", **data).tables()

    def without_clock(name: str) -> list[dict[str, float]]:
        return [{k: v for k, v in line.items() if k != "seconds"} for line in log(tmp_path / name)]

    whole = run("whole")
    with monkeypatch.context() as patch:
        cut_after(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert [line["step"] for line in log(tmp_path / "cut")] == [4]
    assert_same(run("cut", resume=True), whole)
    assert without_clock("cut") == without_clock("whole")
    assert_same(run("cut", resume=True), whole)  # nothing is left to do
    assert len(log(tmp_path / "cut")) == 3


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    train(quick(), photos=PHOTOS, folder=tmp_path, device="cpu")
    for other in (quick(steps=4), quick(degradation=DARK), quick(shape=replace(SMALL, widths=(8,)))):
        with pytest.raises(ArtifactError, match=r"checkpoint\.pt is of a run with another recipe: repeat"):
            train(other, photos=PHOTOS, folder=tmp_path, resume=True, device="cpu")


def test_starting_from_another_run(tmp_path: Path) -> None:
    first = train(quick(steps=20), pairs=twice_as_bright(range(2)), folder=tmp_path / "first", device="cpu")
    start = tmp_path / "first" / "checkpoint.pt"
    still = quick(steps=2, learning_rate=1e-12)
    again = train(still, photos=PHOTOS, start=start, folder=tmp_path / "second", device="cpu")
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=1e-7)
    on = train(quick(steps=2), photos=PHOTOS, start=str(start), folder=tmp_path / "third", device="cpu")
    assert differ(on.tables(), first.tables())


def test_unusable_starts(tmp_path: Path) -> None:
    def begin(start: Path, **changes: Any) -> None:
        train(quick(**changes), photos=PHOTOS, start=start, folder=tmp_path / "run", device="cpu")

    with pytest.raises(ArtifactError, match=r"nothing\.pt cannot be read .*: give the checkpoint\.pt of a run"):
        begin(tmp_path / "nothing.pt")
    train(quick(steps=1), photos=PHOTOS, folder=tmp_path, device="cpu")
    with pytest.raises(ArtifactError, match=r"is of a model of another shape: repeat that run's options"):
        begin(tmp_path / "checkpoint.pt", shape=replace(SMALL, nodes=9))
    with pytest.raises(ArtifactError, match="is of a model of another shape"):
        begin(tmp_path / "checkpoint.pt", shape=replace(SMALL, low=True))


# --- several processes ---

SCRIPT = """
import os, sys
from pathlib import Path
from tests.enhance.test_train import little_run

little_run(Path(sys.argv[1]) / os.environ["RANK"])
"""


def little_run(folder: Path) -> None:
    """Three steps with photos and pairs; few enough lattices that all of them are looked at."""
    recipe = quick(stability=0.0, share=0.5)
    train(recipe, photos=PHOTOS, pairs=twice_as_bright(range(2)), folder=folder, device="cpu")


def test_two_processes_give_what_one_gives(tmp_path: Path, root: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = torchrun(2, str(script), str(tmp_path), root=root)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "1").iterdir()) == []  # the first one writes; here each has a folder of its own
    little_run(tmp_path / "alone")
    both, alone = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("0", "alone"))
    for number, state in alone["optimizer"]["state"].items():
        mean = both["optimizer"]["state"][number]["exp_avg"]  # of the gradients
        assert torch.linalg.norm(mean - state["exp_avg"]) <= 1e-3 * torch.linalg.norm(state["exp_avg"]) + 1e-9
    assert log(tmp_path / "0")[0]["held_psnr"] == pytest.approx(log(tmp_path / "alone")[0]["held_psnr"], abs=1e-3)


# --- what it needs ---


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing to train on: give photos, pairs or both"):
        train(quick(), folder=tmp_path, device="cpu")
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt cannot be read \(No such file.*start without --resume"):
        train(quick(), photos=PHOTOS, folder=tmp_path, resume=True, device="cpu")
    with pytest.raises(InputError, match="'tpu' is not available"):
        train(quick(), photos=PHOTOS, folder=tmp_path, device="tpu")


NAN = float("nan")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        *(({name: 0}, "must be at least 1") for name in ("steps", "batch", "points")),
        ({"pixels": 28}, "pixels no fewer than points"),
        ({"pixels": 66}, "a multiple of four"),
        *(({"learning_rate": value}, "learning_rate must be positive") for value in (0.0, -1.0, NAN)),
        *(({"average": value}, "average in 0..1") for value in (1.0, -0.1, NAN)),
        *(({"share": value}, "share in 0..1") for value in (1.1, -0.1, NAN)),
        *(
            ({name: value}, "weights of the loss must not be negative")
            for name in ("smoothness", "monotony", "anchor", "stability")
            for value in (-1.0, NAN)
        ),
        *(({"held_every": value}, "held_every must be 0") for value in (1, -1)),
        ({"objective": "guess"}, "the objective must be undo or retouch"),
        ({"loss": "l2"}, "the loss rmse or published"),
    ],
)
def test_unusable_recipes(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        quick(**changes)
