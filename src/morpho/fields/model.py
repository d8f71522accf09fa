"""What every field's model is, and SCONE: a network of coordinates that collages Fourier bases under sine masks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields.arrays import Array, Arrays

__all__ = ["LARGEST", "Model", "Scone", "Shapes", "Tensors", "patience", "steady", "uniform"]

#: No model has more parameters: a file that asks for more is refused before memory is taken.
LARGEST = 2**28

Shapes = dict[str, tuple[int, ...]]
Tensors = Mapping[str, Array]

#: No frequency, scale or width of a hyper-parameter is larger.
_BOUND = 1e6


@dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """A function ``[-1, 1]^d -> R^c`` with tensors of weights: hyper-parameters, and the formula.

    A model holds no weights. `shapes` names the tensors, `initial` draws them, `apply` is the function itself, for
    any array namespace. A subclass is a frozen dataclass whose fields all have defaults, of type int, float, bool,
    str or tuple of floats; ``ranges`` and ``choices`` say which values are allowed.

    Raises:
        InputError: a hyper-parameter has the wrong type or is out of its range; the sentence says which.
    """

    #: How the model is called in files and on the command line.
    name: ClassVar[str]
    #: The attribute that is changed to match a number of parameters.
    size: ClassVar[str] = "width"
    #: The learning rate of the model's own paper (Adam).
    published_rate: ClassVar[float] = 1e-4
    #: The factor on the learning rate where a PSNR ends the fit, so that no schedule brings the rate down in time.
    goal_factor: ClassVar[float] = 1.0
    #: The allowed values of numbers, and of the entries of tuples; other numbers lie in ``[0, 1e6]``.
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    #: The allowed values of strings.
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _same_type(f"{self.name}'s {field.name}", getattr(self, field.name), field.default)
            object.__setattr__(self, field.name, value)
            self._check_range(field.name, value)

    def _check_range(self, name: str, value: Any) -> None:
        what = f"{self.name}'s {name}"
        if isinstance(value, str):
            if value not in self.choices[name]:
                raise InputError(f"{what} is {value!r:.60}: choose from {', '.join(self.choices[name])}")
        elif not isinstance(value, bool):
            low, high = self.ranges.get(name, (0, _BOUND))
            for entry in value if isinstance(value, tuple) else (value,):
                if not low <= entry <= high:  # also refuses NaN
                    raise InputError(f"{what} is {entry}: it must lie in [{low:g}, {high:g}]")

    @abstractmethod
    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return the shape of every tensor by name, for points of ``dimensions`` and values of ``channels`` numbers."""

    @abstractmethod
    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the weights with which training starts; the same generator gives the same ones."""

    @abstractmethod
    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``, in the number type of both."""

    @property
    def learning_rate(self) -> float:
        """The learning rate of Adam that suits this model at its size."""
        return self.rate_for(1.0)

    def rate_for(self, values: float, steps: int = 0) -> float:
        """Return the learning rate of Adam that suits this model.

        Args:
            values: of the signal, for each weight.
            steps: of the fit; 0 where they are not known.
        """
        return self.published_rate

    def rates(self) -> dict[str, float]:
        """Return factors on the learning rate by the first word of tensors' names; 0 freezes them, others have 1."""
        return {}

    def parameters(self, dimensions: int, channels: int) -> int:
        """Return the number of weights, frozen ones included: the decoder needs them all.

        Raises:
            InputError: there would be more than `LARGEST`.

        >>> Scone().parameters(2, 3), Scone().parameters(3, 3), Scone().parameters(3, 1)
        (192753, 194003, 193501)
        """
        count = sum(math.prod(shape) for shape in self.shapes(dimensions, channels).values())
        if count > LARGEST:
            raise InputError(f"{self} would have {count} parameters: choose one of at most {LARGEST}")
        return count

    def to_json(self) -> dict[str, Any]:
        """Return the name and the hyper-parameters as JSON has them.

        >>> Scone(width=9, omegas=(8.0, 1.0)).to_json()
        {'name': 'scone', 'width': 9, 'omegas': [8.0, 1.0], 'omega0': 30.0, 'mask': 'sin2'}
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"name": self.name} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Make a model from hyper-parameters by name, as `to_json` writes them without the name.

        Raises:
            InputError: there is no such hyper-parameter, or a value is of the wrong type or out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise InputError(f"{cls.name} has no hyper-parameter {name!r:.40}: it has {', '.join(known)}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


def _same_type(what: str, value: Any, default: Any) -> Any:
    """Return a value in the type of its default; whole numbers do for floats, and nothing else is converted."""
    if isinstance(default, tuple):
        if isinstance(value, str) or not isinstance(value, (tuple, list)) or len(value) > 64:
            raise InputError(f"{what} is {value!r:.60}: it must be a tuple of at most 64 numbers")
        return tuple(_same_type(f"an entry of {what}", entry, 0.0) for entry in value)
    number = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, float) and (isinstance(value, float) or (number and abs(value) <= 2**53)):
        return float(value)
    if isinstance(default, bool) == isinstance(value, bool) and isinstance(value, type(default)):
        return value
    raise InputError(f"{what} is {value!r:.60}: it must be of type {type(default).__name__}")


def patience(values: float) -> float:
    """Return the factor on the learning rate of waves that have so many values of a signal to hold for each weight.

    Where they cannot hold them all, a rate that suits fewer values keeps a long fit at its noise: on kodim01 with 16
    values for each weight, 800 steps reached 24.4 dB with the factor 1, 25.8 with 0.6. Where they can, 1 is better.

    >>> [round(patience(values), 2) for values in (1, 6, 8, 65)]
    [1.0, 1.0, 0.75, 0.6]
    """
    return min(1.0, max(0.6, 6 / max(values, 1.0)))


def steady(steps: int, width: int) -> float:
    """Return the highest learning rate that a collage of so many waves per stage bears over so many steps.

    On kodim07 with 65 values for each weight (width 57) 2e-3 reached 30.3 dB after 3,000 steps, 30.7 after 5,000, and
    30.4 after 10,000, where 1e-3 reached 30.9. Wide collages bear less: on kodim03 with a width of 127, a fit of 10,000
    steps fell from 28.8 dB after 1,000 of them to 27.7 after 2,500 at 9.4e-4, and ended at 32.6; 3e-4 had that after
    1,500. Over 1,500 steps, 9.4e-4 is as good as 4e-4.

    >>> steady(3000, 57), steady(10_000, 57), round(steady(10_000, 127), 6), steady(1500, 127)
    (0.002, 0.001, 0.000321, 0.002)
    """
    return min(2e-3, 10 / max(steps, 1) * min(1.0, 72 / width) ** 2)


def uniform(random: np.random.Generator, bound: float, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw float32 numbers from U(-bound, bound).

    >>> uniform(np.random.default_rng(0), 0.5, (2,)).dtype
    dtype('float32')
    """
    return random.uniform(-bound, bound, shape).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Scone(Model):
    """SCONE, the spatially collaged coordinate network (Li et al., AAAI 2024).

    With ``h_0 = x`` and one stage for each of ``omegas``::

        B_i = sin(omega_i (A_i x + a_i))            Fourier basis of the coordinate
        M_i = sin^2(omega_0 (W_i h_{i-1} + b_i))    mask in [0, 1], from the stage before
        h_i = B_i * M_i
        y   = W h_L + b

    Everything but the omegas is trained. They descend: high frequencies are collaged first. Initial laws, as in the
    authors' code: ``W_1, b_1`` U(-1/d, 1/d); later ``W_i, b_i`` and the head U(-s, s), ``s = sqrt(6 / width) /
    omega_0``; ``A_i, a_i`` U(-1/sqrt(d), 1/sqrt(d)).

    Attributes:
        width: waves per stage.
        omegas: the frequency of each stage's basis, in radians per half side of the signal.
        omega0: the frequency of the masks.
        mask: ``"sin2"`` as published; ``"sin"``, ``"half"`` for ``(1 + sin) / 2``; ``"linear"`` as in a
            multiplicative filter network.

    >>> model = Scone(width=8)
    >>> weights = model.initial(2, 3, np.random.default_rng(0))
    >>> from morpho.fields.arrays import NUMPY
    >>> model.apply(NUMPY, weights, np.zeros((5, 2), np.float32)).shape
    (5, 3)
    """

    name: ClassVar[str] = "scone"
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"width": (1, 16384), "omega0": (1e-3, 1e4)}
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"mask": ("sin2", "sin", "half", "linear")}

    width: int = 250
    omegas: tuple[float, ...] = (90.0, 60.0, 30.0, 10.0)
    omega0: float = 30.0
    mask: str = "sin2"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.omegas:
            raise InputError(f"{self.name} has no omegas: give the frequency of at least one stage")

    def rate_for(self, values: float, steps: int = 0) -> float:
        """Return about ``0.14 / width``, see `patience` and `steady`, with a short warm-up and clipped gradients."""
        return min(0.14 / self.width * patience(values), steady(steps, self.width))

    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return ``mask.i``, ``basis.i`` and ``head``, each with a weight and a bias."""
        n = self.width
        shapes: Shapes = {}
        for i in range(1, len(self.omegas) + 1):
            shapes[f"mask.{i}.weight"] = (n, dimensions if i == 1 else n)
            shapes[f"mask.{i}.bias"] = (n,)
            shapes[f"basis.{i}.weight"] = (n, dimensions)
            shapes[f"basis.{i}.bias"] = (n,)
        return shapes | {"head.weight": (channels, n), "head.bias": (channels,)}

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the weights from the published laws."""
        self.parameters(dimensions, channels)
        later = math.sqrt(6 / self.width) / self.omega0
        tensors = {}
        for name, shape in self.shapes(dimensions, channels).items():
            bound = dimensions**-0.5 if name.startswith("basis") else later
            tensors[name] = uniform(random, 1 / dimensions if name.startswith("mask.1.") else bound, shape)
        return tensors

    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``."""
        h = coordinates
        for i, omega in enumerate(self.omegas, start=1):
            basis = tensors[f"basis.{i}.weight"], tensors[f"basis.{i}.bias"]
            mask = tensors[f"mask.{i}.weight"], tensors[f"mask.{i}.bias"]
            if self.mask == "sin2":
                h = xp.stage(coordinates, basis, omega, h, mask, self.omega0)
            elif self.mask == "sin":
                h = xp.sine_stage(coordinates, basis, omega, h, mask, self.omega0)
            else:
                wave = xp.sine(xp.linear(coordinates, *basis), omega)
                h = wave * self._mask(xp, xp.linear(h, *mask))
        return xp.linear(h, tensors["head.weight"], tensors["head.bias"])

    def _mask(self, xp: Arrays, z: Array) -> Array:
        return self.omega0 * z if self.mask == "linear" else 0.5 + 0.5 * xp.sine(z, self.omega0)
