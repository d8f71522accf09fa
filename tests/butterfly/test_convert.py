"""Converted networks keep their budget, say what became of each layer, and leave the original alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from morpho import nets
from morpho.butterfly import ButterflyConv1d, ButterflyConv2d, ButterflyLinear, Chain, convert, low_rank, monarch
from morpho.butterfly.convert import count_parameters
from morpho.butterfly.layers import Butterfly
from morpho.butterfly.project import project
from morpho.errors import InputError

#: Multiply-adds of LeNet per picture, by hand: places x outputs x inputs x window.
_LENET_MACS = {
    "conv1": 26 * 26 * 8 * 1 * 9,
    "conv2": 11 * 11 * 16 * 8 * 9,
    "fc1": 128 * 400,
    "fc2": 64 * 128,
    "classifier": 10 * 64,
}


def _lenet() -> nn.Module:
    return nets.build("lenet", seed=1)


def _pictures(count: int = 4) -> Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def _reasons(model: nn.Module, **options: Any) -> dict[str, str]:
    return {row.name: row.reason for row in convert(model, **options).report.kept}


class _Many(nn.Module):
    """Layers of all kinds that stay, and two that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 32)
        self.grouped = nn.Conv2d(32, 32, 3, groups=4)
        self.frozen = nn.Linear(32, 32).requires_grad_(False)
        self.named = nn.Conv1d(32, 32, 3, padding="same")
        self.mirrored = nn.Conv1d(32, 32, 3, padding=1, padding_mode="reflect")
        self.attention = nn.MultiheadAttention(32, 2)
        self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
        self.second.weight = self.first.weight
        self.block = nn.Sequential(nn.BatchNorm1d(32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 64))


# --- budgets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [0.14, 0.3, 10_190])
@pytest.mark.parametrize("family", ["debut", "low_rank", "monarch"])
def test_budgets_are_met_from_below(budget: float, family: Any) -> None:
    model = _lenet()
    made = convert(model, budget=budget, family=family)
    limit = budget if budget > 1 else budget * count_parameters(model)
    assert 0.98 * limit <= made.report.parameters <= limit
    assert made.report.parameters == sum(p.numel() for p in made.model.parameters())
    assert made.report.share == pytest.approx(made.report.parameters / 61_482)
    chains = [row.chain for row in made.report.layers if row.chain and len(row.chain.factors) > 1]
    assert chains
    for chain in chains:
        assert chain.is_debut or family == "low_rank"
        assert len(chain.factors) == 2 or family == "debut"


@pytest.mark.parametrize("sample", [False, True])
def test_the_report_adds_up(sample: bool) -> None:
    model = _lenet()
    made = convert(model, budget=0.3, keep=["conv1"], sample=_pictures() if sample else None)
    rows = made.report.layers
    assert [row.name for row in rows] == list(_LENET_MACS)
    biases = 8 + 16 + 128 + 64 + 10
    assert sum(row.parameters for row in rows) + biases == made.report.parameters
    assert sum(row.dense_parameters for row in rows) + biases == made.report.dense_parameters == 61_482
    for row in rows:
        layer = made.model.get_submodule(row.name)
        if isinstance(layer, Butterfly):
            assert row.chain == layer.chain
            assert row.parameters == sum(weights.numel() for weights in layer.factors)
            assert row.reason == ""
            assert row.error is not None
            assert 0 <= row.error < 1
        assert row.size == tuple(model.get_submodule(row.name).weight.flatten(1).shape)  # type: ignore[operator]
        assert row.dense_macs == (_LENET_MACS[row.name] if sample else None)
        assert row.macs == (row.parameters * _LENET_MACS[row.name] // row.dense_parameters if sample else None)
    assert [(row.name, row.kind, row.reason) for row in made.report.kept] == [
        ("conv1", "Conv2d", "it was asked to stay")
    ]


def test_the_reported_error_is_that_of_the_weights() -> None:
    model = _lenet()
    made = convert(model, budget=0.3)
    for row in made.report.layers:
        dense: Any = model.get_submodule(row.name)
        matrix, layer = dense.weight.detach().flatten(1), made.model.get_submodule(row.name)
        assert isinstance(layer, Butterfly)
        assert row.error == pytest.approx(
            float((matrix - layer.dense_matrix().detach()).norm() / matrix.norm()), abs=1e-4
        )
        assert layer.bias is not None
        assert torch.equal(layer.bias, dense.bias)


def test_a_sample_weighs_the_columns_by_what_they_meet() -> None:
    """Inputs that are always zero do not matter, loud ones do."""
    model = nn.Sequential(nn.Linear(32, 32))
    loudness = torch.logspace(0, -4, 32)
    sample = torch.randn(64, 32, generator=torch.Generator().manual_seed(0)) * loudness
    matrix = model.get_parameter("0.weight").detach()
    errors = []
    for given in (None, sample):
        made = convert(model, policy={"0": low_rank(32, 32, 4)}, sample=given)
        layer: Any = made.model[0]  # type: ignore[index]
        errors.append(float(((layer.dense_matrix().detach() - matrix) * loudness).norm()))
    assert errors[1] < 0.5 * errors[0]


def test_columns_by_position_are_those_of_the_kernel() -> None:
    model = nn.Sequential(nn.Conv2d(8, 16, 3))
    chain = Chain.parse("(2,8)(8,9)")
    made: Any = convert(model, policy={"0": chain}, order="spatial").model.get_submodule("0")
    kernel = model.get_parameter("0.weight").detach()
    expected = project(kernel.movedim(1, -1).reshape(16, -1).numpy(), chain).weights
    for own, wanted in zip(made.factors, expected, strict=True):
        torch.testing.assert_close(own.detach(), torch.from_numpy(wanted))
    assert made.order == "spatial"


@pytest.mark.parametrize("budget", [0.0, -1.0, 1.5, float("nan"), float("inf")])
def test_what_is_no_budget(budget: float) -> None:
    with pytest.raises(InputError, match="is no part"):
        convert(_lenet(), budget=budget)


def test_impossible_budgets_say_what_is_possible() -> None:
    with pytest.raises(
        InputError, match=r"614 parameters \(1\.00%\) cannot be met: .* have 226, and the smallest"
    ) as at:
        convert(_lenet(), budget=0.01)
    least = int(str(at.value).split("make it ")[1].split()[0])
    assert convert(_lenet(), budget=least).report.parameters == least
    with pytest.raises(InputError, match="cannot be met"):
        convert(_lenet(), budget=least - 1)


def test_a_generous_budget_changes_nothing() -> None:
    model = _lenet().eval()
    made = convert(model, budget=61_482)
    torch.testing.assert_close(made.model(_pictures()), model(_pictures()), atol=1e-5, rtol=1e-5)


def test_a_projected_network_answers_nearly_alike() -> None:
    """The larger the budget the better, and far better than weights that were drawn."""
    model, x = _lenet().eval(), _pictures(32)
    wanted = model(x).detach()

    def difference(**options: Any) -> float:
        return float((convert(model, **options).model(x).detach() - wanted).norm() / wanted.norm())

    # Fresh weights have flat spectra, the worst case; those of trained networks fall.
    differences = [difference(budget=budget) for budget in (0.2, 0.5, 0.9)]
    assert differences == sorted(differences, reverse=True)
    assert differences[-1] < 0.4
    assert difference(budget=0.9, initialise="random") > 2 * differences[-1]


def test_single_dense_factors_can_be_refused() -> None:
    made = convert(_lenet(), budget=0.3)
    assert any(row.chain and len(row.chain.factors) == 1 for row in made.report.layers)
    made = convert(_lenet(), budget=0.3, single=False)
    # No chain of two factors is at most half of an 8 x 9 matrix.
    assert [row.name for row in made.report.layers if row.chain and len(row.chain.factors) == 1] == ["conv1"]
    assert made.report.parameters <= 0.3 * 61_482


# --- which layers ----------------------------------------------------------------------------------------------------


def test_what_stays_and_why() -> None:
    model = _Many()
    made = convert(model, budget=0.97, keep=["block.3"])
    assert {row.name: row.reason for row in made.report.kept} == {
        "embedding": "a Embedding is no Linear or Conv layer",
        "grouped": "its convolution has 4 groups",
        "frozen": "its weights are not trained",
        "named": "its padding is given by name",
        "mirrored": "its padding is 'reflect'",
        "attention": "a MultiheadAttention is no Linear or Conv layer",
        "attention.out_proj": "its weights are read by the MultiheadAttention around it",
        "first": "it shares its weights with another layer",
        "second": "it shares its weights with another layer",
        "block.3": "it was asked to stay",
    }
    assert [name for name, layer in made.model.named_modules() if isinstance(layer, Butterfly)] == ["block.1"]
    x = torch.rand(3, 2, 32)
    assert made.model.attention(x, x, x)[0].shape == x.shape  # type: ignore[operator]
    assert made.model.first.weight is made.model.second.weight  # type: ignore[union-attr]
    assert made.report.parameters == count_parameters(made.model)
    kept = {row.name: row.parameters for row in made.report.kept}
    assert (kept["grouped"], kept["embedding"], kept["attention"]) == (32 * 8 * 9, 640, 3 * 32 * 32)


def test_weights_that_an_embedding_uses_too_stay() -> None:
    """The linear layer comes first here, and its weights would not have been saved."""
    model = nn.ModuleDict({"out": nn.Linear(16, 40), "inner": nn.Linear(64, 64), "table": nn.Embedding(40, 16)})
    model["table"].weight = model["out"].weight
    made = convert(model, budget=0.4)
    assert [row.name for row in made.report.kept] == ["out", "table"]
    assert made.report.parameters == count_parameters(made.model) <= 0.4 * count_parameters(model)


def test_a_layer_in_two_places_is_one_butterfly() -> None:
    layer = nn.Linear(32, 32)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(32, 8))
    sample = torch.rand(5, 32)
    made = convert(model, budget=0.7, sample=sample)
    first, again = made.model.get_submodule("0"), made.model.get_submodule("2")
    assert isinstance(first, ButterflyLinear)
    assert first is again
    assert count_parameters(made.model) == made.report.parameters <= 0.7 * count_parameters(model)
    assert [row.positions for row in made.report.layers] == [2, 1]
    assert made.model(sample).shape == (5, 8)


def test_a_bare_layer_becomes_a_butterfly() -> None:
    made = convert(nn.Linear(32, 32), budget=0.5)
    assert isinstance(made.model, ButterflyLinear)
    assert made.report.parameters == count_parameters(made.model)


def test_encoder_layers_of_transformers_still_run() -> None:
    model = nn.Sequential(nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), nn.Linear(32, 32)).eval()
    made = convert(model, budget=0.95)
    assert isinstance(made.model[1], ButterflyLinear)  # type: ignore[index]
    with torch.no_grad():
        assert made.model(torch.rand(2, 3, 32)).shape == (2, 3, 32)


def test_the_kind_and_options_of_layers_stay() -> None:
    model = nn.Sequential(
        nn.Conv2d(8, 32, 3, stride=2, padding=(1, 2), dilation=2, bias=False), nn.Conv1d(32, 32, 5, padding=1)
    )
    made = convert(model, budget=0.5)
    first: Any = made.model.get_submodule("0")
    second: Any = made.model.get_submodule("1")
    assert type(first) is ButterflyConv2d
    assert type(second) is ButterflyConv1d
    assert first.bias is None
    x = torch.rand(2, 8, 12, 11)
    assert first(x).shape == model[0](x).shape
    assert second(torch.rand(2, 32, 12)).shape == (2, 32, 10)
    options = [(layer.kernel_size, layer.stride, layer.padding, layer.dilation) for layer in (first, second)]
    assert options == [((3, 3), (2, 2), (1, 2), (2, 2)), ((5,), (1,), (1,), (1,))]


# --- policies --------------------------------------------------------------------------------------------------------


def test_policies_are_functions_or_mappings() -> None:
    asked: list[tuple[str, int, int]] = []

    def policy(name: str, m: int, n: int) -> Chain | None:
        asked.append((name, m, n))
        return monarch(m, n, 8) if m * n > 5000 else None

    made = convert(_lenet(), policy=policy)
    assert asked == [("conv1", 8, 9), ("conv2", 16, 72), ("fc1", 128, 400), ("fc2", 64, 128), ("classifier", 10, 64)]
    assert [row.name for row in made.report.layers if row.chain] == ["fc1", "fc2"]
    assert {row.reason for row in made.report.kept} == {"the policy has no chain for it"}
    mapped = convert(_lenet(), policy={"fc1": monarch(128, 400, 8), "fc2": monarch(64, 128, 8)})
    assert mapped.report == made.report


def test_chains_of_a_policy_may_be_larger_than_the_layer() -> None:
    """Nine columns of one channel, ten classes: both padded."""
    chain = Chain.parse("(4,8)(4,8)")
    model = _lenet().eval()
    made = convert(model, policy={"classifier": chain})
    row = next(row for row in made.report.layers if row.name == "classifier")
    layer = made.model.get_submodule("classifier")
    assert row.size == (10, 64)
    assert row.parameters == chain.parameters
    assert layer(torch.zeros(1, 64)).shape == (1, 10)
    assert row.error is not None
    assert 0 < row.error < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either a budget or a policy"),
        ({"budget": 0.5, "policy": {}}, "give either a budget or a policy"),
        ({"budget": 0.5, "keep": ["conv3"]}, "no layer 'conv3': its layers are conv1, conv2, fc1"),
        ({"policy": {"fc9": low_rank(4, 4, 1)}}, "no layer 'fc9' to convert: it has conv1, conv2"),
        ({"policy": {"fc1": low_rank(128, 399, 4)}}, "'fc1' is 128 x 400, and its chain .* only 128 x 399"),
        ({"policy": {"fc1": low_rank(128, 400, 4)}, "keep": ["fc1"]}, "no layer 'fc1' to convert"),
        ({"budget": 0.5, "family": "tree"}, "the family 'tree' is not known"),
        ({"budget": 0.5, "initialise": "zeros"}, "the beginning 'zeros' is not known: use project or random"),
        ({"budget": 0.5, "order": "fast"}, "the order 'fast' is not known: use channel or spatial"),
    ],
    ids=str,
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        convert(_lenet(), **options)


@pytest.mark.parametrize("model", [nn.ReLU(), nn.Embedding(3, 2), nn.Linear(4, 4).requires_grad_(False)], ids=str)
def test_networks_without_such_layers(model: nn.Module) -> None:
    with pytest.raises(InputError, match="no Linear or Conv layer that could become a butterfly"):
        convert(model, budget=0.5)


# --- the original, and the copy --------------------------------------------------------------------------------------


def test_the_original_is_left_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, 32))
    model[1].eval()
    before, kinds = copy.deepcopy(model.state_dict()), [type(layer) for layer in model]
    made = convert(model, budget=0.7, sample=torch.rand(8, 32))
    assert [type(layer) for layer in model] == kinds
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(layer._forward_hooks for network in (model, made.model) for layer in network.modules())
    for network in (model, made.model):
        assert [layer.training for layer in network] == [True, False, True, True]  # type: ignore[attr-defined]
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(made.model.get_buffer("1.running_mean"), before["1.running_mean"])


def test_random_beginnings_belong_to_seed_and_name() -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))
    policy = {"0": low_rank(32, 32, 4), "1": low_rank(32, 32, 4)}
    torch_state = torch.random.get_rng_state()
    first, same, other = (convert(model, policy=policy, initialise="random", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    weights = [[layer.dense_matrix() for layer in made.model] for made in (first, same, other)]  # type: ignore[attr-defined]
    assert torch.equal(weights[0][0], weights[1][0])
    assert not torch.equal(weights[0][0], weights[2][0])
    assert not torch.equal(weights[0][0], weights[0][1])
    assert all(row.error is None for row in first.report.layers)
    assert torch.equal(first.model[0].bias, model[0].bias)  # type: ignore[index,arg-type]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_weights_stays(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(32, 32)).to(dtype)
    made = convert(model, budget=0.5, sample=torch.rand(4, 32, dtype=dtype))
    assert {weights.dtype for weights in made.model.parameters()} == {dtype}
    assert made.model(torch.rand(2, 32, dtype=dtype)).dtype == dtype


def test_positions_of_sequences_and_points() -> None:
    model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 16))
    made = convert(model, budget=0.7, sample=torch.rand(5, 7, 32))
    assert [row.positions for row in made.report.layers] == [7, 7]
    assert [row.dense_macs for row in made.report.layers] == [7 * 1024, 7 * 512]
