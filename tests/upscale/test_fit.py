"""The least-squares fit: against a solver from outside on equations written down anew, and on pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import lsmr

from morpho.errors import InputError
from morpho.images import psnr
from morpho.upscale import reference
from morpho.upscale.corpus import Pair, held_psnr, make_pairs, split
from morpho.upscale.fit import FitRecipe, conjugate_gradients, fit, fit_photos, smoothness_product
from morpho.upscale.linear import LinearStage
from morpho.upscale.tables import LSB_KERNELS, MSB_KERNELS, Stage, Tables, rotate_offset
from tests.upscale.photos import photo, photos

Matrix = Any


def quick(*factors: int, **changes: Any) -> FitRecipe:
    return FitRecipe(**{"factors": factors, "iterations": 12, "variations": 0, **changes})


# --- the equations ---


def design(low: NDArray[np.uint8], factor: int) -> Matrix:
    """One row per pixel and child, one column per entry of the five tables; ones where the child reads the entry."""
    planes, height, width = low.shape
    padded = np.pad(low, ((0, 0), (2, 2), (2, 2)), mode="reflect").astype(int)
    block = factor**2
    rows, columns, start = [], [], 0
    for kernels, bits in ((MSB_KERNELS, 4), (LSB_KERNELS, 0)):
        for offsets in kernels.values():
            for turn in range(4):
                address = np.zeros_like(low, dtype=int)
                for dy, dx in (rotate_offset(offset, turn) for offset in offsets):
                    seen = padded[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width]
                    address = 16 * address + (seen >> bits & 15)
                children = np.rot90(np.arange(block).reshape(factor, factor), -turn).ravel()
                columns.append(start + address.reshape(-1, 1) * block + children)
                rows.append(np.arange(planes * height * width * block).reshape(-1, block))
            start += 16 ** len(offsets) * block
    places = (np.concatenate(rows).ravel(), np.concatenate(columns).ravel())
    return sparse.csr_array((np.ones(len(places[0])), places), shape=(low.size * block, start))


def differences(factor: int) -> Matrix:
    """Differences of entries that are neighbours along one nibble, for all tables, block by block."""
    step = sparse.diags_array([-np.ones(15), np.ones(15)], offsets=[0, 1], shape=(15, 16))
    eye, parts = sparse.eye_array, []
    for kernels in (MSB_KERNELS, LSB_KERNELS):
        for offsets in kernels.values():
            nibbles = len(offsets)
            one = [
                sparse.kron(sparse.kron(eye(16**axis), step), eye(16 ** (nibbles - axis - 1) * factor**2))
                for axis in range(nibbles)
            ]
            parts.append(sparse.vstack(one))
    return sparse.block_diag(parts)


def solved(state: NDArray[np.integer], high: NDArray[np.uint8], recipe: FitRecipe) -> Stage:
    """The stage that minimises the sum of squares, by LSMR on the whole system, symmetric tables being tied.

    ``state`` is what the stage reads, in sixths of a grey level.
    """
    factor = recipe.factors[-1]
    linear = LinearStage.of(factor)
    count = len(linear.entries)
    tie = sparse.csr_array((np.ones(count), (np.arange(count), linear.entries)), shape=(count, linear.size))
    system = sparse.vstack(
        [
            design((state // 6).astype(np.uint8), factor),
            np.sqrt(recipe.ridge) * sparse.eye_array(count),
            np.sqrt(recipe.smoothness) * differences(factor),
        ]
    )
    planes, height, width = state.shape
    blocks = high.reshape(planes, height, factor, width, factor).transpose(0, 1, 3, 2, 4)
    wanted = 6.0 * blocks - state[..., None, None]
    right = np.zeros(system.shape[0])
    right[: wanted.size] = wanted.ravel()
    return linear.to_stage(lsmr(system @ tie, right, atol=1e-10, btol=1e-10, maxiter=3000)[0])


def assert_nearly(found: Stage, expected: Stage) -> None:
    """Entries that lie half way between two units may go either way."""
    assert np.abs(expected.msb.astype(int)).max() > 5
    for one, other in ((found.msb, expected.msb), (found.lsb, expected.lsb)):
        difference = np.abs(one.astype(int) - other)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) < 1e-3 * np.count_nonzero(other)


def problem(factor: int) -> Pair:
    """A picture whose large copy has little to do with it: entries of all sizes are wanted."""
    rng = np.random.default_rng(factor)
    low = rng.integers(0, 256, (2, 5, 6), dtype=np.uint8)
    change = rng.integers(-40, 41, (2, 5 * factor, 6 * factor))
    return Pair(low, np.clip(low.repeat(factor, 1).repeat(factor, 2) + change, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("factor", "ridge", "smoothness"), [(1, 1.0, 0.0), (1, 0.3, 2.0), (2, 1.0, 0.5), (3, 2.0, 1.0)]
)
def test_solves_the_least_squares_problem(factor: int, ridge: float, smoothness: float) -> None:
    pair, recipe = problem(factor), quick(factor, iterations=70, ridge=ridge, smoothness=smoothness)
    assert_nearly(fit(recipe, [pair]).stages[0], solved(6 * pair.low.astype(int), pair.high, recipe))


def test_the_next_stage_solves_for_what_is_left() -> None:
    """It reads the grey levels that the first one gives, whose sixths stay in place."""
    pair, recipe = problem(2), quick(2, 1, iterations=70, smoothness=0.5)
    first, second = fit(recipe, [pair]).stages
    (alone,) = fit(quick(2, iterations=70, smoothness=0.5), [pair]).stages
    np.testing.assert_array_equal(first.msb, alone.msb)
    wide = pair.low.transpose(1, 2, 0).astype(np.uint16) * np.uint16(257)
    levels = reference.upscale(wide, Tables((first,))).astype(float).transpose(2, 0, 1)
    state = np.rint(levels * (6 / 257)).astype(int)
    assert (state % 6).any()
    assert_nearly(second, solved(state, pair.high, recipe))


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_smoothness_is_half_the_gradient_of_squared_differences(factor: int) -> None:
    linear = LinearStage.of(factor)
    values = np.random.default_rng(factor).normal(size=linear.size)
    steps = differences(factor)
    expected = np.bincount(linear.entries, steps.T @ (steps @ values[linear.entries]), minlength=linear.size)
    np.testing.assert_allclose(smoothness_product(linear, values), expected, atol=1e-9)
    assert not smoothness_product(linear, np.ones(linear.size)).any()


# --- the solver ---


def test_conjugate_gradients_solve_any_positive_definite_system() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 25):
        basis = rng.normal(size=(size, size))
        matrix = basis @ basis.T + np.diag(rng.uniform(0.5, 30, size))
        right = rng.normal(size=size)
        found = conjugate_gradients(lambda x, a=matrix: a @ x, right, matrix.diagonal(), 3 * size)  # type: ignore[misc]
        np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-8, atol=1e-10)


def test_every_iteration_comes_nearer_in_the_energy_norm() -> None:
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(40, 40))
    matrix, right = basis @ basis.T + np.eye(40), rng.normal(size=40)
    solution = np.linalg.solve(matrix, right)
    energy = []
    for iterations in (1, 2, 4, 8, 16, 32):
        error = conjugate_gradients(lambda x: matrix @ x, right, matrix.diagonal(), iterations) - solution
        energy.append(error @ matrix @ error)
    assert (np.diff(energy) < 0).all()


def test_a_solved_system_stays_solved() -> None:
    diagonal = np.array([1.0, 2.0, 4.0])
    found = conjugate_gradients(lambda x: diagonal * x, np.ones(3), diagonal, 50)
    assert found.tolist() == [1, 0.5, 0.25]
    assert conjugate_gradients(lambda x: diagonal * x, np.zeros(3), diagonal, 50).tolist() == [0, 0, 0]


# --- on pictures ---


@pytest.mark.parametrize("factors", [(2,), (3,), (2, 2), (2, 1, 2)])
def test_beats_repeating_pixels_on_another_picture(factors: tuple[int, ...]) -> None:
    scale = int(np.prod(factors))
    tables = fit(quick(*factors), make_pairs(photos(3, 72, 72), scale))
    (pair,) = make_pairs([photo(99, 72, 72)], scale)
    repeated = pair.low.repeat(scale, 1).repeat(scale, 2)
    fitted = reference.upscale(pair.low.transpose(1, 2, 0), tables).transpose(2, 0, 1)
    assert psnr(fitted, pair.high) > psnr(repeated, pair.high) + 0.8
    assert [stage.factor for stage in tables.stages] == list(factors)


def assert_same(a: Tables, b: Tables, *, share: float = 0) -> None:
    """Entries are equal, but for a share that may be one unit apart."""
    for one, other in zip(a.stages, b.stages, strict=True):
        for x, y in ((one.msb, other.msb), (one.lsb, other.lsb)):
            assert np.abs(x.astype(int) - y).max() <= 1
            assert np.mean(x != y) <= share


def test_repeats_itself_and_threads_hardly_matter() -> None:
    pairs = make_pairs(photos(2, 48, 40), 2)
    one = fit(quick(2), pairs, threads=1)
    assert_same(fit(quick(2), pairs, threads=1), one)
    assert_same(fit(quick(2), pairs, threads=3), one, share=1e-4)  # sums of floats in another order


def test_photographs_are_divided_varied_and_drawn() -> None:
    pictures = photos(5, 32, 40)
    recipe = quick(2, held_every=5, variations=1, iterations=4)
    tables, value = fit_photos(recipe, pictures)
    train, held = split(pictures, held_every=5)
    assert value == held_psnr(tables, make_pairs(held, 2))
    assert_same(fit_photos(recipe, pictures)[0], tables)
    plain = fit_photos(quick(2, held_every=5, iterations=4), pictures)[0]
    assert_same(plain, fit(quick(2, iterations=4), make_pairs(train, 2)), share=1e-3)
    few = fit_photos(quick(2, held_every=5, iterations=4, megapixels=0.005), pictures)[0]
    other_seed = fit_photos(quick(2, held_every=5, iterations=4, megapixels=0.005, seed=1), pictures)[0]
    assert not np.array_equal(few.stages[0].msb, plain.stages[0].msb)
    assert not np.array_equal(few.stages[0].msb, other_seed.stages[0].msb)
    assert not np.array_equal(plain.stages[0].msb, tables.stages[0].msb)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"factors": ()}, "stage factors"),
        ({"factors": (2, 5)}, r"\(2, 5\)"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"held_every": 1}, "held_every at least 2"),
        ({"megapixels": 0.0}, "megapixels positive"),
        ({"ridge": -1.0}, "must not be negative"),
        ({"smoothness": -0.1}, "must not be negative"),
        ({"variations": -1}, "must not be negative"),
    ],
)
def test_unusable_recipes(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        FitRecipe(**changes)
