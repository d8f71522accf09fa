"""A folded normalisation computes what layer and normalisation did."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from morpho.butterfly import ButterflyConv2d, ButterflyLinear, Chain
from morpho.butterfly.fold import fold_batchnorm
from morpho.errors import InputError

_CHAINS = ("(2,9)(4,4)(4,2)", "32 <-(8,4,4)- 16 <-(2,8,4)- 64 <-(8,9,1)- 72")


def _norm(kind: type[nn.BatchNorm1d | nn.BatchNorm2d], channels: int, affine: bool) -> nn.BatchNorm1d | nn.BatchNorm2d:
    norm = kind(channels, affine=affine, eps=0.1)
    random = torch.Generator().manual_seed(0)
    for name, tensor in norm.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(channels, generator=random)
            tensor.copy_(drawn + 0.5 if "var" in name else drawn - 0.5)
    return norm.eval()


@pytest.mark.parametrize("text", _CHAINS)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_after_a_convolution(text: str, affine: bool, bias: bool) -> None:
    layer = ButterflyConv2d(Chain.parse(text), 8, 30, 3, padding=1, bias=bias).eval()
    norm = _norm(nn.BatchNorm2d, 30, affine)
    before = layer.dense_weight().detach().clone()
    inputs = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    folded = fold_batchnorm(layer, norm)
    torch.testing.assert_close(folded(inputs), norm(layer(inputs)), atol=1e-5, rtol=1e-5)
    assert torch.equal(layer.dense_weight(), before)
    assert "bias" in dict(folded.named_parameters())


def test_after_a_linear_layer() -> None:
    layer, norm = ButterflyLinear(Chain.parse(_CHAINS[0])), _norm(nn.BatchNorm1d, 32, True)
    inputs = torch.randn(5, 72, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(fold_batchnorm(layer, norm)(inputs), norm(layer(inputs)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        (nn.BatchNorm1d(31), "31 channels does not fit a layer of 32"),
        (nn.BatchNorm1d(32, track_running_stats=False), "no running statistics"),
    ],
)
def test_refuses_other_normalisations(norm: nn.BatchNorm1d, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fold_batchnorm(ButterflyLinear(Chain.parse(_CHAINS[0])), norm)
