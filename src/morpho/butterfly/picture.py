"""Pictures of chains: where each factor may differ from zero, and how their product fills up."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from morpho.butterfly.chain import Chain
from morpho.butterfly.factor import Factor
from morpho.errors import InputError

__all__ = ["draw", "panel"]

Pixels: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]

_INK, _GREY, _PAPER, _EDGE = (30, 34, 40), (112, 118, 126), (255, 255, 255), (176, 182, 190)
#: The chain is drawn about this wide, panels at least and at most so large, all in pixels.
_WIDTH, _SMALLEST, _LARGEST = 1500, 150, 400
_GAP, _MARGIN, _LINE = 28, 24, 22
#: The narrowest panel: a factor of few rows is still to be seen.
_THINNEST = 6
#: Grid lines are drawn between entries of at least this many pixels.
_GRID_FROM = 5
#: Hues go around by this part of a circle, so that neighbours differ.
_TURN, _HUES = 0.381966, 64
#: How much ink a pixel gets that holds hardly any entry: thin diagonals of large factors would fade away.
_FAINTEST = 0.5
#: The part of white in the lightest shade of a block.
_LIGHTEST = 0.5
#: What stands above and below a row of panels.
_AROUND = 4 * _LINE
#: Wider matrices are not drawn: their rows are counted one by one.
_WIDEST = 2**20
_LEGEND = "White is zero for any weights. A colour is a block; its shades are small dense matrices, interleaved."


def draw(chain: Chain) -> Pixels:
    """Draw a chain's factors in a row, as they are written, and below them what the product is so far.

    Every panel is a matrix, all at the same scale: what is white is zero for any weights. Below, the input's factor
    stands alone at the right, and towards the left one factor more is multiplied on, until no zero is left. A colour
    is a block, a shade one of the small dense matrices that are interleaved in it.

    Args:
        chain: any chain.

    Returns:
        ``(H, W, 3)``, sRGB.

    Raises:
        InputError: a width is above a million.

    >>> draw(Chain.parse("(2,2)^3")).shape[2]
    3
    """
    if max(chain.widths) > _WIDEST:
        raise InputError(f"the chain is {max(chain.widths)} wide, too much for a picture: draw one up to {_WIDEST}")
    products = accumulate(chain.factors, lambda right, left: left.after(right))
    names = [f"R{number}" for number in range(1, len(chain.factors) + 1)]
    so_far = [_joined(names[:count]) for count in range(1, len(names) + 1)]
    scale = _scale(chain)
    above = [_Shown(name, factor, scale) for name, factor in zip(names, chain.factors, strict=True)][::-1]
    below = [_Shown(name, factor, scale) for name, factor in zip(so_far, products, strict=True)][::-1]
    lefts = _lefts(above, below)
    tall = [max(shown.picture.height for shown in row) + _AROUND for row in (above, below)]
    top = _MARGIN + _LINE + _LINE // 2
    sheet = Image.new("RGB", (max(lefts[-1] - _GAP + _MARGIN, 720), top + sum(tall) + 2 * _LINE + _MARGIN), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 6), _title(chain), fill=_INK, font=_font(18))
    _row(sheet, pen, top, "The factors; the input enters at the right.", above, lefts)
    _row(sheet, pen, top + tall[0] + _LINE, "What they give together, from the right on.", below, lefts)
    pen.text((_MARGIN, sheet.height - _MARGIN - 10), _LEGEND, fill=_GREY, font=_font(13))
    return np.asarray(sheet)


def panel(factor: Factor, height: int, width: int) -> Pixels:
    """Draw a factor's support as a picture of any size, each pixel by the entries that it covers.

    Args:
        factor: its pattern.
        height: rows of the picture.
        width: columns of the picture.

    Returns:
        ``(height, width, 3)``: white where nothing is, the darker the more entries a pixel holds.

    >>> panel(Factor(1, 2, 2, 1), 1, 1)[0, 0].tolist() == panel(Factor(1, 2, 2, 1), 2, 2)[1, 1].tolist()
    True
    """
    fine, wide = min(height, factor.p), min(width, factor.q)
    rows, columns = _edges(factor.p, fine), _edges(factor.q, wide)
    held, ink = np.zeros((fine, wide)), np.zeros((fine, wide, 3))
    for y in range(fine):
        covered = np.arange(rows[y], rows[y + 1])
        counts = np.diff(_left_of(factor, covered, columns), axis=1)
        held[y] = counts.sum(axis=0)
        ink[y] = counts.T @ _colors(factor, covered)
    area = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    strength = np.where(held > 0, _FAINTEST + (1 - _FAINTEST) * np.sqrt(held / area), 0)[..., None]
    mixed = ink / np.maximum(held, 1)[..., None] * strength + 255 * (1 - strength)
    small: Pixels = mixed.round().astype(np.uint8)
    return small[np.arange(height) * fine // height][:, np.arange(width) * wide // width]


def _edges(entries: int, pixels: int) -> Integers:
    """Where the pixels begin and end, in entries; none is empty."""
    return np.arange(pixels + 1, dtype=np.int64) * entries // pixels


def _left_of(factor: Factor, rows: Integers, columns: Integers) -> Integers:
    """How many entries of each row stand left of each column: ``(rows, columns)``.

    Row ``i`` is in the block ``i // (r t)`` and has entries at ``s`` columns, ``t`` apart, from ``i mod t`` on.
    """
    first = rows // (factor.r * factor.t) * (factor.s * factor.t) + rows % factor.t
    before: Integers = -(-(columns[None, :] - first[:, None]) // factor.t)
    return before.clip(0, factor.s)


def _colors(factor: Factor, rows: Integers) -> NDArray[np.float64]:
    """A colour for each row ``(rows, 3)``: the hue by block, the shade by its place on the diagonals."""
    hues = np.array([_hue(block) for block in range(_HUES)])[rows // (factor.r * factor.t) % _HUES]
    light = _LIGHTEST * (rows % factor.t / max(factor.t - 1, 1))[:, None]
    shaded: NDArray[np.float64] = hues * (1 - light) + 255 * light
    return shaded


@lru_cache(maxsize=_HUES)
def _hue(block: int) -> tuple[float, float, float]:
    red, green, blue = colorsys.hls_to_rgb((0.6 + _TURN * block) % 1, 0.42, 0.62)
    return 255 * red, 255 * green, 255 * blue


def _scale(chain: Chain) -> float:
    """Pixels per entry, a whole number where that is one at least."""
    room = (_WIDTH - 2 * _MARGIN) / len(chain.factors) - _GAP
    scale = min(max(room, _SMALLEST), _LARGEST) / max(chain.widths)
    return float(int(scale)) if scale >= 1 else scale


class _Shown:
    """One panel, framed, with lines between the entries where there is room, and what is written around it."""

    def __init__(self, name: str, factor: Factor, scale: float) -> None:
        share = factor.parameters / (factor.p * factor.q)
        self.name = name
        self.size = f"{factor}  {factor.p} x {factor.q}"
        self.filled = f"{100 * share:.3g} % filled" if share < 1 else "no zero"
        height, width = (max(round(side * scale), _THINNEST) for side in (factor.p, factor.q))
        if scale >= 1:
            height, width = factor.p * int(scale), factor.q * int(scale)
        self.picture = Image.new("RGB", (width + 2, height + 2), _EDGE)
        self.picture.paste(Image.fromarray(panel(factor, height, width)), (1, 1))
        if scale >= _GRID_FROM:
            self._rule(int(scale))

    def _rule(self, step: int) -> None:
        pen, (width, height) = ImageDraw.Draw(self.picture), self.picture.size
        for y in range(0, height, step):
            pen.line([(0, y), (width, y)], fill=_EDGE)
        for x in range(0, width, step):
            pen.line([(x, 0), (x, height)], fill=_EDGE)


def _row(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, top: int, heading: str, row: Sequence[_Shown], lefts: Sequence[int]
) -> None:
    """One row of panels with what they are above and how large below."""
    pen.text((_MARGIN, top), heading, fill=_GREY, font=_font(14))
    for left, shown in zip(lefts, row, strict=False):
        pen.text((left, top + _LINE + 4), shown.name, fill=_INK, font=_font(15))
        sheet.paste(shown.picture, (left, top + 2 * _LINE + 4))
        under = top + 2 * _LINE + shown.picture.height + 8
        pen.text((left, under), shown.size, fill=_INK, font=_font(13))
        pen.text((left, under + 17), shown.filled, fill=_GREY, font=_font(13))


def _lefts(above: Sequence[_Shown], below: Sequence[_Shown]) -> list[int]:
    """Where the columns of panels begin, and where one more would."""
    pairs = zip(above, below, strict=True)
    widths = (max(one.picture.width, other.picture.width, _SMALLEST) + _GAP for one, other in pairs)
    return list(accumulate(widths, initial=_MARGIN))


def _title(chain: Chain) -> str:
    kind = f"{chain.kind} deformable butterfly" if chain.is_debut else f"overlap rank {max(chain.ranks)}"
    whole = chain.m * chain.n
    return f"{chain.m} x {chain.n}: {chain.parameters:,} of {whole:,} numbers ({chain.parameters / whole:.2%}), {kind}"


def _joined(names: Sequence[str]) -> str:
    return " ".join(reversed(names)) if len(names) < 5 else f"{names[-1]} ... {names[0]}"


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
