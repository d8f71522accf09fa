"""A model in torch holds its tensors under their names, computes what NumPy computes, and learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from morpho.errors import InputError
from morpho.fields.arrays import NUMPY
from morpho.fields.model import Model, Scone
from morpho.fields.module import FieldModule
from morpho.fields.peers import FourierFeatures, Siren
from morpho.fields.registry import NAMES, build, matched


@pytest.mark.parametrize("name", NAMES)
def test_tensors_go_in_and_come_out_under_their_names(name: str) -> None:
    model = matched(build(name, width=8) if name in ("hash-grid", "fourier-features") else build(name), 4_000, 2, 3)
    weights = model.initial(2, 3, np.random.default_rng(0))
    module = FieldModule(model, weights, 2, 3)
    assert list(module.state_dict()) == list(weights) or set(module.state_dict()) == set(weights)
    assert sum(each.numel() for each in module.parameters()) == model.parameters(2, 3)
    returned = module.to_tensors()
    assert all(np.array_equal(returned[key], weights[key]) for key in weights)
    with torch.no_grad():
        for each in module.parameters():
            each.add_(1)
    assert all(np.array_equal(returned[key], weights[key]) for key in weights)  # both are copies


def test_values_are_numpys() -> None:
    model = Scone(width=16)
    weights = model.initial(3, 2, np.random.default_rng(0))
    points = np.random.default_rng(1).uniform(-1, 1, (40, 3)).astype(np.float32)
    with torch.no_grad():
        values = FieldModule(model, weights, 3, 2)(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(values, model.apply(NUMPY, weights, points), atol=1e-5)


def test_double_precision_is_one_call_away() -> None:
    module = FieldModule.initial(Siren(width=8), 2, 3, seed=1).double()
    assert module(torch.zeros(4, 2, dtype=torch.float64)).dtype == torch.float64
    assert {value.dtype for value in module.to_tensors().values()} == {np.dtype(np.float32)}


def test_frozen_tensors_want_no_gradient() -> None:
    module = FieldModule.initial(FourierFeatures(width=8, frequencies=4), 2, 3)
    wanted = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    assert [name for name, wants in wanted.items() if not wants] == ["frequencies"]


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    one, two, other = (FieldModule.initial(Scone(width=8), 2, 3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    points = torch.linspace(-1, 1, 10).reshape(5, 2)
    assert torch.equal(one(points), two(points))
    assert not torch.equal(one(points), other(points))


def test_wrong_tensors_are_refused_with_a_sentence() -> None:
    model = Scone(width=4, omegas=(3.0,))
    weights = model.initial(2, 3, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"scone has the tensors mask\.1\.weight, .* not head\.bias"):
        FieldModule(model, {"head.bias": weights["head.bias"]}, 2, 3)
    with pytest.raises(InputError, match=r"mask\.1\.weight of scone has shape \(2, 4\), not \(4, 2\)"):
        FieldModule(model, weights | {"mask.1.weight": weights["mask.1.weight"].T}, 2, 3)


def _picture() -> tuple[Tensor, Tensor]:
    """Return 64 x 64 pixels of a portrait's hair and cheek in [-1, 1], with their coordinates."""
    astronaut: Any = data.astronaut()  # type: ignore[no-untyped-call]
    values = torch.from_numpy(astronaut[:64, 160:224].copy()).float() / 127.5 - 1
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    return torch.stack([y, x], -1).reshape(-1, 2), values.reshape(-1, 3)


def _fitted(model: Model, steps: int = 60, rate: float = 3e-3) -> float:
    """Return the PSNR in dB after some steps of Adam on all pixels, with a cosine schedule."""
    points, values = _picture()
    module = FieldModule.initial(model, 2, 3)
    optimizer = torch.optim.Adam(module.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (module(points) - values).square().mean().backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return 10 * math.log10(4 / (module(points) - values).square().mean().item())


def test_scone_beats_siren_by_its_descending_ladder_and_its_masks() -> None:
    """The controls of `research/inr.md` 3.4 in seconds; at hand: 37.1 dB against 35.1, 29.7 and 29.3."""
    ladder = (30.0, 20.0, 10.0, 3.0)
    scone = Scone(width=48, omegas=ladder)
    siren = matched(Siren(), scone.parameters(2, 3), 2, 3)
    reached = _fitted(scone)
    assert reached > 36
    assert reached > _fitted(siren) + 1
    assert reached > _fitted(Scone(width=48, omegas=ladder[::-1])) + 4
    assert reached > _fitted(Scone(width=48, omegas=ladder, mask="linear")) + 5
