"""Fields as pictures: any size, any part, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.decode import Decoder, Floats
from morpho.fields.signal import Signal

__all__ = ["check_size", "render"]

#: No picture has more pixels.
_MOST_PIXELS = 2**29
#: A pixel is the mean of at most so many places along an axis.
_MOST_PLACES = 16

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def render(
    signal: Signal,
    decoder: Decoder,
    size: tuple[int, int] | None = None,
    crop: tuple[int, int, int, int] | None = None,
    *,
    time: float = 0.0,
    threads: int | None = None,
) -> Pixels:
    """Compute the pixels of a picture, or of a video's frame.

    Where the picture is smaller than the original, a pixel is the mean of as many places, evenly spaced over its area,
    as there are samples to it (rounded up, at most 16 along an axis): details that it cannot show do not alias.

    Args:
        signal: of the kind ``image`` or ``video``.
        decoder: its model with its weights.
        size: rows and columns of the whole; by default those of the original.
        crop: top, left, height and width of the part to compute, in pixels of the whole.
        time: of a video, the frame, counted from 0; it may lie between two.
        threads: how many share the pixels; by default one per usable core.

    Returns:
        ``(H, W, C)``, uint8 or uint16 as ``signal.depth`` says, rounded, clipped to the type's range.

    Raises:
        InputError: the size, the crop or the time is impossible, or the picture is absurdly large.
    """
    own = signal.shape[-2:]
    size = size or (own[0], own[1])
    top, left, height, width = crop or (0, 0, *size)
    check_size(height, width)
    places = [min(-(-n // m), _MOST_PLACES) if m > 0 else 1 for n, m in zip(own, size, strict=True)]
    fine = [m * k for m, k in zip(size, places, strict=True)]
    parts = [(top * places[0], (top + height) * places[0]), (left * places[1], (left + width) * places[1])]
    when = () if signal.kind == "image" else (signal.shape[0],)
    rows, columns = signal.coordinates((*when, *fine), [*((0, 1) for _ in when), *parts])[-2:]
    before = () if signal.kind == "image" else (_moment(signal, time),)
    return _filled(signal, decoder, rows.reshape(height, -1), columns.reshape(width, -1), before, threads)


def check_size(height: int, width: int) -> None:
    """Refuse a picture that is absurdly large.

    Raises:
        InputError: it is.
    """
    if height * width > _MOST_PIXELS:
        raise InputError(f"a picture of {height} x {width} pixels is too large: choose a smaller size, or a crop")


def _moment(signal: Signal, time: float) -> float:
    last = signal.shape[0] - 1
    if not 0 <= time <= last:
        raise InputError(f"the video has the frames 0 to {last}: there is no frame {time:g}")
    return 2 * time / last - 1 if last else 0.0


def _filled(
    signal: Signal,
    decoder: Decoder,
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    before: tuple[float, ...],
    threads: int | None,
) -> Pixels:
    """Compute pixels from the coordinates of their places: ``rows`` (H, k) and ``columns`` (W, l)."""
    height, width, many = len(rows), len(columns), rows.shape[1] * columns.shape[1]
    dtype = np.uint8 if signal.depth == 8 else np.uint16
    out = np.empty((height * width, signal.channels), dtype)
    at_once = max(1, decoder.points // many)
    round_ = _rounding(signal, float(np.iinfo(dtype).max))

    def work(start: int, stop: int) -> None:
        for first in range(start, stop, at_once):
            index = np.arange(first, min(first + at_once, stop))
            points = np.empty((len(index), rows.shape[1], columns.shape[1], signal.dimensions), np.float32)
            points[..., : len(before)] = before
            points[..., -2] = rows[index // width][:, :, None]
            points[..., -1] = columns[index % width][:, None, :]
            values = decoder.tile(points.reshape(-1, signal.dimensions))
            out[index] = round_(values.reshape(len(index), many, -1).mean(1) if many > 1 else values)

    decoder.share(height * width, at_once, work, threads)
    return out.reshape(height, width, signal.channels)


def _rounding(signal: Signal, peak: float) -> Callable[[Floats], Floats]:
    def rounded(values: Floats) -> Floats:
        levels: Floats = signal.to_units(values) * peak
        # Unlike clip(), these turn what is no number into 0.
        return np.rint(np.fmin(np.fmax(levels, 0), peak))

    return rounded
