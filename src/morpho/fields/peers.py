"""SCONE's peers: networks of coordinates that users compare it with, each with the defaults of its own paper."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from morpho.fields.arrays import Array, Arrays
from morpho.fields.model import Model, Shapes, Tensors, patience, uniform

__all__ = ["Finer", "FourierFeatures", "Gauss", "Layered", "Mfn", "Siren", "Wire"]

_WIDTHS: dict[str, tuple[float, float]] = {"width": (1, 16384), "layers": (2, 64)}


@dataclass(frozen=True, kw_only=True)
class Layered(Model):
    """A multilayer perceptron: ``h_i = activation_i(W_i h_{i-1} + b_i)``, and a linear head.

    Attributes:
        width: units of a hidden layer.
        layers: hidden layers and the head.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = _WIDTHS
    #: The linear maps of one hidden layer, all of which read the same input.
    maps: ClassVar[tuple[str, ...]] = ("layer",)

    width: int = 256
    layers: int = 5

    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return ``layer.i`` and ``head``, each with a weight and a bias."""
        shapes: Shapes = {}
        for i in range(1, self.layers):
            for word in self.maps:
                shapes[f"{word}.{i}.weight"] = (self.width, dimensions if i == 1 else self.width)
                shapes[f"{word}.{i}.bias"] = (self.width,)
        return shapes | {"head.weight": (channels, self.width), "head.bias": (channels,)}

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the weights from uniform laws."""
        self.parameters(dimensions, channels)
        tensors, fan_in = {}, 1
        for name, shape in self.shapes(dimensions, channels).items():
            if name.endswith("weight"):
                fan_in = shape[1]
            weight, bias = self.bounds(".1." in name, fan_in)
            tensors[name] = uniform(random, weight if name.endswith("weight") else bias, shape)
        return tensors

    def bounds(self, first: bool, fan_in: int) -> tuple[float, float]:
        """Return the bounds of the initial weights and biases of a layer; by default ``1 / sqrt(fan_in)`` for both."""
        return fan_in**-0.5, fan_in**-0.5

    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``."""
        h = coordinates
        for i in range(1, self.layers):
            z = [xp.linear(h, tensors[f"{word}.{i}.weight"], tensors[f"{word}.{i}.bias"]) for word in self.maps]
            h = self.activation(xp, i == 1, *z)
        return xp.linear(h, tensors["head.weight"], tensors["head.bias"])

    @abstractmethod
    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return a hidden layer's output from its pre-activations, one for each of ``maps``."""


@dataclass(frozen=True, kw_only=True)
class Siren(Layered):
    """SIREN (Sitzmann et al., NeurIPS 2020): ``h_i = sin(omega z_i)``.

    Weights and biases start as U(-1/d, 1/d) in the first layer and U(-s, s), ``s = sqrt(6 / width) / omega``, later:
    so does SCONE's code, in which SIREN is the baseline. The first frequency decides the band: an untuned SIREN is a
    weak baseline.

    Attributes:
        first_omega: the first layer's frequency, in radians per half side of the signal.
        omega: the later layers' frequency.

    >>> Siren().parameters(2, 3), Siren().parameters(3, 3), Siren().parameters(3, 1)
    (198915, 199171, 198657)
    """

    name: ClassVar[str] = "siren"

    first_omega: float = 30.0
    omega: float = 30.0

    def rate_for(self, values: float, steps: int = 0) -> float:
        """Return about ``0.2 / width``, see `patience`, with a short warm-up and clipped gradients; at most 1e-2."""
        return min(0.2 / self.width * patience(values), 1e-2)

    def bounds(self, first: bool, fan_in: int) -> tuple[float, float]:
        """Return ``1/d`` in the first layer and ``sqrt(6 / width) / omega`` later."""
        bound = 1 / fan_in if first else math.sqrt(6 / fan_in) / max(self.omega, 1e-3)
        return bound, bound

    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return ``sin(omega z)``."""
        return xp.sine(z[0], self.first_omega if first else self.omega)


@dataclass(frozen=True, kw_only=True)
class Finer(Siren):
    """FINER (Liu et al., CVPR 2024): ``h_i = sin(omega (|z_i| + 1) z_i)``; the factor ``|z_i| + 1`` has no gradient.

    Attributes:
        first_bias: bound of the first layer's initial biases; large ones bring high frequencies.

    >>> Finer().parameters(2, 3)
    198915
    """

    name: ClassVar[str] = "finer"
    published_rate: ClassVar[float] = 5e-4

    first_bias: float = 1.0

    def bounds(self, first: bool, fan_in: int) -> tuple[float, float]:
        """Return SIREN's bounds for weights; ``first_bias`` and ``1 / sqrt(width)`` for biases."""
        return super().bounds(first, fan_in)[0], self.first_bias if first else fan_in**-0.5

    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return ``sin(omega (|z| + 1) z)``."""
        factor = xp.constant(xp.abs(z[0]) + 1)
        return xp.sine(factor * z[0], self.first_omega if first else self.omega)


@dataclass(frozen=True, kw_only=True)
class Gauss(Layered):
    """Gaussian activations (Ramasinghe and Lucey, ECCV 2022): ``h_i = exp(-(scale z_i)^2)``.

    Attributes:
        first_scale: the first layer's scale.
        scale: the later layers' scale.

    >>> Gauss().parameters(2, 3)
    198915
    """

    name: ClassVar[str] = "gauss"
    published_rate: ClassVar[float] = 5e-3

    first_scale: float = 30.0
    scale: float = 30.0

    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return ``exp(-(scale z)^2)``."""
        return xp.bell((self.first_scale if first else self.scale) * z[0])


@dataclass(frozen=True, kw_only=True)
class Wire(Layered):
    """WIRE (Saragadam et al., CVPR 2023) in real numbers: ``h_i = cos(omega u_i) exp(-(scale v_i)^2)``.

    ``u_i`` and ``v_i`` are two linear maps of the layer before, as in the authors' real Gabor layer.

    Attributes:
        first_omega: the first layer's frequency.
        omega: the later layers' frequency.
        scale: of the Gaussian windows.

    >>> Wire().parameters(2, 3)
    199284
    """

    name: ClassVar[str] = "wire"
    published_rate: ClassVar[float] = 5e-3
    maps: ClassVar[tuple[str, ...]] = ("frequency", "scale")

    width: int = 181
    first_omega: float = 20.0
    omega: float = 20.0
    scale: float = 10.0

    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return ``cos(omega u) exp(-(scale v)^2)``."""
        return xp.cos((self.first_omega if first else self.omega) * z[0]) * xp.bell(self.scale * z[1])


@dataclass(frozen=True, kw_only=True)
class FourierFeatures(Layered):
    """Gaussian Fourier features and a ReLU network (Tancik et al., NeurIPS 2020).

    ``h_0 = (sin(2 pi B x), cos(2 pi B x))`` with ``B`` from N(0, sigma^2), never trained but counted, since a decoder
    needs it.

    Attributes:
        frequencies: rows of ``B``.
        sigma: the standard deviation of ``B``, in periods per half side of the signal.

    >>> FourierFeatures().parameters(2, 3) - 2 * 128
    198147
    """

    name: ClassVar[str] = "fourier-features"
    published_rate: ClassVar[float] = 1e-3
    ranges: ClassVar[dict[str, tuple[float, float]]] = _WIDTHS | {"frequencies": (1, 16384)}

    layers: int = 4
    frequencies: int = 128
    sigma: float = 8.0

    def rates(self) -> dict[str, float]:
        """Return that the frequencies are frozen."""
        return {"frequencies": 0.0}

    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return ``frequencies``, ``layer.i`` and ``head``."""
        return {"frequencies": (self.frequencies, dimensions)} | super().shapes(2 * self.frequencies, channels)

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw ``B`` from N(0, sigma^2) and the network from uniform laws."""
        tensors = super().initial(dimensions, channels, random)
        drawn = random.normal(0.0, self.sigma, (self.frequencies, dimensions))
        return tensors | {"frequencies": drawn.astype(np.float32)}

    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``."""
        angles = (2 * math.pi) * (coordinates @ tensors["frequencies"].T)
        return super().apply(xp, tensors, xp.cat([xp.sin(angles), xp.cos(angles)], 1))

    def activation(self, xp: Arrays, first: bool, *z: Array) -> Array:
        """Return the positive part."""
        return xp.relu(z[0])


@dataclass(frozen=True, kw_only=True)
class Mfn(Model):
    """A multiplicative filter network (Fathony et al., ICLR 2021).

    ``h_1 = f_1(x)`` and ``h_i = f_i(x) (W_i h_{i-1} + b_i)``, then a linear head. Fourier filters are
    ``f_i = sin(A_i x + a_i)``; Gabor filters have the window ``exp(-gamma_i |x - mu_i|^2 / 2)``.

    Attributes:
        width: filters per layer.
        products: multiplications by a filter, one less than there are filters.
        input_scale: bound of the initial frequencies' sum over the layers, times ``sqrt(d)``.
        gabor: whether filters are local.
        alpha: shape of the Gamma law (of rate 1) from which all layers' windows ``gamma`` start together.

    >>> Mfn().parameters(2, 3), Mfn(width=256, products=6, gabor=True).parameters(2, 3)
    (198123, 406275)
    """

    name: ClassVar[str] = "mfn"
    published_rate: ClassVar[float] = 1e-2
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"width": (1, 16384), "products": (1, 64), "alpha": (1e-3, 1e3)}

    width: int = 254
    products: int = 3
    input_scale: float = 256.0
    gabor: bool = False
    alpha: float = 6.0

    def shapes(self, dimensions: int, channels: int) -> Shapes:
        """Return ``filter.i``, for windows ``centre.i`` and ``window.i``, ``layer.i`` and ``head``."""
        n = self.width
        shapes: Shapes = {}
        for i in range(1, self.products + 2):
            shapes |= {f"filter.{i}.weight": (n, dimensions), f"filter.{i}.bias": (n,)}
            if self.gabor:
                shapes |= {f"centre.{i}": (n, dimensions), f"window.{i}": (n,)}
            if i > 1:
                shapes |= {f"layer.{i}.weight": (n, n), f"layer.{i}.bias": (n,)}
        return shapes | {"head.weight": (channels, n), "head.bias": (channels,)}

    def initial(self, dimensions: int, channels: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Draw the weights from the laws of the authors' code."""
        self.parameters(dimensions, channels)
        later, filters = self.width**-0.5, self.products + 1
        bounds = {
            "filter.weight": self.input_scale / math.sqrt(filters * dimensions),
            "filter.bias": math.pi,
            "centre": 1,
        }
        tensors = {}
        for name, shape in self.shapes(dimensions, channels).items():
            kind = ".".join(word for word in name.split(".") if not word.isdigit())
            tensors[name] = uniform(random, bounds.get(kind, later), shape)
        for i in range(1, filters + 1 if self.gabor else 0):
            gamma = random.gamma(self.alpha / filters, 1.0, self.width).astype(np.float32)
            tensors[f"window.{i}"] = gamma
            tensors[f"filter.{i}.weight"] *= np.sqrt(gamma)[:, None]
        return tensors

    def apply(self, xp: Arrays, tensors: Tensors, coordinates: Array) -> Array:
        """Return the values ``(N, c)`` at coordinates ``(N, d)``."""
        h = self._filter(xp, tensors, coordinates, 1)
        for i in range(2, self.products + 2):
            z = xp.linear(h, tensors[f"layer.{i}.weight"], tensors[f"layer.{i}.bias"])
            h = self._filter(xp, tensors, coordinates, i) * z
        return xp.linear(h, tensors["head.weight"], tensors["head.bias"])

    def _filter(self, xp: Arrays, tensors: Tensors, x: Array, i: int) -> Array:
        wave = xp.sin(xp.linear(x, tensors[f"filter.{i}.weight"], tensors[f"filter.{i}.bias"]))
        if not self.gabor:
            return wave
        centre, gamma = tensors[f"centre.{i}"], tensors[f"window.{i}"]
        squares = (x * x).sum(1)[:, None] - 2 * (x @ centre.T) + (centre * centre).sum(1)
        return wave * xp.exp(-xp.clip(0.5 * gamma * squares, 0, 40))  # bounded as `Arrays.bell` is
