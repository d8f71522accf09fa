"""Training an enhancer: on pairs of photos and their retouched versions, on photos alone, or on both.

Of photos alone, every step degrades some at random (`morpho.enhance.degrade`) and the enhancer learns to undo that.
Pairs add what a retoucher wants. There is no selection: a run keeps the running mean of its last steps, and logs what
it reaches on photos held out. It can be stopped and resumed, and runs under ``torchrun``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from morpho.enhance.corpus import Pair, Photo
from morpho.enhance.degrade import MILD, Degradation
from morpho.enhance.model import Network, Shape
from morpho.enhance.retouch import retouch
from morpho.errors import InputError
from morpho.training import Run, load_weights, processes

__all__ = ["RECIPES", "Recipe", "histograms", "train"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    Attributes:
        shape: the enhancer's sizes.
        objective: what photos teach: ``undo`` a degradation, or do to the degraded photo what
            `morpho.enhance.retouch` does, which is a test of what can be learned.
        steps: gradient steps.
        batch: pictures per step, over all processes. The paper takes 1.
        share: of a batch, the part that comes from pairs, where both pairs and photos are given.
        pixels: pixels per picture for its histogram, a multiple of four, drawn from a crop of 60 to 100 % of its area;
            in every fourth picture as blocks of 2 x 2.
        points: pixels per picture for the loss.
        learning_rate: of Adam, at the start; it falls to zero along a cosine. The paper: 1e-4, constant.
        average: decay per step of the running mean of the parameters, which is what is kept. The paper has none (0).
        loss: ``rmse``, the root mean square error of each picture, so that all count alike in decibels; or
            ``published``, L1 plus one minus the cosine similarity of colours.
        smoothness: weight of the squared second differences of the lattices.
        monotony: weight of the steps of a lattice that go down along a channel's own axis.
        anchor: weight of how far a look takes white below white, or black above black.
        stability: weight of the difference between the results for a picture and by the look of its half-size copy.
        degradation: what happens to photos.
        variation: what happens to half of the inputs of pairs.
        held_every: one photo in so many is held out; 0 for none.
        seed: of everything random.

    Raises:
        InputError: a value is out of range.
    """

    shape: Shape = field(default_factory=Shape)
    objective: Literal["undo", "retouch"] = "undo"
    steps: int = 6000
    batch: int = 32
    share: float = 0.25
    pixels: int = 4096
    points: int = 1024
    learning_rate: float = 5e-3
    average: float = 0.99
    loss: Literal["rmse", "published"] = "rmse"
    smoothness: float = 1.0
    monotony: float = 10.0
    anchor: float = 0.2
    stability: float = 0.15
    degradation: Degradation = field(default_factory=Degradation)
    variation: Degradation | None = MILD
    held_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.points) < 1 or self.pixels < self.points or self.pixels % 4:
            raise InputError("steps, batch, points must be at least 1, pixels no fewer than points, a multiple of four")
        if self.objective not in ("undo", "retouch") or self.loss not in ("rmse", "published"):
            raise InputError("the objective must be undo or retouch, the loss rmse or published")
        if not (self.learning_rate > 0 and 0 <= self.average < 1 and 0 <= self.share <= 1):
            raise InputError("learning_rate must be positive, average in 0..1 (1 excluded), share in 0..1")
        if not all(value >= 0 for value in (self.smoothness, self.monotony, self.anchor, self.stability)):  # nor NaN
            raise InputError("weights of the loss must not be negative")
        if self.held_every < 0 or self.held_every == 1:
            raise InputError("held_every must be 0 (none) or at least 2")


def _published() -> Recipe:
    return Recipe(
        shape=Shape.published(),
        steps=180_000,
        batch=1,
        pixels=1024,
        learning_rate=1e-4,
        average=0.0,
        loss="published",
        smoothness=0.0,
        monotony=0.0,
        anchor=0.0,
        stability=0.0,
        variation=None,
    )


#: The recipes by name: the default, a short one that goes on from the default's weights with pairs, and the paper's
#: (which is for pairs alone; 180,000 steps of one picture are its 400 epochs on a tenth of FiveK).
RECIPES = {
    "default": Recipe,
    "refine": lambda: Recipe(steps=150, learning_rate=1e-3, average=0.98),
    "published": _published,
}


def train(
    recipe: Recipe,
    *,
    photos: Sequence[Photo] = (),
    pairs: Sequence[Pair] = (),
    start: Path | str | None = None,
    folder: Path | str,
    resume: bool = False,
    device: str = "auto",
    every: int = 500,
) -> Network:
    """Train and return the network; its `Network.tables` are the result.

    Under ``torchrun`` only the first process measures, writes and returns it; the others return what they started with.

    Args:
        recipe: how.
        photos: ``(H, W, 3)`` uint8, well exposed.
        pairs: photos and their retouched versions.
        start: ``checkpoint.pt`` of a run with the same shape, whose weights to begin with.
        folder: where ``checkpoint.pt`` and ``log.jsonl`` go.
        resume: continue from the folder's checkpoint.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        every: steps between measurements and checkpoints.

    Raises:
        InputError: there is nothing to train on.
        ArtifactError: a checkpoint is missing, damaged or another run's.
    """
    held = [p for i, p in enumerate(photos, 1) if recipe.held_every and i % recipe.held_every == 0]
    kept = [p for i, p in enumerate(photos, 1) if not recipe.held_every or i % recipe.held_every]
    if not kept and not pairs:
        raise InputError("there is nothing to train on: give photos, pairs or both")
    with torch.random.fork_rng(devices=[]):  # initial weights come from the recipe's seed alone
        torch.manual_seed(recipe.seed)
        network = Network(recipe.shape)
    if start is not None:
        load_weights(start, network)
    draw = _Draw(recipe, kept, pairs)
    with processes(device) as joined:
        run = Run(recipe, network, joined, Path(folder), resume=resume)

        def advance() -> Tensor:
            sources, targets = draw(run.step)
            loss = run.update(_loss(run, recipe, joined.share(sources), joined.share(targets)))
            run.average()
            return loss

        def evaluate(loss: float) -> None:
            if joined.first:
                numbers = {"loss": loss} | ({"held_psnr": _held_psnr(run.mean, recipe, held)} if held else {})
                # The last steps are what is kept: the later the better.
                run.keep(run.step, {name: round(value, 5) for name, value in numbers.items()})

        run.go("train", advance, evaluate, every)
        return run.best_model()


def histograms(network: Network, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
    """Shares ``(B, 4096)`` of the colours of upper and, where the network has that branch, of lower nibbles.

    Args:
        network: says whether lower nibbles matter.
        pixels: ``(B, K, 3)`` from 0 to 1, multiples of 1/255.
    """
    levels = (255 * pixels).round().long()
    weights = torch.tensor([256, 16, 1], device=pixels.device)

    def count(nibbles: Tensor) -> Tensor:
        index = (nibbles * weights).sum(-1)
        shares = torch.full(index.shape, 1 / index.shape[1], device=pixels.device)
        return torch.zeros(len(index), 4096, device=pixels.device).scatter_add_(1, index, shares)

    return count(levels >> 4), count(levels & 15) if network.shape.low else None


#: One picture of a batch in so many is drawn in blocks, and compared with its half-size copy.
_HALVED = 4
#: Purposes of random draws, see CONTRIBUTING.md.
_PLACES, _CHANGES, _HELD = 1, 2, 3


class _Draw:
    """Draws the batch of a step: sources and targets ``(batch, pixels, 3)``, from 0 to 1."""

    def __init__(self, recipe: Recipe, photos: Sequence[Photo], pairs: Sequence[Pair]) -> None:
        self.recipe, self.photos, self.pairs = recipe, photos, pairs
        share = recipe.share if photos and pairs else float(bool(pairs))
        self.paired = round(share * recipe.batch)
        if share and not self.paired:
            raise InputError(f"a share of {share} of {recipe.batch} pictures is no pair: raise share or batch")

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        recipe = self.recipe
        places = np.random.default_rng([recipe.seed, _PLACES, step])
        changes = torch.Generator().manual_seed(
            int(np.random.default_rng([recipe.seed, _CHANGES, step]).integers(2**62))
        )
        sources, targets = [], []
        if self.paired < recipe.batch:
            chosen = places.integers(len(self.photos), size=recipe.batch - self.paired)
            good = torch.stack([self._pixels(places, at, self.photos[i])[0] for at, i in enumerate(chosen)])
            bad = recipe.degradation(good, changes)
            sources.append(bad)
            targets.append(good if recipe.objective == "undo" else retouch(bad))
        if self.paired:
            drawn = enumerate(places.integers(len(self.pairs), size=self.paired), recipe.batch - self.paired)
            both = [self._pixels(places, at, self.pairs[i].input, self.pairs[i].target) for at, i in drawn]
            source, target = (torch.stack(part) for part in zip(*both, strict=True))
            if recipe.variation is not None:
                half = len(source) // 2
                source = torch.cat([source[:half], recipe.variation(source[half:], changes)])
            sources.append(source)
            targets.append(target)
        return torch.cat(sources), torch.cat(targets)

    def _pixels(self, generator: np.random.Generator, at: int, *pictures: Photo) -> tuple[Tensor, ...]:
        """The same random pixels of a random crop, of each picture; ``at`` is the place in the batch."""
        count = self.recipe.pixels
        places = []
        for length in pictures[0].shape[:2]:
            side = max(1, int(length * generator.uniform(0.775, 1)))
            start = generator.integers(length - side + 1)
            if at % _HALVED:
                places.append(start + generator.integers(side, size=count))
            else:
                first = start + generator.integers(max(1, side - 1), size=count // 4)
                places.append(np.stack([first, np.minimum(first + 1, start + side - 1)]))
        if at % _HALVED == 0:  # blocks, and the first pixels of all blocks come first
            places = [places[0][[0, 0, 1, 1]].ravel(), places[1][[0, 1, 0, 1]].ravel()]
        return tuple(torch.from_numpy(picture[places[0], places[1]]).float() / 255 for picture in pictures)


def _loss(run: Run[Network], recipe: Recipe, sources: Tensor, targets: Tensor) -> Tensor:
    count = len(sources)
    points, wanted = sources[:, : recipe.points], targets[:, : recipe.points]
    counted = histograms(run.model, sources)
    copied = slice(0, count if recipe.stability else 0, _HALVED)
    if recipe.stability:
        halves = sources[copied].unflatten(1, (4, -1)).mean(1)
        more = histograms(run.model, halves)
        counted = (torch.cat([counted[0], more[0]]), _both(counted[1], more[1]))
        points = torch.cat([points, points[copied]])
    result, lattice = run.wrapped(*counted, points)
    loss = _distance(recipe, result[:count], wanted)
    if recipe.stability:
        loss = loss + recipe.stability * _rmse(result[count:], result[:count][copied])
    if recipe.smoothness or recipe.monotony:
        some = lattice[:: max(1, len(lattice) // 5)]
        loss = loss + recipe.smoothness * _roughness(some) + recipe.monotony * _falls(some)
    if recipe.anchor:
        white, black = lattice[:, -1, -1, -1], lattice[:, 0, 0, 0]
        loss = loss + recipe.anchor * (functional.relu(-white) + functional.relu(black)).mean()
    return loss


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat([first, second])


def _distance(recipe: Recipe, result: Tensor, wanted: Tensor) -> Tensor:
    if recipe.loss == "rmse":
        return _rmse(result, wanted)
    cosine = functional.cosine_similarity(result, wanted, dim=-1).mean()
    return (result - wanted).abs().mean() + 1 - cosine


def _rmse(result: Tensor, wanted: Tensor) -> Tensor:
    """The root mean square error of each picture, averaged."""
    return ((result - wanted) ** 2).mean((1, 2)).add(1e-5).sqrt().mean()


def _roughness(lattice: Tensor) -> Tensor:
    """Mean squared second differences, summed over the axes."""
    return torch.stack([lattice.diff(n=2, dim=axis).square().mean() for axis in (1, 2, 3)]).sum()


def _falls(lattice: Tensor) -> Tensor:
    """Mean of how far identity plus lattice goes down along each channel's own axis."""
    step = 1 / (lattice.shape[1] - 1)
    own = [lattice[..., channel].diff(dim=channel + 1) for channel in range(3)]
    return torch.stack([functional.relu(-step - change).mean() for change in own]).sum()


@torch.no_grad()
def _held_psnr(network: Network, recipe: Recipe, held: Sequence[Photo]) -> float:
    """Mean PSNR over held-out photos, each degraded in the same way every time, in dB."""
    generator = np.random.default_rng([recipe.seed, _HELD])
    drawn = [photo.reshape(-1, 3)[generator.integers(photo.size // 3, size=recipe.pixels)] for photo in held]
    good = torch.from_numpy(np.stack(drawn)).float() / 255
    bad = recipe.degradation(good, torch.Generator().manual_seed(recipe.seed))
    wanted = good if recipe.objective == "undo" else retouch(bad)
    device = next(network.parameters()).device
    result = network(*histograms(network, bad.to(device)), bad.to(device))[0].clamp(0, 1).cpu()
    return float((-10 * torch.log10((result - wanted).square().mean((1, 2)))).mean())
