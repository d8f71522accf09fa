"""Tables made up for tests: they brighten a picture, the more the darker it is, and red more than blue."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from morpho.artifacts import Card
from morpho.enhance.files import save
from morpho.enhance.tables import Tables


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
