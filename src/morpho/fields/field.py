"""A fitted field: what it stands for, its model and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.artifacts import Card
from morpho.errors import InputError
from morpho.fields.arrays import torch_arrays
from morpho.fields.decode import Decoder, Floats
from morpho.fields.model import Model
from morpho.fields.quantise import dequantise, integers, is_scale, quantise, widths
from morpho.fields.raster import Pixels, render
from morpho.fields.signal import Signal

__all__ = ["Field"]

#: Voxels along a side of a volume, at most: 4 GiB.
_MOST_VOXELS = 1024


class Field:
    """A picture, a video or a shape as a function of coordinates: a model with its weights.

    Args:
        signal: what the field stands for.
        model: the function.
        tensors: its weights, float32, under the names of ``model.shapes``.
        card: how it came to be.
        scales: where the weights are integers times a step size (see `morpho.fields.quantise`), that of each tensor:
            files then hold exactly these weights.

    Raises:
        InputError: a tensor is missing, is one too many, has the wrong shape, holds something that is no number, or
            is not made of multiples of its step size.
    """

    def __init__(
        self,
        signal: Signal,
        model: Model,
        tensors: Mapping[str, NDArray[np.float32]],
        card: Card,
        *,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        self.signal, self.model, self.card = signal, model, card
        self.shapes = model.shapes(signal.dimensions, signal.channels)
        _check(self.shapes, tensors)
        self.tensors = {name: np.asarray(tensors[name], np.float32) for name in self.shapes}
        self.scales = None if scales is None else {name: _checked(name, self.tensors, scales) for name in self.shapes}

    def __call__(self, coordinates: Any, *, threads: int | None = None) -> Any:
        """Return the values at coordinates ``(..., d)`` as ``(..., c)``, in the signal's own units, unclipped.

        Torch tensors give torch tensors, differentiable in the coordinates. Arrays give arrays, tile by tile: float32
        ones at full speed, float64 ones with float64 weights.

        Args:
            coordinates: within [-1, 1], in the order of the signal's axes.
            threads: how many share an array's points; by default one per usable core.

        Raises:
            InputError: the points do not have the signal's number of dimensions.
        """
        if not coordinates.ndim or coordinates.shape[-1] != self.signal.dimensions:
            what = f"(..., {self.signal.dimensions})"
            raise InputError(f"the coordinates have the shape {tuple(coordinates.shape)}: this field needs {what}")
        flat = coordinates.reshape(-1, self.signal.dimensions)
        values = self._array(flat, threads) if isinstance(flat, np.ndarray) else self._tensor(flat)
        return self.signal.to_units(values).reshape(*coordinates.shape[:-1], self.signal.channels)

    def render(
        self,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        threads: int | None = None,
    ) -> Pixels:
        """Compute a picture's pixels: ``(H, W, C)``, uint8 or uint16; see `morpho.fields.raster.render`.

        Args:
            size: rows and columns of the whole; by default those of the original.
            crop: top, left, height and width of the part to compute, in pixels of the whole.
            threads: how many share the pixels; by default one per usable core.

        Raises:
            InputError: the field is no picture, or the size or the crop is impossible.
        """
        self._need("a picture", "image")
        return render(self.signal, self._decoder, size, crop, threads=threads)

    def frame(
        self,
        time: float,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        threads: int | None = None,
    ) -> Pixels:
        """Compute a frame of a video, as `render` does a picture.

        Args:
            time: the frame's number, counted from 0; 12.5 lies between two.
            size: rows and columns of the whole; by default those of the original.
            crop: top, left, height and width of the part to compute, in pixels of the whole.
            threads: how many share the pixels; by default one per usable core.

        Raises:
            InputError: the field is no video, or the time, the size or the crop is impossible.
        """
        self._need("a video", "video")
        return render(self.signal, self._decoder, size, crop, time=time, threads=threads)

    def frames(self, size: tuple[int, int] | None = None, threads: int | None = None) -> Iterator[Pixels]:
        """Compute the frames of a video one after the other.

        Raises:
            InputError: the field is no video, or the size is impossible.
        """
        self._need("a video", "video")
        return (self.frame(time, size, threads=threads) for time in range(self.signal.shape[0]))

    def volume(self, resolution: int | None = None, threads: int | None = None) -> NDArray[np.float32]:
        """Compute a shape's values on a grid over its box, faces included: ``(X, Y, Z)``, in the signal's units.

        Args:
            resolution: points along the longest side, the others in proportion; by default the signal's own.
            threads: how many share the points; by default one per usable core.

        Raises:
            InputError: the field is no shape, or the resolution is not 2 to 1024.
        """
        self._need("a shape", "sdf", "occupancy")
        if resolution is not None and not 2 <= resolution <= _MOST_VOXELS:
            raise InputError(f"a volume with {resolution} voxels a side is impossible: choose 2 to {_MOST_VOXELS}")
        return self.lattice(self.signal.coordinates(self.signal.sides(resolution)), threads)

    def lattice(self, axes: Sequence[NDArray[Any]], threads: int | None = None) -> NDArray[np.float32]:
        """Compute a shape's values at every combination of coordinates along three axes: ``(X, Y, Z)``.

        Args:
            axes: coordinates in [-1, 1] along each axis.
            threads: how many share the points; by default one per usable core.

        Raises:
            InputError: the field is no shape, or there are more than 1024^3 points.
        """
        self._need("a shape", "sdf", "occupancy")
        x, y, z = (np.asarray(axis, np.float32) for axis in axes)
        if len(x) * len(y) * len(z) > _MOST_VOXELS**3:
            raise InputError(f"a volume of {len(x)} x {len(y)} x {len(z)} voxels is too large: give a resolution")
        out = np.empty((len(x), len(y), len(z)), np.float32)
        plane = np.empty((len(y), len(z), 3), np.float32)
        plane[..., 1], plane[..., 2] = y[:, None], z
        for i, place in enumerate(x):
            plane[..., 0] = place
            out[i] = self(plane, threads=threads)[..., 0]
        return out

    def _need(self, what: str, *kinds: str) -> None:
        if self.signal.kind not in kinds:
            raise InputError(f"this field is of the kind {self.signal.kind!r}: {what} is needed here")

    @property
    def _decoder(self) -> Decoder:
        return Decoder(self.model, self.tensors)

    def _array(self, flat: NDArray[Any], threads: int | None) -> Floats:
        if flat.dtype != np.float64:
            return self._decoder(flat.astype(np.float32, copy=False), self.signal.channels, threads=threads)
        tensors = {name: value.astype(np.float64) for name, value in self.tensors.items()}
        return Decoder(self.model, tensors)(flat, self.signal.channels, threads=threads)

    def _tensor(self, flat: Any) -> Any:
        import torch

        flat = flat if flat.is_floating_point() else flat.float()
        tensors = {name: torch.from_numpy(value).to(flat) for name, value in self.tensors.items()}
        return self.model.apply(torch_arrays(), tensors, flat)

    def quantised(self, bits: int) -> Field:
        """Return the field with weights of few bits; itself, if they are such already.

        Args:
            bits: 2 to 12; `morpho.fields.quantise.widths` says which tensors get more.

        Raises:
            InputError: there are no such widths.
        """
        bounds = {name: 2 ** (width - 1) - 1 for name, width in widths(self.shapes, bits).items()}
        if self.scales and all(np.abs(self.tensors[k]).max(initial=0) <= v * self.scales[k] for k, v in bounds.items()):
            return self
        pairs = {name: quantise(self.tensors[name], width) for name, width in widths(self.shapes, bits).items()}
        tensors = {name: dequantise(*pair) for name, pair in pairs.items()}
        return Field(self.signal, self.model, tensors, self.card, scales={k: v for k, (_, v) in pairs.items()})


def _checked(name: str, tensors: Mapping[str, NDArray[np.float32]], scales: Mapping[str, float]) -> float:
    scale = scales.get(name, 0.0)
    if not is_scale(scale) or integers(tensors[name], scale) is None:
        raise InputError(f"the weights of {name} are no multiples of the step size {scale}: quantise them first")
    return scale


def _check(shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, NDArray[np.float32]]) -> None:
    if tensors.keys() != shapes.keys():
        raise InputError(f"the model needs the tensors {', '.join(shapes)}, and here are {', '.join(tensors)}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise InputError(f"the tensor {name} has the shape {tensors[name].shape}: the model needs {shape}")
        if not np.isfinite(tensors[name]).all():
            raise InputError(f"the tensor {name} holds something that is no number: fit the field again")
