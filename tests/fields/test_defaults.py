"""What a fit takes where a person says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morpho.artifacts import Card
from morpho.errors import InputError
from morpho.fields import defaults
from morpho.fields.field import Field
from morpho.fields.files import save
from morpho.fields.recipe import Recipe
from morpho.fields.registry import NAMES, build
from morpho.fields.signal import Signal
from tests.fields.small import CARD


def signal(*shape: int, kind: Any = "image", channels: int = 3) -> Signal:
    return Signal(kind=kind, shape=shape, channels=channels)


def test_the_default_model_exists() -> None:
    assert defaults.default_model() in NAMES


@pytest.mark.parametrize(
    ("sampled", "count"),
    [
        (signal(512, 768), 512 * 768 // 2),
        (signal(512, 768, channels=1), 512 * 768 // 6),
        (signal(16, 16), 5000),
        (signal(4000, 6000), 200_000),
        (signal(60, 136, 320, kind="video"), 200_000),
        (signal(512, 512, 512, kind="occupancy", channels=1), 100_000),
    ],
)
def test_weights_follow_the_number_of_values(sampled: Signal, count: int) -> None:
    assert defaults.default_parameters(sampled) == count


@pytest.mark.parametrize("bits", [2, 4, 8, 12, 16, 32])
@pytest.mark.parametrize("size", [4_000, 20_000, 100_000])
@pytest.mark.parametrize("name", ["scone+", "siren"])
def test_files_keep_within_a_size(tmp_path: Path, name: str, size: int, bits: int) -> None:
    """The weights of a beginning are spread evenly, which is the most that a code can take."""
    sampled = signal(512, 768)
    model = defaults.model_for(build(name), sampled, defaults.parameters_within(size, bits))
    recipe = Recipe(model=model, bits=bits, learning_rate=1.2345678e-3, psnr=33.333333).to_json()
    numbers = {"psnr": 33.33333, "steps": 100000.0, "seconds": 1000.00001, "measuring_seconds": 10.00001}
    card = Card(**{**vars(CARD), "recipe": recipe, "numbers": numbers, "commit": "0123456789" * 4, "seed": 123456})
    save(tmp_path / "a.field", Field(sampled, model, model.initial(2, 3, np.random.default_rng(0)), card), bits)
    taken = (tmp_path / "a.field").stat().st_size
    assert 0.6 * size < taken <= size


def test_so_few_bytes_hold_nothing() -> None:
    with pytest.raises(InputError, match="1377 bytes are too few for a field"):
        defaults.parameters_within(1377, 8)


def test_steps_are_fewer_where_they_are_dearer() -> None:
    steps = [defaults.default_steps(count) for count in (1, 5_000, 50_000, 100_000, 200_000, 10**7)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == 5000
    assert steps[-1] == 1000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(64, 96), (512, 768)])
def test_models_stay_within_their_weights(name: str, shape: tuple[int, int]) -> None:
    wanted = 40_000
    model = defaults.model_for(build(name), signal(*shape), wanted)
    assert 0.9 * wanted < model.parameters(2, 3) <= wanted


def test_frequencies_follow_the_resolution_at_the_final_size() -> None:
    small, large = (defaults.model_for(build("scone"), signal(side, side), 10_000) for side in (64, 512))
    assert small.to_json()["omegas"][0] < large.to_json()["omegas"][0]


def test_too_few_weights_are_refused() -> None:
    with pytest.raises(InputError, match="5 parameters are too few for scone"):
        defaults.model_for(build("scone"), signal(8, 8), 5)


def test_frequencies_of_surfaces_do_not_follow_the_grid_they_are_scored_on() -> None:
    models = [
        defaults.model_for(build("siren"), signal(side, side, side, kind="sdf", channels=1), 50_000)
        for side in (256, 384, 512)
    ]
    assert models[0] == models[1] == models[2]
    small = defaults.model_for(build("siren"), signal(40, 40, 40, kind="sdf", channels=1), 50_000)
    assert getattr(small, "first_omega") < getattr(models[0], "first_omega")  # noqa: B009
