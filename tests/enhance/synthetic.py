"""Enhancers made up for tests: tables with a plain meaning, random tables, random networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morpho.artifacts import Card
from morpho.enhance.files import save
from morpho.enhance.tables import Tables

if TYPE_CHECKING:  # not every test of tables needs torch
    from morpho.enhance.model import Network, Shape


def card(name: str = "icelut") -> Card:
    return Card(kind="enhance", name=name, version="1", licence="CC0-1.0")


def brightening(*, nodes: int = 33, most: float = 0.25) -> Tables:
    """Tables whose look for a picture of mean luma 0, 0.5, 1 adds 2, 1, 0 times a hump of ``most / 2``."""
    levels = np.arange(4096)
    luma = (levels // 256 + levels // 16 % 16 + levels % 16) / 45
    msb = np.zeros((4096, 2), np.int8)
    msb[:, 0] = np.rint(127 * (2 * luma - 1))  # a mean feature of -16 to 16
    groups = np.zeros((1, 3, 3, 1), np.int8)
    groups[0, :, :, 0] = np.array([127, 64, 0])[:, None]
    hump = np.sin(np.pi * np.linspace(0, 1, nodes))
    return Tables(
        msb=msb,
        groups=groups,
        own=np.rint(2**14 * hump[:, None]).astype(np.int16),
        mix=np.rint(2**11 * most / 2 * np.array([1.2, 1.0, 0.8]).reshape(1, 1, 3, 1)).astype(np.int16),
        rest=np.full((1, nodes**2), 2**14, np.int16),
    )


def save_tables(folder: Path, *, name: str = "icelut", most: float = 0.25) -> Path:
    """Write an enhancer's file and return its path."""
    path = folder / f"{name}.safetensors"
    save(path, brightening(most=most), card(name))
    return path


def random_tables(
    seed: int = 0,
    *,
    groups: int = 2,
    levels: int = 5,
    bases: int = 3,
    nodes: int = 5,
    own_rank: int = 2,
    rest_rank: int = 3,
    low: bool = False,
    thumbnail: int = 0,
    share: float = 1.0,
) -> Tables:
    """Tables of noise, over so much of what their types hold."""
    rng = np.random.default_rng(seed)

    def noise(kind: type[np.integer[Any]], *shape: int) -> NDArray[Any]:
        limits = np.iinfo(kind)
        return rng.integers(int(share * limits.min), int(share * limits.max), shape, kind, endpoint=True)

    return Tables(
        msb=noise(np.int8, 4096, 2 * groups),
        lsb=noise(np.int8, 4096, 2 * groups) if low else None,
        groups=noise(np.int8, groups, levels, levels, bases),
        own=noise(np.int16, nodes, own_rank),
        mix=noise(np.int16, bases, own_rank, 3, rest_rank),
        rest=noise(np.int16, rest_rank, nodes**2),
        thumbnail=thumbnail,
    )


def random_network(shape: Shape, seed: int = 0, *, looks: float = 1.0) -> Network:
    """A network that has features of all sizes, even beyond what int8 holds, and looks of its own."""
    import torch

    from morpho.enhance.model import Network

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = Network(shape)
        for branch in (network.high, network.lower):
            for layer in branch or ():
                if isinstance(layer, torch.nn.Linear):
                    layer.weight.normal_(0, 1.4 / layer.in_features**0.5)
                    layer.bias.normal_(0, 0.3)
        network.outer.mul_(2)
        network.own.uniform_(-1, 1)
        network.mix.normal_(0, looks * 0.3 / (shape.bases * shape.own_rank * shape.rest_rank) ** 0.5)
        network.rest.uniform_(-1, 1)
    return network


def hulls(lattice: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The least lattice above and the greatest below that rise: neighbours are compared until nothing changes."""
    found = []
    for sign in (1, -1):
        hull = sign * np.asarray(lattice)
        before = None
        while before is None or (hull != before).any():
            before = hull.copy()
            for channel in range(3):
                values = np.moveaxis(hull[..., channel], channel, 0)[::sign, ::sign, ::sign]
                greys = np.einsum("iii->i", values)  # a view
                for low, high in ((values[:-1], values[1:]), (greys[:-1], greys[1:])):
                    np.maximum(low, high, out=high)
        found.append(sign * hull)
    return found[0], found[1]
