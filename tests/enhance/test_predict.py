"""From colours to a look in integers: against exact fractions, SciPy, plain floats and Python's integers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from morpho.enhance.predict import ONE, fuse, identity, mean_features, monotone, weights
from morpho.enhance.tables import FEATURE_RANGE, Tables
from tests.enhance.synthetic import hulls, random_tables

Integers = NDArray[np.int64]


def histogram(pixels: int, seed: int = 0, colors: int = 4096) -> Integers:
    """So many pixels of at most so many colours."""
    rng = np.random.default_rng(seed)
    return np.bincount(rng.integers(0, colors, pixels), minlength=4096)


def within(values: Integers, low: float, high: float) -> bool:
    return bool(values.min() >= low and values.max() <= high)


# --- mean features ---


@pytest.mark.parametrize("pixels", [1, 2, 3, 255, 512, 1000, 12345])
@pytest.mark.parametrize("low", [False, True])
def test_mean_features_are_exact_fractions_rounded_half_up(pixels: int, low: bool) -> None:
    tables = random_tables(pixels, low=low, groups=3)
    msb, lsb = histogram(pixels, 1), histogram(pixels, 2)
    found = mean_features(tables, msb, lsb if low else None)
    assert found.dtype == np.int64
    for feature in range(6):
        total = sum(int(c) * int(t) for c, t in zip(msb, tables.msb[:, feature], strict=True))
        if tables.lsb is not None:
            total += sum(int(c) * int(t) for c, t in zip(lsb, tables.lsb[:, feature], strict=True))
        assert found[feature] == floor(Fraction(256 * total, pixels) + Fraction(1, 2))


def test_halves_are_rounded_up_on_both_sides_of_zero() -> None:
    msb = np.zeros((4096, 2), np.int8)
    msb[0] = 1, -1
    tables = replace(random_tables(groups=1), msb=msb)
    counts = np.zeros(4096, np.int64)
    counts[:2] = 1, 511  # the mean is half a unit of 1/256
    assert mean_features(tables, counts).tolist() == [1, 0]


def test_a_trillion_pixels() -> None:
    tables = replace(random_tables(groups=1), msb=np.full((4096, 2), (-128, 127), np.int8))
    counts = np.full(4096, 2**28, np.int64)
    assert mean_features(tables, counts).tolist() == [-128 * 256, 127 * 256]


def test_a_mean_does_not_depend_on_how_often_the_picture_is_repeated() -> None:
    tables, counts = random_tables(), histogram(100)
    assert mean_features(tables, counts).tolist() == mean_features(tables, 7 * counts).tolist()


# --- weights ---


def features(groups: int, seed: int) -> Integers:
    """Mean features of all sizes, also beyond what tables reach."""
    return np.random.default_rng(seed).integers(-260 * 256, 260 * 256, 2 * groups) // (1 + seed % 3)


def by_scipy(tables: Tables, found: Integers) -> NDArray[np.float64]:
    """Bilinear interpolation between the entries, which reach from -128 to 128 units; clamped beyond."""
    axis = np.linspace(-FEATURE_RANGE / 2, FEATURE_RANGE / 2, tables.groups.shape[1])
    points = np.clip(found / 256, -128, 128).reshape(-1, 2)
    parts = [
        RegularGridInterpolator((axis, axis), table.astype(float))(point)[0]
        for table, point in zip(tables.groups, points, strict=True)
    ]
    total: NDArray[np.float64] = np.sum(parts, axis=0)
    return total


@pytest.mark.parametrize("levels", [3, 5, 33, 65, 129, 257])
def test_weights_are_bilinear(levels: int) -> None:
    tables = random_tables(levels, groups=3, levels=levels)
    for seed in range(20):
        found = weights(tables, features(3, seed))
        assert found.dtype == np.int64
        assert np.abs(found - 256 * by_scipy(tables, features(3, seed))).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("levels", [2, 4, 64, 256])
def test_weights_of_published_tables_are_the_nearest_entries(levels: int) -> None:
    tables = random_tables(levels, groups=3, levels=levels)
    cell = Fraction(FEATURE_RANGE, levels)
    for seed in range(20):
        places = [
            min(max(floor((Fraction(int(f), 256) + 128) / cell + Fraction(1, 2)), 0), levels - 1)
            for f in features(3, seed)
        ]
        entries = [tables.groups[g, places[2 * g], places[2 * g + 1]].astype(int) for g in range(3)]
        assert weights(tables, features(3, seed)).tolist() == (256 * np.sum(entries, axis=0)).tolist()


@pytest.mark.parametrize("levels", [3, 33, 2, 64])
def test_features_beyond_the_table_count_as_its_ends(levels: int) -> None:
    tables = random_tables(levels=levels, groups=1)
    corners = {(i, j): tables.groups[0, -i, -j].astype(int) * 256 for i in (0, 1) for j in (0, 1)}
    for far in (128 * 256, 128 * 256 + 1, 254 * 256, 2**40):
        for (i, j), corner in corners.items():
            place = np.array([far if i else -far, far if j else -far])
            assert weights(tables, place).tolist() == corner.tolist()


def test_weights_are_a_continuous_function_of_features() -> None:
    """A step of 1/256 unit changes a weight by at most the steepest slope, and half a unit of rounding at each end."""
    tables = random_tables(groups=1, levels=17)
    slope = 255 * 256 / (16 * 256)
    path = np.arange(-128 * 256, 128 * 256, 37)
    found = np.array([[weights(tables, np.array([f + d, -f])) for d in (0, 1)] for f in path])
    assert np.abs(np.diff(found, axis=1)).max() <= slope + 1


def test_extreme_weights() -> None:
    tables = random_tables(groups=32, levels=33, bases=64)
    for value in (-128, 127):
        tables.groups[:] = value
        assert set(weights(tables, features(32, 1)).tolist()) == {value * 256 * 32}


# --- the lattice ---


def in_floats(tables: Tables, chosen: Integers) -> tuple[NDArray[np.float64], float]:
    """Identity plus the weighted bases, not clamped, and how far rounding may take an integer from it.

    Three roundings: of the mixed factors to 2^-16, of planes and of the lattice to 2^-20.
    """
    own, mix, rest = tables.own / 2**14, tables.mix / 2**11, tables.rest.reshape(-1, *[tables.nodes] * 2) / 2**14
    weight = chosen / 2**14
    red, green, blue = (
        np.einsum(f"n,ak,nkr,rbc->{axes}", weight, own, mix[:, :, channel], rest, optimize=True)
        for channel, axes in enumerate(("abc", "bac", "bca"))
    )
    lattice = np.stack([red, green, blue], axis=-1) + identity(tables.nodes) / ONE
    planes = 2.0**-17 * np.abs(rest).sum(0).max() + 2.0**-21
    return lattice, float(planes * np.abs(own).sum(1).max() + 2.0**-21) + 1e-9


def risen(lattice: NDArray[Any]) -> NDArray[np.float64]:
    """`monotone`: the mean of the two hulls."""
    above, below = hulls(lattice)
    return np.asarray((above + below) / 2)


@pytest.mark.parametrize("nodes", [3, 5, 9])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
def test_lattice_is_what_floats_say(nodes: int, share: float) -> None:
    tables = random_tables(nodes, nodes=nodes, bases=4, own_rank=3, rest_rank=5, share=share)
    chosen = np.random.default_rng(nodes).integers(-(2**15), 2**15, 4)
    exact, bound = in_floats(tables, chosen)
    found = fuse(tables, chosen)
    assert found.shape == (nodes, nodes, nodes, 3)
    assert np.abs(found / ONE - risen(np.clip(exact, 0, 1))).max() <= bound + 1 / ONE
    assert bound < 1e-3  # a quarter of a grey level


def test_the_axes_of_the_factors() -> None:
    """Red depends on red by `own`, and on green and blue, in this order, by `rest`; and so on."""
    tables = random_tables(groups=1, bases=1, own_rank=1, rest_rank=1)
    own, rest = np.array([0, 1, 2, 3, 4]) * 2**9, np.add.outer(np.arange(5), 10 * np.arange(5)) * 2**7
    tables.own[:, 0], tables.rest[0], tables.mix[:] = own, rest.ravel(), 2**11
    found = (fuse(tables, np.array([2**14])) - identity(5)) / ONE
    r, g, b = np.meshgrid(*[np.arange(5)] * 3, indexing="ij")
    wanted = np.stack([r * (g + 10 * b), g * (r + 10 * b), b * (r + 10 * g)], axis=-1) / 2**12
    np.testing.assert_allclose(found, np.minimum(wanted, 1 - identity(5) / ONE), atol=2 / ONE)


def test_the_order_of_sums_does_not_matter() -> None:
    tables = random_tables(bases=20, own_rank=7, rest_rank=11, nodes=9, share=0.2)
    chosen = np.random.default_rng(0).integers(-(2**12), 2**12, 20)
    before = fuse(tables, chosen)
    assert len(np.unique(before)) > 100
    for seed in range(5):
        n, k, r = (np.random.default_rng(seed).permutation(count) for count in (20, 7, 11))
        turned = replace(tables, own=tables.own[:, k], mix=tables.mix[n][:, k][..., r], rest=tables.rest[r])
        turned = replace(turned, groups=tables.groups[..., n])
        np.testing.assert_array_equal(fuse(turned, chosen[n]), before)


def in_pythons_integers(tables: Tables, chosen: Integers) -> Any:
    """The same rounded steps without a bound on size."""

    def shifted(values: Any, bits: int) -> Any:
        return (values + (1 << (bits - 1))) >> bits

    own, mix, rest, weight = (a.astype(object) for a in (tables.own, tables.mix, tables.rest, chosen))
    mixed = shifted(np.tensordot(weight, mix, axes=1), 9)
    planes = np.clip(shifted(np.dot(mixed, rest), 10), -(2**30), 2**30)
    nodes = tables.nodes
    cubes = shifted(np.tensordot(own, planes, axes=1), 14).reshape(nodes, 3, nodes, nodes)
    result = identity(nodes).astype(object)
    for i, j, k in np.ndindex(nodes, nodes, nodes):
        result[i, j, k] += [cubes[i, 0, j, k], cubes[j, 1, i, k], cubes[k, 2, i, j]]
    return np.clip(result, 0, ONE).astype(np.int64)


@pytest.mark.parametrize("kind", ["least", "greatest", "signs", "ends", "rest", "own"])
def test_the_largest_tables_do_not_overflow(kind: str) -> None:
    """As many bases and functions as a file may have, each entry at an end of its type."""
    rng = np.random.default_rng(3)
    tables = random_tables(groups=32, bases=64, nodes=3, own_rank=64, rest_rank=64)
    for array in (tables.groups, tables.own, tables.mix, tables.rest):
        ends = np.array([np.iinfo(array.dtype).min, np.iinfo(array.dtype).max], array.dtype)
        which = {"least": 0, "greatest": 1}.get(kind)
        array[:] = rng.choice(ends, array.shape) if which is None else ends[which]
    if kind == "ends":  # the factors agree in sign: sums grow as large as they can
        tables.mix[:] = tables.mix[:, :1, :1]
        tables.rest[:] = np.where(tables.mix[0, 0, 0, :, None] > 0, 2**15 - 1, -(2**15))
    chosen = weights(tables, np.zeros(64, np.int64))
    if kind in ("rest", "own"):  # large terms that all but cancel: their last bits count
        tables.mix[:] = rng.integers(-(2**15), 2**15, tables.mix.shape)
        tables.rest[:], tables.own[:] = (
            rng.integers(-99, 100, tables.rest.shape),
            rng.integers(-(2**14), 2**14, (3, 64)),
        )
        chosen = rng.integers(-(2**20), 2**20, 64)
    if kind == "rest":
        tables.mix[..., 1::2], tables.rest[1::2] = tables.mix[..., ::2] ^ 1, -10 * tables.rest[::2]
        tables.rest[::2] *= 10
    if kind == "own":
        tables.mix[:, 1::2], tables.own[:, 1::2] = tables.mix[:, ::2] ^ 1, -tables.own[:, ::2]
    if kind in ("least", "ends"):
        chosen = np.full(64, -(2**20))
    found = fuse(tables, chosen)
    np.testing.assert_array_equal(found, monotone(in_pythons_integers(tables, chosen)))


shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "nodes": st.sampled_from([3, 5, 9, 17]),
        "bases": st.integers(1, 5),
        "own_rank": st.integers(1, 4),
        "rest_rank": st.integers(1, 4),
        "share": st.sampled_from([0.03, 0.1, 0.3, 1.0]),
    }
)


@settings(max_examples=60)
@given(shapes, st.integers(0, 2**20), st.integers(0, 1024))
def test_every_look_rises_and_stays_in_range(shape: dict[str, Any], largest: int, strength: int) -> None:
    tables = random_tables(**shape)
    chosen = np.random.default_rng(shape["seed"]).integers(-largest, largest + 1, shape["bases"])
    lattice = fuse(tables, chosen, strength=strength)
    assert lattice.dtype == np.int64
    assert within(lattice, 0, ONE)
    for channel in range(3):
        assert np.diff(lattice[..., channel], axis=channel).min() >= 0


# --- identity, rising, strength ---


@pytest.mark.parametrize("nodes", [3, 5, 9, 17, 33, 65, 129])
def test_identity(nodes: int) -> None:
    axis = [Fraction(int(v), ONE) for v in identity(nodes)[:, 0, 0, 0]]
    assert axis == [Fraction(i, nodes - 1) for i in range(nodes)]
    assert identity(nodes)[1, 2, 0].tolist() == [ONE // (nodes - 1), 2 * ONE // (nodes - 1), 0]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 6]), st.sampled_from([3, 2**20]))
def test_monotone_is_the_mean_of_the_hulls(seed: int, nodes: int, largest: int) -> None:
    lattice = np.random.default_rng(seed).integers(0, largest, (nodes, nodes, nodes, 3), endpoint=True)
    result = monotone(lattice)
    np.testing.assert_array_equal(result, np.floor(risen(lattice)))
    np.testing.assert_array_equal(monotone(result), result)
    for channel in range(3):
        assert np.diff(result[..., channel], axis=channel).min() >= 0
    assert np.diff(np.einsum("iiic->ic", result), axis=0).min() >= 0


def test_what_rises_is_not_touched() -> None:
    rng = np.random.default_rng(0)
    lattice = rng.integers(0, 9, (5, 5, 5, 3)).cumsum(axis=0).cumsum(axis=1).cumsum(axis=2)
    before = lattice.copy()
    np.testing.assert_array_equal(monotone(lattice), before)
    np.testing.assert_array_equal(lattice, before)


def test_only_dents_are_touched() -> None:
    lattice = identity(9)
    lattice[4, 2, 3, 0] = 0
    changed = np.argwhere(monotone(lattice) != lattice)
    assert {tuple(place[1:]) for place in changed} == {(2, 3, 0)}
    assert sorted(place[0] for place in changed) == [1, 2, 3, 4]
    green = identity(9)
    green[::2, 2, 1::2, 1] += 5  # up and down along red and blue is what looks may do, where no grey is
    np.testing.assert_array_equal(monotone(green), green)


def test_strength() -> None:
    tables = random_tables(share=0.2, nodes=9)
    chosen = np.array([9000, -5000, 3000])
    full, neutral = fuse(tables, chosen), identity(9)
    assert np.abs(full - neutral).max() > ONE // 50
    np.testing.assert_array_equal(fuse(tables, chosen, strength=0), neutral)
    np.testing.assert_array_equal(fuse(tables, chosen, strength=1024), full)
    before = neutral
    for strength in range(0, 1025, 128):
        now = fuse(tables, chosen, strength=strength)
        exact = neutral + (full - neutral) * strength / 1024
        assert np.abs(now - exact).max() <= 0.5
        assert ((now - before) * (full - neutral) >= 0).all()  # never back
        before = now


def test_a_look_does_not_change_its_tables() -> None:
    tables = random_tables(low=True)
    before = {name: np.copy(value) for name, value in vars(tables).items()}
    fuse(tables, weights(tables, mean_features(tables, histogram(9), histogram(9))))
    for name, value in vars(tables).items():
        np.testing.assert_array_equal(value, before[name])
