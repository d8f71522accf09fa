"""The compiled loops equal the chain's matrix: rows, places and windows, any sizes, and nothing beyond their output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from morpho.butterfly import ButterflyConv1d, ButterflyConv2d, ButterflyLinear, Chain, quick
from morpho.butterfly import layers as room
from morpho.butterfly.factor import Factor
from morpho.butterfly.kernel import Job, Packed, pack, predicted_seconds, run
from morpho.butterfly.kernel_layout import LANES, Source
from morpho.butterfly.plan import Plan, plans
from tests.butterfly.shapes import Matrix, debuts, gauss, ranked, weights_of

_CHAINS = st.one_of(debuts(), ranked(), debuts().map(lambda chain: Chain.from_pairs([(17, 5), *chain.pairs()])))


def _packed(chain: Chain, seed: int = 0) -> tuple[Packed, Matrix]:
    weights = weights_of(chain, seed, np.float32)
    return pack(chain.factors, weights), chain.dense(weights)


def _bias(count: int) -> Tensor:
    return torch.linspace(-1, 1, count)


def _close(actual: Tensor, expected: Matrix | Tensor) -> None:
    wanted = torch.as_tensor(np.asarray(expected), dtype=torch.float32)
    assert actual.shape == wanted.shape
    assert (actual - wanted).abs().max() <= 2e-5 * (1 + wanted.abs().max())


@given(_CHAINS, st.integers(1, 3 * LANES), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=60)
def test_rows_times_the_matrix(chain: Chain, count: int, fewer_in: int, fewer_out: int) -> None:
    n, m = max(chain.n - fewer_in, 1), max(chain.m - fewer_out, 1)
    packed, matrix = _packed(chain)
    rows, bias = torch.from_numpy(gauss(count, n, dtype=np.float32)), _bias(m)
    _close(quick.multiply_rows(packed, rows, bias), rows.numpy() @ matrix[:m, :n].T + bias.numpy())


@given(_CHAINS, st.integers(1, 3), st.integers(1, 2 * LANES + 3), st.integers(0, 3))
@settings(max_examples=40)
def test_places_times_the_matrix(chain: Chain, images: int, places: int, fewer: int) -> None:
    n = max(chain.n - fewer, 1)
    packed, matrix = _packed(chain)
    pictures = torch.from_numpy(gauss(images, n * places, dtype=np.float32)).reshape(images, n, places)
    bias = _bias(chain.m)
    expected = np.einsum("mn,inp->imp", matrix[:, :n], pictures.numpy()) + bias.numpy()[:, None]
    _close(quick.multiply_places(packed, pictures, bias), expected)


_PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(_PAIR, _PAIR, st.tuples(st.integers(0, 2), st.integers(0, 2)), _PAIR, st.integers(1, 2), st.integers(0, 9))
@settings(max_examples=60)
def test_windows_are_those_of_conv2d(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    block: int,
    more: int,
) -> None:
    """Strides, dilations and paddings that differ by axis; one or two channels in a block of the first factor."""
    chain = Chain.from_pairs([(3, block * kernel[0] * kernel[1]), (2, 2), (5, 2)])
    size = [dilation[k] * (kernel[k] - 1) + 1 + more + k for k in range(2)]
    packed, matrix = _packed(chain)
    channels = 4 * block
    pictures = torch.from_numpy(gauss(2, channels * size[0] * size[1], dtype=np.float32)).reshape(2, channels, *size)
    weight, bias = torch.from_numpy(matrix.copy()).reshape(chain.m, channels, *kernel), _bias(chain.m)
    expected = nn.functional.conv2d(pictures, weight, bias, stride, padding, dilation)
    options: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    with _inside():
        _close(quick.multiply_windows(packed, pictures, bias, **options), expected)


@contextmanager
def _inside() -> Iterator[None]:
    """The loops read no number of windows beyond the end of what they are given."""

    def checked(packed: Packed, job: Job, source: Tensor, *others: Any) -> Tensor:
        blocks = (job.images - 1) * job.image + (packed.patterns[0].g - 1) * job.stride
        assert blocks + max(job.offsets) + -(-job.columns // LANES) * LANES <= source.numel()
        return original(packed, job, source, *others)

    original = quick._run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "_run", checked)
        yield


@pytest.mark.parametrize("source", [Source.ROWS, Source.COLUMNS])
@pytest.mark.parametrize("count", [1, LANES - 1, LANES, LANES + 1])
def test_nothing_is_written_around_the_output_and_nothing_read_around_the_input(source: Source, count: int) -> None:
    """Around the input are not-a-numbers, around the output sevens."""
    chain = Chain.from_pairs([(17, 3), (2, 7)])
    packed, matrix = _packed(chain)
    inputs = np.full(count * 21 + 64, np.nan, np.float32)
    outputs, bias = np.full(count * 34 + 64, 7, np.float32), np.zeros(34, np.float32)
    columns = gauss(21, count, dtype=np.float32)
    rows = source == Source.ROWS
    inputs[32:-32] = (columns.T if rows else columns).ravel()
    job = Job(kind=source, images=1, columns=count, features=21, image=0, stride=21 if rows else count, outputs=34)
    places = (array.ctypes.data + 4 * 32 for array in (inputs, outputs))
    start, end = places
    run(packed, job, start, bias.ctypes.data, end)
    expected = matrix @ columns
    np.testing.assert_allclose(outputs[32:-32], (expected.T if rows else expected).ravel(), rtol=1e-4, atol=1e-4)
    assert (outputs[:32] == 7).all() and (outputs[-32:] == 7).all()


def test_threads_do_not_change_a_bit() -> None:
    chain = Chain.parse("(4,4)^5")
    packed, _ = _packed(chain)
    rows, bias = torch.from_numpy(gauss(1000, 1024, dtype=np.float32)), _bias(1024)
    job = Job(kind=Source.ROWS, images=1, columns=1000, features=1024, image=0, stride=1024, outputs=1024)
    found = []
    for threads in (1, 3):
        out = torch.empty(1000, 1024)
        run(packed, job, rows.data_ptr(), bias.data_ptr(), out.data_ptr(), threads=threads)
        found.append(out)
    assert torch.equal(*found)


def test_a_batch_does_not_change_its_items() -> None:
    packed, _ = _packed(Chain.parse("(4,6)(2,2)(1,2)(2,3)"))
    rows, bias = torch.from_numpy(gauss(37, 72, dtype=np.float32)), _bias(16)
    together = quick.multiply_rows(packed, rows, bias)
    for i in (0, 15, 16, 36):
        assert torch.equal(quick.multiply_rows(packed, rows[i : i + 1], bias)[0], together[i])


def test_strided_input_is_read_right() -> None:
    packed, matrix = _packed(Chain.parse("(2,3)(4,2)"))
    rows = torch.from_numpy(gauss(6, 20, dtype=np.float32)).T
    _close(quick.multiply_rows(packed, rows, torch.zeros(8)), rows.numpy() @ matrix.T)


def test_takes_only_what_needs_no_torch() -> None:
    x = torch.zeros(2, 2)
    assert not quick.takes(x)  # gradients may be wanted
    with torch.no_grad():
        assert quick.takes(x)
        assert not quick.takes(x.double())
        assert not quick.takes(x[:0])
        assert not quick.takes(x.to("meta"))
        with torch.autocast("cpu", torch.bfloat16):
            assert not quick.takes(x)


def test_predictions_grow_with_work() -> None:
    small, large = [Factor(8, 4, 4, 1)], [Factor(8, 4, 4, 1), Factor(1, 4, 8, 4)]
    assert predicted_seconds(small, 100) < predicted_seconds(large, 100) < predicted_seconds(large, 1000)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Layers use the loops whatever is predicted, and note which."""
    called: list[str] = []

    def any_plan(chain: Chain, columns: int, *, kernel: int = 1) -> Plan | None:
        fitting = [plan for plan in plans(chain) if not plan.is_dense and plan.patterns[0].s % kernel == 0]
        return fitting[-1] if fitting else None

    monkeypatch.setattr(room, "quick_plan", any_plan)
    for name in ("multiply_rows", "multiply_places", "multiply_windows"):
        monkeypatch.setattr(quick, name, _noting(called, name))
    return called


def _noting(called: list[str], name: str) -> Any:
    original = getattr(quick, name)

    def noted(*values: Any, **options: Any) -> Tensor:
        called.append(name)
        result: Tensor = original(*values, **options)
        return result

    return noted


@pytest.mark.parametrize(
    ("layer", "shape", "way"),
    [
        (ButterflyLinear(Chain.parse("(4,6)(2,2)(2,6)"), in_features=70, out_features=15), (5, 70), "multiply_rows"),
        (ButterflyLinear(Chain.parse("(4,6)(2,2)(2,6)"), bias=False), (2, 3, 72), "multiply_rows"),
        (ButterflyConv1d(Chain.parse("(4,6)(2,2)(2,6)"), 70, 15, 1), (2, 70, 19), "multiply_places"),
        (ButterflyConv1d(Chain.parse("(4,6)(2,2)(2,6)"), 72, 16, 1, stride=3), (2, 72, 19), "multiply_places"),
        (
            ButterflyConv1d(Chain.parse("(4,6)(2,2)(2,6)"), 24, 16, 3, stride=2, padding=1),
            (2, 24, 19),
            "multiply_windows",
        ),
        (ButterflyConv2d(Chain.parse("(4,6)(2,2)(2,6)"), 72, 16, 1, stride=2), (2, 72, 5, 7), "multiply_places"),
        (ButterflyConv2d(Chain.parse("(4,6)(2,2)(2,6)"), 72, 16, 1, padding=1), (2, 72, 5, 7), "multiply_windows"),
        (ButterflyConv2d(Chain.parse("(4,9)(2,2)(2,4)"), 8, 16, 3, padding=1), (2, 8, 5, 7), "multiply_windows"),
        (ButterflyConv2d(Chain.parse("(4,9)(2,2)(2,4)"), 7, 13, 3, dilation=2), (2, 7, 8, 7), "multiply_windows"),
    ],
    ids=str,
)
def test_layers_hand_over_what_the_loops_need(always: list[str], layer: Any, shape: tuple[int, ...], way: str) -> None:
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = layer.merge()(inputs)
        _close(layer(inputs), expected)
    assert always == [way]


def test_layers_use_torch_where_the_loops_cannot_help(always: list[str]) -> None:
    layer = ButterflyConv2d(Chain.parse("(4,9)(2,2)(2,4)"), 8, 16, 3)
    spatial = ButterflyConv2d(Chain.parse("(4,9)(2,2)(2,4)"), 8, 16, 3, order="spatial")
    inputs = torch.zeros(1, 8, 5, 5)
    assert layer(inputs).requires_grad
    with torch.inference_mode():
        spatial(inputs)
        layer(inputs[0])
        layer.double()(inputs.double())
        layer.float().plan = plans(layer.chain)[0]
        layer(inputs)
        with pytest.raises(RuntimeError):
            layer(inputs[..., :2])
    assert always == []


def test_layers_never_hand_over_weights_of_another_type(always: list[str]) -> None:
    layer, inputs = ButterflyLinear(Chain.parse("(4,6)(2,2)(2,6)")), torch.zeros(4, 72)
    with torch.inference_mode():
        layer(inputs)
    assert layer.bias is not None
    layer.bias = nn.Parameter(layer.bias.double())
    with torch.inference_mode(), suppress(RuntimeError):
        layer(inputs)
    assert always == ["multiply_rows"]
