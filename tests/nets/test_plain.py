"""The networks without shortcuts against the same formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.nets import NAMES, build
from morpho.nets.initial import he_normal


def _rand(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def _conv_pool(x: Tensor, weights: dict[str, Tensor], layer: str, padding: int = 0) -> Tensor:
    x = functional.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], padding=padding)
    return functional.max_pool2d(x, 2).relu()


def _linear(x: Tensor, weights: dict[str, Tensor], layer: str) -> Tensor:
    return x @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]


def test_lenet() -> None:
    model, images = build("lenet"), _rand(2, 1, 28, 28)
    weights = model.state_dict()
    x = _conv_pool(_conv_pool((images - 0.1307) / 0.3081, weights, "conv1"), weights, "conv2")
    x = _linear(x.flatten(1), weights, "fc1").relu()
    x = _linear(x, weights, "fc2")  # no activation here, as published
    torch.testing.assert_close(model.features(images), x)
    torch.testing.assert_close(model(images), _linear(x, weights, "classifier"))


def test_mlp() -> None:
    model, images = build("mlp", sizes=[12, 9, 8, 3], channels=3), _rand(5, 3, 2, 2)
    weights = model.state_dict()
    x = ((images - weights["normalise.mean"]) / weights["normalise.std"]).flatten(1)
    x = _linear(_linear(x, weights, "hidden.0").relu(), weights, "hidden.1").relu()
    torch.testing.assert_close(model(images), _linear(x, weights, "classifier"))


def test_vgg_like() -> None:
    model, images = build("vgg-like", widths=[4, 8]), _rand(2, 1, 9, 9)
    weights = model.state_dict()
    x = (images - 0.1307) / 0.3081
    for layer in ("convs.0", "convs.1"):
        x = _conv_pool(x, weights, layer, padding=1)
    torch.testing.assert_close(model(images), _linear(x.mean((2, 3)), weights, "classifier"))


def test_hidden_layer_of_vgg_takes_part() -> None:
    model = build("vgg16-bn", hidden=7).eval()
    images = _rand(2, 3, 32, 32)
    features = model.features(images)
    assert features.shape == (2, 7)
    assert features.min() == 0  # a ReLU came last
    nn.init.zeros_(model.get_submodule("fc").weight)  # type: ignore[arg-type]
    assert torch.equal(model.features(images)[0], model.features(images)[1])


@pytest.mark.parametrize("name", ["vgg16-bn", "vgg-like", "resnet8", "resnet18", "preact-resnet18", "wrn-16-4"])
def test_every_layer_but_the_first_reads_what_a_relu_made(name: str) -> None:
    model = build(name).eval()
    least: list[float] = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_pre_hook(lambda _, args: least.append(args[0].min().item()))
    model(_rand(1, *NAMES[name].shape))
    assert least[0] < 0  # pictures, normalised
    assert min(least[1:]) >= 0


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_start_normal_with_he_variance(stride: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        conv = nn.Conv2d(16, 96, 3, stride)
        he_normal(conv)
    weights = conv.weight.detach() / (2 / (96 * 9)) ** 0.5
    assert weights.std().item() == pytest.approx(1, abs=0.03)
    assert weights.pow(4).mean().item() == pytest.approx(3, abs=0.3)  # a uniform one would have 1.8
    assert conv.bias is not None
    assert conv.bias.abs().max() == 0
