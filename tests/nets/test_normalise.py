"""Standardisation inside the network."""

from __future__ import annotations

import torch

from morpho.nets import Normalise, build


def test_statistics_become_zero_and_one() -> None:
    images = (
        torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 0.5, 0.2])[:, None, None]
    )
    std, mean = torch.std_mean(images, (0, 2, 3))
    out_std, out_mean = torch.std_mean(Normalise(3, mean.tolist(), std.tolist())(images), (0, 2, 3))
    torch.testing.assert_close(out_std, torch.ones(3))
    torch.testing.assert_close(out_mean, torch.zeros(3), atol=1e-5, rtol=0)


def test_usual_statistics_of_cifar() -> None:
    layer = Normalise(3)
    assert layer.mean.flatten().tolist() == torch.tensor([0.4914, 0.4822, 0.4465]).tolist()
    assert layer.std.shape == (3, 1, 1)


def test_statistics_are_saved_but_not_counted() -> None:
    model = build("lenet", mean=[0.5], std=[0.25])
    assert model.state_dict()["normalise.mean"].item() == 0.5
    assert not [name for name, _ in model.named_parameters() if name.startswith("normalise")]


def test_networks_normalise_by_themselves() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    shifted = build("resnet8", mean=[0.5, 0.4, 0.3], std=[0.1, 0.2, 0.3]).eval()
    plain = build("resnet8", mean=[0, 0, 0], std=[1, 1, 1]).eval()
    by_hand = torch.stack([(images[:, c] - m) / s for c, (m, s) in enumerate([(0.5, 0.1), (0.4, 0.2), (0.3, 0.3)])], 1)
    torch.testing.assert_close(shifted(images), plain(by_hand))
