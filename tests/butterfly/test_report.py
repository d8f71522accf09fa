"""Reports of a conversion: what is computed from what they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from morpho.butterfly.chain import Chain
from morpho.butterfly.report import LayerReport, Report

CONVERTED = LayerReport(
    name="body.conv",
    kind="Conv2d",
    size=(32, 72),
    chain=Chain.from_pairs([(8, 9), (2, 2), (2, 4)]),
    parameters=832,
    dense_parameters=2304,
    positions=49,
    error=0.2,
    reason="",
)
KEPT = replace(CONVERTED, name="head", chain=None, parameters=2304, positions=1, error=None, reason="asked to keep")


def test_multiply_adds() -> None:
    assert (CONVERTED.macs, CONVERTED.dense_macs) == (832 * 49, 2304 * 49)
    assert (KEPT.macs, KEPT.dense_macs) == (2304, 2304)


def test_without_a_sample_nothing_is_known_of_positions() -> None:
    unknown = replace(CONVERTED, positions=None)
    assert unknown.macs is None
    assert unknown.dense_macs is None


def test_a_network() -> None:
    report = Report((CONVERTED, KEPT, replace(KEPT, name="last")), 1_000, 4_000)
    assert report.share == 0.25
    assert [layer.name for layer in report.kept] == ["head", "last"]
    assert Report((CONVERTED,), 5, 5).kept == ()


def test_reports_do_not_change() -> None:
    with pytest.raises(AttributeError):
        CONVERTED.parameters = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Report((), 1, 2).parameters = 3  # type: ignore[misc]
