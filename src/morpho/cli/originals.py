"""The originals that fields are fitted to and compared with: pictures, videos, meshes, volumes, opened by kind.

Nothing here needs torch; the targets that a fit needs are made when it asks for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morpho.cli.field_files import kind_of
from morpho.cli.looks import in_srgb
from morpho.errors import ImageError, InputError
from morpho.fields.signal import Colour, Signal
from morpho.images import read

if TYPE_CHECKING:
    from morpho.cli.fit import Original
    from morpho.fields.shapes import Shape
    from morpho.fields.targets import Target

__all__ = ["Opened", "open_original", "open_picture"]

#: Of a volume as signed distances: voxels beyond which they are cut off.
_REACH = 3
_COLOURS: dict[int, Colour] = {1: "grey", 2: "grey-alpha", 3: "rgb", 4: "rgba"}


@dataclass(frozen=True)
class Opened:
    """An original in memory.

    Attributes:
        signal: what it is.
        target: makes what a field is fitted to; imports torch.
        samples: its values, where it is a grid: of a picture, a video or a volume.
        shape: the surface, where it is a mesh.
        notes: what a person should know.
    """

    signal: Signal
    target: Callable[[], Target]
    samples: NDArray[Any] | None = None
    shape: Shape | None = None
    notes: tuple[str, ...] = ()

    @property
    def grid(self) -> NDArray[Any]:
        """The samples, where there are any.

        Raises:
            InputError: it is a mesh.
        """
        if self.samples is None:
            raise InputError("a mesh has no samples: take a picture, a video or a volume")
        return self.samples


def open_original(source: Path | None, asked: Original, *, seed: int = 0) -> Opened:
    """Open a file by its kind; None is a picture on stdin.

    Args:
        source: the file.
        asked: what is taken of it.
        seed: of the points that are drawn around a mesh.

    Raises:
        MorphoError: it cannot be read, in one sentence.
    """
    kind = "picture" if source is None else kind_of(source)
    if source is None or kind == "picture":
        return open_picture(source, keep_profile=asked.keep_profile)
    if kind == "mesh":
        return _mesh(source, asked, seed)
    return _video(source, asked) if kind == "video" else _volume(source, asked)


def open_picture(source: Path | None, *, keep_profile: bool = False) -> Opened:
    """Read a picture, in sRGB unless its profile is to be left alone; None is stdin.

    Raises:
        ImageError: it cannot be read, or its profile is damaged.
    """
    picture = read(source or sys.stdin.buffer)
    try:
        converted = picture if keep_profile else in_srgb(picture)
    except ImageError as error:
        raise error if source is None else ImageError(f"{source}: {error}") from error
    pixels = converted.pixels
    channels = pixels.shape[2]
    signal = Signal(
        kind="image",
        shape=pixels.shape[:2],
        channels=channels,
        depth=8 * pixels.dtype.itemsize,
        colour=_COLOURS[channels],
    )
    return Opened(signal, lambda: _grid(signal, pixels), pixels)


def _video(source: Path, asked: Original) -> Opened:
    from morpho.fields.video import read_video

    start, stop, step = asked.frames or (0, None, 1)
    video = read_video(source, start=start, stop=stop, step=step, scale=asked.scale or 1.0)
    signal = video.signal
    return Opened(signal, lambda: _grid(signal, video.frames), video.frames)


def _mesh(source: Path, asked: Original, seed: int) -> Opened:
    from morpho.fields.shapes import read_shape

    shape = read_shape(source)
    form = asked.form or "sdf"

    def target() -> Target:
        from morpho.fields.meshes import mesh_target

        return mesh_target(shape, form, seed=seed)

    return Opened(shape.signal(form), target, shape=shape, notes=shape.notes)


def _volume(source: Path, asked: Original) -> Opened:
    from morpho.fields.volumes import read_volume, volume_sdf, volume_signal

    whole = read_volume(source, key=asked.key, level=asked.level)
    volume = whole if asked.scale is None else _scaled(whole, asked.scale, source)
    reach = _REACH * 2 / max(max(volume.shape) - 1, 1) if asked.form != "occupancy" else None
    # At another scale the units stay voxels of the whole.
    signal = replace(volume_signal(volume, reach), extent=volume_signal(whole).extent)
    return _solid(signal, volume if reach is None else volume_sdf(volume, reach))


def _scaled(volume: NDArray[np.bool_], scale: float, source: Path) -> NDArray[np.bool_]:
    from morpho.fields.volumes import resampled

    side = round(max(volume.shape) * scale)
    if len(set(volume.shape)) > 1 or side < 2:
        told = " x ".join(map(str, volume.shape))
        raise InputError(f"{source} has {told} voxels, which --scale {scale:g} cannot make smaller: leave it out")
    return resampled(volume, side)


def _solid(signal: Signal, samples: NDArray[Any]) -> Opened:
    def target() -> Target:
        from morpho.fields.solids import VolumeTarget

        return VolumeTarget(signal, samples)

    return Opened(signal, target, samples)


def _grid(signal: Signal, samples: NDArray[Any]) -> Target:
    from morpho.fields.targets import GridTarget

    return GridTarget(signal, samples)
