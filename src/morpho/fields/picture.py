"""Pictures of fields: what the stages of a collage do, and where a field is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from morpho.errors import InputError
from morpho.fields.collage import Stage, importance, reading, stages, with_mean_mask
from morpho.images.metrics import psnr

if TYPE_CHECKING:
    from morpho.fields.field import Field

__all__ = ["draw_errors", "draw_stages"]

Pixels: TypeAlias = NDArray[np.uint8]
Values: TypeAlias = NDArray[np.float64]

_INK, _GREY, _PAPER = (30, 34, 40), (112, 118, 126), (255, 255, 255)
_MARGIN, _GAP, _LINE = 20, 8, 20
#: Between groups of panels that belong together.
_GUTTER = 26
#: From the lowest to the highest value: of signed waves, and of errors.
_SIGNED = ((33, 78, 156), (139, 178, 222), (250, 250, 248), (240, 168, 104), (176, 62, 22))
_HEAT = ((8, 8, 20), (62, 22, 110), (176, 46, 86), (246, 140, 44), (253, 246, 190))
#: A panel is at most so many times as tall as wide: of a picture of one column it is a stretched one.
_TALLEST = 3
_NOTE = (
    "Of every stage the units that move the next one most. Blue is below 0, orange above; of masks never below 0, "
    "black is 0, white 1. Products are brightened.",
    "Readable: the best that a linear head could read at this stage (least squares); the model's own reads the last.",
    "Without: the whole field with this stage's masks replaced by their means. Decibels against the field itself.",
)


def draw_stages(field: Field, *, units: int = 2, width: int = 150) -> Pixels:
    """Draw what each stage of a SCONE collages: basis times mask, what can be read there, and what its masks place.

    A row is a stage. First come its most important units, as basis, mask and product. ``readable`` is the best linear
    reading of all its products: how much of the picture is there already. ``without`` is the field's picture when the
    stage's masks no longer say where: what they contribute is what is lost.

    Args:
        field: of a picture, with a model that has collage stages.
        units: that are shown of each stage.
        width: of a panel, in pixels.

    Returns:
        ``(H, W, 3)``, sRGB.

    Raises:
        InputError: it is no picture's field, or its model has no stages.
    """
    if field.signal.kind != "image":
        raise InputError(f"the stages of a field of the kind {field.signal.kind!r} are not drawn: take a picture's")
    rows, columns = field.signal.shape
    height = min(max(round(width * rows / columns), 1), _TALLEST * width)
    points = _grid(height, width)
    found = stages(field.model, field.tensors, points)
    whole = reading(found[-1].product, _values(field, points))
    drawn = [_row_of(field, found, i, points, whole, units) for i in range(len(found))]
    heads = ["basis", "mask", "product"] * units + ["readable", "without"]
    return _sheet(drawn, heads, (height, width), _title(field))


def draw_errors(original: NDArray[Any], rendered: NDArray[Any], *, top: float | None = None) -> Pixels:
    """Draw where two pictures differ: the mean over channels of the absolute difference, with a scale below.

    Args:
        original: ``(H, W, C)``, uint8 or uint16.
        rendered: the same shape and type.
        top: the difference, in grey levels of 255, that is brightest; by default what one pixel in a hundred exceeds.

    Returns:
        ``(H', W', 3)``, sRGB.

    Raises:
        InputError: shapes or types differ.

    >>> draw_errors(np.zeros((40, 60, 3), np.uint8), np.ones((40, 60, 3), np.uint8)).shape
    (126, 360, 3)
    """
    if original.shape != rendered.shape or original.dtype != rendered.dtype or original.ndim != 3:
        raise InputError(
            f"two pictures of one shape and type are compared, not {original.dtype} {original.shape} and "
            f"{rendered.dtype} {rendered.shape}"
        )
    peak = float(np.iinfo(original.dtype).max)
    levels = np.abs(np.subtract(original, rendered, dtype=np.float64)).mean(axis=2) * (255 / peak)
    top = top or _round_up(float(np.quantile(levels, 0.99)))
    decibels = psnr(original, rendered, peak=peak)
    shown = Image.fromarray(_ramp(levels / top, _HEAT))
    size = (max(shown.width, 320) + 2 * _MARGIN, shown.height + 2 * _MARGIN + 2 * _LINE + 6)
    sheet, pen = _blank(*size)
    sheet.paste(shown, (_MARGIN, _MARGIN))
    under = _MARGIN + shown.height + 8
    bar = np.broadcast_to(np.linspace(0, 1, 120), (12, 120))
    sheet.paste(Image.fromarray(_ramp(bar, _HEAT)), (_MARGIN, under))
    for share, anchor in ((0.0, "la"), (0.5, "ma"), (1.0, "ra")):
        pen.text((_MARGIN + 120 * share, under + 15), f"{top * share:g}", fill=_GREY, font=_font(12), anchor=anchor)
    text = "equal" if math.isinf(decibels) else f"{decibels:.2f} dB"
    pen.text((_MARGIN + 134, under - 3), f"grey levels of 255; {text}", fill=_INK, font=_font(13))
    return np.asarray(sheet)


def _values(field: Field, points: Values) -> Values:
    """The field at points, in its model's own range."""
    values = np.asarray(field(points), np.float64)
    signal = field.signal
    return (values - signal.low) / (signal.high - signal.low) * 2 - 1


def _row_of(
    field: Field, found: Sequence[Stage], i: int, points: Values, whole: Values, units: int
) -> tuple[str, list[tuple[Pixels, str]]]:
    """A stage's label and panels, each ``(N, 3)`` with what is written below."""
    stage = found[i]
    panels: list[tuple[Pixels, str]] = []
    for unit in np.argsort(-importance(list(found), field.tensors, i), kind="stable")[:units]:
        basis, mask, product = (array[:, unit] for array in (stage.basis, stage.mask, stage.product))
        largest = float(np.abs(product).max()) or 1.0
        signed_mask = bool((mask < 0).any())
        panels += [
            (_ramp(basis / 2 + 0.5, _SIGNED), f"unit {unit}"),
            (_ramp(mask / 2 + 0.5, _SIGNED) if signed_mask else _grey(mask), f"mean {mask.mean():.2f}"),
            (_ramp(product / largest / 2 + 0.5, _SIGNED), f"up to {largest:.2f}"),
        ]
    readable = reading(stage.product, whole)
    without = with_mean_mask(field.model, field.tensors, points, i)
    panels += [(_colors(field, values), _decibels(values, whole)) for values in (readable, without)]
    return f"stage {i + 1}, omega {stage.omega:g}", panels


def _decibels(values: Values, whole: Values) -> str:
    """How near a partial picture comes to the field's own; the range of a model's values is 2."""
    decibels = psnr(values, whole, peak=2.0)
    return "all of it" if decibels > 100 else f"{decibels:.1f} dB"


def _colors(field: Field, values: Values) -> Pixels:
    """A model's values as colours: grey is repeated, alpha left out."""
    colors = values[:, :3] if values.shape[1] >= 3 else values[:, :1].repeat(3, axis=1)
    return np.rint(np.clip(colors / 2 + 0.5, 0, 1) * 255).astype(np.uint8)


def _sheet(
    rows: Sequence[tuple[str, list[tuple[Pixels, str]]]], heads: Sequence[str], size: tuple[int, int], title: str
) -> Pixels:
    height, width = size
    lefts = [_MARGIN + i * (width + _GAP) + min(i, len(heads) - 2) // 3 * _GUTTER for i in range(len(heads))]
    row = height + 3 * _LINE
    sheet, pen = _blank(lefts[-1] + width + _MARGIN, 2 * _MARGIN + 6 * _LINE + len(rows) * row)
    pen.text((_MARGIN, _MARGIN - 4), title, fill=_INK, font=_font(17))
    for left, head in zip(lefts, heads, strict=True):
        pen.text((left, _MARGIN + 1.5 * _LINE), head, fill=_INK, font=_font(14))
    for number, (label, panels) in enumerate(rows):
        top = _MARGIN + 2 * _LINE + 10 + number * row
        pen.text((_MARGIN, top + 4), label, fill=_GREY, font=_font(14))
        for left, (colors, text) in zip(lefts, panels, strict=True):
            sheet.paste(Image.fromarray(colors.reshape(height, width, 3)), (left, top + _LINE + 4))
            pen.text((left, top + _LINE + height + 6), text, fill=_GREY, font=_font(12))
    for line, text in enumerate(_NOTE):
        pen.text((_MARGIN, sheet.height - _MARGIN - (2.9 - line) * _LINE), text, fill=_GREY, font=_font(12))
    return np.asarray(sheet)


def _title(field: Field) -> str:
    count = sum(tensor.size for tensor in field.tensors.values())
    rows, columns = field.signal.shape
    return f"{field.model.name} with {count:,} parameters, a picture of {columns} x {rows}"


def _grid(height: int, width: int) -> Values:
    """Points ``(height * width, 2)`` that cover the picture: the centres of equal areas."""
    rows, columns = ((2 * np.arange(n) + 1) / n - 1 for n in (height, width))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _ramp(share: NDArray[Any], colors: Sequence[tuple[int, int, int]]) -> Pixels:
    """Colours ``(..., 3)`` between those of a ramp, for values from 0 to 1."""
    nodes = np.linspace(0, 1, len(colors))
    channels = [np.interp(share, nodes, [color[i] for color in colors]) for i in range(3)]
    colored: Pixels = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colored


def _grey(share: Values) -> Pixels:
    return _ramp(share, ((0, 0, 0), (255, 255, 255)))


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... grey levels."""
    steps = (base * 10.0**exponent for exponent in range(-1, 3) for base in (1, 2, 5))
    return next((step for step in steps if step >= value), 255.0)


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), _PAPER)
    return sheet, ImageDraw.Draw(sheet)


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
