"""What a field stands for: its samples, where they lie between -1 and 1, and what the values mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError

__all__ = ["Colour", "Kind", "Signal"]

Kind = Literal["image", "video", "sdf", "occupancy"]
Colour = Literal["grey", "grey-alpha", "rgb", "rgba"]

#: The axes of each kind, in the order of arrays.
_AXES = {"image": 2, "video": 3, "sdf": 3, "occupancy": 3}
_CHANNELS = {"grey": 1, "grey-alpha": 2, "rgb": 3, "rgba": 4}
#: No axis has more samples, and no value more channels.
_LONGEST, _MOST_CHANNELS = 2**31, 64


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A picture, a video or a shape as a function of coordinates in [-1, 1]^d, with d = 2 or 3.

    Sample ``i`` of ``n`` on an axis lies at ``-1 + 2 i / (n - 1)``, and at 0 where ``n`` is 1. The axes are those of
    arrays: (row, column), (time, row, column), (x, y, z). A model's output ``y`` means ``low + (y + 1) / 2 * (high -
    low)``.

    Attributes:
        kind: ``image``, ``video``, ``sdf`` (a signed distance, negative inside) or ``occupancy`` (1 inside, 0 outside).
        shape: samples per axis; for a shape that is no grid, the samples with which it is scored.
        channels: numbers per sample.
        depth: bits per channel of a picture or video, 8 or 16.
        colour: what the channels of a picture or video are; ``None`` for shapes.
        frame_rate: of a video, in frames per second.
        aspect: the width of a pixel, its height being 1.
        low: what the output -1 means: 0 for pictures, videos and occupancies.
        high: what the output +1 means: 1 for those.
        origin: of a shape, the corner of the cube [-1, 1]^3 where all coordinates are -1, in the mesh's own units.
        extent: of a shape, the side lengths of that cube in the mesh's own units.

    Raises:
        InputError: an attribute has the wrong type, is out of range, or contradicts another.

    >>> signal = Signal(kind="image", shape=(2, 3), channels=3, colour="rgb")
    >>> [axis.tolist() for axis in signal.coordinates()]
    [[-1.0, 1.0], [-1.0, 0.0, 1.0]]
    >>> Signal.from_json(signal.to_json()) == signal
    True
    """

    kind: Kind
    shape: tuple[int, ...]
    channels: int
    depth: int = 8
    colour: Colour | None = None
    frame_rate: float | None = None
    aspect: float = 1.0
    low: float = 0.0
    high: float = 1.0
    origin: tuple[float, ...] | None = None
    extent: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _need(self.kind in get_args(Kind), f"the kind {self.kind!r:.40} is none of {', '.join(get_args(Kind))}")
        axes, sizes = _AXES[self.kind], self.shape
        fits = type(sizes) is tuple and len(sizes) == axes and all(_is_whole(v) and 1 <= v <= _LONGEST for v in sizes)
        _need(fits, f"the shape {self.shape!r:.60} is no {axes} sizes from 1 to 2^31")
        fits = _is_whole(self.channels) and 1 <= self.channels <= _MOST_CHANNELS
        _need(fits, f"it has {self.channels!r:.20} channels, not 1 to {_MOST_CHANNELS}")
        plain = self.kind in ("image", "video") or self.channels == 1
        _need(plain, f"a shape has one channel, not {self.channels}")
        _need(_is_whole(self.depth) and self.depth in (8, 16), f"the depth {self.depth!r:.20} is neither 8 nor 16 bits")
        self._check_colour()
        self._check_numbers()

    def _check_colour(self) -> None:
        if self.colour is not None:
            _need(self.colour in get_args(Colour), f"the colour {self.colour!r:.40} is none of {', '.join(_CHANNELS)}")
            wanted = _CHANNELS[self.colour]
            _need(self.channels == wanted, f"{self.colour} has {wanted} channels, not {self.channels}")

    def _check_numbers(self) -> None:
        for name in ("frame_rate", "aspect", "low", "high"):
            value = getattr(self, name)
            optional = name == "frame_rate" and value is None
            _need(optional or _is_number(value), f"its {name} is {value!r:.40}, which is no number")
        _need(self.frame_rate is None or self.frame_rate > 0, f"its frame_rate is {self.frame_rate}")
        _need(self.aspect > 0, f"the aspect of its pixels is {self.aspect}")
        _need(self.low < self.high, f"its lowest value {self.low} is not below its highest {self.high}")
        for name in ("origin", "extent"):
            place = getattr(self, name)
            fits = place is None or (isinstance(place, tuple) and len(place) == 3 and all(_is_number(v) for v in place))
            _need(fits, f"its {name} {place!r:.60} is not three numbers")
        _need(self.extent is None or min(self.extent) > 0, f"its extent {self.extent} is not positive")

    @property
    def dimensions(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def samples(self) -> int:
        """The number of samples: pixels, pixels of all frames, or voxels."""
        return math.prod(self.shape)

    def coordinates(
        self, sizes: Sequence[int] | None = None, crop: Sequence[tuple[int, int]] | None = None
    ) -> list[NDArray[np.float64]]:
        """Return where samples lie, one vector per axis.

        At another size, samples of pictures and videos are areas: sample ``j`` of ``m`` lies at the place ``(j + 0.5)
        n / m - 0.5`` of the ``n`` original ones, kept within ``[0, n - 1]``, as pictures are resized. Those of shapes
        are points, from -1 to 1 at any size.

        Args:
            sizes: samples per axis; by default the signal's own.
            crop: of those, begin and end along each axis.

        Raises:
            InputError: a size is below 1, or a crop is empty or reaches beyond the edges.

        >>> signal = Signal(kind="image", shape=(1, 4), channels=1)
        >>> signal.coordinates((1, 2), crop=((0, 1), (1, 2)))[1].round(3).tolist()  # halfway between 2 and 3
        [0.667]
        """
        sizes = self.shape if sizes is None else tuple(sizes)
        crop = [(0, size) for size in sizes] if crop is None else list(crop)
        if len(sizes) != self.dimensions or len(crop) != self.dimensions or min(sizes) < 1:
            raise InputError(f"{tuple(sizes)} is no size of this {self.kind}: give {self.dimensions} positive numbers")
        for (begin, end), size in zip(crop, sizes, strict=True):
            if not 0 <= begin < end <= size:
                raise InputError(f"the crop from {begin} to {end} is empty or not within the {size} samples there are")
        points = self.kind in ("sdf", "occupancy")
        return [
            _axis(begin, end, size, size if points else own)
            for (begin, end), size, own in zip(crop, sizes, self.shape, strict=True)
        ]

    def sides(self, resolution: int | None = None) -> tuple[int, ...]:
        """Return how many samples each axis has where the longest one has so many; by default the signal's own.

        >>> signal = Signal(kind="occupancy", shape=(25, 13, 1), channels=1)
        >>> signal.sides(), signal.sides(49), signal.sides(3)
        ((25, 13, 1), (49, 25, 1), (3, 2, 1))
        """
        steps = max(max(self.shape) - 1, 1)
        if resolution is None:
            return self.shape
        return tuple(max(2, round((n - 1) * (resolution - 1) / steps) + 1) if n > 1 else 1 for n in self.shape)

    def to_units(self, values: Any) -> Any:
        """Turn a model's outputs, arrays or tensors, into what they mean.

        >>> float(Signal(kind="sdf", shape=(9, 9, 9), channels=1, low=-2, high=2).to_units(0.5))
        1.0
        """
        return self.low + (values + 1) * ((self.high - self.low) / 2)

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON has it."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_json(cls, plain: object) -> Signal:
        """Make the signal that `to_json` wrote; what does not fit is refused, since files come from anywhere.

        Raises:
            InputError: something is missing, unknown, of the wrong type or out of range.
        """
        known = {f.name for f in fields(cls)}
        _need(isinstance(plain, Mapping), "it is not a JSON object")
        assert isinstance(plain, Mapping)
        for name in plain:
            _need(name in known, f"it has {name!r:.40}, which this version does not know")
        for name in ("kind", "shape", "channels"):
            _need(name in plain, f"it lacks {name!r}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        return cls(**values)


def _axis(begin: int, end: int, size: int, own: int) -> NDArray[np.float64]:
    """Return the coordinates of samples ``begin`` to ``end`` of ``size``, where the signal has ``own`` ones."""
    if own == 1:
        return np.zeros(end - begin)
    index = np.arange(begin, end, dtype=np.float64)
    places = index if size == own else np.clip((index + 0.5) * own / size - 0.5, 0, own - 1)
    return np.asarray(-1 + 2 * places / (own - 1))


def _need(fits: object, sentence: str) -> None:
    if not fits:
        raise InputError(f"this is no signal of a field: {sentence}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e30
