"""What fields of shapes are fitted to: volumes of occupancies or signed distances, and points around a surface."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from morpho.errors import InputError
from morpho.fields.sampling import Sampler
from morpho.fields.signal import Signal
from morpho.fields.targets import BLOCK, Function, GridTarget, Target

__all__ = ["PointTarget", "VolumeTarget"]

#: Of draws, those from the surface.
_SHARE = {"sdf": 0.85, "occupancy": 0.5}
#: The output that a logit of an occupancy is divided by: at the outputs -1 and 1 the field is 98 % sure.
_SURE = 4.0
#: Voxels that a score looks at: the error of an intersection over union near 99.9 % is then about 0.01 %.
_SCORED = 2**22


class VolumeTarget(GridTarget):
    """The voxels of a shape, those near its surface seen more often than others.

    Occupancies are fitted by the cross entropy of ``sigmoid(4 y)``, so that any output beyond 0 is inside; signed
    distances by squares.

    Args:
        signal: an occupancy, or signed distances from ``low`` to ``high``, beyond which they are cut off.
        samples: ``(X, Y, Z)``: booleans, or 0 and 1; or distances, negative inside.
        surface: the share of draws that come from the voxels at the surface; 0 draws all voxels alike. By default
            0.85 of distances, which say elsewhere little more than a sign, and 0.5 of occupancies.

    Raises:
        InputError: the samples are not what the signal says, or the share is not in 0..1 (1 excluded).
    """

    live_name: ClassVar[str] = "loss"

    def __init__(self, signal: Signal, samples: NDArray[Any], *, surface: float | None = None) -> None:
        if surface is None:
            surface = _SHARE.get(signal.kind, 0.0)
        if signal.kind not in ("occupancy", "sdf") or not 0 <= surface < 1:
            raise InputError(f"{signal.kind} with a share {surface} is no volume: a shape and a share below 1 are")
        if signal.kind == "sdf":
            samples = np.clip(np.asarray(samples, np.float32), signal.low, signal.high)
        super().__init__(signal, samples)
        self._surface = torch.from_numpy(_surface(samples, signal) if surface else np.empty(0, np.int64))
        repeats = round(surface / (1 - surface) * self.samples / max(1, len(self._surface)))
        self.count = self.samples + repeats * len(self._surface)

    def to(self, device: torch.device) -> Self:
        """Return the same target with its samples on a device."""
        moved = super().to(device)
        moved._surface = self._surface.to(device)
        return moved

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates and values; from the number of voxels on, indices go round and round the surface."""
        if len(self._surface):
            beyond = index - self.samples
            index = torch.where(beyond < 0, index, self._surface[beyond % len(self._surface)])
        return super().at(index)

    def errors(self, output: Tensor, values: Tensor) -> Tensor:
        """Return the cross entropy, or the squares of differences of distances, of each sample."""
        return _errors(self.signal, output, values)

    def score(self, function: Function) -> dict[str, float]:
        """Measure the intersection over union, from 0 to 1, over the voxels, or four million of them."""
        device, inside = self._values.device, -1.0 if self.signal.kind == "sdf" else 1.0
        index, _ = Sampler("even", self.samples, _SCORED, seed=0, device=device).draw(0, 0.0)
        both = either = 0
        for start in range(0, len(index), BLOCK):
            coordinates, values = super().at(index[start : start + BLOCK])
            ours, theirs = function(coordinates) * inside > 0, values * inside > 0
            both, either = both + int((ours & theirs).sum()), either + int((ours | theirs).sum())
        return {"iou": both / max(1, either)}


def _surface(samples: NDArray[Any], signal: Signal) -> NDArray[np.int64]:
    """The flat indices of voxels with a neighbour, along an axis, on the other side of the surface."""
    inside = samples < 0 if signal.kind == "sdf" else samples > 0
    inside = inside.reshape(signal.shape)
    near = np.zeros(signal.shape, bool)
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        change = inside[tuple(low)] != inside[tuple(high)]
        near[tuple(low)] |= change
        near[tuple(high)] |= change
    return np.flatnonzero(near)


def _errors(signal: Signal, output: Tensor, values: Tensor) -> Tensor:
    if signal.kind == "occupancy":
        return functional.softplus(-_SURE * output * values).mean(1)
    return (output - values).square().mean(1)


class PointTarget(Target):
    """Points with values, such as signed distances around a surface; the loss is that of `VolumeTarget`.

    Args:
        signal: what they are of.
        coordinates: ``(N, d)`` in [-1, 1].
        values: ``(N,)`` or ``(N, c)`` in the signal's own units; beyond ``low`` and ``high`` they are cut off.
        measure: measures a fitted field, given as a function of coordinates to the model's outputs.

    Raises:
        InputError: there are no points, one is no number, or coordinates and values do not fit the signal.
    """

    live_name: ClassVar[str] = "loss"

    def __init__(
        self,
        signal: Signal,
        coordinates: NDArray[Any],
        values: NDArray[Any],
        *,
        measure: Callable[[Function], dict[str, float]] | None = None,
    ) -> None:
        count = len(coordinates)
        if not count or coordinates.shape != (count, signal.dimensions) or values.size != count * signal.channels:
            raise InputError(f"points {coordinates.shape} with values {values.shape} are no samples of {signal.kind}")
        self.signal, self.count, self.samples, self._measure = signal, count, count, measure
        self._coordinates = torch.from_numpy(np.ascontiguousarray(coordinates, np.float32))
        cut = np.clip(np.asarray(values, np.float32), signal.low, signal.high).reshape(count, signal.channels)
        if not np.isfinite(coordinates).all() or np.isnan(cut).any():
            raise InputError(f"points or values of {signal.kind} hold something that is no number: repair them")
        self._values = torch.from_numpy((2 * cut - signal.high - signal.low) / (signal.high - signal.low))

    def to(self, device: torch.device) -> Self:
        """Return the same target with its samples on a device."""
        moved = object.__new__(type(self))
        moved.__dict__.update(self.__dict__)
        moved._coordinates, moved._values = self._coordinates.to(device), self._values.to(device)
        return moved

    def fingerprint(self) -> int:
        """Return the CRC-32 of coordinates and values."""
        return zlib.crc32(self._values.cpu().numpy().data, zlib.crc32(self._coordinates.cpu().numpy().data))

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates ``(N, d)`` and values ``(N, c)`` of the points at ``index``."""
        return self._coordinates.index_select(0, index), self._values.index_select(0, index)

    def errors(self, output: Tensor, values: Tensor) -> Tensor:
        """Return the cross entropy, or the squares of differences of distances, of each sample."""
        return _errors(self.signal, output, values)

    def score(self, function: Function) -> dict[str, float]:
        """Measure with what was given; else the mean absolute error of the values, in the signal's own units."""
        if self._measure is not None:
            return self._measure(function)
        total, unit = 0.0, (self.signal.high - self.signal.low) / 2
        for coordinates, values in self.blocks(self._values.device):
            total += float((function(coordinates) - values).abs().sum())
        return {"mean_error": unit * total / self._values.numel()}
