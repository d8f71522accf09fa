"""Photographs made worse: every change is what its name says, and comes from the generator alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from morpho.enhance.degrade import MILD, Degradation, encode, linear
from morpho.errors import InputError
from tests.upscale.photos import photos

#: Nothing happens; each test lets one thing happen.
NOTHING = Degradation(
    saturation=(1.0, 1.0), contrast=(1.0, 1.0), exposure=(0.0, 0.0), white_balance=0.0, tint=0.0, gamma=0.0
)
LUMA = torch.tensor([0.299, 0.587, 0.114])
#: Halves of a level, of rounding the result.
HALF = 0.5 / 255 + 1e-5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 3) -> Tensor:
    return torch.stack([torch.from_numpy(p.reshape(-1, 3)[::7].copy()).float() / 255 for p in photos(count, 48, 48)])


def colors() -> Tensor:
    """A picture of middling colours: little of it is clipped."""
    axis = torch.linspace(0.3, 0.7, 9)
    return torch.cartesian_prod(axis, axis, axis)[None]


def greys(count: int = 1) -> Tensor:
    return (torch.arange(256) / 255)[None, :, None].expand(count, -1, 3)


def srgb(encoded: Tensor) -> Tensor:
    """IEC 61966-2-1 in double precision."""
    values = encoded.double()
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def test_the_transfer_curve() -> None:
    levels = torch.arange(256) / 255
    torch.testing.assert_close(linear(levels).double(), srgb(levels), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(encode(linear(levels)), levels, rtol=0, atol=1e-6)
    assert linear(torch.tensor(0.5)).item() == pytest.approx(0.21404114, abs=1e-6)
    assert encode(torch.tensor(4.0)).item() == pytest.approx(1.055 * 4 ** (1 / 2.4) - 0.055, abs=1e-5)


def test_nothing_happens_to_any_level() -> None:
    result = NOTHING(greys(), generator())
    torch.testing.assert_close(result, greys(), rtol=0, atol=1e-6)
    rounded = (255 * pictures()).round() / 255
    torch.testing.assert_close(NOTHING(pictures(), generator()), rounded, rtol=0, atol=1e-6)


@pytest.mark.parametrize("degradation", [Degradation(), MILD])
def test_results_are_levels_and_follow_the_generator(degradation: Degradation) -> None:
    given = pictures()
    before, kept = torch.random.get_rng_state(), given.clone()
    one, two, other = (degradation(given, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(given, kept)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.shape == given.shape
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    torch.testing.assert_close(255 * one, (255 * one).round(), rtol=0, atol=1e-4)


def test_each_picture_in_its_own_way_each_pixel_of_it_in_the_same() -> None:
    same = colors().expand(4, -1, -1)
    result = Degradation()(same, generator())
    assert len({tuple(row.flatten().tolist()) for row in result}) == 4
    order = torch.randperm(same.shape[1], generator=generator(5))
    torch.testing.assert_close(Degradation()(same[:, order], generator()), result[:, order], rtol=0, atol=1.01 / 255)


def test_greys_stay_grey_without_casts() -> None:
    many = greys(64)
    plain = replace(Degradation(), white_balance=0.0, tint=0.0)(many, generator())
    assert torch.equal(plain, plain[..., :1].expand_as(plain))
    assert plain.diff(dim=1).min() >= 0  # and do not change places
    cast = Degradation()(many, generator())
    assert (cast.amax(-1) - cast.amin(-1)).mean() > 3 / 255


@pytest.mark.parametrize("factor", [0.5, 1.1])
def test_saturation_scales_the_distance_to_luma(factor: float) -> None:
    given = colors()
    luma = (given * LUMA).sum(-1, keepdim=True)
    result = replace(NOTHING, saturation=(factor, factor))(given, generator())
    wanted = (luma + factor * (given - luma)).clamp(0, 1)
    torch.testing.assert_close(result, wanted, rtol=0, atol=HALF)


@pytest.mark.parametrize("factor", [0.5, 1.1])
def test_contrast_scales_around_a_point_between_mid_grey_and_the_mean(factor: float) -> None:
    given = colors() ** 2
    pivot = (0.5 + float(given.mean())) / 2
    result = replace(NOTHING, contrast=(factor, factor))(given, generator())
    torch.testing.assert_close(result, (pivot + factor * (given - pivot)).clamp(0, 1), rtol=0, atol=HALF)


@pytest.mark.parametrize("stops", [-2.0, -1.0, 0.5])
def test_exposure_multiplies_light(stops: float) -> None:
    given = colors()
    result = replace(NOTHING, exposure=(stops, 0.0))(given, generator())
    light = (srgb(given) * 2**stops).float()
    torch.testing.assert_close(result, encode(light).clamp(0, 1), rtol=0, atol=HALF)
    bright = replace(NOTHING, exposure=(5.0, 0.0))(given, generator())
    assert (bright == 1).all()


def test_white_balance_turns_red_against_blue_and_tint_turns_green() -> None:
    many = torch.full((2000, 1, 3), 0.5)
    warm = srgb(replace(NOTHING, white_balance=0.5)(many, generator()))[:, 0].log2() - np.log2(0.21404114)
    assert warm[:, 1].abs().max() < 0.02
    assert (warm[:, 0] + warm[:, 2]).abs().max() < 0.1  # dark levels are rounded
    assert warm[:, 0].std().item() == pytest.approx(0.5, rel=0.1)
    green = srgb(replace(NOTHING, tint=0.25)(many, generator()))[:, 0].log2() - np.log2(0.21404114)
    assert green[:, ::2].abs().max() < 0.02
    assert green[:, 1].std().item() == pytest.approx(0.25, rel=0.1)


def test_draws_are_distributed_as_said() -> None:
    many = torch.full((4000, 1, 3), 0.5)
    stops = srgb(replace(NOTHING, exposure=(-0.5, 0.3))(many, generator()))[:, 0, 0].log2() - np.log2(0.21404114)
    assert (stops.mean().item(), stops.std().item()) == (pytest.approx(-0.5, abs=0.03), pytest.approx(0.3, abs=0.03))
    exponents = replace(NOTHING, gamma=0.2)(many, generator())[:, 0, 0].log() / np.log(0.5)
    assert (exponents.log().mean().item(), exponents.log().std().item()) == (
        pytest.approx(0, abs=0.02),
        pytest.approx(0.2, abs=0.02),
    )
    orange = torch.tensor([0.6, 0.5, 0.4]).expand(4000, 1, 3)
    factors = replace(NOTHING, saturation=(0.5, 1.5))(orange, generator())[:, 0, 0] - 0.5186
    assert factors.min().item() / 0.0814 == pytest.approx(0.5, abs=0.05)
    assert factors.max().item() / 0.0814 == pytest.approx(1.5, abs=0.05)


def test_mild_is_milder() -> None:
    given = colors().expand(200, -1, -1)
    mild, strong = ((degradation(given, generator()) - given).abs().mean() for degradation in (MILD, Degradation()))
    assert 0.01 < mild < strong / 2


@pytest.mark.parametrize(
    "changes",
    [
        *({"exposure": (0.0, value)} for value in (-0.1, float("nan"))),
        *({name: value} for name in ("white_balance", "tint", "gamma") for value in (-0.1, float("nan"))),
        *({name: pair} for name in ("saturation", "contrast") for pair in ((0.0, 1.0), (0.5, -1.0), (1.0, np.nan))),
    ],
)
def test_unusable_degradations(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="a degradation needs positive factors and deviations that are not negative"):
        Degradation(**changes)
