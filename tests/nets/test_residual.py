"""Shortcuts of the residual networks, whose form neither parameters nor multiplications tell."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn

from morpho.nets import PreActResNet18, ResNet, WideResNet, build


def _silence(block: nn.Module) -> nn.Module:
    """A block whose second convolution gives zeros, so that the shortcut is left."""
    nn.init.zeros_(cast(nn.Conv2d, block.conv2).weight)
    return block.eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(0))


def test_block_of_a_resnet_ends_in_a_relu(x: Tensor) -> None:
    block = _silence(cast(ResNet, build("resnet8")).blocks[0])
    assert torch.equal(block(x), x.relu())


def test_block_of_a_wide_resnet_is_the_identity(x: Tensor) -> None:
    block = _silence(cast(WideResNet, build("wrn-16-1")).blocks[1])
    assert torch.equal(block(x), x)


def test_block_of_a_preact_resnet_is_the_identity() -> None:
    x = torch.randn(1, 64, 4, 4, generator=torch.Generator().manual_seed(0))
    block = _silence(cast(PreActResNet18, build("preact-resnet18")).blocks[1])
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("name", "index"), [("wrn-10-2", 0), ("preact-resnet18", 2)])
def test_convolution_in_a_shortcut_sees_the_activated_input(name: str, index: int) -> None:
    block = _silence(cast(WideResNet | PreActResNet18, build(name)).blocks[index])
    norm, shortcut = cast(nn.BatchNorm2d, block.norm1), cast(nn.Conv2d, block.shortcut)
    x = torch.randn(2, norm.num_features, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(x), shortcut(norm(x).relu()))


def test_padded_shortcut_thins_and_adds_zero_channels(x: Tensor) -> None:
    block = _silence(cast(ResNet, build("resnet8", shortcut="pad")).blocks[1])
    out = block(x)
    assert out.shape == (2, 32, 3, 3)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2].relu())
    assert out[:, :8].abs().sum() == out[:, 24:].abs().sum() == 0
