"""A stage as a linear map: it is inference itself, its transpose is one, and values and tables are two views of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.upscale import gather, reference
from morpho.upscale.linear import MSB_ROWS, OFFSETS, READS, ROWS, LinearStage
from morpho.upscale.symmetry import is_symmetric
from morpho.upscale.tables import Stage, Tables
from tests.upscale.synthetic import random_tables

FACTORS = [1, 2, 3, 4]


def soft_stage(factor: int) -> Stage:
    """A symmetric stage that corrects by 22 grey levels at most."""
    stage = random_tables(factor, symmetric=True, seed=factor).stages[0]
    return Stage(factor, stage.msb // 14, stage.lsb)


def state_after(image: NDArray[np.uint8], stage: Stage) -> NDArray[np.int64]:
    """Sixths of a grey level behind a stage: a picture widened to 16 bits has them in its lower bits."""
    wide = reference.upscale(image.astype(np.uint16) * np.uint16(257), Tables((stage,)))
    return np.rint(wide.astype(float) * (6 / 257)).astype(np.int64)


def test_the_layout_of_the_rows() -> None:
    assert (READS, MSB_ROWS, ROWS) == (20, 12 * 4096, 12 * 4096 + 8 * 256)
    assert OFFSETS.shape == (READS, 2, 2)
    # In four rotations the three MSB kernels visit each neighbour of a 5x5 window once.
    seen = [tuple(offset) for offset in OFFSETS[:12].reshape(-1, 2).tolist()]
    assert sorted(seen) == [(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)]


@pytest.mark.parametrize("factor", FACTORS)
def test_gathered_rows_are_inference(factor: int) -> None:
    stage, linear = soft_stage(factor), LinearStage.of(factor)
    image = np.random.default_rng(factor).integers(25, 230, (7, 10, 3), dtype=np.uint8)  # nothing is clipped
    where = gather.addresses(image.transpose(2, 0, 1))
    corrections = linear.rows(linear.from_stage(stage))[where].sum(axis=1)
    grid = corrections.reshape(3, 7, 10, factor, factor).transpose(1, 3, 2, 4, 0)
    parents = np.repeat(np.repeat(6 * image.astype(int), factor, 0), factor, 1)
    expected = state_after(image, stage) - parents
    assert np.abs(expected).max() > 50
    np.testing.assert_array_equal(grid.reshape(expected.shape), expected)


@pytest.mark.parametrize("factor", FACTORS)
def test_the_gradient_is_the_transpose(factor: int) -> None:
    linear, rng = LinearStage.of(factor), np.random.default_rng(factor)
    values = rng.integers(-9, 10, linear.size).astype(float)
    rows = rng.integers(-9, 10, (ROWS, factor**2)).astype(np.float32)
    assert linear.rows(values).shape == (ROWS, factor**2)
    assert np.vdot(linear.rows(values).astype(float), rows) == values @ linear.gather_gradient(rows)


@pytest.mark.parametrize("factor", FACTORS)
def test_tables_to_values_and_back(factor: int) -> None:
    linear, stage = LinearStage.of(factor), soft_stage(factor)
    again = linear.to_stage(linear.from_stage(stage))
    np.testing.assert_array_equal(again.msb, stage.msb)
    np.testing.assert_array_equal(again.lsb, stage.lsb)
    assert (again.msb.flags.c_contiguous, again.lsb.flags.c_contiguous) == (True, True)


@pytest.mark.parametrize("factor", FACTORS)
def test_values_to_tables_and_back(factor: int) -> None:
    linear = LinearStage.of(factor)
    values = np.random.default_rng(factor).integers(-99, 100, linear.size).astype(float)
    msb, lsb = linear.split(values)
    assert (msb.shape, lsb.shape) == ((3, 4096, factor, factor), (2, 256, factor, factor))
    np.testing.assert_array_equal(linear.join(msb, lsb), values)
    np.testing.assert_array_equal(linear.from_stage(linear.to_stage(values * linear.weights)), values * linear.weights)


def test_join_takes_the_mean_of_what_symmetry_ties() -> None:
    linear = LinearStage.of(2)
    msb, lsb = np.zeros((3, 4096, 2, 2)), np.zeros((2, 256, 2, 2))
    msb[0, 77, 0, 1], msb[0, 77, 1, 1] = 3, 5  # H: the block's rows mirror
    lsb[1, 9, 0, 1] = 8  # D: the block is transposed; its partner stays 0
    values = linear.join(msb, lsb)
    assert sorted(values[values != 0].tolist()) == [4, 4]
    assert linear.multiplicity.sum() == msb.size + lsb.size


def test_units_are_thirds_and_halves_and_int8() -> None:
    linear = LinearStage.of(2)
    assert linear.weights[linear.entries[: 3 * 4096 * 4]].tolist() == [2] * (3 * 4096 * 4)
    assert linear.weights[linear.entries[3 * 4096 * 4 :]].tolist() == [3] * (2 * 256 * 4)
    for value, units in ((1e6, 127), (-1e6, -128), (2.9, 1), (-6.9, -3), (6.2, 3)):
        assert linear.to_stage(np.full(linear.size, value)).msb[1, 1000].tolist() == [[units] * 2] * 2


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("mirror", [np.flipud, np.fliplr, lambda a: np.swapaxes(a, 0, 1)], ids=["ud", "lr", "diagonal"])
def test_any_values_give_a_stage_that_mirrors(factor: int, mirror: Callable[[Any], Any]) -> None:
    linear, rng = LinearStage.of(factor), np.random.default_rng(factor)
    stage = linear.to_stage(rng.uniform(-120, 120, linear.size))
    assert all(is_symmetric(k, t) for k, t in zip("HDBHD", [*stage.msb, *stage.lsb], strict=True))
    tables = Tables((stage,))
    image = rng.integers(0, 256, (6, 9, 1), dtype=np.uint8)
    mirrored = reference.upscale(np.ascontiguousarray(mirror(image)), tables)
    np.testing.assert_array_equal(mirrored, mirror(reference.upscale(image, tables)))


@pytest.mark.parametrize("factor", FACTORS)
def test_symmetry_halves_the_values_but_for_what_lies_on_its_axis(factor: int) -> None:
    linear, axis = LinearStage.of(factor), {"H": factor * (factor % 2), "D": factor}
    msb = {k: 4096 * (factor**2 + own) // 2 for k, own in axis.items()}
    lsb = {k: 256 * (factor**2 + own) // 2 for k, own in axis.items()}
    b_kernel = (4096 * factor**2 + 256 * factor) // 2
    assert linear.size == sum(msb.values()) + b_kernel + sum(lsb.values())
    assert LinearStage.of(factor) is linear
