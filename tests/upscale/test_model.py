"""A model for training gives what its tables give at inference, to the last sixth of a grey level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from morpho.upscale import gather, reference
from morpho.upscale.linear import LinearStage
from morpho.upscale.model import Model, NetworkStage, TableStage, Unit, upscale_in_torch
from morpho.upscale.tables import Tables
from tests.upscale.synthetic import random_tables

CHAINS = [(2, 2), (3,), (2, 1, 2), (4,), (1,)]
SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (13, 9)]


def image(height: int, width: int, *, planes: int = 2, seed: int = 0) -> torch.Tensor:
    """Two pictures of so many channels, full of extremes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (2, planes, height, width), dtype=np.uint8)
    pixels[0, 0, 0, 0], pixels[1, -1, -1, -1] = 0, 255
    return torch.from_numpy(pixels)


def table_model(*factors: int, seed: int = 0, slope: float = 1.0) -> Model:
    """Stages that correct by up to 60 grey levels: at the ends of the scale much is clipped."""
    stages = []
    for stage in random_tables(*factors, seed=seed, symmetric=True).stages:
        linear = LinearStage.of(stage.factor)
        stages.append(TableStage(stage.factor, linear.from_stage(stage)))
    return Model(stages, slope=slope)


def network_model(*factors: int) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Model([NetworkStage(factor) for factor in factors])


def gradient_of(stage: nn.Module) -> torch.Tensor:
    assert isinstance(stage, TableStage)
    assert stage.entries.grad is not None
    return stage.entries.grad


def rounded(grey: torch.Tensor) -> NDArray[np.uint8]:
    """Grey levels as inference rounds them, from floats that must be whole sixths."""
    sixths = 6 * grey.detach().double()
    assert torch.allclose(sixths, sixths.round(), atol=1e-3, rtol=0)
    return ((sixths.round().long() + 3) // 6).numpy().astype(np.uint8)


def inferred(pixels: torch.Tensor, tables: Tables) -> NDArray[np.generic]:
    parts = [reference.upscale(part.numpy().transpose(1, 2, 0), tables).transpose(2, 0, 1) for part in pixels]
    return np.stack(parts)


@pytest.mark.parametrize("factors", CHAINS)
def test_tables_in_training_are_tables_at_inference(factors: tuple[int, ...]) -> None:
    model = table_model(*factors)
    for height, width in SIZES:
        pixels = image(height, width, planes=3)
        np.testing.assert_array_equal(rounded(model(pixels)), inferred(pixels, model.tables()))


@torch.no_grad()
@pytest.mark.parametrize("factors", CHAINS[:3])
def test_the_table_equals_the_network_by_construction(factors: tuple[int, ...]) -> None:
    model = network_model(*factors)
    tables = model.tables()
    assert max(np.abs(stage.msb.astype(int)).max() for stage in tables.stages) > 50
    for height, width in ((1, 2), (13, 9)):
        pixels = image(height, width)
        np.testing.assert_array_equal(rounded(model(pixels)), inferred(pixels, tables))


def test_entries_between_units_are_rounded_alike() -> None:
    linear, rng = LinearStage.of(2), np.random.default_rng(0)
    units = rng.integers(-40, 40, linear.size) + rng.choice([0, 0.25, 0.5, 0.75], linear.size)
    units[rng.permutation(linear.size)[:99]] *= 9  # some beyond int8
    model = Model([TableStage(2, units * linear.weights)])
    np.testing.assert_array_equal(rounded(model(image(9, 8))), inferred(image(9, 8), model.tables()))


def test_floats_and_strides_do_not_matter() -> None:
    model, pixels = table_model(2, 2), image(6, 9)
    expected = model(pixels)
    assert expected.dtype == torch.float32
    assert torch.equal(model(pixels.float()), expected)
    assert torch.equal(model(pixels.to(memory_format=torch.channels_last)), expected)
    turned = model(pixels.transpose(2, 3))
    assert torch.equal(turned.transpose(2, 3), expected)


@pytest.mark.parametrize("factors", CHAINS)
def test_plain_torch_equals_inference(factors: tuple[int, ...]) -> None:
    tables = random_tables(*factors, symmetric=True, seed=3)
    for height, width in SIZES:
        pixels = image(height, width, planes=3)
        result = upscale_in_torch(pixels, tables)
        assert result.dtype == torch.uint8
        np.testing.assert_array_equal(result.numpy(), inferred(pixels, tables))


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_the_gradient_of_entries_passes_straight_through_rounding(factor: int) -> None:
    """It is what it would be without rounding: each entry's weight times the errors where it is read."""
    linear, rng = LinearStage.of(factor), np.random.default_rng(factor)
    model = Model([TableStage(factor, rng.uniform(-9, 9, linear.size) * linear.weights)])
    pixels = torch.from_numpy(rng.integers(100, 150, (1, 2, 5, 6), dtype=np.uint8))  # nothing is clipped
    errors = rng.integers(-9, 10, (1, 2, 5 * factor, 6 * factor)).astype(np.float32)
    (model(pixels) * torch.from_numpy(errors)).sum().backward()
    blocks = errors.reshape(2, 5, factor, 6, factor).transpose(0, 1, 3, 2, 4).reshape(-1, factor**2)
    padded = np.pad(blocks, ((0, 0), (0, -(factor**2) % 4)))
    sums = gather.scatter(gather.addresses(pixels[0].numpy()), padded)[:, : factor**2]
    expected = linear.weights * linear.gather_gradient(sums) / 6
    np.testing.assert_allclose(gradient_of(model.stages[0]).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_clipped_pixels_pull_nothing() -> None:
    model = Model([TableStage(2, np.full(LinearStage.of(2).size, 99.0))])
    model(torch.full((1, 1, 4, 4), 250, dtype=torch.uint8)).sum().backward()
    assert not gradient_of(model.stages[0]).any()


def test_the_first_stage_learns_how_the_second_reads_it() -> None:
    """Without slopes, as published, it takes for given what the second stage adds."""
    pixels, gradients = image(8, 8), {}
    for slope in (0.0, 0.5, 1.0):
        model = table_model(2, 2, slope=slope)
        model(pixels).square().mean().backward()
        gradients[slope] = [gradient_of(stage) for stage in model.stages]
    published, half, full = (gradients[slope] for slope in (0.0, 0.5, 1.0))
    assert published[0].any()
    assert torch.isfinite(full[0]).all()
    assert not torch.allclose(published[0], full[0], rtol=0.1)
    assert torch.allclose(half[0] - published[0], (full[0] - published[0]) / 2, rtol=1e-3, atol=1e-3)
    assert torch.equal(published[1], full[1])


@pytest.mark.parametrize("kind", [TableStage, NetworkStage])
def test_descends(kind: type[TableStage | NetworkStage]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model([kind(2)])
    pixels, target = image(8, 8), 255.0 * torch.rand(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=4.0 if kind is TableStage else 2e-3)
    losses = []
    for _ in range(6):
        loss = nn.functional.mse_loss(model(pixels), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


# --- the paper's network ---


def test_a_unit_is_the_papers() -> None:
    unit = Unit(3, 2)
    assert sum(p.numel() for p in unit.parameters()) == (3 + 1) * 64 + 4 * (64 + 1) * 64 + (64 + 1) * 4
    result = unit(torch.rand(50, 3))
    assert result.shape == (50, 4)
    assert result.abs().max() <= 1


def test_a_networks_tables_hold_its_output_for_every_input() -> None:
    """At address 256 a + 16 b + c stands 127 times the unit's answer to the nibbles a, b, c in the high halves."""
    stage = network_model(2).stages[0]
    assert isinstance(stage, NetworkStage)
    tables = stage.to_stage()
    a, b, c = 3, 14, 9
    for kernel, swapped in ((0, (a, b, c)), (1, (a, b, c)), (2, (a, c, b))):
        one, two = (
            stage.msb[kernel](16 * torch.tensor([x], dtype=torch.float32) / 255).detach().view(2, 2)
            for x in ((a, b, c), swapped)
        )
        mean = 127 * (one + (two.flipud() if kernel == 0 else two.T)) / 2
        assert tables.msb[kernel, 256 * a + 16 * b + c].tolist() == mean.round().int().tolist()
    for kernel in (0, 1):
        one = stage.lsb[kernel](torch.tensor([[a, b]], dtype=torch.float32) / 255).detach().view(2, 2)
        mean = 127 * (one + (one.flipud() if kernel == 0 else one.T)) / 2
        assert tables.lsb[kernel, 16 * a + b].tolist() == mean.round().int().tolist()
