"""Operations on tables: the interpolation against outside programs and closed forms, the rest against itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from morpho.errors import InputError
from morpho.luts import Domain, Lut, apply, blend, compose, evaluate, mix, resample
from tests.luts.looks import Colors, curves_of, lattice_of, noise, photo, ramp, shaped, table_of, warm

TABLES = {
    "lattice": noise(5),
    "lattice of a domain": Lut(noise(4).lattice, lattice_domain=Domain((-0.5, 0.0, 0.1), (1.0, 2.0, 0.8))),
    "curves": Lut(curves=curves_of(9), curves_domain=Domain((-0.1,) * 3, (1.1,) * 3)),
    "both": shaped(),
}


def linear(matrix: Any, shift: Any = 0.0) -> Lut:
    """A matrix as a table: exact under tetrahedral interpolation."""
    identity = Lut.identity(3).lattice
    assert identity is not None
    return Lut(identity @ np.array(matrix, np.float64).T + shift)


def by_definition(lattice: Colors, color: Colors) -> Any:
    """Tetrahedral interpolation of one colour within 0..1, written as a path through the cell."""
    nodes = len(lattice)
    position = color * (nodes - 1)
    corner = np.minimum(np.floor(position).astype(int), nodes - 2)
    fraction = position - corner
    value = lattice[tuple(corner)].copy()
    for axis in np.argsort(-fraction):
        before = lattice[tuple(corner)].copy()
        corner[axis] += 1
        value += fraction[axis] * (lattice[tuple(corner)] - before)
    return value


def test_tetrahedral_by_definition() -> None:
    lut = noise(6)
    assert lut.lattice is not None
    colors = ramp(400)
    expected = [by_definition(lut.lattice, color) for color in colors]
    np.testing.assert_allclose(evaluate(lut, colors), expected, atol=1e-13)


def test_nodes_greys_and_faces_agree_with_an_outside_interpolation() -> None:
    """At nodes, and between two neighbours, every interpolation is the same."""
    lut = noise(5)
    axis = np.linspace(0, 1, 5)
    outside = RegularGridInterpolator((axis, axis, axis), lut.lattice)
    colors = np.random.default_rng(1).integers(0, 5, (500, 3)) / 4
    colors[np.arange(500), np.arange(500) % 3] = np.random.default_rng(2).random(500)
    np.testing.assert_allclose(evaluate(lut, colors), outside(colors), atol=1e-12)


def test_curves_against_numpy() -> None:
    lut = Lut(curves=curves_of(17), curves_domain=Domain((-1.0, 0.0, 0.25), (2.0, 1.5, 0.75)))
    colors = ramp(500, -1.5, 2.5)
    assert lut.curves is not None
    for channel in range(3):
        low, high = lut.curves_domain.low[channel], lut.curves_domain.high[channel]
        expected = np.interp(colors[:, channel], np.linspace(low, high, 17), lut.curves[:, channel])
        np.testing.assert_allclose(evaluate(lut, colors)[:, channel], expected, atol=1e-12)


def test_a_matrix_is_exact_and_stages_follow_each_other() -> None:
    matrix = [[0.5, 0.3, 0.1], [0.0, 0.8, 0.2], [0.3, 0.0, 0.6]]
    colors = ramp(300)
    np.testing.assert_allclose(evaluate(linear(matrix), colors), colors @ np.array(matrix).T, atol=1e-14)
    curves = np.array([[0.0] * 3, [0.5] * 3])
    lut = Lut(linear(matrix).lattice, curves, Domain((0.0,) * 3, (0.4,) * 3))
    expected = (0.5 * colors / 0.4).clip(0, 1) @ np.array(matrix).T
    np.testing.assert_allclose(evaluate(lut, colors), expected, atol=1e-14)


@pytest.mark.parametrize("name", TABLES)
def test_evaluate_is_what_the_engine_does(name: str) -> None:
    """The engine rounds positions to 1/255 of a cell: noise from black to white in one cell shows that."""
    exact = evaluate(TABLES[name], photo() / 255).clip(0, 1) * 255
    assert np.abs(apply(photo(), TABLES[name]) - exact).max() <= (1 if TABLES[name].is_plain else 2)


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-0.3, 1.7), (0.1, 0.8)])
def test_engine_and_evaluate_agree_on_a_look(low: float, high: float) -> None:
    look = lattice_of(warm, 33, low, high)
    lut = Lut(look.lattice, np.linspace(0, 1, 999)[:, None].repeat(3, 1) ** 0.9, look.lattice_domain)
    for table in (look, lut):
        exact = evaluate(table, photo() / 255).clip(0, 1) * 255
        assert np.abs(apply(photo(), table) - exact).max() <= 1


def test_shapes_blocks_and_layouts() -> None:
    lut = noise(4)
    assert evaluate(lut, np.zeros(3)).shape == (3,)
    assert evaluate(lut, np.zeros((0, 3))).shape == (0, 3)
    many = np.random.default_rng(0).random((3, 50_000, 3))
    whole = evaluate(lut, many)
    np.testing.assert_array_equal(whole[2, 49_000:], evaluate(lut, many[2, 49_000:]))
    assert lut.lattice is not None
    turned = Lut(np.asfortranarray(lut.lattice))
    np.testing.assert_array_equal(evaluate(turned, many[::-1, ::7]), whole[::-1, ::7])
    np.testing.assert_array_equal(evaluate(lut, np.array([1, 0, 1])), evaluate(lut, np.array([1.0, 0.0, 1.0])))


@pytest.mark.parametrize("colors", [np.zeros(4), np.zeros((3, 2)), np.array([0.1, np.nan, 0.2]), np.array(0.5)])
def test_what_are_no_colours(colors: Colors) -> None:
    with pytest.raises(InputError, match="colours are arrays"):
        evaluate(noise(2), colors)


def test_infinity_is_clamped() -> None:
    np.testing.assert_array_equal(evaluate(Lut.identity(3), np.array([np.inf, -np.inf, 7])), [1, 0, 1])


@pytest.mark.parametrize(("nodes", "finer"), [(2, 17), (5, 9), (5, 17), (4, 10)])
def test_resampling_to_a_multiple_changes_nothing(nodes: int, finer: int) -> None:
    lut = noise(nodes)
    colors = ramp(500)
    np.testing.assert_allclose(evaluate(resample(lut, finer), colors), evaluate(lut, colors), atol=1e-12)
    back = table_of(resample(resample(lut, finer), nodes))
    np.testing.assert_allclose(back, table_of(lut), atol=1e-12)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("keep", [True, False])
def test_resampling_is_right_at_the_nodes(name: str, keep: bool) -> None:
    lut = TABLES[name]
    new = resample(lut, 7, keep_curves=keep)
    kept = keep and lut.lattice is not None
    assert new.nodes == 7
    assert (new.curves is not None) == (kept and lut.curves is not None)
    assert new.lattice_domain == (lut.lattice_domain if kept else Domain())
    if not kept:
        expected = evaluate(lut, table_of(Lut.identity(7)))
        np.testing.assert_allclose(table_of(new), expected, atol=1e-14)
    smooth = lattice_of(warm, 33) if lut.curves is None else Lut(lattice_of(warm, 33).lattice, curves_of(2))
    fine = resample(smooth, 40, keep_curves=keep)
    np.testing.assert_allclose(evaluate(fine, ramp(500)), evaluate(smooth, ramp(500)), atol=1e-3)


def test_resampling_keeps_the_title_and_refuses_other_counts() -> None:
    lut = Lut(noise(3).lattice, title="x")
    assert resample(lut, 5).title == "x"
    assert resample(lut, 3) is lut
    for nodes in (1, 257):
        with pytest.raises(InputError, match=f"2 to 256 nodes per axis, not {nodes}"):
            resample(lut, nodes)


def test_matrices_compose_exactly() -> None:
    one, two = np.random.default_rng(0).random((2, 3, 3)) / 3
    lut = compose(linear(one), linear(two))
    np.testing.assert_allclose(evaluate(lut, ramp(200)), ramp(200) @ (two @ one).T, atol=1e-12)


@pytest.mark.parametrize("first", TABLES)
@pytest.mark.parametrize("second", TABLES)
def test_composition_is_one_after_the_other(first: str, second: str) -> None:
    """Exact without a first lattice, up to the kinks of curves of curves; else exact at the first one's nodes."""
    one, two = TABLES[first], TABLES[second]
    lut = compose(one, two, one.nodes)
    colors = ramp(400, -0.5, 1.5)
    if one.nodes is not None:
        assert lut.nodes == one.nodes
        lattice = table_of(Lut.identity(one.nodes))
        low, high = np.array(one.lattice_domain.low), np.array(one.lattice_domain.high)
        between = Lut(one.lattice, None, one.lattice_domain)
        expected = evaluate(two, evaluate(between, low + lattice * (high - low)))
        np.testing.assert_allclose(table_of(lut), expected, atol=1e-12)
        np.testing.assert_array_equal(lut.curves is None, one.curves is None)
    else:
        expected = evaluate(two, evaluate(one, colors))
        limit = 1e-12 if two.curves is None else 5e-3
        np.testing.assert_allclose(evaluate(lut, colors), expected, atol=limit)


def test_composition_takes_the_larger_lattice_and_both_titles() -> None:
    one, two = Lut(noise(3).lattice, title="a"), Lut(noise(5).lattice, title="b")
    assert compose(one, two).nodes == compose(two, one).nodes == 5
    assert compose(one, two, 9).nodes == 9
    assert compose(one, two).title == "a + b"
    assert compose(noise(2), two).title == "b"
    assert compose(Lut(curves=curves_of(5)), two, 9).nodes == 9


def test_smooth_looks_compose_within_a_level() -> None:
    look = lattice_of(warm, 33)
    exact = warm(warm(photo() / 255))
    assert np.abs(evaluate(compose(look, look), photo() / 255) - exact).max() * 255 < 1


@pytest.mark.parametrize("name", TABLES)
@given(strength=st.floats(0, 1))
@settings(max_examples=10)
def test_mixing(name: str, strength: float) -> None:
    lut = TABLES[name]
    colors = ramp(60)
    expected = (1 - strength) * colors + strength * evaluate(lut, colors)
    exact = lut.is_plain
    nodes = (mix(lut, strength).nodes or 2) - 1
    places = colors if exact else np.rint(colors * nodes) / nodes  # right at the nodes where it was folded
    expected = expected if exact else (1 - strength) * places + strength * evaluate(lut, places)
    if 0 < strength < 1 or exact:
        np.testing.assert_allclose(evaluate(mix(lut, strength), places), expected, atol=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_the_ends_of_mixing(name: str) -> None:
    assert mix(TABLES[name], 1) is TABLES[name]
    assert mix(Lut(TABLES[name].lattice, TABLES[name].curves, title="x"), 0.5).title == "x"
    np.testing.assert_allclose(evaluate(mix(TABLES[name], 0), ramp(99)), ramp(99), atol=1e-12)
    np.testing.assert_array_equal(apply(photo(), mix(TABLES[name], 0)), photo())


def test_curves_stay_curves() -> None:
    lut = mix(Lut(curves=curves_of(9)), 0.3)
    assert lut.lattice is None and lut.curves is not None
    expected = 0.7 * ramp(99) + 0.3 * evaluate(Lut(curves=curves_of(9)), ramp(99))
    np.testing.assert_allclose(evaluate(lut, ramp(99)), expected, atol=1e-12)


def test_blending() -> None:
    one, two = Lut(noise(3, 1).lattice, title="a"), Lut(noise(5, 2).lattice, title="b")
    lut = blend(one, two, 0.25)
    expected = 0.75 * evaluate(one, ramp(300)) + 0.25 * evaluate(two, ramp(300))
    np.testing.assert_allclose(evaluate(lut, ramp(300)), expected, atol=1e-12)
    assert lut.title == "a + b"
    for weight, end in ((0.0, one), (1.0, two)):
        np.testing.assert_allclose(evaluate(blend(one, two, weight), ramp(99)), evaluate(end, ramp(99)), atol=1e-12)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_weights_out_of_range(value: float) -> None:
    with pytest.raises(InputError, match=r"the strength .* is out of range: give 0 to 1"):
        mix(noise(2), value)
    with pytest.raises(InputError, match=r"the weight .* is out of range: give 0 to 1"):
        blend(noise(2), noise(2), value)
