"""Photographs to train upscalers on: split, varied, shrunk and cropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morpho.errors import DataError, InputError
from morpho.images import imresize, modcrop, psnr_y
from morpho.upscale.kernel import upscale
from morpho.upscale.tables import Tables

__all__ = [
    "Pair",
    "Photo",
    "crops",
    "held_psnr",
    "make_pairs",
    "prepare",
    "sample",
    "split",
    "vary",
]

Photo = NDArray[np.uint8]
#: The purpose of the random variations: every random draw of a run has a stream of its own, [seed, purpose, ...].
_VARY = 1


@dataclass(frozen=True)
class Pair:
    """A photo and its smaller copy.

    Attributes:
        low: ``(C, h, w)`` uint8, shrunk by MATLAB's bicubic.
        high: ``(C, scale * h, scale * w)`` uint8.
    """

    low: Photo
    high: Photo


def split(photos: Sequence[Photo], *, held_every: int) -> tuple[list[Photo], list[Photo]]:
    """Divide photos into those to train on and those to select by: every ``held_every``-th is held back.

    >>> train, held = split([np.zeros((1, 1, 3), np.uint8)] * 10, held_every=5)
    >>> len(train), len(held)
    (8, 2)
    """
    held = list(photos[held_every - 1 :: held_every])
    return [p for i, p in enumerate(photos) if (i + 1) % held_every], held


def vary(photo: Photo, generator: np.random.Generator) -> Photo:
    """Make another photo of one: cut by some pixels, of other tones in each channel, and of another size.

    Small tables see absolute grey levels. Photographs visit some combinations of them rarely, yet a test picture may be
    full of those; so contrast, brightness and gamma change, and one channel in four is inverted. Cutting 0 to 3 rows
    and columns shifts the grid of the smaller copy. Most large photos are also shrunk, to at least half, which gives
    them the sharper edges (and hides the compression noise) of a better camera.
    """
    top, left = (int(generator.integers(0, min(4, length))) for length in photo.shape[:2])
    photo = photo[top:, left:]
    if min(photo.shape[:2]) > _SMALLEST and generator.random() < 0.7:
        least = max(0.5, _SMALLEST / min(photo.shape[:2]))
        ratio = generator.uniform(least, 1)
        photo = imresize(photo, size=(int(ratio * photo.shape[0]), int(ratio * photo.shape[1])))
    result = np.empty_like(photo)
    for channel in range(photo.shape[2]):
        result[..., channel] = _curve(generator)[photo[..., channel]]
    return result


#: Photos are not shrunk below this many pixels per side.
_SMALLEST = 160


def _curve(generator: np.random.Generator) -> Photo:
    """Draw a tone curve: the new grey level of each of the 256."""
    tones = np.arange(256) / 255
    if generator.random() < 0.25:
        tones = 1 - tones
    if generator.random() < 0.5:
        tones = tones ** np.exp(generator.uniform(-0.5, 0.5))
    contrast, pivot = np.exp(generator.uniform(-0.5, 0.5)), generator.uniform(0, 1)
    tones = np.clip((tones - pivot) * contrast + pivot, 0, 1)
    curve: Photo = np.rint(255 * tones).astype(np.uint8)
    return curve


def make_pairs(photos: Iterable[Photo], scale: int) -> list[Pair]:
    """Crop each photo to a multiple of the scale and shrink it; photos smaller than the scale are left out."""
    pairs = []
    for photo in photos:
        if min(photo.shape[:2]) < scale:
            continue
        high = modcrop(photo, scale)
        low = imresize(high, size=(high.shape[0] // scale, high.shape[1] // scale))
        pairs.append(Pair(*(np.ascontiguousarray(p.transpose(2, 0, 1)) for p in (low, high))))
    return pairs


def prepare(
    photos: Sequence[Photo], scale: int, *, variations: int, held_every: int, seed: int
) -> tuple[list[Pair], list[Pair]]:
    """Make the pairs to train on, varied copies included, and the held-out pairs to select by.

    Raises:
        InputError: there are too few photos to hold one out.
    """
    kept, held = split(photos, held_every=held_every)
    varied = [
        vary(photo, np.random.default_rng([seed, _VARY, number, copy]))
        for copy in range(variations)
        for number, photo in enumerate(kept)
    ]
    pairs, held_pairs = make_pairs([*kept, *varied], scale), make_pairs(held, scale)
    if not held_pairs:
        raise InputError(f"{len(photos)} photos are too few to hold out one in {held_every}: give more")
    return pairs, held_pairs


def held_psnr(tables: Tables, pairs: Sequence[Pair]) -> float:
    """Mean PSNR of luma over pairs, ``scale`` pixels of border cut, in dB."""
    values = [
        psnr_y(upscale(p.low.transpose(1, 2, 0), tables), p.high.transpose(1, 2, 0), border=tables.scale) for p in pairs
    ]
    return float(np.mean(values))


def sample(pairs: Sequence[Pair], pixels: int, generator: np.random.Generator) -> list[Pair]:
    """Draw whole pairs at random until they hold this many high-resolution values (or all are drawn)."""
    drawn: list[Pair] = []
    for index in generator.permutation(len(pairs)):
        if sum(pair.high.size for pair in drawn) >= pixels:
            break
        drawn.append(pairs[index])
    return drawn


def crops(
    pairs: Sequence[Pair], count: int, side: int, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw crops at random, every position of every photo equally likely.

    Args:
        pairs: where to draw from; those with a side below ``side`` are never drawn.
        count: how many crops.
        side: low-resolution pixels per side.
        generator: where the randomness comes from.

    Returns:
        low ``(count, 3, side, side)`` and high ``(count, 3, scale * side, scale * side)``; grey is tripled.

    Raises:
        DataError: every photo is too small.
    """
    places = np.array([max(0, p.low.shape[1] - side + 1) * max(0, p.low.shape[2] - side + 1) for p in pairs])
    if not places.sum():
        raise DataError(f"no training photo has {side} pixels per side after shrinking: use smaller crops")
    lows, highs = [], []
    for index in generator.choice(len(pairs), count, p=places / places.sum()):
        low, high = pairs[index].low, pairs[index].high
        scale = high.shape[1] // low.shape[1]
        top, left = (int(generator.integers(length - side + 1)) for length in low.shape[1:])
        lows.append(_cut(low, top, left, side))
        highs.append(_cut(high, top * scale, left * scale, side * scale))
    return np.stack(lows), np.stack(highs)


def _cut(planes: NDArray[np.uint8], top: int, left: int, side: int) -> NDArray[np.uint8]:
    window = planes[:, top : top + side, left : left + side]
    return np.broadcast_to(window, (3, side, side))
