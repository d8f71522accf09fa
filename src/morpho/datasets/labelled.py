"""What a data set is in memory: inputs, labels, names of classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from morpho.errors import DataError, InputError

__all__ = ["Dataset", "Labelled"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Inputs with one label each.

    Attributes:
        inputs: pictures, uint8 ``(N, C, H, W)``, sRGB (C = 3) or grey (C = 1); or clouds of points, float32
            ``(N, P, 3)``, in the unit sphere, z up.
        labels: int64 ``(N,)``, numbers of classes.
        classes: their names.

    Raises:
        DataError: shapes or dtypes are others, the lengths differ, or a label has no class.

    >>> tiny = Labelled(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 1]), ("no", "yes"))
    >>> len(tiny), tiny[1:].labels
    (3, tensor([1, 1]))
    """

    inputs: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (_are_pictures(self.inputs) or _are_points(self.inputs)):
            raise DataError(
                f"inputs are {_named(self.inputs)}: give pictures as uint8 (N, 1 or 3, H, W) "
                "or points as float32 (N, P, 3)"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.inputs.shape[:1]:
            raise DataError(f"labels are {_named(self.labels)}: give int64 ({len(self.inputs)},), one for each input")
        if len(self) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise DataError(
                f"labels reach from {int(self.labels.min())} to {int(self.labels.max())}, "
                f"but there are {len(self.classes)} classes: name all of them, and count from 0"
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Tensor | slice) -> Labelled:
        return replace(self, inputs=self.inputs[index], labels=self.labels[index])

    def to(self, device: torch.device | str) -> Labelled:
        """The same on another device."""
        return replace(self, inputs=self.inputs.to(device), labels=self.labels.to(device))

    def split(self, held: float, seed: int) -> tuple[Labelled, Labelled]:
        """Hold out a part of each class, at random: ``round(held * n)`` of its n items.

        Args:
            held: the part, between 0 and 1.
            seed: of the draw.

        Returns:
            The rest and the part, both in the order of before.

        Raises:
            InputError: one of the two would be empty.
        """
        labels = self.labels.cpu().numpy()
        chosen = np.zeros(len(self), dtype=bool)
        for label in range(len(self.classes)):
            of_class = np.flatnonzero(labels == label)
            count = round(held * len(of_class)) if 0 < held < 1 else 0
            chosen[np.random.default_rng([seed, label]).permutation(of_class)[:count]] = True
        if not 0 < chosen.sum() < len(self):
            raise InputError(
                f"{held} of each of {len(self.classes)} classes of {len(self)} items leaves one part empty: "
                "choose a part between 0 and 1, of which each class has some"
            )
        mask = torch.from_numpy(chosen).to(self.labels.device)
        return self[~mask], self[mask]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with its official split.

    Attributes:
        name: as `load` knows it.
        train: to learn from.
        test: to measure on, and for nothing else: hold out a part of ``train`` to select anything.

    Raises:
        DataError: the two have other classes or kinds of input, or one is empty.
    """

    name: str
    train: Labelled
    test: Labelled

    def __post_init__(self) -> None:
        if self.train.classes != self.test.classes or self.train.inputs.shape[1:] != self.test.inputs.shape[1:]:
            raise DataError(
                f"{self.name}: training and test part differ in their classes or in the shape of an input "
                f"({_named(self.train.inputs)}, {_named(self.test.inputs)}): they must come from one data set"
            )
        if not (len(self.train) and len(self.test)):
            raise DataError(
                f"{self.name} has {len(self.train)} items to learn from and {len(self.test)} to measure on: "
                "get the files again"
            )


def _are_pictures(inputs: Tensor) -> bool:
    return inputs.dtype == torch.uint8 and inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def _are_points(inputs: Tensor) -> bool:
    return inputs.dtype == torch.float32 and inputs.ndim == 3 and inputs.shape[2] == 3


def _named(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
