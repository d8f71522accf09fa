"""Tables made up for tests: random, mirror-symmetric where asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.artifacts import Card
from morpho.upscale.files import save
from morpho.upscale.tables import LSB_KERNELS, MSB_KERNELS, Stage, Tables

Bytes = NDArray[np.int8]


def card(name: str = "synthetic-x4") -> Card:
    return Card(kind="upscale", name=name, version="1", licence="CC0-1.0")


def random_tables(*factors: int, seed: int = 0, symmetric: bool = False) -> Tables:
    rng = np.random.default_rng(seed)
    return Tables(tuple(_stage(rng, factor, symmetric) for factor in factors))


def save_tables(folder: Path, *factors: int, name: str | None = None, seed: int = 0) -> Path:
    """Write a symmetric upscaler's file and return its path."""
    tables = random_tables(*factors, seed=seed, symmetric=True)
    name = name or f"synthetic-x{tables.scale}"
    path = folder / f"{name}.safetensors"
    save(path, tables, card(name))
    return path


def _stage(rng: np.random.Generator, factor: int, symmetric: bool) -> Stage:
    """High nibbles count for up to 13 grey levels each, low ones for 2: the picture stays recognisable."""
    msb = np.stack([_table(rng, k, 4096, factor, 40, symmetric) for k in MSB_KERNELS])
    lsb = np.stack([_table(rng, k, 256, factor, 4, symmetric) for k in LSB_KERNELS])
    return Stage(factor, msb, lsb)


def _table(rng: np.random.Generator, kernel: str, entries: int, factor: int, peak: int, symmetric: bool) -> Bytes:
    """Symmetric tables are written out entry by entry, so that they do not lean on the code under test."""
    table = rng.integers(-peak, peak + 1, (entries, factor, factor), dtype=np.int8)
    if not symmetric:
        return table
    last = factor - 1
    for i in range(factor):
        for j in range(factor):
            if kernel == "H":
                table[:, last - i, j] = table[:, i, j]
            if kernel == "D":
                table[:, j, i] = table[:, i, j]
    if kernel == "B":
        for b in range(16):
            for c in range(16):
                for i in range(factor):
                    for j in range(factor):
                        table[c * 16 + b :: 256, j, i] = table[b * 16 + c :: 256, i, j]
    return table
