"""The retoucher does what it says: half a white balance, a mean, a contrast, and colours of a certain strength."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from morpho.enhance.retouch import retouch
from tests.upscale.photos import photos

LUMA = torch.tensor([0.299, 0.587, 0.114])
#: A colour without luma.
CHROMA = torch.tensor([0.587, -0.299, 0.0]) + torch.tensor([-0.114, 0.0, 0.299])


def luma(picture: Tensor) -> Tensor:
    return (picture * LUMA).sum(-1)


def spread(picture: Tensor) -> float:
    return float((picture - luma(picture)[..., None]).abs().mean())


def stripes(distance: float, *, mean: float = 0.46, chroma: float = 0.0) -> Tensor:
    """Four stripes, dark and bright, each in a colour and in its opposite: every mean is that of a grey."""
    levels = torch.tensor([mean - distance, mean + distance]).repeat_interleave(2)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    return (levels[:, None] + chroma * signs[:, None] * CHROMA).repeat(50, 1)[None]


def constant(*color: float) -> Tensor:
    return torch.tensor(color if len(color) == 3 else color * 3).expand(1, 30, 3)


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5)


def test_what_is_right_already_stays() -> None:
    right = stripes(0.24, chroma=0.1 / float(CHROMA.abs().mean()))
    assert spread(right) == pytest.approx(0.1)
    close(retouch(right), right)
    close(retouch(stripes(0.24)), stripes(0.24))


@pytest.mark.parametrize("distance", [0.14, 0.2, 0.29])
def test_contrast(distance: float) -> None:
    close(retouch(stripes(distance)), stripes(0.24))


@pytest.mark.parametrize(("distance", "factor"), [(0.02, 1.8), (0.1, 1.8), (0.4, 0.8), (0.46, 0.8)])
def test_contrast_is_bounded(distance: float, factor: float) -> None:
    close(retouch(stripes(distance)), stripes(factor * distance))


@pytest.mark.parametrize("level", [0.22, 0.3, 0.46, 0.6])
def test_an_exponent_brings_the_mean_to_its_place(level: float) -> None:
    close(retouch(constant(level)), constant(0.46))


@pytest.mark.parametrize(("level", "exponent"), [(0.05, 0.5), (0.2, 0.5), (0.65, 1.6), (0.9, 1.6)])
def test_the_exponent_is_bounded(level: float, exponent: float) -> None:
    """What is still too dark or bright then moves away from the middle, as contrast is found too low."""
    close(retouch(constant(level)), constant(0.46 + 1.8 * (level**exponent - 0.46)).clamp(0, 1))


def test_tone_goes_before_contrast() -> None:
    levels = torch.tensor([0.1, 0.5]).repeat(50)[:, None].expand(-1, 3)[None]
    toned = levels ** (math.log(0.46) / math.log(0.3))
    factor = 0.24 / float(toned.std(correction=0))
    assert 0.8 < factor < 1.8
    close(retouch(levels), 0.46 + factor * (toned - 0.46))


@pytest.mark.parametrize("strength", [0.05, 0.08, 0.15])
def test_saturation_goes_halfway(strength: float) -> None:
    """In the logarithm: to the mean of what it is and 0.10."""
    chroma = strength / float(CHROMA.abs().mean())
    result = retouch(stripes(0.24, chroma=chroma))
    close(result, stripes(0.24, chroma=chroma * math.sqrt(0.1 / strength)))
    assert spread(result) == pytest.approx(math.sqrt(0.1 * strength), rel=1e-3)


@pytest.mark.parametrize(("strength", "factor"), [(0.01, 1.6), (0.03, 1.6)])
def test_saturation_is_bounded(strength: float, factor: float) -> None:
    chroma = strength / float(CHROMA.abs().mean())
    close(retouch(stripes(0.24, chroma=chroma)), stripes(0.24, chroma=factor * chroma))


@pytest.mark.parametrize("color", [(0.4, 0.3, 0.25), (0.35, 0.4, 0.3), (0.6, 0.2, 0.4), (0.3, 0.3, 0.6)])
def test_half_of_a_cast_is_balanced(color: tuple[float, float, float]) -> None:
    """By 0.8 to 1.25. What comes later scales differences of channels alike: their ratio tells what was before."""
    given = torch.tensor(color)
    balanced = given * (given.mean() / given).sqrt().clamp(0.8, 1.25)
    toned = balanced ** (math.log(0.46) / math.log(float(luma(balanced))))
    result = retouch(constant(*color))[0, 0]
    cross = (result[0] - result[1]) * (toned[2] - toned[1]) - (result[2] - result[1]) * (toned[0] - toned[1])
    assert abs(float(cross)) < 1e-5
    assert float(result.max() - result.min()) > 0.03
    assert result.max() < 1


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.3, 1.0])
def test_pictures_without_contrast(level: float) -> None:
    result = retouch(constant(level))
    assert torch.isfinite(result).all()
    assert float(result.max() - result.min()) < 1e-6


def batch() -> Tensor:
    plain = torch.stack([torch.from_numpy(p.reshape(-1, 3).copy()).float() / 255 for p in photos(5, 40, 40)])
    return torch.cat([plain, plain**2, 0.3 + 0.4 * plain])


def test_photos_come_to_the_targets() -> None:
    given = batch()
    result = retouch(given)
    assert result.shape == given.shape
    assert torch.isfinite(result).all()
    assert 0 <= float(result.min()) < float(result.max()) <= 1
    mean, deviation = ([function(luma(p), dim=1) for p in (given, result)] for function in (torch.mean, torch.std))
    for (before, after), target in ((mean, 0.46), (deviation, 0.24)):
        assert (after - target).abs().mean() < 0.75 * (before - target).abs().mean()


def test_pictures_do_not_see_each_other_nor_where_their_pixels_are() -> None:
    given = batch()
    kept = given.clone()
    result = retouch(given)
    assert torch.equal(given, kept)
    for row in (0, 7, 14):
        close(retouch(given[row : row + 1])[0], result[row])
    order = torch.randperm(given.shape[1], generator=torch.Generator().manual_seed(0))
    close(retouch(given[:, order]), result[:, order])


def test_no_fixed_table_can_do_it() -> None:
    """The same grey becomes brighter in one picture and darker in another."""
    dark, bright = (torch.cat([constant(0.4)[:, :1], constant(level)], dim=1) for level in (0.2, 0.6))
    assert float(retouch(dark)[0, 0, 0]) > 0.5
    assert float(retouch(bright)[0, 0, 0]) < 0.3
