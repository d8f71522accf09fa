"""Weights on disk: the same network comes back, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from morpho import artifacts
from morpho.artifacts import Card
from morpho.errors import ArtifactError, InputError, OutputExistsError
from morpho.nets import Network, assign, build, load, load_plain, save, tensors_of
from tests.nets.test_contract import SMALL, small

Tensors = dict[str, np.ndarray[Any, Any]]
NET, OPTIONS = "resnet8", {"classes": 4}


def card(net: object = NET, options: object = OPTIONS, kind: str = "network") -> Card:
    return Card(kind=kind, name="toy", version="1", licence="CC0-1.0", recipe={"net": net, "options": options})


@pytest.fixture
def model() -> Network:
    made = build(NET, seed=7, **OPTIONS)
    for _ in range(3):
        made.train()(torch.rand(4, 3, 8, 8))  # batch norms count and average
    return made.eval()


@pytest.fixture
def path(tmp_path: Path, model: Network) -> Path:
    file = tmp_path / "net.safetensors"
    save(file, model, card())
    return file


@pytest.mark.parametrize("name", SMALL)
def test_round_trip(name: str, tmp_path: Path) -> None:
    model, x = small(name, seed=5)
    path = tmp_path / "net.safetensors"
    save(path, model, card(name, SMALL[name][0]))
    back, read = load(path)
    assert read == card(name, SMALL[name][0])
    assert not back.training
    assert torch.equal(back(x), model.eval()(x))
    assert [p.requires_grad for p in back.parameters()] == [p.requires_grad for p in model.parameters()]
    assert not any(tensor.is_meta for tensor in back.state_dict().values())


def test_counters_survive(path: Path, model: Network) -> None:
    counter = load(path)[0].state_dict()["norm.num_batches_tracked"]
    assert counter.dtype == torch.int64
    assert counter.shape == ()
    assert counter.item() == 3


def test_loaded_network_can_be_trained(path: Path) -> None:
    model = load(path)[0].train()
    model(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_file_knows_the_statistics_though_its_card_does_not(tmp_path: Path) -> None:
    save(tmp_path / "net.safetensors", build("lenet", mean=[0.25], std=[0.5]), card("lenet", {}))
    assert load(tmp_path / "net.safetensors")[0].state_dict()["normalise.mean"].item() == 0.25


def test_half_precision_network_is_kept_in_float(tmp_path: Path, model: Network) -> None:
    save(tmp_path / "net.safetensors", model.to(torch.bfloat16), card())
    assert load(tmp_path / "net.safetensors")[0].classifier.weight.dtype == torch.float32


def test_save_refuses_a_card_of_another_network(tmp_path: Path, model: Network) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(ArtifactError, match=r"'classifier.bias' has the shape \(4,\) instead of \(5,\)"):
        save(path, model, card(NET, {"classes": 5}))
    with pytest.raises(ArtifactError, match=r"foreign|missing"):
        save(path, model, card("lenet", {}))
    with pytest.raises(ArtifactError, match="needs the kind 'network'"):
        save(path, model, card(kind="upscale"))
    assert not path.exists()


def test_save_does_not_overwrite_unasked(path: Path, model: Network) -> None:
    with pytest.raises(OutputExistsError):
        save(path, model, card())
    save(path, model, card(), overwrite=True)


def _drop(tensors: Tensors) -> None:
    del tensors["conv.weight"]


def _add(tensors: Tensors) -> None:
    tensors["head.weight"] = np.zeros(3, np.float32)


def _reshape(tensors: Tensors) -> None:
    tensors["conv.weight"] = tensors["conv.weight"].reshape(16, 27)


def _poison(tensors: Tensors) -> None:
    tensors["conv.weight"][0, 0, 0, 0] = np.nan


def _round(tensors: Tensors) -> None:
    tensors["conv.weight"] = tensors["conv.weight"].astype(np.int32)


def _float(tensors: Tensors) -> None:
    tensors["norm.num_batches_tracked"] = np.array(1.5)


DAMAGES = [
    (_drop, "'conv.weight' is missing"),
    (_add, "'head.weight' is foreign"),
    (_reshape, r"'conv.weight' has the shape \(16, 27\) instead of \(16, 3, 3, 3\)"),
    (_poison, "'conv.weight' holds NaN"),
    (_round, "'conv.weight' is of type int32"),
    (_float, "'norm.num_batches_tracked' is of type float64"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES)
def test_wrong_tensor_is_named(damage: Any, sentence: str, tmp_path: Path, model: Network) -> None:
    tensors = {name: array.copy() for name, array in tensors_of(model).items()}
    damage(tensors)
    path = tmp_path / "bad.safetensors"
    artifacts.save(path, tensors, card())
    with pytest.raises(ArtifactError, match=f"bad.safetensors: the tensor {sentence}"):
        load(path)
    save_file(tensors, tmp_path / "plain.safetensors")
    with pytest.raises(ArtifactError, match=f"plain.safetensors: the tensor {sentence}"):
        load_plain(tmp_path / "plain.safetensors", NET, OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (card(kind="upscale"), "an artefact of the kind 'network' is needed"),
        (card(net="lenot"), "did you mean lenet"),
        (card(net=None), "names no network"),
        (card(options=[4]), "names no network"),
        (card(options={"seed": 1}), "names no network"),
        (card(options={"clases": 4}), "did you mean classes"),
        (card(options={"classes": "many"}), "cannot be built"),
        (card(options={"classes": 10**11}), r"shape \(4,\) instead of \(100000000000,\)"),  # 25 TB, had they been made
    ],
)
def test_wrong_card_is_a_sentence(wrong: Card, sentence: str, tmp_path: Path, model: Network) -> None:
    path = tmp_path / "bad.safetensors"
    artifacts.save(path, tensors_of(model), wrong)
    with pytest.raises(ArtifactError, match=sentence) as caught:
        load(path)
    assert "bad.safetensors" in str(caught.value)


@pytest.mark.parametrize("cut", [0, 7, 100, 5000, -1])
def test_truncated_file(cut: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    for read in (load, lambda p: load_plain(p, NET, OPTIONS)):
        with pytest.raises(ArtifactError, match=r"net\.safetensors"):
            read(path)


def test_missing_file(tmp_path: Path) -> None:
    for read in (load, lambda p: load_plain(p, NET, OPTIONS)):
        with pytest.raises(ArtifactError, match="does not exist"):
            read(tmp_path / "none.safetensors")


def test_plain_file_of_somebody_else(tmp_path: Path, model: Network) -> None:
    tensors = {k: v for k, v in tensors_of(model).items() if "normalise" not in k and "num_batches" not in k}
    tensors["conv.weight"] = tensors["conv.weight"].astype(np.float64)
    save_file(tensors, tmp_path / "plain.safetensors")
    back = load_plain(tmp_path / "plain.safetensors", NET, OPTIONS)
    x = torch.rand(2, 3, 8, 8)
    assert back.classifier.weight.dtype == back.state_dict()["conv.weight"].dtype == torch.float32
    assert torch.equal(back(x), model(x))


def test_plain_file_for_an_unknown_network(path: Path) -> None:
    with pytest.raises(InputError, match="did you mean resnet8"):
        load_plain(path, "resnet9")


def test_assign_changes_all_or_nothing(model: Network) -> None:
    target = build(NET, seed=1, **OPTIONS)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    tensors = tensors_of(model)
    with pytest.raises(ArtifactError, match="missing"):
        assign(target, {name: array for name, array in tensors.items() if name != "norm.weight"})
    assert all(torch.equal(before[name], tensor) for name, tensor in target.state_dict().items())
    kept = target.classifier.weight
    assign(target, tensors)
    assert target.classifier.weight is kept  # an optimiser that knows it goes on
    assert torch.equal(kept, model.classifier.weight)
    kept.data.zero_()
    assert model.classifier.weight.abs().sum() > 0  # nothing is shared


def test_assign_to_an_outline_copies_the_arrays(model: Network) -> None:
    tensors = {name: array.copy() for name, array in tensors_of(model).items()}
    tensors["conv.weight"] = tensors["conv.weight"][::-1]  # neither contiguous
    tensors["norm.weight"].flags.writeable = False  # nor writeable
    with torch.device("meta"):
        target = build(NET, **OPTIONS)
    assign(target, tensors)
    assert torch.equal(target.state_dict()["conv.weight"], model.state_dict()["conv.weight"].flip(0))
    assign(model, tensors)
    target.classifier.weight.data.zero_()
    assert tensors["classifier.weight"].any()
