"""What is timed computes the same; ratios are those to the best dense way."""

from __future__ import annotations

import pytest
import torch

from morpho.butterfly import ButterflyConv2d, ButterflyLinear, Chain, bench
from morpho.butterfly.bench import Case, conv_timings, linear_timings, ratios, released_conv, released_linear
from morpho.timing import Timing

_CHAIN = Chain.parse("(2,9)(4,4)(4,2)")


@pytest.mark.parametrize("bias", [True, False])
def test_released_way_is_the_same_product(bias: bool) -> None:
    layer = ButterflyLinear(_CHAIN, bias=bias)
    inputs = torch.randn(7, 72, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(released_linear(layer, inputs), layer(inputs), atol=1e-5, rtol=1e-5)


def test_released_way_unfolds_pictures() -> None:
    layer = ButterflyConv2d(_CHAIN, 8, 32, 3, padding=1)
    inputs = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(released_conv(layer, inputs), layer(inputs), atol=1e-5, rtol=1e-5)


def test_every_way_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_onnx_way", lambda *_: {})
    threads = torch.get_num_threads()
    for timed in (
        linear_timings(Case(chain=_CHAIN, columns=4), runs=2),
        conv_timings(Case(chain=_CHAIN, columns=2, side=5), runs=2),
    ):
        assert [row.method for row in timed] == ["dense, torch", "morpho", "as released"]
        assert all(row.runs == 2 and row.threads == 1 and row.milliseconds > 0 for row in timed)
    assert torch.get_num_threads() == threads


def test_ratios_are_to_the_best_dense_way() -> None:
    times = {"dense, torch": 6.0, "dense, ONNX Runtime": 4.0, "morpho": 0.5}
    rows = [Timing(method=name, threads=1, milliseconds=ms, fastest=ms, runs=1) for name, ms in times.items()]
    assert ratios(rows) == {"dense, torch": 0.67, "dense, ONNX Runtime": 1.0, "morpho": 8.0}
