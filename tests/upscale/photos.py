"""Pictures made up for tests of training: soft shades with sharp edges across them, as photographs have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from morpho.upscale.corpus import Photo


def photo(seed: int, height: int = 96, width: int = 96) -> Photo:
    """Eight half planes of random place, slope and colour over a soft shade."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    picture = rng.uniform(40, 200, 3) + 40 * np.sin((x + y)[..., None] / rng.uniform(8, 40, 3))
    for _ in range(8):
        angle = rng.uniform(0, 2 * np.pi)
        side = np.cos(angle) * (x - rng.uniform(0, width)) + np.sin(angle) * (y - rng.uniform(0, height))
        picture += (side > 0)[..., None] * rng.uniform(-90, 90, 3)
    pixels: Photo = np.clip(picture, 0, 255).astype(np.uint8)
    return pixels


def photos(count: int, height: int = 96, width: int = 96) -> list[Photo]:
    return [photo(seed, height, width) for seed in range(count)]


def save_photos(folder: Path, count: int, height: int = 96, width: int = 96) -> Path:
    """Write PNG files ``00.png``, ``01.png``, ... and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(photos(count, height, width)):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder
