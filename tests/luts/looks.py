"""Tables for the tests: looks with character, and files as other programs write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.luts import Domain, Lut

Colors = NDArray[np.float64]


def warm(colors: Colors) -> Colors:
    """A contrast curve, warmer light, less saturation: smooth, within 0..1, and different for each channel."""
    curved = np.sign(colors) * np.abs(colors) ** 1.3 * (1.2 - 0.2 * colors)
    grey = curved.mean(axis=-1, keepdims=True)
    return np.asarray((0.2 * grey + 0.8 * curved) * np.array([1.0, 0.93, 0.8]) + np.array([0.0, 0.01, 0.05]))


def table_of(lut: Lut) -> Colors:
    """The lattice of a table that has one."""
    assert lut.lattice is not None
    return lut.lattice


def lattice_of(look: Callable[[Colors], Colors], nodes: int, low: float = 0.0, high: float = 1.0) -> Lut:
    """A look as a lattice of that domain."""
    identity = table_of(Lut.identity(nodes))
    return Lut(look(low + identity * (high - low)), lattice_domain=Domain((low,) * 3, (high,) * 3))


def noise(nodes: int, seed: int = 0, spread: float = 1.0) -> Lut:
    """A lattice without any order, which shows every mistake of indexing."""
    values = np.random.default_rng(seed).random((nodes,) * 3 + (3,))
    return Lut(0.5 + spread * (values - 0.5))


def curves_of(samples: int, *, seed: int = 0) -> Colors:
    """Rising curves, one per channel."""
    steps = np.random.default_rng(seed).random((samples, 3)) + 0.1
    return np.asarray((np.cumsum(steps, axis=0) - steps[0]) / (steps.sum(axis=0) - steps[0]))


def shaped(nodes: int = 9, samples: int = 64) -> Lut:
    """Curves before a lattice, each with a range of its own."""
    return Lut(
        table_of(noise(nodes)),
        curves_of(samples),
        Domain((0.0,) * 3, (0.9,) * 3),
        Domain((-0.1,) * 3, (1.2,) * 3),
        "shaped",
    )


def ramp(count: int, low: float = 0.0, high: float = 1.0, seed: int = 3) -> Colors:
    """Random colours, with the corners among them."""
    corners = np.array([[r, g, b] for r in (low, high) for g in (low, high) for b in (low, high)])
    return np.concatenate([corners, np.random.default_rng(seed).uniform(low, high, (count, 3))])


def photo(height: int = 61, width: int = 67, seed: int = 4) -> NDArray[np.uint8]:
    """Random pixels, with all greys and all corners among them."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height * width, 3), np.uint8)
    pixels[:256] = np.arange(256)[:, None]
    pixels[256:264] = (255 * ramp(0)).astype(np.uint8)
    return pixels.reshape(height, width, 3)


def file_text(lut: Lut, *, head: str = "", number: str = "%.6f") -> str:
    """A plain ``.cube`` file, written by the letter of the format: red in the innermost loop."""
    nodes, lattice = len(table_of(lut)), table_of(lut)
    lines = [f"LUT_3D_SIZE {nodes}"]
    for b in range(nodes):
        for g in range(nodes):
            for r in range(nodes):
                lines.append(" ".join(number % value for value in lattice[r, g, b]))
    return head + "\n".join(lines) + "\n"


def saved(folder: Path, text: str | bytes, name: str = "look.cube") -> Path:
    """The path of a new file with this content."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
