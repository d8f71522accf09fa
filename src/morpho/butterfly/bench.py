"""How fast butterflies are, beside dense layers and beside the way the papers' code multiplies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.butterfly.chain import Chain
from morpho.butterfly.factor import Factor
from morpho.butterfly.layers import Butterfly, ButterflyConv2d, ButterflyLinear
from morpho.timing import Timing, Way, time_in_turn

__all__ = ["Case", "conv_timings", "linear_timings", "released_conv", "released_linear"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is timed.

    Attributes:
        chain: the layer's.
        columns: input vectors, or pictures of a convolution.
        side: height and width of the pictures.
        kernel: height and width of the convolution's window.
    """

    chain: Chain
    columns: int
    side: int = 1
    kernel: int = 3


def linear_timings(
    case: Case, *, runs: int = 30, threads: int = 1, compiled: bool = False, released: bool = True
) -> list[Timing]:
    """Time one linear layer on a batch, in turn: dense ways, ours, and the released way.

    Args:
        case: the chain and the batch.
        runs: of each way.
        threads: of torch and ONNX Runtime.
        compiled: also time ours after torch.compile, which needs a C++ compiler.
        released: also time the released way.
    """
    layer = ButterflyLinear(case.chain, seed=0).eval()
    dense = layer.merge()
    inputs = torch.randn(case.columns, layer.in_features, generator=torch.Generator().manual_seed(0))
    with _threads(threads), torch.inference_mode(), TemporaryDirectory() as folder:
        ways: dict[str, Callable[[], object]] = {"dense, torch": lambda: dense(inputs)}
        ways |= _onnx_way(dense, inputs, Path(folder), threads)
        ways["morpho"] = lambda: layer(inputs)
        if compiled:
            fast = torch.compile(layer, fullgraph=True)
            ways["morpho, torch.compile"] = lambda: fast(inputs)
        if released:
            ways["as released"] = lambda: released_linear(layer, inputs)
        return _timed(ways, threads, runs)


def conv_timings(case: Case, *, runs: int = 10, threads: int = 1) -> list[Timing]:
    """Time one convolution of padding 1 and stride 1 on a batch of pictures, in turn."""
    channels = case.chain.n // case.kernel**2
    layer = ButterflyConv2d(case.chain, channels, case.chain.m, case.kernel, padding=case.kernel // 2, seed=0).eval()
    dense = layer.merge()
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(case.columns, channels, case.side, case.side, generator=random)
    with _threads(threads), torch.inference_mode(), TemporaryDirectory() as folder:
        ways: dict[str, Callable[[], object]] = {"dense, torch": lambda: dense(inputs)}
        ways |= _onnx_way(dense, inputs, Path(folder), threads)
        ways["morpho"] = lambda: layer(inputs)
        ways["as released"] = lambda: released_conv(layer, inputs)
        return _timed(ways, threads, runs)


def released_linear(layer: Butterfly, rows: Tensor) -> Tensor:
    """Multiply as the papers' code does, factor by factor: a broadcast product that is summed, the batch first.

    Args:
        layer: whose factors are used.
        rows: ``(B, n)``.
    """
    for factor, weights in zip(layer.chain.factors, layer.factors, strict=True):
        rows = _released_factor(factor, weights, rows)
    return rows if layer.bias is None else rows + layer.bias


def released_conv(layer: ButterflyConv2d, inputs: Tensor) -> Tensor:
    """Convolve as the papers' code does: unfold the windows, then multiply as `released_linear`."""
    windows = functional.unfold(inputs, layer.kernel_size, padding=layer.padding, stride=layer.stride)
    count, _, places = windows.shape
    rows = released_linear(layer, windows.transpose(1, 2).reshape(count * places, -1))
    side = inputs.shape[2]
    return rows.reshape(count, places, -1).transpose(1, 2).reshape(count, -1, side, side)


def _released_factor(factor: Factor, weights: Tensor, rows: Tensor) -> Tensor:
    blocks = rows.reshape(-1, factor.g, 1, factor.s, factor.t)
    return (blocks * weights).sum(3).reshape(-1, factor.p)


def _timed(ways: dict[str, Callable[[], object]], threads: int, runs: int) -> list[Timing]:
    counted: dict[str, Way] = {name: (threads, work) for name, work in ways.items()}
    return time_in_turn(counted, runs)


def _onnx_way(dense: nn.Module, inputs: Tensor, folder: Path, threads: int) -> dict[str, Callable[[], object]]:
    """The dense layer in ONNX Runtime, if that is installed."""
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return {}
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    path = folder / "dense.onnx"
    _export(dense, torch.cat([inputs[:1]] * 2), path)  # the export wants to see a batch
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed: dict[str, Any] = {session.get_inputs()[0].name: inputs.numpy()}
    return {"dense, ONNX Runtime": lambda: session.run(None, feed)}


def _export(model: nn.Module, inputs: Tensor, path: Path) -> None:
    from morpho.butterfly.export import to_onnx

    to_onnx(model, path, inputs)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ratios(timings: Sequence[Timing]) -> dict[str, float]:
    """How many times faster each way is than the fastest dense one, by medians."""
    dense = min(timing.milliseconds for timing in timings if timing.method.startswith("dense"))
    return {timing.method: round(dense / timing.milliseconds, 2) for timing in timings}
