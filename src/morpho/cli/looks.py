"""What verbs that change colours have in common: their strength, and pictures in sRGB."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from morpho.errors import ImageError
from morpho.images import Picture, to_srgb

__all__ = ["Strength", "in_srgb"]


def _check_strength(_: object, value: float) -> None:
    if not 0 <= value <= 1:  # NaN is neither
        raise ValueError(f"{value:g} is not within 0 to 1.")


#: From 0, which changes nothing, to 1.
Strength = Annotated[float, Parameter(validator=_check_strength)]


def in_srgb(picture: Picture) -> Picture:
    """Convert a picture by its profile, where it has one.

    Raises:
        ImageError: the profile is damaged; the sentence says which option leaves it alone.
    """
    try:
        return to_srgb(picture)
    except ImageError as error:
        raise ImageError(f"{error}, or add --keep-profile") from error
