"""Parameters and multiplications are those of the literature."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from morpho.nets import NAMES, build, count_parameters

PARAMETERS: list[tuple[str, dict[str, Any], int]] = [
    ("mlp", {}, 301_066),
    ("lenet", {}, 61_482),  # DeBut
    ("vgg-like", {}, 390_410),  # All-DeBut
    ("vgg16-bn", {"classes": 100}, 14_774_436),  # All-DeBut
    ("vgg16-bn", {"hidden": 512}, 14_990_922),  # DeBut: 12.71M is 15.23 % less
    ("resnet20", {"shortcut": "pad"}, 269_722),  # He et al. print 0.27M, 0.46M, 0.66M, 0.85M, 1.7M
    ("resnet32", {"shortcut": "pad"}, 464_154),
    ("resnet44", {"shortcut": "pad"}, 658_586),
    ("resnet56", {"shortcut": "pad"}, 853_018),
    ("resnet110", {"shortcut": "pad"}, 1_727_962),
    ("resnet110", {"classes": 100}, 1_736_564),  # All-DeBut
    ("resnet18", {}, 11_173_962),
    ("preact-resnet18", {}, 11_172_170),
    ("preact-resnet18", {"final_norm": False}, 11_171_146),
    ("wrn-16-4", {}, 2_748_890),  # Zagoruyko and Komodakis print 2.7M, 36.5M
    ("wrn-28-10", {}, 36_479_194),
    ("wrn-34-10", {}, 46_160_474),
    ("wrn-40-2", {}, 2_243_546),
    ("airbench", {}, 1_972_792),  # Jordan prints 1.97M
    ("pointnet", {}, 3_471_473),  # All-DeBut
    ("small-pointnet", {}, 76_938),
]


@pytest.mark.parametrize(("name", "options", "published"), PARAMETERS)
def test_number_of_parameters(name: str, options: dict[str, Any], published: int) -> None:
    with torch.device("meta"):
        assert count_parameters(build(name, **options)) == published


@pytest.mark.parametrize(
    ("name", "options", "published"),
    [
        ("vgg16-bn", {}, 313.2e6),
        ("resnet20", {"shortcut": "pad"}, 40.6e6),
        ("resnet56", {"shortcut": "pad"}, 125.49e6),
        ("resnet110", {"shortcut": "pad"}, 252.89e6),
        ("resnet18", {}, 0.556e9),
        ("preact-resnet18", {}, 0.556e9),
        ("wrn-28-10", {}, 5.25e9),
        ("pointnet", {}, 440e6),  # Qi et al., Table 6
    ],
)
def test_number_of_multiplications(name: str, options: dict[str, Any], published: float) -> None:
    """These pin strides and poolings, of which the parameters know nothing."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build(name, **options).eval()(torch.empty(1, *NAMES[name].shape))
    assert counter.get_total_flops() / 2 == pytest.approx(published, rel=0.005)


def test_lenet_is_the_published_list_of_matrices() -> None:
    layers = [layer for layer in build("lenet").modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    matrices = [tuple(layer.weight.flatten(1).shape) for layer in layers]
    assert matrices == [(8, 9), (16, 72), (128, 400), (64, 128), (10, 64)]


def test_vgg_is_the_published_list_of_matrices() -> None:
    with torch.device("meta"):
        layers = [m for m in build("vgg16-bn", hidden=512).modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert [tuple(layer.weight.flatten(1).shape) for layer in layers] == [
        *[(64, 27), (64, 576), (128, 576), (128, 1152), (256, 1152), (256, 2304), (256, 2304), (512, 2304)],
        *[(512, 4608)] * 5,
        *[(512, 512), (10, 512)],
    ]
