"""The chain generator that was released with All-DeBut, by fixed rules: for comparison with a search."""

from __future__ import annotations

from typing import Literal

from morpho.butterfly.chain import Chain
from morpho.errors import InputError

__all__ = ["highest_level", "released_chain"]

Kind = Literal["monotonic", "bulging"]

#: The first factors, which take ``9 c`` numbers to ``8 c``, and how many levels later ``(2,2)`` begins to be used.
_STARTS: dict[str, tuple[tuple[tuple[int, int], ...], int]] = {
    "monotonic": (((8, 9),), 0),
    "bulging": (((8, 6), (4, 6)), 1),
}
#: By ``c_out / c_in``: the level without a ``(2,2)``, and the factors that halve the width down to ``2 c_out``.
_RULES = {1.0: (5, ((1, 2),) * 2), 0.5: (5, ((2, 4),) * 3), 2.0: (3, ((1, 2),))}


def released_chain(c_out: int, c_in: int, *, kind: Kind = "monotonic", level: int = 5) -> Chain:
    """Make the chain of a 3x3 convolution by the released rules, with channels padded to powers of two.

    Monotonic: ``(8,9)`` takes ``9 c`` inputs to ``8 c``, factors ``(2,2)`` keep that width, others halve it to twice
    the ``h`` outputs, and the last one is ``(h / t, 2 h / t)``. A higher level has more factors. Bulging: as released
    its sizes do not meet and no chain is valid; this is the shape that was intended, ``(8,6)`` and ``(4,6)`` by way of
    a width of ``12 c`` in place of ``(8,9)``. Source: the code of All-DeBut, TNNLS 2025.

    Args:
        c_out: output channels; half, once or twice ``c_in`` when both are padded.
        c_in: input channels.
        kind: ``monotonic`` or ``bulging``.
        level: the shrinking level; the release suggests 4 to 8.

    Raises:
        InputError: the rules do not know the ratio or the kind, or the level is too high for so few channels; the
            sentence says which levels work.

    >>> released_chain(256, 256, level=8).pairs()
    ((8, 9), (2, 2), (2, 2), (2, 2), (1, 2), (1, 2), (4, 8))
    """
    highest = highest_level(c_out, c_in, kind=kind)
    if not 1 <= level <= highest:
        levels = f"levels 1 to {highest} work" if highest else "no level works"
        raise InputError(f"the released rules have no {kind} chain of level {level} for {c_out} x {c_in}: {levels}")
    first, last = _ends(c_out, c_in, kind)
    rows, pairs = _padded(c_out), [*first, *[(2, 2)] * _equal(c_out, c_in, kind, level), *last]
    for r, _ in pairs:
        rows //= r
    return Chain.from_pairs([*pairs, (rows, 2 * rows)])


def highest_level(c_out: int, c_in: int, *, kind: Kind = "monotonic") -> int:
    """The highest level for which the rules make a valid chain, 0 where there is none.

    Raises:
        InputError: the rules do not know the ratio or the kind.

    >>> highest_level(64, 32), highest_level(128, 128)
    (6, 9)
    """
    spare = _padded(c_out)
    for pairs in _ends(c_out, c_in, kind):
        for r, _ in pairs:
            spare //= r
    return _RULES[_ratio(c_out, c_in)][0] + _STARTS[kind][1] + spare.bit_length() - 1 if spare else 0


def _ends(c_out: int, c_in: int, kind: str) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """The factors before and after those that keep the width."""
    if kind not in _STARTS:
        raise InputError(f"the kind {kind!r} is not known: use one of {', '.join(_STARTS)}")
    return _STARTS[kind][0], _RULES[_ratio(c_out, c_in)][1]


def _equal(c_out: int, c_in: int, kind: str, level: int) -> int:
    return max(level - _RULES[_ratio(c_out, c_in)][0] - _STARTS[kind][1], 0)


def _ratio(c_out: int, c_in: int) -> float:
    ratio = _padded(c_out) / _padded(c_in)
    if ratio not in _RULES:
        raise InputError(
            f"the released rules know c_out of half, once or twice c_in, and {c_out} x {c_in} is padded to "
            f"{_padded(c_out)} x {_padded(c_in)}: search a chain instead"
        )
    return ratio


def _padded(channels: int) -> int:
    if channels < 1:
        raise InputError(f"{channels} channels are too few: it takes one at least")
    return int(1 << (channels - 1).bit_length())
