"""The report: each number on a table where it is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from morpho.images import delta_e2000, srgb_to_lab
from morpho.luts import Domain, Lut, evaluate, measure, round_trip
from tests.luts.looks import Colors, curves_of, lattice_of, noise, shaped, warm


def identity(nodes: int = 9) -> Colors:
    lattice = Lut.identity(nodes).lattice
    assert lattice is not None
    return lattice


def test_the_identity_is_perfect() -> None:
    report = measure(Lut(identity(9), title="nothing"))
    assert (report.title, report.nodes, report.samples) == ("nothing", 9, None)
    assert (report.lattice_domain, report.curves_domain) == (Domain(), None)
    assert (report.lowest, report.highest, report.outside) == ((0.0,) * 3, (1.0,) * 3, 0.0)
    assert report.steps_down == report.grey_steps_down == report.folded == report.flat == 0
    assert report.invertible
    for number in (report.curvature_max, report.change_max, report.delta_e_max, report.delta_e_mean):
        assert number == pytest.approx(0, abs=1e-9)


def test_values_and_what_is_outside() -> None:
    lattice = identity(2) * np.array([2.0, 1.0, 1.0]) - np.array([0.5, 0.0, 0.25])
    report = measure(Lut(lattice))
    assert report.lowest == (-0.5, 0.0, -0.25)
    assert report.highest == (1.5, 1.0, 0.75)
    assert report.outside == (8 + 4) / 24


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_step_down_is_found_along_the_channels_own_axis_only(channel: int) -> None:
    lattice = identity(5)
    place = [0, 0, 0]
    place[channel] = 2
    lattice[(*place, channel)] -= 0.3
    report = measure(Lut(lattice))
    assert report.steps_down == 1
    assert report.steps_down_share == 1 / (3 * 4 * 25)
    other = (channel + 1) % 3
    crossed = identity(5)
    crossed[(*place, other)] = 0.9  # goes down along another channel's axis: no fault
    assert measure(Lut(crossed)).steps_down <= 1


def test_crosstalk_is_no_fault() -> None:
    """Red may fall as green rises."""
    lattice = identity(5)
    lattice[..., 0] -= 0.2 * lattice[..., 1]
    assert measure(Lut(lattice)).steps_down == 0


def test_rounding_of_a_file_is_no_fault() -> None:
    lattice = np.full((3, 3, 3, 3), 0.5)
    lattice[1] -= 4e-7
    assert measure(Lut(lattice)).steps_down == 0


def test_steps_down_in_curves_and_greys() -> None:
    curves = np.linspace(0, 1, 256)[:, None].repeat(3, axis=1)
    curves[100, 1] = 0.1
    report = measure(Lut(curves=curves))
    assert (report.nodes, report.samples, report.lattice_domain, report.curves_domain) == (None, 256, None, Domain())
    assert report.steps_down == report.grey_steps_down == 1
    assert report.steps_down_share == 1 / 765
    assert not report.invertible
    negative = measure(Lut(1 - identity()))
    assert negative.grey_steps_down == 765
    assert negative.steps_down_share == 1
    both = measure(Lut(identity(2), curves))
    assert both.steps_down == 1
    assert both.samples == 256 and both.nodes == 2


def test_curvature() -> None:
    """x^2 has the second difference 2 h^2 everywhere along its own axis, and none along others."""
    report = measure(Lut(identity(5) ** 2))
    assert report.curvature_max == pytest.approx(255 * 2 / 16)
    assert report.curvature_mean == pytest.approx(255 * 2 / 16 / 3)
    assert measure(Lut(identity(2))).curvature_max == 0
    curves = np.linspace(0, 1, 5)[:, None].repeat(3, axis=1) ** 2
    assert measure(Lut(curves=curves)).curvature_mean == pytest.approx(255 * 2 / 16)


def test_folding() -> None:
    swapped = measure(Lut(identity(5)[..., [1, 0, 2]]))  # a mirror turns every tetrahedron inside out
    assert (swapped.folded, swapped.flat, swapped.invertible) == (1.0, 0.0, False)
    grey = measure(Lut(identity(5).mean(axis=-1, keepdims=True).repeat(3, axis=-1)))
    assert (grey.folded, grey.flat, grey.invertible) == (0.0, 1.0, False)
    turned = measure(Lut(identity(5)[..., [1, 2, 0]]))  # a turn does not
    assert (turned.folded, turned.flat, turned.invertible) == (0.0, 0.0, True)
    assert measure(lattice_of(warm, 17)).invertible


def test_folding_of_one_node() -> None:
    """A node pushed through the opposite face folds the 24 tetrahedra around it partly."""
    lattice = identity(5)
    lattice[2, 2, 2] += 0.6
    report = measure(Lut(lattice))
    assert 0 < report.folded <= 24 / (6 * 64)
    clipped = measure(Lut((identity(5) * 2).clip(0, 1)))
    assert clipped.folded == 0
    assert clipped.flat == 1 - 1 / 8  # only the dark eighth keeps its volume


def test_folding_agrees_with_determinants_by_differences() -> None:
    lut = noise(4)
    colors = np.random.default_rng(0).random((40_000, 3))
    step = 1e-7
    columns = [(evaluate(lut, colors + step * np.eye(3)[i]) - evaluate(lut, colors)) / step for i in range(3)]
    share = (np.linalg.det(np.stack(columns, axis=-1)) < 0).mean()
    assert measure(lut).folded == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("node", [1, 15, 16, 17, 32, 38])
def test_no_tetrahedron_is_missed_between_slabs(node: int) -> None:
    lattice = identity(40)
    lattice[node, 5, 5] += 0.2
    middle = identity(40)
    middle[8, 5, 5] += 0.2
    assert measure(Lut(lattice)).folded == measure(Lut(middle)).folded > 0


def test_changes() -> None:
    report = measure(Lut(identity(33) * 0.9))
    assert report.change_max == pytest.approx(25.5)
    assert report.change_mean == pytest.approx(12.75)
    before = identity(33)
    difference = delta_e2000(srgb_to_lab(before), srgb_to_lab(before * 0.9))
    assert report.delta_e_max == pytest.approx(difference.max())
    assert report.delta_e_mean == pytest.approx(difference.mean())
    assert measure(Lut(identity(33) * 9)).change_max <= 255  # what a picture cuts off is no change


def test_every_kind_of_table_and_json() -> None:
    for lut in (shaped(), Lut(curves=curves_of(2)), noise(2), noise(3, spread=8.0)):
        record = json.loads(json.dumps(measure(lut).record(), allow_nan=False))
        assert set(record) >= {"title", "nodes", "outside", "folded", "delta_e_mean"}


def test_round_trips() -> None:
    gamma, inverse = (
        Lut(curves=np.linspace(0, 1, 999)[:, None].repeat(3, 1) ** 2),
        Lut(curves=np.linspace(0, 1, 9999)[:, None].repeat(3, 1) ** 0.5),
    )
    good = round_trip(gamma, inverse)
    assert good.max < 0.7 and good.within_one_level == 1 and good.delta_e_mean < 0.1
    bad = round_trip(gamma, gamma)
    assert bad.max > 50 and bad.within_one_level < 0.2 and bad.delta_e_mean > 5
    assert bad.mean == pytest.approx(255 * np.abs(identity(33) ** 4 - identity(33)).mean(), abs=0.1)


def test_a_picture_lies_between_the_two() -> None:
    brighter, darker = Lut(identity(33) * 2), Lut(identity(33) / 2)
    assert round_trip(darker, brighter).max == pytest.approx(0, abs=1e-9)
    assert round_trip(brighter, darker).max == pytest.approx(127.5)
