"""PointNet: the order of points does not matter, transforms start at the identity and act on points as rows."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from morpho.nets import Network, PointNet, build, orthogonality


@pytest.fixture
def clouds() -> Tensor:
    return torch.randn(3, 40, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> PointNet:
    """A PointNet whose T-nets and running statistics have left their start."""
    made = cast(PointNet, build("pointnet", classes=5))
    generator = torch.Generator().manual_seed(1)
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator).abs())
    return made.eval()


def test_order_of_points_does_not_matter(model: PointNet, clouds: Tensor) -> None:
    shuffled = clouds[:, torch.randperm(40, generator=torch.Generator().manual_seed(2))]
    torch.testing.assert_close(model(shuffled), model(clouds), rtol=1e-4, atol=1e-4)
    assert (model(clouds + 0.3) - model(clouds)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["pointnet", "small-pointnet"])
def test_a_point_twice_counts_once(name: str, clouds: Tensor) -> None:
    net: Network = build(name).eval()
    repeated = torch.cat([clouds, clouds[:, 5:25], clouds[:, :1]], 1)
    torch.testing.assert_close(net(repeated), net(clouds), rtol=1e-4, atol=1e-5)


def test_transforms_start_at_the_identity(clouds: Tensor) -> None:
    model = cast(PointNet, build("pointnet", classes=5))
    assert torch.equal(model.input_transform(clouds.transpose(1, 2)), torch.eye(3).expand(3, 3, 3))
    _, transform = model.forward_with_transform(clouds)
    assert transform is not None
    assert torch.equal(transform, torch.eye(64).expand(3, 64, 64))
    assert orthogonality(transform).item() == 0


def test_first_transform_multiplies_points_from_the_right(clouds: Tensor) -> None:
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(3)))[0]
    model = cast(PointNet, build("pointnet", classes=5)).eval()
    expected = model(clouds @ rotation)
    with torch.no_grad():
        model.input_transform.fc3.bias.copy_((rotation - torch.eye(3)).flatten())
    torch.testing.assert_close(model(clouds), expected, rtol=1e-4, atol=1e-5)


def test_logits_with_transform_are_the_logits(model: PointNet, clouds: Tensor) -> None:
    logits, transform = model.forward_with_transform(clouds)
    assert transform is not None
    assert transform.shape == (3, 64, 64)
    assert torch.equal(logits, model(clouds))


def test_without_feature_transform() -> None:
    model = cast(PointNet, build("pointnet", feature_transform=False))
    assert model.eval().forward_with_transform(torch.zeros(2, 8, 3))[1] is None
    assert sum(p.numel() for p in model.parameters()) == 3_471_473 - 1_857_344


def test_orthogonality_is_zero_for_orthogonal_matrices_only() -> None:
    square = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert orthogonality(torch.linalg.qr(square)[0]).item() < 1e-9
    by_hand = [torch.linalg.matrix_norm(torch.eye(8) - a @ a.T).square() for a in square]
    torch.testing.assert_close(orthogonality(square), torch.stack(by_hand).mean())


def test_orthogonality_has_a_gradient_at_the_identity() -> None:
    transform = torch.eye(4)[None].requires_grad_()
    orthogonality(transform).backward()  # type: ignore[no-untyped-call]
    assert transform.grad is not None
    assert transform.grad.isfinite().all()
