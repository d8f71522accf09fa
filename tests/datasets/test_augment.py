"""Augmentation keeps what it promises, is drawn by its generator alone, and leaves its input as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from morpho.datasets import augment
from morpho.errors import InputError

Change = Callable[[Tensor, torch.Generator], Tensor]

PICTURES: dict[str, Change] = {
    "flip": augment.flip,
    "crop": lambda x, g: augment.crop(x, 3, g),
    "crop with black": lambda x, g: augment.crop(x, 3, g, mode="zero"),
    "cutout": lambda x, g: augment.cutout(x, 5, g),
}
CLOUDS: dict[str, Change] = {
    "rotate_about_z": augment.rotate_about_z,
    "scale_and_shift": augment.scale_and_shift,
    "jitter": augment.jitter,
    "drop_points": augment.drop_points,
    "resample": lambda x, g: augment.resample(x, 11, g),
}
ALL = {**PICTURES, **CLOUDS}


def by(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, height: int = 9, width: int = 8) -> Tensor:
    """No byte twice in a plane."""
    plane = torch.arange(1, height * width + 1).reshape(height, width)
    planes = torch.stack([plane, plane.flip(0), plane.flip(1)])
    return (planes[None] + torch.arange(count)[:, None, None, None] % 100).to(torch.uint8)


def clouds(count: int, points: int = 40) -> Tensor:
    return torch.randn(count, points, 3, generator=by(77))


def sample(name: str, count: int = 30) -> Tensor:
    return pictures(count) if name in PICTURES else clouds(count)


@pytest.mark.parametrize("name", ALL)
def test_the_same_generator_gives_the_same(name: str) -> None:
    batch, state = sample(name), torch.random.get_rng_state()
    before = batch.clone()
    first, again, other = (ALL[name](batch, by(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == batch.dtype
    assert torch.equal(batch, before)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("name", [name for name in ALL if name != "jitter"])
def test_an_item_does_not_depend_on_those_behind_it(name: str) -> None:
    batch = sample(name)
    assert torch.equal(ALL[name](batch, by(5))[:13], ALL[name](batch[:13], by(5)))


@pytest.mark.parametrize("name", PICTURES)
def test_bytes_and_floats_are_changed_alike(name: str) -> None:
    batch = pictures(20)
    changed = PICTURES[name](batch, by(1))
    assert torch.equal(augment.to_float(changed), PICTURES[name](augment.to_float(batch), by(1)))


@pytest.mark.parametrize("name", ALL)
def test_an_empty_batch_stays_empty(name: str) -> None:
    assert len(ALL[name](sample(name)[:0], by(0))) == 0


def test_floats_reach_from_0_to_1() -> None:
    batch = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    floats = augment.to_float(batch)
    assert floats.dtype == torch.float32
    assert torch.equal((floats * 255).round().byte(), batch)
    assert (float(floats.min()), float(floats.max())) == (0, 1)


@given(st.integers(0, 1000), st.integers(1, 30))
def test_a_flip_mirrors_or_leaves(seed: int, count: int) -> None:
    batch = pictures(count)
    for before, after in zip(batch, augment.flip(batch, by(seed)), strict=True):
        assert torch.equal(after, before) or torch.equal(after, before.flip(-1))
        assert torch.equal(after.flatten().sort().values, before.flatten().sort().values)


def test_half_of_the_pictures_are_flipped() -> None:
    batch = pictures(4000)
    flipped = (augment.flip(batch, by(0)) != batch).flatten(1).any(1).float().mean()
    assert abs(flipped - 0.5) < 0.04  # five standard deviations


def shift_of(before: np.ndarray, after: np.ndarray, pad: int, mode: Literal["reflect", "constant"]) -> tuple[int, int]:
    """By trying all of them, on a picture padded by NumPy."""
    padded = np.pad(before, ((0, 0), (pad, pad), (pad, pad)), mode=mode)
    height, width = before.shape[1:]
    found = [
        (y, x)
        for y in range(2 * pad + 1)
        for x in range(2 * pad + 1)
        if np.array_equal(padded[:, y : y + height, x : x + width], after)
    ]
    assert len(found) == 1
    return found[0]


@given(st.integers(0, 1000), st.integers(0, 4), st.sampled_from(["reflect", "zero"]))
def test_a_crop_is_a_window_of_the_padded_picture(seed: int, pad: int, mode: Literal["reflect", "zero"]) -> None:
    batch = pictures(6)
    after = augment.crop(batch, pad, by(seed), mode=mode)
    assert after.shape == batch.shape
    for one, changed in zip(batch.numpy(), after.numpy(), strict=True):
        shift_of(one, changed, pad, "reflect" if mode == "reflect" else "constant")


def test_all_shifts_are_equally_likely() -> None:
    batch = pictures(2500)
    after = augment.crop(batch, 2, by(0))
    shifts = [shift_of(*pair, 2, "reflect") for pair in zip(batch.numpy(), after.numpy(), strict=True)]
    counts = [shifts.count((y, x)) for y in range(5) for x in range(5)]
    assert sum(counts) == 2500
    assert min(counts) > 60  # 100 +- 10
    assert max(counts) < 145


@pytest.mark.parametrize(("pad", "mode"), [(-1, "reflect"), (-1, "zero"), (8, "reflect")])
def test_an_impossible_padding_is_refused(pad: int, mode: Literal["reflect", "zero"]) -> None:
    with pytest.raises(InputError, match="cannot be padded"):
        augment.crop(pictures(2), pad, by(0), mode=mode)


@given(st.integers(0, 1000), st.integers(0, 12), st.sampled_from([0, 255]))
def test_cutout_covers_a_square_clipped_by_the_border(seed: int, size: int, fill: int) -> None:
    batch = pictures(10) // 2 + 1  # 0 and 255 are new
    after = augment.cutout(batch, size, by(seed), fill=fill)
    for before, changed in zip(batch, after, strict=True):
        covered = changed[0] == fill
        assert torch.equal(changed, torch.where(covered, fill, before))
        sides = [int(covered.any(dim).sum()) for dim in (0, 1)]
        assert sides[0] * sides[1] == covered.sum()
        for side, length in zip(sides, (8, 9), strict=True):
            assert min(math.ceil(size / 2), length) <= side <= min(size, length)


def test_cutouts_centre_is_any_pixel() -> None:
    after = augment.cutout(pictures(5000), 1, by(0))
    places = (after[:, 0] == 0).sum(0)
    assert places.sum() == 5000
    assert places.min() > 30  # 69 +- 8
    assert places.max() < 115


@given(st.integers(0, 1000))
def test_a_rotation_keeps_heights_distances_and_handedness(seed: int) -> None:
    batch = clouds(7)
    after = augment.rotate_about_z(batch, by(seed))
    assert torch.equal(after[..., 2], batch[..., 2])
    torch.testing.assert_close(after.norm(dim=2), batch.norm(dim=2))
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(batch, batch), atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(torch.linalg.det(after[:, :3]), torch.linalg.det(batch[:, :3]), atol=1e-4, rtol=1e-3)


def test_rotations_go_all_the_way_round_and_each_cloud_has_its_own() -> None:
    batch = torch.tensor([1.0, 0, 0]).expand(4000, 2, 3)
    after = augment.rotate_about_z(batch, by(0))
    assert torch.equal(after[:, 0], after[:, 1])
    angle = torch.atan2(after[:, 0, 1], after[:, 0, 0])
    counts = torch.histc(angle, 8, -math.pi, math.pi)
    assert counts.min() > 390  # 500 +- 21
    assert counts.max() < 610


def test_scale_and_shift_are_one_for_each_axis_of_each_cloud() -> None:
    batch = torch.tensor([[0.0, 0, 0], [1, 1, 1], [2, 2, 2]]).expand(3000, 3, 3)
    after = augment.scale_and_shift(batch, by(0))
    shift, scale = after[:, 0], after[:, 1] - after[:, 0]
    torch.testing.assert_close(after[:, 2], shift + 2 * scale)
    assert shift.abs().max() <= 0.2 + 1e-6
    assert 2 / 3 - 1e-6 <= scale.min() <= scale.max() <= 1.5 + 1e-6
    assert shift.min() < -0.19
    assert shift.max() > 0.19
    assert scale.min() < 0.68
    assert scale.max() > 1.48
    numbers = torch.cat([shift, scale], dim=1).T
    assert (torch.corrcoef(numbers) - torch.eye(6)).abs().max() < 0.1


def test_scale_and_shift_take_other_ranges() -> None:
    batch = clouds(4)
    torch.testing.assert_close(augment.scale_and_shift(batch, by(0), scale=(2, 2), shift=0), 2 * batch)


def test_jitter_is_small_and_cut_off() -> None:
    moved = augment.jitter(torch.zeros(50, 100, 3), by(0), sigma=0.02, most=0.05)
    assert moved.abs().max() == pytest.approx(0.05)
    assert moved.std() == pytest.approx(0.02, rel=0.05)
    assert abs(moved.mean()) < 1e-3


def test_dropped_points_become_the_first() -> None:
    batch = clouds(500, 200)
    after = augment.drop_points(batch, by(0))
    kept = (after == batch).all(2)
    assert torch.equal(after, torch.where(kept[..., None], batch, batch[:, :1]))
    part = 1 - kept.float().mean(1)
    assert part.max() < 0.95
    assert part.mean() == pytest.approx(0.4375, abs=0.06)
    assert part.std() == pytest.approx(0.875 / 12**0.5, abs=0.03)


def test_resampled_points_are_different_members_of_their_cloud() -> None:
    batch = torch.arange(20 * 30, dtype=torch.float32).reshape(20, 30, 1).expand(-1, -1, 3)
    after = augment.resample(batch, 12, by(0))[..., 0]
    assert after.shape == (20, 12)
    for number, cloud in enumerate(after.tolist()):
        assert len(set(cloud)) == 12
        assert all(30 * number <= member < 30 * number + 30 for member in cloud)


def test_each_point_is_resampled_equally_often() -> None:
    batch = torch.arange(20.0).reshape(1, 20, 1).expand(4000, 20, 3)
    counts = augment.resample(batch, 5, by(0))[..., 0].long().flatten().bincount(minlength=20)
    assert counts.min() > 860  # 1000 +- 27
    assert counts.max() < 1140


@pytest.mark.parametrize("count", [0, -1, 41])
def test_too_many_points_are_refused(count: int) -> None:
    with pytest.raises(InputError, match="ask for 1 to 40"):
        augment.resample(clouds(2), count, by(0))


def test_all_points_are_a_new_order() -> None:
    batch = clouds(3)
    after = augment.resample(batch, 40, by(0))
    assert not torch.equal(after, batch)
    assert torch.equal(after.sort(1).values, batch.sort(1).values)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ALL)
def test_a_gpu_gives_what_the_cpu_gives_and_takes_a_generator_of_its_own(name: str) -> None:
    batch = sample(name)
    torch.testing.assert_close(ALL[name](batch.cuda(), by(5)).cpu(), ALL[name](batch, by(5)))
    assert ALL[name](batch.cuda(), torch.Generator("cuda").manual_seed(5)).is_cuda
