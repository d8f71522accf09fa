"""Tables without a network: each stage is a sparse linear least-squares problem in its entries.

Stage by stage, with all before it fixed, minimise

    sum over pixels (sum of the 20 entries read - wanted correction)^2 + ridge |x|^2 + smoothness |D x|^2

over the entries x, where D takes differences of neighbours along each nibble axis: it gives combinations that the
photos lack the values of those nearby. Conjugate gradients with a Jacobi preconditioner; entries are rounded to int8 in
the end. A stage that is not the last is fitted to the photo shrunk to its own size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from morpho.console import track
from morpho.errors import InputError
from morpho.images import imresize
from morpho.upscale.corpus import Pair, Photo, held_psnr, prepare, sample
from morpho.upscale.kernel import upscale
from morpho.upscale.linear import LinearStage
from morpho.upscale.tables import Stage, Tables, check_factors

__all__ = ["FitRecipe", "conjugate_gradients", "fit", "fit_photos", "smoothness_product"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FitRecipe:
    """How to fit.

    Attributes:
        factors: the stages' factors; (2, 2) is HKLUT-S, (2, 1, 2) HKLUT-L.
        iterations: of conjugate gradients, per stage.
        ridge: weight of the squared entries, in pixels.
        smoothness: weight of the squared differences of neighbouring entries, in pixels.
        variations: copies of each photo with other tones and sizes, see `morpho.upscale.corpus.vary`.
        megapixels: at most so many million high-resolution values, of photos drawn at random: more cost time and
            memory (14 bytes each) and gain little.
        held_every: one photo in so many is held out to measure by.
        seed: of everything random.

    Raises:
        InputError: a value is out of range.
    """

    factors: tuple[int, ...] = (2, 2)
    iterations: int = 40
    ridge: float = 1.0
    smoothness: float = 8.0
    variations: int = 1
    megapixels: float = 16.0
    held_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        check_factors(self.factors)
        if self.iterations < 1 or self.held_every < 2 or self.megapixels <= 0:
            raise InputError("iterations must be at least 1, held_every at least 2, megapixels positive")
        if min(self.ridge, self.smoothness, self.variations) < 0:
            raise InputError("ridge, smoothness and variations must not be negative")


def fit_photos(recipe: FitRecipe, photos: Sequence[Photo], *, threads: int | None = None) -> tuple[Tables, float]:
    """Fit tables to photographs; return them with their PSNR of luma on held-out photos, in dB.

    Args:
        recipe: how.
        photos: ``(H, W, C)`` uint8.
        threads: how many threads; by default one per usable core.

    Raises:
        InputError: there are too few photos to hold one out.
    """
    pairs, held = prepare(
        photos,
        prod(recipe.factors),
        variations=recipe.variations,
        held_every=recipe.held_every,
        seed=recipe.seed,
    )
    drawn = sample(pairs, int(1e6 * recipe.megapixels), np.random.default_rng([recipe.seed, _SAMPLE]))
    tables = fit(recipe, drawn, threads=threads)
    return tables, held_psnr(tables, held)


def fit(recipe: FitRecipe, pairs: Sequence[Pair], *, threads: int | None = None) -> Tables:
    """Fit the tables of all stages to pairs of pictures.

    Args:
        recipe: how; its ``factors`` must multiply to the scale of the pairs.
        pairs: low- and high-resolution pictures.
        threads: how many threads; by default one per usable core.

    Returns:
        Tables that mirror with the picture.
    """
    stages: list[Stage] = []
    for number, factor in enumerate(recipe.factors, start=1):
        remaining = prod(recipe.factors[number:])
        where, wanted = _equations(pairs, stages, factor, remaining, threads)
        label = f"stage {number} of {len(recipe.factors)}"
        linear = LinearStage.of(factor)
        stages.append(linear.to_stage(_solve(linear, where, wanted, recipe, threads, label)))
    return Tables(tuple(stages))


#: The purpose of the random draw of photos, see `morpho.upscale.corpus`.
_SAMPLE = 3


def _equations(
    pairs: Sequence[Pair], stages: Sequence[Stage], factor: int, remaining: int, threads: int | None
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """What each pixel reads, and the corrections ``(pixels, columns)`` that it should get, in sixths."""
    from morpho.upscale.gather import addresses

    where, wanted = [], []
    for pair in pairs:
        state = _state(pair.low, stages, threads)
        where.append(addresses((state // 6).astype(np.uint8), threads=threads))
        target = _shrink(pair.high, remaining).astype(np.float32) * 6
        planes, height, width = state.shape
        blocks = target.reshape(planes, height, factor, width, factor).transpose(0, 1, 3, 2, 4)
        wanted.append((blocks.reshape(-1, factor**2) - state.reshape(-1, 1)).astype(np.float32))
    return np.concatenate(where), _pad_columns(np.concatenate(wanted))


def _state(low: NDArray[np.uint8], stages: Sequence[Stage], threads: int | None) -> NDArray[np.int32]:
    """State in sixths of a grey level after the stages: exactly what the next one will read.

    The 16-bit path of inference has its state in units of 6 * 257, so a picture widened by 257 gives V / 6 * 257,
    rounded: enough to recover the integer V.
    """
    if not stages:
        return 6 * low.astype(np.int32)
    wide = low.transpose(1, 2, 0).astype(np.uint16) * np.uint16(257)
    levels = upscale(wide, Tables(tuple(stages)), threads=threads).astype(np.float64) * (6 / 257)
    return np.rint(levels.transpose(2, 0, 1)).astype(np.int32)


def _shrink(high: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    if factor == 1:
        return high
    size = (high.shape[1] // factor, high.shape[2] // factor)
    return imresize(high.transpose(1, 2, 0), size=size).transpose(2, 0, 1)


def _pad_columns(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zero columns up to a multiple of four, as the compiled loops want them."""
    return np.pad(blocks, ((0, 0), (0, -blocks.shape[1] % 4)))


def _solve(
    linear: LinearStage,
    where: NDArray[np.uint16],
    wanted: NDArray[np.float32],
    recipe: FitRecipe,
    threads: int | None,
    label: str,
) -> Floats:
    from morpho.upscale.gather import gram, scatter

    block = linear.factor**2

    def normal(values: Floats) -> Floats:
        products = gram(where, _pad_columns(linear.rows(values)), threads=threads)[:, :block]
        regular = recipe.ridge * linear.multiplicity * values
        regular += recipe.smoothness * smoothness_product(linear, values)
        return linear.gather_gradient(products) + regular

    right = linear.gather_gradient(scatter(where, wanted, threads=threads)[:, :block])
    reads = np.bincount(where.ravel(), minlength=len(linear.positions)).astype(np.float64)
    visits = linear.gather_gradient(np.repeat(reads[:, None], block, axis=1))
    diagonal = visits + (recipe.ridge + 6 * recipe.smoothness) * linear.multiplicity
    return conjugate_gradients(normal, right, diagonal, recipe.iterations, label=label)


def smoothness_product(linear: LinearStage, values: Floats) -> Floats:
    """Return ``D^T D x``: the gradient of half the squared differences along every nibble axis of the tables."""
    result = []
    for tables, axes in zip(linear.split(values), ((1, 2, 3), (1, 2)), strict=True):
        nibbles = tables.reshape(len(tables), *[16] * len(axes), *tables.shape[2:]).astype(np.float64)
        product = np.zeros_like(nibbles)
        for axis in axes:
            steps = np.diff(nibbles, axis=axis)
            product -= np.diff(steps, axis=axis, prepend=0, append=0)
        result.append(product)
    return linear.join(*result) * linear.multiplicity


def conjugate_gradients(
    product: Callable[[Floats], Floats],
    right: Floats,
    diagonal: Floats,
    iterations: int,
    *,
    label: str = "solving",
) -> Floats:
    """Solve ``A x = right`` for a positive definite A, given as a product, preconditioned by its diagonal.

    >>> matrix = np.array([[4.0, 1.0], [1.0, 3.0]])
    >>> conjugate_gradients(lambda x: matrix @ x, np.array([1.0, 2.0]), matrix.diagonal(), 2).round(6).tolist()
    [0.090909, 0.636364]
    """
    solution = np.zeros_like(right)
    residual = right.copy()
    scaled = residual / diagonal
    direction, progress = scaled.copy(), residual @ scaled
    for _ in track(range(iterations), label):
        if progress <= 0:
            break
        image = product(direction)
        step = progress / (direction @ image)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        before, progress = progress, residual @ scaled
        direction = scaled + (progress / before) * direction
    return solution
