"""Compressed networks on disk: the same network comes back, and what does not fit is refused before it costs memory."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from morpho import artifacts, nets
from morpho.artifacts import Card
from morpho.butterfly import ButterflyLinear, Chain, convert, low_rank
from morpho.butterfly.files import layers_of, load, load_any, save
from morpho.errors import ArtifactError, OutputExistsError

Tensors = dict[str, np.ndarray[Any, Any]]

CONV2, FC1, FC2 = Chain.parse("(2,9)(8,8)"), Chain.parse("(16,25)(2,2)(1,2)(2,2)^2"), low_rank(64, 128, 3)


def card(net: str = "lenet", **options: Any) -> Card:
    return Card(
        kind="butterfly", name="toy", version="1", licence="CC0-1.0", recipe={"net": net, "options": options}, seed=3
    )


def damaged(**entries: Any) -> dict[str, Any]:
    """The layers of the converted LeNet's card, with other entries."""
    return {**layers_of(lenet()), **entries}


def lenet() -> nn.Module:
    return convert(nets.build("lenet", seed=4), policy={"conv2": CONV2, "fc1": FC1, "fc2": FC2}).model.eval()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "small.safetensors"
    save(file, lenet(), card())
    return file


def test_round_trip(path: Path) -> None:
    model, (back, read) = lenet(), load(path)
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(back(x), model(x))
    assert not back.training
    assert not any(tensor.is_meta for tensor in (*back.parameters(), *back.buffers()))
    assert read.recipe["net"] == "lenet"
    assert read.recipe["layers"]["fc1"] == {"chain": FC1.numbers(), "order": "channel"}
    assert read.seed == 3
    assert path.stat().st_size < 4 * sum(p.numel() for p in model.parameters()) + 3000


CASES: list[tuple[str, dict[str, Any], dict[str, Chain], tuple[int, ...]]] = [
    ("resnet8", {"classes": 43}, {"classifier": Chain.parse("(9,8)(5,8)")}, (3, 16, 16)),
    ("pointnet", {"classes": 10}, {"conv3": Chain.parse("(16,16)(64,8)"), "fc1": low_rank(512, 1024, 2)}, (32, 3)),
    ("mlp", {"sizes": [64, 32, 10]}, {"hidden.0": Chain.parse("(4,8)(8,8)")}, (1, 8, 8)),
]


@pytest.mark.parametrize(("net", "options", "policy", "shape"), CASES)
def test_round_trip_of_other_networks(
    net: str, options: dict[str, Any], policy: dict[str, Chain], shape: tuple[int, ...], tmp_path: Path
) -> None:
    model = convert(nets.build(net, seed=2, **options), policy=policy).model
    model.train()(torch.rand(4, *shape))  # batch norms count
    save(tmp_path / "x.safetensors", model, card(net, **options))
    back, _ = load(tmp_path / "x.safetensors")
    x = torch.rand(2, *shape)
    assert torch.equal(back(x), model.eval()(x))
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in back.state_dict().items())


def test_orders_of_columns_are_kept(tmp_path: Path) -> None:
    model = convert(nets.build("lenet"), policy={"conv2": CONV2}, order="spatial", keep=["fc1"]).model.eval()
    model = convert(model, policy={"fc1": FC1}).model.eval()
    save(tmp_path / "x.safetensors", model, card())
    x = torch.rand(2, 1, 28, 28)
    back, read = load(tmp_path / "x.safetensors")
    assert torch.equal(back(x), model(x))
    assert [layer["order"] for layer in read.recipe["layers"].values()] == ["spatial", "channel"]


def test_loaded_network_can_be_trained(path: Path) -> None:
    model = load(path)[0].train()
    model(torch.rand(2, 1, 28, 28)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_bfloat16_is_kept_in_float(tmp_path: Path) -> None:
    save(tmp_path / "x.safetensors", lenet().to(torch.bfloat16), card())
    layer = load(tmp_path / "x.safetensors")[0].get_submodule("fc1")
    assert isinstance(layer, ButterflyLinear)
    assert layer.factors[0].dtype == torch.float32


def test_plain_torch_for_networks_of_ones_own(tmp_path: Path) -> None:
    own = nn.Sequential(nn.Linear(72, 32), nn.ReLU(), nn.Linear(32, 5))
    policy = {"0": Chain.parse("(8,9)(2,2)(2,4)")}
    state = copy.deepcopy(convert(own, policy=policy).model.state_dict())
    again = convert(nn.Sequential(nn.Linear(72, 32), nn.ReLU(), nn.Linear(32, 5)), policy=policy, initialise="random")
    again.model.load_state_dict(state)
    assert all(torch.equal(t, state[name]) for name, t in again.model.state_dict().items())


def test_load_any(path: Path, tmp_path: Path) -> None:
    assert layers_of(load_any(path)[0]) == layers_of(lenet())
    dense = replace(card(), kind="network")
    nets.save(tmp_path / "dense.safetensors", nets.build("lenet"), dense)
    model, read = load_any(tmp_path / "dense.safetensors")
    assert read == dense
    assert layers_of(model) == {}
    artifacts.save(tmp_path / "table.safetensors", {"table": np.zeros(3)}, replace(card(), kind="upscale"))
    with pytest.raises(ArtifactError, match="of the kind 'upscale': a file of the kind network or butterfly"):
        load_any(tmp_path / "table.safetensors")
    for read_any in (load, load_any):
        with pytest.raises(ArtifactError, match="does not exist"):
            read_any(tmp_path / "none.safetensors")


def test_save_refuses(tmp_path: Path, path: Path) -> None:
    new = tmp_path / "new.safetensors"
    with pytest.raises(ArtifactError, match="needs the kind 'butterfly'"):
        save(new, lenet(), replace(card(), kind="network"))
    with pytest.raises(ArtifactError, match="the network no layer of that name"):
        save(new, lenet(), card("resnet8"))
    with pytest.raises(ArtifactError, match=r"'classifier.bias' has the shape \(10,\) instead of \(7,\)"):
        save(new, lenet(), card(classes=7))
    assert not new.exists()
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        save(path, lenet(), card())
    assert path.read_bytes() == before
    save(path, lenet(), card(), overwrite=True)


def entry(chain: str, order: str = "channel") -> dict[str, str]:
    return {"chain": chain, "order": order}


BAD_CARDS: list[tuple[object, str]] = [
    (None, "names no chains"),
    ([1], "names no chains"),
    (damaged(fc9=entry(FC1.numbers())), "a chain for 'fc9', and the network no layer"),
    (damaged(normalise=entry(FC1.numbers())), "'normalise', which cannot be a butterfly"),
    (damaged(fc1=entry(FC1.numbers(), "diagonal")), "entry of 'fc1' is damaged"),
    (damaged(fc1=FC1.numbers()), "entry of 'fc1' is damaged"),
    (damaged(fc1=entry("9" * 100_000)), "the card says that 'fc1' is '9999"),
    (damaged(fc1={"order": "channel"}), "the card says that 'fc1' is None"),
    (damaged(fc1=entry("(2,2)^999999999999")), r"says that 'fc1' is '\(2,2\)"),
    (damaged(classifier=entry(FC1.numbers())), "factors of 'classifier' are no chain"),
    ({"fc1": entry(FC1.numbers())}, "'conv2.factors.0' is foreign|'conv2.weight' is missing"),
    (damaged(**{"": entry(FC1.numbers())}), "cannot be a butterfly"),
]


@pytest.mark.parametrize(("layers", "sentence"), BAD_CARDS)
def test_wrong_card_is_a_sentence(layers: object, sentence: str, tmp_path: Path) -> None:
    wrong = replace(card(), recipe={**card().recipe, "layers": layers})
    artifacts.save(tmp_path / "bad.safetensors", nets.tensors_of(lenet()), wrong)
    with pytest.raises(ArtifactError, match=sentence) as caught:
        load(tmp_path / "bad.safetensors")
    assert "bad.safetensors" in str(caught.value)
    assert len(str(caught.value)) < 500


def _drop(tensors: Tensors) -> None:
    del tensors["fc1.factors.2"]


def _flatten(tensors: Tensors) -> None:
    tensors["fc1.factors.2"] = tensors["fc1.factors.2"].reshape(-1)


def _swap(tensors: Tensors) -> None:
    tensors["fc1.factors.0"], tensors["fc1.factors.1"] = tensors["fc1.factors.1"], tensors["fc1.factors.0"]


def _poison(tensors: Tensors) -> None:
    tensors["fc1.factors.2"].flat[0] = np.inf


def _transpose(tensors: Tensors) -> None:
    tensors["fc2.factors.0"] = tensors["fc2.factors.0"].transpose(0, 2, 1, 3)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_drop, "factors of 'fc1' are no chain"),
        (_flatten, "factors of 'fc1' are no chain"),
        (_swap, "factors of 'fc1' are no chain"),
        (_transpose, "factors of 'fc2' are no chain"),
        (_poison, "'fc1.factors.2' holds NaN or infinity"),
    ],
)
def test_wrong_tensor_is_named(damage: Callable[[Tensors], None], sentence: str, path: Path, tmp_path: Path) -> None:
    tensors, read = artifacts.load(path)
    damage(tensors)
    artifacts.save(tmp_path / "bad.safetensors", tensors, read)
    with pytest.raises(ArtifactError, match=f"bad.safetensors: .*{sentence}"):
        load(tmp_path / "bad.safetensors")


def hostile(tmp_path: Path, net: Card, layer: str, factors: list[tuple[int, ...]], chain: str) -> Path:
    """A small file that claims a layer of these factors."""
    read = replace(net, recipe={**net.recipe, "layers": {layer: entry(chain)}})
    tensors = {f"{layer}.factors.{i}": np.zeros(shape, np.float32) for i, shape in enumerate(factors)}
    artifacts.save(tmp_path / "hostile.safetensors", tensors, read)
    return tmp_path / "hostile.safetensors"


HUGE = low_rank(40_000, 40_000, 1)
HOSTILE = [
    # A product of 25 million entries, most of them zeros: they must not be counted.
    (card("mlp", sizes=[10_000, 5_000, 2]), [(5000, 1, 2, 1)], "5000 10000 1 2 1", "no chain"),
    # Multiplied out, it would take 6.4 GB.
    (card("mlp", sizes=[40_000, 40_000, 2]), [f.shape for f in HUGE.factors], HUGE.numbers(), "multiplied out"),
    # Padding of a small layer to a huge one.
    (card("mlp", sizes=[64, 32, 2]), [f.shape for f in HUGE.factors], HUGE.numbers(), "is 32 x 64 and its chain 40000"),
    # The same in one direction.
    (card("mlp", sizes=[64, 32, 2]), [(1, 1, 64, 1), (1, 64, 1, 1)], low_rank(64, 64, 1).numbers(), "chain 64 x 64"),
    # Smaller than its layer.
    (card("mlp", sizes=[64, 32, 2]), [(8, 4, 4, 1), (1, 8, 8, 4)], "32 32 4 4 1 32 32 8 8 4", "its chain 32 x 32"),
]


@pytest.mark.parametrize(("net", "factors", "chain", "sentence"), HOSTILE)
def test_hostile_sizes_take_no_memory(
    net: Card, factors: list[tuple[int, ...]], chain: str, sentence: str, tmp_path: Path
) -> None:
    path = hostile(tmp_path, net, "hidden.0", factors, chain)
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match=sentence):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [0, 7, 100, 5000, -1])
def test_truncated_file(cut: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=r"small\.safetensors"):
        load(path)
