"""Whitening, and the start of the CNN that learns fast."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets import Airbench, build, whiten


@pytest.fixture
def images() -> Tensor:
    """Smooth pictures whose channels are alike: neighbouring numbers are far from independent."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(200, 3, 18, 18, generator=generator)
    smooth = functional.avg_pool2d(noise, 3, 1)
    return (0.7 * smooth.mean(1, keepdim=True) + 0.3 * smooth).clamp(0, 1)


@pytest.fixture
def model() -> Airbench:
    return cast(Airbench, build("airbench", widths=[8, 16, 16]))


def _outputs(model: Airbench, images: Tensor) -> Tensor:
    out: Tensor = model.whitening(model.normalise(images)).detach()
    return out.transpose(0, 1).flatten(1)


def test_outputs_are_white(model: Airbench, images: Tensor) -> None:
    whiten(model, images, epsilon=0.0)
    out = _outputs(model, images)
    assert out.shape[0] == 24
    torch.testing.assert_close(torch.cov(out[:12]), torch.eye(12), atol=2e-3, rtol=0)
    torch.testing.assert_close(out.mean(1), torch.zeros(24), atol=2e-3, rtol=0)
    torch.testing.assert_close(out[12:], -out[:12], atol=1e-3, rtol=1e-3)


def test_epsilon_damps_directions_that_hardly_occur(model: Airbench, images: Tensor) -> None:
    whiten(model, images, epsilon=1e-3)
    variances = _outputs(model, images)[:12].var(1)
    assert variances.max() < 1
    flat = images.new_full((200, 3, 16, 16), 0.4)
    whiten(model, flat)
    assert model.whitening.weight.isfinite().all()
    assert model.whitening.weight.abs().max() <= (5e-4) ** -0.5


def test_whitening_touches_nothing_else(model: Airbench, images: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    whiten(model, images)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"whitening.weight", "whitening.bias"}


def test_too_few_patches_are_refused(model: Airbench) -> None:
    with pytest.raises(InputError, match="some hundred pictures"):
        whiten(model, torch.rand(1, 3, 4, 4))


def test_filters_and_scales_are_frozen(model: Airbench) -> None:
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    norms = {f"blocks.{k}.norm{n}.weight" for k in range(3) for n in (1, 2)}
    assert frozen == {"whitening.weight", *norms}


def test_convolutions_start_as_the_identity() -> None:
    model = cast(Airbench, build("airbench"))
    block = model.blocks[0]
    x = torch.rand(1, 24, 8, 8)
    torch.testing.assert_close(cast(nn.Module, block.conv1)(x)[:, :24], x)


def test_logits_are_scaled(model: Airbench, images: Tensor) -> None:
    model.eval()
    torch.testing.assert_close(model(images[:3]) * 9, model.classifier(model.features(images[:3])))
