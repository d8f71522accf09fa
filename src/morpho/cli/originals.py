"""The originals that fields are fitted to and compared with: pictures, videos, meshes, volumes, opened by kind.

Nothing here needs torch; the targets that a fit needs are made when it asks for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from morpho.cli.field_files import kind_of
from morpho.cli.looks import in_srgb
from morpho.errors import InputError
from morpho.fields.signal import Colour, Signal
from morpho.images import read

if TYPE_CHECKING:
    from morpho.cli.fit import Original
    from morpho.fields.targets import Target

__all__ = ["Opened", "open_original", "open_picture"]

_COLOURS: dict[int, Colour] = {1: "grey", 2: "grey-alpha", 3: "rgb", 4: "rgba"}


@dataclass(frozen=True)
class Opened:
    """An original in memory.

    Attributes:
        signal: what it is.
        target: makes what a field is fitted to; imports torch.
        samples: its values, where it is a grid: of a picture, a video or a volume.
        notes: what a person should know.
    """

    signal: Signal
    target: Callable[[], Target]
    samples: NDArray[Any] | None = None
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


def open_original(source: Path | None, asked: Original) -> Opened:
    """Open a file by its kind; None is a picture on stdin.

    Raises:
        MorphoError: it cannot be read, in one sentence.
    """
    kind = "picture" if source is None else kind_of(source)
    if source is None or kind == "picture":
        return open_picture(source, keep_profile=asked.keep_profile)
    raise NotImplementedError


def open_picture(source: Path | None, *, keep_profile: bool = False) -> Opened:
    """Read a picture, in sRGB unless its profile is to be left alone; None is stdin.

    Raises:
        ImageError: it cannot be read, or its profile is damaged.
    """
    picture = read(source or sys.stdin.buffer)
    converted = picture if keep_profile else in_srgb(picture)
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


def _grid(signal: Signal, samples: NDArray[Any]) -> Target:
    from morpho.fields.targets import GridTarget

    return GridTarget(signal, samples)
