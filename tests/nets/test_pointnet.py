"""PointNet: the order of points does not matter, transforms start at the identity and act on points as rows."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from morpho.nets import Network, PointNet, build, orthogonality
from morpho.nets.pointnet import TNet


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


def _by_hand(model: PointNet, x: Tensor) -> Tensor:
    """The formula of the module, layer by layer."""

    def transformed(net: TNet, x: Tensor) -> Tensor:
        y = net.norm1(net.conv1(x)).relu()
        y = net.norm2(net.conv2(y)).relu()
        y = net.norm3(net.conv3(y)).relu().amax(2)
        y = net.norm5(net.fc2(net.norm4(net.fc1(y)).relu())).relu()
        matrices = net.fc3(y).view(len(x), net.k, net.k) + torch.eye(net.k)
        return torch.einsum("nip,nij->njp", x, matrices)

    assert model.feature_transform is not None
    x = transformed(model.input_transform, x.transpose(1, 2))
    x = transformed(model.feature_transform, model.norm1(model.conv1(x)).relu())
    x = model.norm3(model.conv3(model.norm2(model.conv2(x)).relu())).amax(2)
    x = model.norm5(model.fc2(model.norm4(model.fc1(x)).relu())).relu()
    logits: Tensor = model.classifier(x)
    return logits


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_logits_gradients_and_statistics_by_hand(model: PointNet, clouds: Tensor, training: bool, sign: int) -> None:
    """In double precision, where a difference is a mistake; also with scales below zero, which turn maxima around."""
    model = model.double().train(training)
    model.dropout.p = 0.0
    with torch.no_grad():
        model.norm3.weight[::2] *= sign
        model.input_transform.norm3.weight[1::2] *= sign
    twin, clouds = deepcopy(model), clouds.double()
    weights = torch.linspace(-1, 1, 15, dtype=torch.float64).view(3, 5)
    expected, got = _by_hand(twin, clouds), model(clouds)
    torch.testing.assert_close(got, expected)
    (expected * weights).sum().backward()  # type: ignore[no-untyped-call]
    (got * weights).sum().backward()
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffer, twin.get_buffer(name))


def test_statistics_are_those_of_update_bn(model: PointNet, clouds: Tensor) -> None:
    """Averaged weights get their statistics from a pass with cumulative averages, for which momentum is None."""
    twin = deepcopy(model)
    update_bn([clouds, 2 * clouds], model)
    for norm in (m for m in twin.modules() if isinstance(m, nn.BatchNorm1d)):
        norm.reset_running_stats()
        norm.momentum = None
    twin.train()
    twin.dropout.p = 0.0
    for batch in (clouds, 2 * clouds):
        _by_hand(twin, batch)
    for layer in ("norm3", "input_transform.norm3", "norm2"):
        for statistic in ("running_mean", "running_var", "num_batches_tracked"):
            name = f"{layer}.{statistic}"
            torch.testing.assert_close(model.get_buffer(name), twin.get_buffer(name), rtol=1e-3, atol=1e-4)


def test_training_in_half_precision(model: PointNet, clouds: Tensor) -> None:
    model.dropout.p = 0.0
    full, half = deepcopy(model).train(), model.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = half(clouds)
    full(clouds)
    assert logits.isfinite().all()
    for layer in ("norm3", "input_transform.norm3"):
        for statistic in ("running_mean", "running_var"):
            name = f"{layer}.{statistic}"
            torch.testing.assert_close(half.get_buffer(name), full.get_buffer(name), rtol=0.05, atol=0.02)


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
