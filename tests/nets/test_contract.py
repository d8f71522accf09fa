"""What every network promises: features, then one linear layer; floats in, logits out; an export without surprises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.errors import InputError
from morpho.nets import NAMES, Network, build

#: Small forms of every kind of network, and the shape of an input.
SMALL: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "mlp": ({"sizes": [64, 16, 12, 10]}, (1, 8, 8)),
    "lenet": ({"widths": [6, 12, 64, 32]}, (1, 28, 28)),
    "vgg-like": ({}, (1, 16, 16)),
    "airbench": ({"widths": [16, 16, 16], "scale": 1.0}, (3, 12, 12)),
    "resnet8": ({}, (3, 8, 8)),
    "resnet14": ({"shortcut": "pad", "channels": 1}, (1, 9, 7)),
    "wrn-10-1": ({"dropout": 0.1}, (3, 8, 8)),
    "pointnet": ({"classes": 10, "widths": [16, 24, 64, 48, 32]}, (24, 3)),
    "small-pointnet": ({"channels": 4}, (24, 4)),
}


def small(name: str, seed: int = 0) -> tuple[Network, Tensor]:
    options, shape = SMALL[name]
    return build(name, seed=seed, **options), torch.rand(4, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_the_classifier_of_the_features(name: str) -> None:
    with torch.device("meta"):
        model = build(name, **({"sizes": [64, 7]} if name == "mlp" else {"classes": 7})).eval()
        x = torch.empty(5, *NAMES[name].shape)
        features = model.features(x)
        assert isinstance(model.classifier, nn.Linear)
        assert features.shape == (5, model.classifier.in_features)
        assert model(x).shape == (5, 7)


@pytest.mark.parametrize("name", SMALL)
def test_numbers_are_finite_floats(name: str) -> None:
    model, x = small(name)
    model.eval()
    logits = model(x)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert logits.std(0).min() > 0  # the inputs differ, so do the logits
    scale = getattr(model, "scale", 1)
    torch.testing.assert_close(logits, scale * model.classifier(model.features(x)))


@pytest.mark.parametrize("name", SMALL)
def test_items_do_not_meet_in_evaluation(name: str) -> None:
    model, x = small(name)
    model.eval()
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["vgg16-bn", "resnet18", "preact-resnet18"])
def test_large_network_runs_on_the_cpu(name: str) -> None:
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    logits = build(name).eval()(x)
    assert logits.isfinite().all()
    assert (logits[0] - logits[1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_takes_part_and_the_loss_falls(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # dropout
        model, x = small(name)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=3e-3)
        labels, losses = torch.arange(4), []
        for _ in range(30):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model.train()(x), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained)
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("name", SMALL)
def test_export_with_any_batch(name: str) -> None:
    model, x = small(name)
    model.eval()
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    more = torch.cat([x, x.flip(1)])
    torch.testing.assert_close(exported.module()(more), model(more))


@pytest.mark.parametrize("name", [name for name in SMALL if "pointnet" not in name])
def test_whole_numbers_are_refused(name: str) -> None:
    model, x = small(name)
    with pytest.raises(InputError, match="takes floats"):
        model((x * 255).to(torch.uint8))


@pytest.mark.parametrize("name", SMALL)
def test_wrong_shape_is_a_sentence(name: str) -> None:
    model, x = small(name)
    with pytest.raises(InputError, match="shape"):
        model(x[0])
    with pytest.raises(InputError, match="shape"):
        model(x.repeat(1, 2, 1, 1) if x.ndim == 4 else x.repeat(1, 1, 2))


@pytest.mark.parametrize("name", ["lenet", "mlp"])
def test_wrong_size_is_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match="take"):
        build(name)(torch.zeros(1, 1, 32, 32))
