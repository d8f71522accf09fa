"""Rounded weights in training: the file's weights going forward, the identity going backward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.arrays import NUMPY
from morpho.fields.files import code
from morpho.fields.model import Model
from morpho.fields.peers import FourierFeatures
from morpho.fields.plus import SconePlus
from morpho.fields.quantise import integers
from morpho.fields.rounding import Rounding, error_costs

SHAPES = {"large": (40, 50), "small": (7,)}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    random = np.random.default_rng(seed)
    return {name: torch.from_numpy(random.normal(size=shape).astype(np.float32)) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("bits", [2, 3, 6, 12, 16])
def test_training_sees_the_weights_of_the_file(bits: int) -> None:
    """To a bit or so of float32, and those of the file are integers of their widths, the largest ones included."""
    rounding, tensors = Rounding(SHAPES, bits), weights()
    rounding.follow(tensors)
    exact = rounding.exact({name: tensor.numpy() for name, tensor in tensors.items()})
    for name, tensor in rounding(tensors).items():
        np.testing.assert_allclose(tensor.numpy(), exact[name], rtol=1e-6, atol=1e-6)
        assert not np.array_equal(exact[name], tensors[name].numpy())
        if bits < 16:
            levels = integers(exact[name], rounding.scales[name])
            assert levels is not None
            assert np.abs(levels).max() <= 2 ** (bits + 4 * (name == "small") - 1) - 1
        else:
            assert np.array_equal(exact[name], exact[name].astype(np.float16))


def test_weights_beyond_the_largest_integer_are_clipped() -> None:
    rounding = Rounding({"w": (3,)}, 3)
    rounding.scales = {"w": 0.25}
    assert rounding({"w": torch.tensor([9.0, -9.0, 0.6])})["w"].tolist() == [0.75, -0.75, 0.5]


@pytest.mark.parametrize("bits", [2, 6, 16])
def test_the_gradient_is_the_identitys(bits: int) -> None:
    """That of ``sum (c w')`` is ``c``, clipped weights included."""
    rounding, tensors = Rounding(SHAPES, bits), weights()
    rounding.follow(tensors)
    plain = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    factors = weights(1)
    sum((factors[name] * tensor).sum() for name, tensor in rounding(plain).items()).backward()  # type: ignore[union-attr]
    for name, tensor in plain.items():
        assert tensor.grad is not None
        torch.testing.assert_close(tensor.grad, factors[name])


def test_step_sizes_follow_only_when_told_to_and_are_the_state() -> None:
    rounding, other = Rounding(SHAPES, 6), Rounding(SHAPES, 6)
    rounding.follow(weights())
    before = dict(rounding.scales)
    rounding({name: 4 * tensor for name, tensor in weights().items()})
    assert rounding.scales == before
    rounding.follow({name: 4 * tensor for name, tensor in weights().items()})
    assert {name: scale / 4 for name, scale in rounding.scales.items()} == before
    other.load_state_dict(rounding.state_dict())
    for name, tensor in other(weights()).items():
        assert torch.equal(tensor, rounding(weights())[name])
    assert before != rounding.scales


@pytest.mark.parametrize("bits", [3, 6, 16])
def test_weights_settle_part_by_part_and_for_good(bits: int) -> None:
    rounding, first = Rounding(SHAPES, bits, seed=1), weights()
    assert all(torch.equal(rounding.partly(first)[name], first[name]) for name in SHAPES)
    rounding.settle(first, 0.5)
    scales, rounded = dict(rounding.scales), rounding(first)
    there = {name: rounding.partly(first)[name] != first[name] for name in SHAPES}
    assert there["large"].float().mean() == pytest.approx(0.5, abs=0.05)
    moved = {name: 1.5 * tensor for name, tensor in first.items()}
    halfway = rounding.partly(moved)
    for name in SHAPES:
        assert torch.equal(halfway[name], torch.where(there[name], rounded[name], moved[name]))
    rounding.settle(moved, 1.0)
    exact = rounding.exact({name: tensor.numpy() for name, tensor in weights(2).items()})  # those count no more
    assert rounding.scales == scales
    for name, there_first in there.items():
        wanted = torch.where(there_first, rounded[name], rounding(moved)[name])
        np.testing.assert_allclose(exact[name], wanted.numpy(), rtol=1e-6, atol=1e-6)


def test_gradients_reach_only_what_is_free() -> None:
    rounding, tensors = Rounding(SHAPES, 4), weights()
    rounding.settle(tensors, 0.4)
    free = {name: rounding.partly(tensors)[name] == tensors[name] for name in SHAPES}
    plain = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    torch.stack([tensor.sum() for tensor in rounding.partly(plain).values()]).sum().backward()  # type: ignore[no-untyped-call]
    for name, tensor in plain.items():
        assert tensor.grad is not None
        assert torch.equal(tensor.grad, free[name].float())


def test_what_is_settled_is_the_state() -> None:
    rounding, other = Rounding(SHAPES, 5, seed=3), Rounding(SHAPES, 5, seed=3)
    rounding.settle(weights(), 0.3)
    other.load_state_dict(rounding.state_dict())
    for rounds in (rounding, other):
        rounds.settle(weights(1), 0.7)
    for name, tensor in other.partly(weights(2)).items():
        assert torch.equal(tensor, rounding.partly(weights(2))[name])


def arrays(tensors: dict[str, torch.Tensor]) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def taken(rounding: Rounding, tensors: dict[str, torch.Tensor]) -> int:
    """Bytes in the file of the weights that come of these."""
    exact = rounding.exact(arrays(tensors))
    return len(code(exact, rounding.scales))


@pytest.mark.parametrize("size", [300, 700, 1200])
def test_step_sizes_follow_a_size_and_what_errors_cost(size: int) -> None:
    """The gradient of one tensor is four times the other's, so its steps are a quarter."""
    rounding = Rounding(SHAPES, 8, size=size)
    rounding.follow(weights(), {"large": 0.01, "small": 0.16})
    assert rounding.scales["large"] == pytest.approx(4 * rounding.scales["small"], rel=0.01)  # of eight bits
    assert 0.93 * size < taken(rounding, weights()) <= size


def test_a_size_without_need_takes_the_finest_steps() -> None:
    rounding = Rounding(SHAPES, 8, size=100_000)
    rounding.follow(weights())
    assert len(set(rounding.scales.values())) == 1  # alike, where nothing is known of what errors cost
    exact = rounding.exact(arrays(weights()))
    levels = np.concatenate([np.abs(exact[name] / rounding.scales[name]).ravel() for name in SHAPES])
    assert 2**14 < levels.max() < 2**15
    for name, array in arrays(weights()).items():
        np.testing.assert_allclose(exact[name], array, atol=rounding.scales[name])


def test_a_tensor_that_never_had_a_gradient_has_a_step_size() -> None:
    rounding = Rounding(SHAPES, 8, size=700)
    for costs in ({"large": 1.0, "small": 0.0}, {"large": 0.0, "small": 0.0}):
        rounding.follow(weights(), costs)
        assert 0 < rounding.scales["large"] <= rounding.scales["small"] < np.inf
        assert taken(rounding, weights()) <= 700


def test_weights_that_became_larger_while_they_settled_keep_within_the_size_too() -> None:
    rounding = Rounding(SHAPES, 8, size=900)
    rounding.settle(weights(), 0.5)
    first = dict(rounding.scales)
    moved = {name: 3 * tensor for name, tensor in weights(1).items()}
    rounding.settle(moved, 1.0)
    assert rounding.scales == first
    assert 0.9 * 900 < taken(rounding, moved) <= 900
    assert all(rounding.scales[name] > first[name] for name in SHAPES)


@pytest.mark.parametrize("model", [SconePlus(width=5), FourierFeatures(frequencies=5, width=5)], ids=lambda m: m.name)
def test_what_errors_cost_is_the_mean_of_squared_derivatives(model: Model) -> None:
    """Of every tensor, frozen ones included, against finite differences in float64; signs make noise."""
    random = np.random.default_rng(0)
    tensors = {k: v.astype(np.float64) for k, v in model.initial(2, 3, random).items()}
    points = random.uniform(-1, 1, (2048, 2))
    given = {k: torch.from_numpy(v) for k, v in tensors.items()}, torch.from_numpy(points)
    found = [error_costs(model, *given, torch.Generator().manual_seed(seed)) for seed in range(20)]
    plain, step = model.apply(NUMPY, tensors, points), 1e-6
    for key, value in tensors.items():
        costs = []
        for place in np.ndindex(value.shape):
            moved = value.copy()
            moved[place] += step
            costs.append(np.sum(((model.apply(NUMPY, tensors | {key: moved}, points) - plain) / step) ** 2))
        assert np.mean([each[key] for each in found]) == pytest.approx(np.mean(costs), rel=0.25), key


@pytest.mark.parametrize("size", [0, 900])
def test_weights_that_are_no_numbers_are_refused(size: int) -> None:
    for wrong in ("nan", "inf"):
        with pytest.raises(InputError, match="learning rate"):
            Rounding({"w": (2,)}, 4, size=size).follow({"w": torch.tensor([1.0, float(wrong)])})
