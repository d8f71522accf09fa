"""Compressed networks for elsewhere: merged, and as ONNX files that ONNX Runtime computes alike."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morpho import nets
from morpho.artifacts import Card
from morpho.butterfly import ButterflyConv1d, ButterflyConv2d, ButterflyLinear, Chain, convert, low_rank, merge, to_onnx
from morpho.butterfly import export as module
from morpho.butterfly.grouped import GroupedConv, GroupedLinear, in_fast_form
from morpho.butterfly.layers import Butterfly
from morpho.butterfly.plan import plans
from morpho.butterfly.reordered import sink_permutations
from morpho.errors import ArtifactError, InputError, MissingExtraError, OutputExistsError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

CHAIN = Chain.parse("(2,9)(4,8)(2,2)")


def run(path: Path, x: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"input": x.numpy()})[0])


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def small_pointnet() -> nn.Module:
    """A PointNet that has seen data, so that its batch norms do something, with wide layers in butterflies."""
    net = nets.build("pointnet", classes=5, widths=(16, 32, 256, 64, 32))
    policy = {
        "conv3": Chain.parse("(4,4)(8,4)(8,2)"),
        "input_transform.conv3": Chain.parse("(8,8)(32,4)"),
        "fc1": low_rank(64, 256, 4),
    }
    model = convert(net, policy=policy).model
    draw = torch.Generator().manual_seed(1)
    for _ in range(5):
        model.train()(torch.rand(8, 64, 3, generator=draw))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, -1, 1, generator=draw)
            nn.init.uniform_(layer.bias, -1, 1, generator=draw)
    return model.eval()


# --- merge -----------------------------------------------------------------------------------------------------------


def test_merged_network_is_dense_and_the_same(tmp_path: Path) -> None:
    policy = {"conv2": Chain.parse("(2,9)(8,8)"), "fc1": Chain.parse("(16,25)(8,16)"), "fc2": low_rank(64, 128, 3)}
    model = convert(nets.build("lenet"), policy=policy).model.eval()
    dense = merge(model)
    x = torch.rand(300, 1, 28, 28)
    assert not any(isinstance(layer, Butterfly) for layer in dense.modules())
    assert sum(isinstance(layer, Butterfly) for layer in model.modules()) == 3
    torch.testing.assert_close(dense(x), model(x), atol=1e-5, rtol=1e-4)
    card = Card(kind="network", name="x", version="1", licence="CC0-1.0", recipe={"net": "lenet", "options": {}})
    nets.save(tmp_path / "dense.safetensors", dense, card)
    assert torch.equal(nets.load(tmp_path / "dense.safetensors")[0](x), dense(x))


def test_merged_layer_is_a_layer() -> None:
    layer = ButterflyConv2d(CHAIN, 16, 16, 3, stride=2, padding=1)
    assert isinstance(merge(layer), nn.Conv2d)


def test_merged_copy_shares_nothing() -> None:
    model = nn.Sequential(ButterflyLinear(Chain.parse("(2,3)(4,2)")), nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in merge(model).parameters():
            parameter.zero_()
    assert all(parameter.abs().sum() > 0 for parameter in model.parameters())


# --- the fast form ---------------------------------------------------------------------------------------------------

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "pointwise": (ButterflyConv1d(Chain.parse("(2,4)(4,3)(3,2)"), 24, 24, 1), (3, 24, 7)),
    "pointwise, two dimensions, steps": (ButterflyConv2d(low_rank(24, 16, 4), 16, 24, 1, stride=2), (3, 16, 5, 6)),
    "pointwise, padded": (ButterflyConv1d(Chain.parse("(2,4)(4,2)"), 8, 8, 1, padding=2), (2, 8, 5)),
    "windows": (ButterflyConv2d(CHAIN, 16, 16, 3, padding=1), (2, 16, 6, 5)),
    "windows, steps": (ButterflyConv2d(CHAIN, 16, 16, 3, stride=(2, 1), dilation=(1, 2)), (2, 16, 9, 8)),
    "two channels in a window": (ButterflyConv2d(Chain.parse("(4,18)(4,8)"), 16, 16, 3), (2, 16, 6, 5)),
    "outputs cut off": (ButterflyConv1d(Chain.parse("(3,4)(5,3)"), 12, 13, 1), (2, 12, 4)),
    "no bias": (ButterflyConv1d(Chain.parse("(2,4)(4,2)"), 8, 8, 1, bias=False), (2, 8, 5)),
    "general": (ButterflyConv1d(Chain.parse("8 <-(4,2,2)- 4 <-(2,4,1)- 8"), 8, 8, 1), (2, 8, 5)),
    "linear": (ButterflyLinear(Chain.parse("(2,4)(4,3)(3,2)")), (5, 24)),
    "linear, more axes": (ButterflyLinear(Chain.parse("(2,4)(4,2)"), in_features=7, out_features=5), (2, 3, 7)),
    "linear, no bias": (ButterflyLinear(Chain.parse("(2,4)(4,2)"), bias=False), (5, 8)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_plan_has_a_form_that_computes_the_same(name: str) -> None:
    layer, shape = LAYERS[name]
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 0.5
    kernel = 1 if isinstance(layer, ButterflyLinear) else int(np.prod(layer.kernel_size))
    fitting = [plan for plan in plans(layer.chain) if not plan.is_dense and plan.patterns[0].s % kernel == 0]
    assert fitting
    with torch.no_grad():
        expected = merge(layer)(x)
        for plan in fitting:
            form = GroupedLinear(layer, plan) if isinstance(layer, ButterflyLinear) else GroupedConv(layer, plan)
            torch.testing.assert_close(form(x), expected, atol=1e-5, rtol=1e-4)


def test_form_is_chosen_for_the_number_of_columns() -> None:
    layer = ButterflyLinear(Chain.parse("(2,2)^10"))
    assert isinstance(in_fast_form(ButterflyLinear(Chain.parse("(2,2)^3")), 1), nn.Linear)
    many, none = in_fast_form(layer, 4096), in_fast_form(layer, 0)
    assert isinstance(many, GroupedLinear)
    assert isinstance(none, GroupedLinear)
    assert len(many.patterns) == 2
    assert sum(pattern.parameters for pattern in none.patterns) == layer.chain.parameters  # (4,4) for two of (2,2)


def test_columns_by_position_become_dense() -> None:
    layer = ButterflyConv2d(CHAIN, 16, 16, 3, order="spatial")
    assert isinstance(in_fast_form(layer, 0), nn.Conv2d)
    assert isinstance(in_fast_form(ButterflyConv2d(CHAIN, 16, 16, 3), 0), GroupedConv)


def test_windows_are_covered_by_the_first_group() -> None:
    layer, x = ButterflyConv2d(Chain.parse("(2,3)(2,3)(4,16)"), 16, 16, 3), torch.rand(1, 16, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(in_fast_form(layer, 0)(x), merge(layer)(x), atol=1e-5, rtol=1e-4)


def test_places_per_item_are_counted() -> None:
    model = nn.Sequential(ButterflyConv2d(CHAIN, 16, 16, 3), nn.Flatten(), ButterflyLinear(low_rank(4, 96, 1)))
    assert module._places(model, torch.zeros(2, 16, 5, 4)) == {"0": 6, "2": 1}
    points = nn.Sequential(ButterflyConv1d(Chain.parse("(16,16)(64,8)"), 128, 1024, 1))
    assert isinstance(module._fast_form(points, torch.zeros(2, 128, 1024), 1)[0], GroupedConv)  # type: ignore[index]
    assert isinstance(module._fast_form(points, torch.zeros(2, 128, 1), 1)[0], nn.Conv1d)  # type: ignore[index]


def test_a_fixed_plan_is_taken_over() -> None:
    layer = ButterflyLinear(Chain.parse("(2,2)^3"))
    layer.plan = plans(layer.chain)[1]
    form = in_fast_form(layer, 1)
    assert isinstance(form, GroupedLinear)
    assert form.patterns == layer.plan.patterns


# --- permutations in the graph ---------------------------------------------------------------------------------------


def graph(*nodes: Any, constants: dict[str, Any], channels: int = 6, rank: int = 3, out: int | None = 3) -> Any:
    """A model from x (2, channels, 5 ...) through nodes to y."""
    value = onnx.helper.make_tensor_value_info
    shape = [2, channels, *[5] * (rank - 2)]
    tensors = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    y = value("y", onnx.TensorProto.FLOAT, None if out is None else ["?"] * out)
    made = onnx.helper.make_graph(nodes, "g", [value("x", onnx.TensorProto.FLOAT, shape)], [y], tensors)
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)


def outputs(model: Any, rank: int = 3) -> Any:
    x = np.random.default_rng(1).standard_normal((2, 6, *[5] * (rank - 2))).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def node(kind: str, *inputs: str, to: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(kind, inputs, [to], **attributes)


ORDER = np.array([2, 0, 1, 5, 3, 4])  # not its own inverse
RANDOM = np.random.default_rng(0)
NORM = {name: RANDOM.uniform(0.5, 2, 6).astype(np.float32) for name in ("scale", "shift", "mean", "var")}
KERNEL = RANDOM.standard_normal((4, 6, 1)).astype(np.float32)


def first(to: str = "a") -> Any:
    return node("Gather", "x", "order", to=to, axis=1)


SINKS: dict[str, tuple[list[Any], dict[str, Any], list[str]]] = {
    "relu, norm, convolution": (
        [
            first(),
            node("Relu", "a", to="b"),
            node("BatchNormalization", "b", *NORM, to="c"),
            node("Conv", "c", "w", to="y"),
        ],
        {**NORM, "w": KERNEL},
        ["Relu", "BatchNormalization", "Conv"],
    ),
    "maximum over places": (
        [first(), node("ReduceMax", "a", "axes", to="y", keepdims=1)],
        {"axes": np.array([2])},
        ["ReduceMax", "Gather"],
    ),
    "maximum over channels stays": (
        [first(), node("ReduceMax", "a", "axes", to="y", keepdims=1)],
        {"axes": np.array([1])},
        ["Gather", "ReduceMax"],
    ),
    "two permutations are one": (
        [first(), node("Relu", "a", to="b"), node("Gather", "b", "other", to="y", axis=1)],
        {"other": np.array([1, 2, 3, 4, 5, 0])},
        ["Relu", "Gather"],
    ),
    "a selection after a permutation": (
        [first(), node("Gather", "a", "some", to="y", axis=1)],
        {"some": np.array([5, 0])},
        ["Gather", "Gather"],
    ),
    "convolution in groups": (
        [first(), node("Conv", "a", "w", to="y", group=2)],
        {"w": KERNEL[:, :3]},
        ["Gather", "Conv"],
    ),
    "used twice": (
        [first(), node("Relu", "a", to="b"), node("Add", "a", "b", to="y")],
        {},
        ["Gather", "Relu", "Add"],
    ),
    "another axis": (
        [node("Gather", "x", "few", to="a", axis=2), node("Relu", "a", to="y")],
        {"few": np.array([4, 3, 2, 1, 0])},
        ["Gather", "Relu"],
    ),
    "a constant per channel": (
        [first(), node("Add", "a", "channelwise", to="y")],
        {"channelwise": RANDOM.standard_normal((1, 6, 1)).astype(np.float32)},
        ["Gather", "Add"],
    ),
}


@pytest.mark.parametrize("name", SINKS)
def test_permutations_sink(name: str) -> None:
    nodes, constants, expected = SINKS[name]
    model = graph(*nodes, constants={"order": ORDER, **constants})
    before = outputs(model)
    sink_permutations(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == expected
    np.testing.assert_allclose(outputs(model), before, atol=1e-6)
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used


@pytest.mark.parametrize("transposed", [0, 1])
def test_permutations_sink_into_linear_layers(transposed: int) -> None:
    weights = KERNEL[:, :, 0] if transposed else KERNEL[:, :, 0].T
    nodes = [first(), node("Relu", "a", to="b"), node("Gemm", "b", "w", to="y", transB=transposed)]
    model = graph(*nodes, constants={"order": ORDER, "w": weights}, rank=2, out=2)
    before = outputs(model, rank=2)
    sink_permutations(model)
    assert [node.op_type for node in model.graph.node] == ["Relu", "Gemm"]
    np.testing.assert_allclose(outputs(model, rank=2), before, atol=1e-6)


def test_a_result_stays_what_it_is() -> None:
    model = graph(first("y"), node("Relu", "y", to="z"), constants={"order": ORDER})
    model.graph.output.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, None))
    before = outputs(model)
    sink_permutations(model)
    assert [node.op_type for node in model.graph.node] == ["Gather", "Relu"]
    np.testing.assert_array_equal(outputs(model), before)


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pointnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[nn.Module, Path, Path]]:
    """A network, its file for speed, and its smallest file."""
    folder, model = tmp_path_factory.mktemp("onnx"), small_pointnet()
    sample = torch.rand(2, 64, 3)
    to_onnx(model, folder / "fast.onnx", sample)
    to_onnx(model, folder / "small.onnx", sample, smallest=True)
    yield model, folder / "fast.onnx", folder / "small.onnx"


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("which", ["fast", "small"])
def test_runtime_computes_the_same(pointnet: tuple[nn.Module, Path, Path], which: str, batch: int) -> None:
    model, fast, small = pointnet
    x = torch.rand(batch, 64, 3, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(x)
    found = run(fast if which == "fast" else small, x)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_graph_has_groups_and_only_small_reorderings(pointnet: tuple[nn.Module, Path, Path]) -> None:
    model, _, small = pointnet
    loaded = onnx.load(small)
    groups = [a.i for n in loaded.graph.node if n.op_type == "Conv" for a in n.attribute if a.name == "group"]
    assert max(groups) >= 32
    # Behind the widest convolutions nothing is copied before the maximum over the points.
    names = operators(small)
    assert all("Gather" not in names[i - 2 : i] for i, name in enumerate(names) if name == "ReduceMax")
    assert small.stat().st_size < 4 * sum(p.numel() for p in model.parameters()) + 20_000


def test_files_tell_nothing_of_the_machine(pointnet: tuple[nn.Module, Path, Path]) -> None:
    content = pointnet[1].read_bytes()
    assert b".py" not in content
    assert str(Path(module.__file__).parent).encode() not in content


def test_files_of_pictures(tmp_path: Path) -> None:
    model = convert(
        nets.build("lenet"), policy={"conv2": Chain.parse("(2,9)(8,8)"), "fc1": low_rank(128, 400, 3)}
    ).model
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_onnx(model.train(), tmp_path / "x.onnx", torch.rand(2, 1, 28, 28), smallest=True)
    assert model.training
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(run(tmp_path / "x.onnx", x), model.eval()(x).detach(), atol=1e-5, rtol=1e-4)
    info = onnx.load(tmp_path / "x.onnx")
    assert [(v.name, v.type.tensor_type.shape.dim[0].dim_param) for v in info.graph.input] == [("input", "batch")]
    assert [opset.version for opset in info.opset_import if not opset.domain] == [18]
    with pytest.raises(OutputExistsError, match=r"x\.onnx exists already"):
        to_onnx(model, tmp_path / "x.onnx", torch.rand(2, 1, 28, 28))


def test_a_difference_is_an_error_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ButterflyLinear(Chain.parse("(2,4)(4,2)"))

    def shifted(model: nn.Module, sample: Tensor, opset: int) -> bytes:
        with torch.no_grad():
            model[0].bias.add_(1e-4)  # type: ignore[index]
        return original(model, sample, opset)

    original = module._exported
    monkeypatch.setattr(module, "_exported", shifted)
    with pytest.raises(ArtifactError, match="differs from the original by"):
        to_onnx(layer, tmp_path / "x.onnx", torch.rand(4, 8))
    assert [*tmp_path.iterdir()] == []


def test_what_is_needed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ButterflyLinear(Chain.parse("(2,4)(4,2)"))
    with pytest.raises(InputError, match="a sample of 1 items"):
        to_onnx(layer, tmp_path / "x.onnx", torch.rand(1, 8))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtraError, match=r"morpho\[onnx\]"):
        to_onnx(layer, tmp_path / "x.onnx", torch.rand(2, 8))


class Branching(nn.Module):
    """What no exporter can trace."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


def test_what_cannot_be_exported_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be exported"):
        to_onnx(
            nn.Sequential(ButterflyLinear(Chain.parse("(2,4)(4,2)")), Branching()),
            tmp_path / "x.onnx",
            torch.rand(2, 8),
        )
