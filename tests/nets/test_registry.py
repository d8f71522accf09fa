"""Networks by name, with reproducible weights and helpful refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from morpho.errors import InputError
from morpho.nets import LeNet, WideResNet, build
from tests.nets.test_contract import SMALL


@pytest.mark.parametrize("name", SMALL)
def test_seed_decides_the_weights(name: str) -> None:
    options = SMALL[name][0]
    first = build(name, seed=3, **options).state_dict()
    torch.rand(7)  # what the global generator does is without effect
    again = build(name, seed=3, **options).state_dict()
    other = build(name, seed=4, **options).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    build("lenet", seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_name_gives_its_class() -> None:
    assert isinstance(build("lenet"), LeNet)
    wide = build("wrn-16-1", classes=3)
    assert isinstance(wide, WideResNet)
    assert wide.classifier.in_features == 64
    assert len(wide.blocks) == 6


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("lenett", {}, "did you mean lenet"),
        ("", {}, "there are airbench"),
        ("wrn-27-10", {}, "the depth must be 6 n"),
        ("wrn-28-0", {}, "no WRN-28-0"),
        ("lenet", {"clases": 3}, "did you mean classes"),
        ("lenet", {"colour": 3}, "has no option 'colour'"),
        ("resnet20", {"depth": 26}, "has no option 'depth'"),
        ("resnet20", {"shortcut": "none"}, "one of projection, pad"),
        ("lenet", {"classes": "ten"}, "cannot be built"),
        ("lenet", {"classes": -1}, "cannot be built"),
        ("pointnet", {"dropout": 2.0}, "cannot be built"),
        ("pointnet", {"widths": [8, 8]}, "cannot be built"),
        ("lenet", {"widths": 8}, "cannot be built"),
        ("lenet", {"mean": [0.5, 0.5]}, "does not fit 1 channels"),
        ("lenet", {"std": [0.0]}, "give positive numbers"),
        ("lenet", {"mean": [float("nan")]}, "give finite numbers"),
        ("resnet20", {"channels": 4}, "give mean and std"),
        ("mlp", {"sizes": [64]}, "two or more"),
        ("mlp", {"sizes": [64, 0, 10]}, "two or more"),
    ],
)
def test_refusal_is_a_sentence(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        build(name, **options)
    assert "\n" not in str(caught.value)
