"""A recipe of seconds, and dense networks in files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from morpho import nets
from morpho.artifacts import Card
from morpho.butterfly.train import RECIPES, Recipe

__all__ = ["SIZES", "save_network", "small_digits"]

SIZES = [64, 48, 32, 10]


def small_digits() -> Recipe:
    """The recipe of the digits for a smaller network and fewer epochs."""
    old = RECIPES["mlp-digits"]
    return replace(
        old,
        options={"sizes": tuple(SIZES)},
        teacher=replace(old.teacher, epochs=8, learning_rate=0.1, average=0.9),
        student=replace(old.student, epochs=8, learning_rate=0.01, average=0.9),
        budget=0.5,
    )


def save_network(path: str, net: str, **options: Any) -> None:
    """Write an untrained network with a card that names no recipe."""
    card = Card(kind="network", name=net, version="1", licence="MIT", recipe={"net": net, "options": options})
    nets.save(path, nets.build(net, seed=3, **options), card)
