"""What a field is fitted to: samples with their coordinates, the loss between them and the field, and the score."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morpho.errors import InputError
from morpho.fields.directed import doubled
from morpho.fields.recipe import Interpolation
from morpho.fields.signal import Signal

__all__ = ["Function", "GridTarget", "Target"]

#: A field's model with its weights: coordinates ``(N, d)`` to values ``(N, c)``.
Function = Callable[[Tensor], Tensor]

#: Samples that are evaluated at a time, so that activations stay small.
BLOCK = 65536


class Target(ABC):
    """Samples of a signal, each with a coordinate in [-1, 1]^d and a value as the model gives it, -1 to 1.

    Attributes:
        signal: what is sampled.
        samples: how many samples there are.
        count: how many indices there are: a sample that has several is drawn more often.
    """

    #: What `live` estimates.
    live_name: ClassVar[str] = "psnr"

    signal: Signal
    samples: int
    count: int

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """Return the same target with its samples on a device."""

    @abstractmethod
    def fingerprint(self) -> int:
        """Return a checksum of the samples, by which a run that goes on knows that they are the same."""

    @abstractmethod
    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates ``(N, d)`` and values ``(N, c)`` of the samples at ``index``, int64 ``(N,)``."""

    def between(self, places: Tensor, interpolation: Interpolation = "linear") -> tuple[Tensor, Tensor]:
        """Return coordinates and values between the samples.

        Args:
            places: ``(N, d)`` from 0 to 1 along each axis.
            interpolation: how the values are found.

        Raises:
            InputError: the target's samples have no order in which there is something between them, or none that
                suits the interpolation.
        """
        raise InputError(f"points between the samples of a {self.signal.kind} target are not known: use between=0")

    def errors(self, output: Tensor, values: Tensor) -> Tensor:
        """Return the loss of each sample ``(N,)``: by default the mean over the channels of squared differences."""
        return (output - values).square().mean(1)

    def live(self, error: float) -> float:
        """Return what is shown where the mean of `errors` is ``error``: PSNR in dB, or the loss itself."""
        return decibels(error) if self.live_name == "psnr" else error

    @abstractmethod
    def score(self, function: Function) -> dict[str, float]:
        """Measure a field on all samples, and return the numbers for its card."""

    def blocks(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through all samples, block by block."""
        for start in range(0, self.samples, BLOCK):
            yield self.at(torch.arange(start, min(start + BLOCK, self.samples), device=device))


def decibels(error: float) -> float:
    """Return the PSNR in dB of a mean squared error of values from -1 to 1; 306 where there is none.

    >>> round(decibels(4e-4), 6)
    40.0
    """
    return -10 * math.log10(max(error, 1e-30) / 4)


class GridTarget(Target):
    """The samples of a picture, a video or a volume, kept as the integers that they are.

    Args:
        signal: its shape, channels and depth.
        samples: ``(*signal.shape, channels)``, or without the last axis where there is one channel; uint8 or uint16
            for pictures; 0 and 1 (or booleans) for an occupancy; floats within ``signal.low .. signal.high``.

    Raises:
        InputError: the samples are not what the signal says.
    """

    def __init__(self, signal: Signal, samples: NDArray[Any]) -> None:
        shape = (*signal.shape, signal.channels)
        if samples.shape not in (shape, shape[:-1]) or (samples.shape == shape[:-1] and signal.channels > 1):
            raise InputError(f"the samples have the shape {samples.shape}: the signal's is {shape}")
        self.signal, self.samples, self.count = signal, signal.samples, signal.samples
        self._scale, self._offset = _affine(signal, samples)
        plain = np.ascontiguousarray(samples).reshape(self.samples, signal.channels)
        self._wide = plain.dtype == np.uint16
        plain = plain.view(np.int16) if self._wide else plain  # torch cannot gather unsigned 16-bit integers
        self._values = torch.from_numpy(plain if plain.flags.writeable else plain.copy())
        self._axes = [torch.from_numpy(axis.astype(np.float32)) for axis in signal.coordinates()]
        self._finer: GridTarget | None = None

    def to(self, device: torch.device) -> Self:
        """Return the same target with its samples on a device."""
        moved = object.__new__(type(self))
        moved.__dict__.update(self.__dict__)
        moved._values, moved._axes = self._values.to(device), [axis.to(device) for axis in self._axes]
        moved._finer = None if self._finer is None else self._finer.to(device)
        return moved

    def fingerprint(self) -> int:
        """Return the CRC-32 of the samples."""
        return zlib.crc32(self._values.cpu().numpy().data)

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates ``(N, d)`` and values ``(N, c)`` of the samples at ``index`` of the flat array."""
        columns, rest = [], index
        for axis, size in zip(self._axes[:0:-1], self.signal.shape[:0:-1], strict=True):
            further = torch.div(rest, size, rounding_mode="floor")
            columns.append(axis[rest - further * size])
            rest = further
        columns.append(self._axes[0][rest])
        return torch.stack(columns[::-1], 1), self._value(index)

    def between(self, places: Tensor, interpolation: Interpolation = "linear") -> tuple[Tensor, Tensor]:
        """Return coordinates and values between the samples.

        Args:
            places: ``(N, d)`` from 0 to 1 along each axis.
            interpolation: ``linear``; ``cubic`` as Keys' (a = -1/2); or ``directed``: linear between the samples of a
                picture and those that `doubled` puts between them, which are made once.

        Raises:
            InputError: something else than a picture is to be interpolated along its edges.
        """
        if interpolation == "directed":
            return self._doubled().between(places)
        taps, columns = [], []
        for place, size in zip(places.unbind(1), self.signal.shape, strict=True):
            position = place * (size - 1)
            columns.append(2 * place - 1 if size > 1 else torch.zeros_like(place))
            taps.append(_TAPS[interpolation](position, size))
        value = torch.zeros(len(places), self.signal.channels, device=places.device)
        for corner in product(*taps):
            index, weight = corner[0]
            for (further, factor), size in zip(corner[1:], self.signal.shape[1:], strict=True):
                index, weight = index * size + further, weight * factor
            value += weight[:, None] * self._value(index)
        return torch.stack(columns, 1), value.clamp_(-1, 1)

    def _doubled(self) -> GridTarget:
        """The picture with a sample between any two of its own, as the integers that they are, or floats."""
        if self._finer is None:
            if self.signal.kind != "image":
                raise InputError(
                    f"directed interpolation is for pictures, and this is a signal of the kind {self.signal.kind}: use "
                    "the linear or the cubic one"
                )
            values = doubled(self._scaled(self._values).view(*self.signal.shape, -1)).clamp_(-1, 1)
            signal = replace(self.signal, shape=tuple(values.shape[:2]))
            self._finer = GridTarget(signal, self._plain(values)).to(self._values.device)
        return self._finer

    def _plain(self, values: Tensor) -> NDArray[Any]:
        """Values from -1 to 1 as samples of the own kind: what `_scaled` takes to them. The values are spent."""
        samples = values.sub_(self._offset).div_(self._scale)  # in place, since a large picture's take a gigabyte
        if not self._wide and self._values.dtype != torch.uint8:
            return samples.cpu().numpy()
        return samples.round_().cpu().numpy().astype(np.uint16 if self._wide else np.uint8)

    def _value(self, index: Tensor) -> Tensor:
        return self._scaled(self._values.index_select(0, index))

    def _scaled(self, samples: Tensor) -> Tensor:
        """Samples as they are kept, from -1 to 1."""
        if self._wide:
            samples = samples.int() & 0xFFFF
        return samples.float() * self._scale + self._offset

    def score(self, function: Function) -> dict[str, float]:
        """Measure PSNR in dB: of clipped, unrounded values in [0, 1], over all samples and channels, as published."""
        total, device = 0.0, self._values.device
        for coordinates, values in self.blocks(device):
            total += float((function(coordinates).clamp(-1, 1) - values).square().sum())
        return {"psnr": decibels(total / (self.samples * self.signal.channels))}


def _affine(signal: Signal, samples: NDArray[Any]) -> tuple[float, float]:
    """Return scale and offset that take samples to [-1, 1]."""
    if samples.dtype == np.bool_ or signal.kind == "occupancy":
        if samples.dtype != np.bool_ and not ((samples == 0) | (samples == 1)).all():
            raise InputError("an occupancy holds 0 and 1, but here is something else: compare with a threshold first")
        return 2.0, -1.0
    if samples.dtype in (np.uint8, np.uint16):
        if signal.depth != 8 * samples.dtype.itemsize:
            raise InputError(f"the samples are {samples.dtype}, but the signal has {signal.depth} bits")
        return 2.0 / (2**signal.depth - 1), -1.0
    if samples.dtype.kind != "f":
        raise InputError(f"samples of type {samples.dtype} are not known: use uint8, uint16, booleans or floats")
    if not np.isfinite(samples).all():
        raise InputError("the samples hold something that is no number: repair them")
    return 2.0 / (signal.high - signal.low), -(signal.high + signal.low) / (signal.high - signal.low)


def _linear_taps(position: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The indices and weights of the two samples around a position."""
    first = position.floor().clamp(max=max(0, size - 2))
    part = position - first
    index = first.long()
    return [(index, 1 - part), ((index + 1).clamp(max=size - 1), part)]


def _cubic_taps(position: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """The indices and weights of the four samples around a position (Keys, 1981); the border is repeated."""
    first = position.floor().clamp(max=max(0, size - 2))
    t = position - first
    index = first.long()
    weights = [
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
    return [((index + k).clamp(0, size - 1), weight) for k, weight in enumerate(weights, start=-1)]


#: By the name of an interpolation that is the product of one along each axis.
_TAPS = {"linear": _linear_taps, "cubic": _cubic_taps}
