"""Every model once more, written straight in torch's own layers and operations: what the package's must agree with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from morpho.fields.model import Model, Scone
from morpho.fields.peers import Finer, FourierFeatures, Gauss, Mfn, Siren, Wire

Weights = Mapping[str, NDArray[Any]]

#: Small ones of every network that is written out here; frequencies are low, so that rounding does not hide a fault.
NETWORKS: tuple[Model, ...] = (
    *(Scone(width=6, omegas=(9.0, 4.0, 2.0), omega0=7.0, mask=mask) for mask in ("sin2", "sin", "half", "linear")),
    Siren(width=6, layers=4, first_omega=9.0, omega=4.0),
    Finer(width=6, layers=4, first_omega=3.0, omega=2.0, first_bias=0.7),
    Gauss(width=6, layers=3, first_scale=2.0, scale=1.5),
    Wire(width=6, layers=3, first_omega=6.0, omega=4.0, scale=1.5),
    FourierFeatures(width=6, layers=3, frequencies=5, sigma=1.5),
    Mfn(width=6, products=3, input_scale=8.0),
    Mfn(width=6, products=2, input_scale=8.0, gabor=True),
)


def double(weights: Weights) -> dict[str, NDArray[np.float64]]:
    return {name: np.asarray(value, np.float64) for name, value in weights.items()}


def evaluate(model: Model, weights: Weights, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values in float64."""
    function = _FUNCTIONS[type(model)]
    with torch.no_grad():
        return function(model, _Layers(weights), torch.from_numpy(points)).numpy()


class _Layers:
    """Torch's linear layers made of the weights of the same name."""

    def __init__(self, weights: Weights) -> None:
        self.weights = {name: torch.from_numpy(np.asarray(value, np.float64)) for name, value in weights.items()}

    def __call__(self, name: str) -> nn.Linear:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        layer.load_state_dict({"weight": weight, "bias": bias})
        return layer


def _scone(model: Any, layer: _Layers, x: Tensor) -> Tensor:
    masks: dict[str, Callable[[Tensor], Tensor]] = {
        "sin2": lambda angle: torch.sin(angle).square(),
        "sin": torch.sin,
        "half": lambda angle: (1 + torch.sin(angle)) / 2,
        "linear": lambda angle: angle,
    }
    h = x
    for i, omega in enumerate(model.omegas):
        mask = masks[model.mask](model.omega0 * layer(f"mask.{i + 1}")(h))
        h = torch.sin(omega * layer(f"basis.{i + 1}")(x)) * mask
    return torch.as_tensor(layer("head")(h))


def _layered(activation: Callable[[Any, int, list[Tensor]], Tensor]) -> Callable[[Any, _Layers, Tensor], Tensor]:
    def function(model: Any, layer: _Layers, x: Tensor) -> Tensor:
        for i in range(1, model.layers):
            x = activation(model, i, [layer(f"{word}.{i}")(x) for word in model.maps])
        return torch.as_tensor(layer("head")(x))

    return function


def _siren(model: Any, i: int, z: list[Tensor]) -> Tensor:
    return torch.sin((model.first_omega if i == 1 else model.omega) * z[0])


def _finer(model: Any, i: int, z: list[Tensor]) -> Tensor:
    return torch.sin((model.first_omega if i == 1 else model.omega) * (z[0].abs() + 1) * z[0])


def _gauss(model: Any, i: int, z: list[Tensor]) -> Tensor:
    return torch.exp(-(((model.first_scale if i == 1 else model.scale) * z[0]) ** 2))


def _wire(model: Any, i: int, z: list[Tensor]) -> Tensor:
    omega = model.first_omega if i == 1 else model.omega
    return torch.cos(omega * z[0]) * torch.exp(-((model.scale * z[1]) ** 2))


def _fourier_features(model: Any, layer: _Layers, x: Tensor) -> Tensor:
    angles = 2 * math.pi * x @ layer.weights["frequencies"].T
    h = torch.cat([angles.sin(), angles.cos()], -1)
    return _layered(lambda model, i, z: nn.functional.relu(z[0]))(model, layer, h)


def _mfn(model: Any, layer: _Layers, x: Tensor) -> Tensor:
    def filtered(i: int) -> Tensor:
        wave = torch.sin(layer(f"filter.{i}")(x))
        if not model.gabor:
            return wave
        squares = torch.cdist(x, layer.weights[f"centre.{i}"]) ** 2
        return wave * torch.exp(-layer.weights[f"window.{i}"] / 2 * squares)

    h = filtered(1)
    for i in range(2, model.products + 2):
        h = filtered(i) * layer(f"layer.{i}")(h)
    return torch.as_tensor(layer("head")(h))


_FUNCTIONS: dict[type[Model], Callable[[Any, _Layers, Tensor], Tensor]] = {
    Scone: _scone,
    Siren: _layered(_siren),
    Finer: _layered(_finer),
    Gauss: _layered(_gauss),
    Wire: _layered(_wire),
    FourierFeatures: _fourier_features,
    Mfn: _mfn,
}
