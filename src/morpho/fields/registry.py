"""Models by name, at a wanted number of parameters, and with frequencies that suit a signal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from morpho.errors import InputError
from morpho.fields.grids import Grid, HashGrid
from morpho.fields.model import LARGEST, Model, Scone
from morpho.fields.peers import Finer, FourierFeatures, Gauss, Mfn, Siren, Wire
from morpho.fields.plus import SconePlus

__all__ = ["NAMES", "build", "for_signal", "from_json", "matched"]

#: The models by the names that files and the command line use.
NAMES: dict[str, type[Model]] = {
    model.name: model for model in (SconePlus, Scone, Siren, Finer, Wire, Gauss, FourierFeatures, Mfn, Grid, HashGrid)
}


def build(name: str, **options: Any) -> Model:
    """Make a model by its name.

    Args:
        name: one of `NAMES`.
        options: hyper-parameters of the model, such as ``width``.

    Raises:
        InputError: there is no such model or hyper-parameter, or a value is of the wrong type or out of range.

    >>> build("siren", width=64).parameters(2, 3)
    12867
    """
    if name not in NAMES:
        near = get_close_matches(str(name), NAMES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(NAMES)}"
        raise InputError(f"there is no field model {name!r:.40}: {hint}")
    return NAMES[name].from_options(options)


def from_json(card: object) -> Model:
    """Make the model that `Model.to_json` wrote; what does not fit is refused, since files come from anywhere.

    Raises:
        InputError: this is no model, or one of its values is of the wrong type or out of range.

    >>> from_json({"name": "scone", "width": 9}).parameters(2, 3)
    435
    """
    if not isinstance(card, Mapping) or not isinstance(card.get("name"), str):
        raise InputError("a field's model must be an object with a name and hyper-parameters")
    return build(**{str(key): value for key, value in card.items()})


def matched(model: Model, parameters: int, dimensions: int, channels: int) -> Model:
    """Return the model at the size whose number of parameters is nearest below a wanted one, or equal.

    Args:
        model: every hyper-parameter but its size is kept.
        parameters: wanted; a grid whose levels are all finer than their nodes stays below.
        dimensions: of a point.
        channels: of a value.

    Raises:
        InputError: even the smallest model of its kind is larger, or so many parameters are not allowed.

    >>> matched(Scone(), 100_000, 2, 3).parameters(2, 3)
    99885
    """
    if parameters > LARGEST:
        raise InputError(f"{parameters} parameters are wanted: at most {LARGEST} are allowed")

    def sized(size: int) -> Model:
        return replace(model, **{model.size: size})

    def fits(size: int) -> bool:
        shapes = sized(size).shapes(dimensions, channels)
        return sum(math.prod(shape) for shape in shapes.values()) <= parameters

    least, most = (int(bound) for bound in model.ranges[model.size])
    if not fits(least):
        raise InputError(f"{parameters} parameters are too few for {model.name} with its other settings: allow it more")
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(middle) else (least, middle - 1)
    return sized(least)


def for_signal(model: Model, shape: Sequence[int], channels: int) -> Model:
    """Return the model with frequencies that follow the signal's resolution and the number of parameters.

    The highest frequency is 0.35 radians per half side for each sample on a side, and at most 130. Where there are
    ``r > 3`` values for each parameter it is lower: of pictures by ``(3 / r)^0.6``, of others, whose samples depend
    more on each other, by a third. A ladder keeps its ratios. Grids take the signal's proportions. (Rule of thumb from
    trials with pictures of 128 to 627 pixels a side and 1 to 65 values for each parameter, and a volume of 256^3.)

    Args:
        model: whose frequencies are replaced; a model that has none comes back as it is.
        shape: samples per axis.
        channels: of a value.

    >>> for_signal(Scone(width=49), (128, 128), 3).omegas
    (29.65, 19.77, 9.88, 3.29)
    """
    sides = [side for side in shape if side > 1] or [1]
    side = math.prod(sides) ** (1 / len(sides))
    starved = max(1.0, math.prod(shape) * channels / (3 * model.parameters(len(shape), channels)))
    factor = starved**-0.6 if len(shape) == 2 else 2 / 3 if starved > 1 else 1.0
    omega = min(0.35 * side * factor, 130.0)
    if isinstance(model, Scone):
        highest = max(model.omegas)
        return replace(model, omegas=tuple(round(omega * each / highest, 2) for each in model.omegas))
    if isinstance(model, Finer):  # its own frequencies grow with the first layer's biases
        return model
    if isinstance(model, Siren):
        return replace(model, first_omega=round(omega, 2))
    if isinstance(model, Grid):
        return replace(model, aspect=tuple(float(side) for side in shape))
    if isinstance(model, HashGrid):
        return replace(model, finest=max(model.base, round(side)))
    return model
