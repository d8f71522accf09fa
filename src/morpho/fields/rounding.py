"""Training towards the weights that the file will hold: rounded for good part by part, or all of them at each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from morpho.fields.differentiable import TORCH
from morpho.fields.files import code
from morpho.fields.model import Model
from morpho.fields.quantise import best_scale, dequantise, diverged, quantise, step_size, widths

__all__ = ["Rounding", "error_costs", "least_size"]

#: The part of the size that is aimed at first, since weights still change while they settle.
_ROOM = 0.985
#: No tensor's errors count for less than this part of what those of the most important one do.
_LEAST_COST = 1e-8
#: Random signs that are drawn for each output's derivatives, each on other points.
_DRAWS = 16


class Rounding:
    """The rounding of a field's weights to so many bits, with step sizes as `morpho.fields.quantise` chooses them.

    Where the end of a fit is known, weights `settle`: a random part of them is rounded for good, then a further part,
    until all are, and those that are still free make up for it (Zhou et al., 2017). Where it may come at any step, all
    of them are rounded at each, ``w' = scale * clip(round(w / scale))``, with the gradient of the identity (Bengio et
    al., 2013): a worse way to the same number of bits, since the weights then never come to rest between two integers.
    On kodim07 after 3,000 steps, 24,000 weights of 6 bits had 30.5 dB settled and 29.2 dB so, in files of 16 kB; 18,000
    of 8 bits, in the same number of bytes, 30.2 and 30.0 dB, of 30.3 as floats.

    Args:
        shapes: of the tensors.
        bits: 2 to 12; or 16, which are half-precision numbers.
        seed: of the order in which weights settle.
        size: bytes that the weights may take in the file, 0 for any number. With one, the step sizes do not follow the
            bits but the size: a tensor's is inverse to the root of what the error of a weight costs there, so that all
            weights cost alike, and their common factor is the least with which the code keeps within the size.

    >>> rounding = Rounding({"w": (3,)}, 2)
    >>> rounding.follow({"w": torch.tensor([-0.5, 0.1, 0.5])})
    >>> rounding({"w": torch.tensor([-0.5, 0.1, 0.4])})["w"].tolist()
    [-0.5, 0.0, 0.5]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], bits: int, seed: int = 0, size: int = 0) -> None:
        self.bits, self.seed, self.size = bits, seed, size
        self.shapes = dict(shapes)
        self.widths = dict.fromkeys(shapes, 16) if size else widths(shapes, bits) if bits < 16 else {}
        self.scales: dict[str, float] = {}
        self.share = 0.0
        self.settled: dict[str, Tensor] = {}
        self._orders: dict[str, Tensor] = {}

    def follow(self, tensors: Mapping[str, Tensor], costs: Mapping[str, float] | None = None) -> None:
        """Choose the step sizes anew: where the squared error of the weights is least, or as the size has it.

        Args:
            tensors: the weights.
            costs: what errors cost by tensor, see `error_costs`; by default all are alike. They count only where there
                is a size.
        """
        arrays = {name: tensors[name].detach().cpu().numpy() for name in self.widths}
        if self.size:
            self.scales = _finest(arrays, costs or dict.fromkeys(arrays, 1.0))
            self._keep_within(arrays, _ROOM * self.size)
        else:
            self.scales = {name: best_scale(array, self.widths[name]) for name, array in arrays.items()}

    def settle(self, tensors: Mapping[str, Tensor], share: float, costs: Mapping[str, float] | None = None) -> None:
        """Let this share of each tensor be rounded for good, as its weights are now; those that are already stay so.

        The step sizes are chosen at the first call.

        Args:
            tensors: the weights.
            share: 0 to 1; never less than before.
            costs: as `follow` has them.
        """
        if not self.settled:
            self.follow(tensors, costs)
        kept = self.partly(tensors)
        self.settled = {name: self._rounded(name, tensor.detach()) for name, tensor in kept.items()}
        self.share = share

    def partly(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the settled weights, and the others as they are; gradients reach only those."""
        if not self.settled:
            return dict(tensors)
        return {
            name: torch.where(self._is_settled(name).to(tensor.device), self.settled[name].to(tensor.device), tensor)
            for name, tensor in tensors.items()
        }

    def __call__(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the rounded weights; gradients reach the given ones unchanged."""
        return {
            name: tensor + (self._rounded(name, tensor.detach()) - tensor.detach()) for name, tensor in tensors.items()
        }

    def exact(self, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return the weights as they will be in the file, to the last bit.

        Where they take more than the size in spite of all, the step sizes grow once more.
        """
        if self.settled:
            plain = self.partly({name: torch.from_numpy(array) for name, array in tensors.items()})
            tensors = {name: tensor.numpy() for name, tensor in plain.items()}
        if self.bits == 16:
            return {name: array.astype(np.float16).astype(np.float32) for name, array in tensors.items()}
        self._keep_within(tensors, self.size)
        return self._whole(tensors)

    def _keep_within(self, tensors: Mapping[str, NDArray[np.float32]], size: float) -> None:
        """Enlarge the step sizes until the weights take no more than so many bytes, if that is asked for."""
        count = sum(array.size for array in tensors.values())
        start, factor = dict(self.scales), 1.0
        while size and (excess := len(code(self._whole(tensors), self.scales)) - size) > 0:
            factor *= max(1.01, 2 ** (8 * excess / count))  # twice the step takes a bit less for each weight
            self.scales = {name: step_size(factor * scale) for name, scale in start.items()}

    def _whole(self, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return {
            name: dequantise(*quantise(array, self.widths[name], self.scales[name])) for name, array in tensors.items()
        }

    def _rounded(self, name: str, tensor: Tensor) -> Tensor:
        if self.bits == 16:
            return tensor.half().float()
        top = 2 ** (self.widths[name] - 1) - 1
        return (tensor / self.scales[name]).round().clamp(-top, top) * self.scales[name]

    def _is_settled(self, name: str) -> Tensor:
        """Tell of each weight whether it is, in an order that the seed decides."""
        if name not in self._orders:
            random = np.random.default_rng((self.seed, list(self.shapes).index(name)))
            self._orders[name] = torch.from_numpy(random.random(self.shapes[name], np.float32))
        return self._orders[name] < self.share

    def state_dict(self) -> dict[str, Any]:
        """The step sizes, and what is settled."""
        return {"scales": dict(self.scales), "share": self.share, "settled": dict(self.settled)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with them."""
        self.scales, self.share, self.settled = dict(state["scales"]), state["share"], dict(state["settled"])


def least_size(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the bytes that weights take however coarse they are: two per tensor, a bit per weight, the code's end.

    >>> least_size({"weight": (32, 32), "bias": (32,)})
    144
    """
    count = sum(math.prod(shape) for shape in shapes.values())
    return math.ceil((2 * len(shapes) + count / 8 + 5) / _ROOM)


def error_costs(
    model: Model, tensors: Mapping[str, Tensor], coordinates: Tensor, source: torch.Generator
) -> dict[str, float]:
    """Return by tensor what a small error of a weight costs: the sum of the outputs' squared derivatives, on the mean.

    A sum with random signs has the sum of squares as its mean square (Hutchinson, 1990), so that a few backward passes
    stand for one per point and output.

    Args:
        model: the function.
        tensors: its weights, trained or not.
        coordinates: ``(N, d)``.
        source: of the signs, on the coordinates' device.
    """
    free = {name: tensor.detach().requires_grad_() for name, tensor in tensors.items()}
    costs = dict.fromkeys(free, 0.0)
    for chunk in coordinates.chunk(_DRAWS):
        outputs = model.apply(TORCH, free, chunk)
        signs = torch.randint(0, 2, outputs.shape, generator=source, device=outputs.device).mul_(2).sub_(1)
        slopes = torch.autograd.grad((signs * outputs).sum(), list(free.values()), materialize_grads=True)
        for name, slope in zip(free, slopes, strict=True):
            costs[name] += float(slope.square().mean())
    return costs


def _finest(tensors: Mapping[str, NDArray[np.float32]], costs: Mapping[str, float]) -> dict[str, float]:
    """Return step sizes in the right proportion, of which at least one leaves no room for a finer one."""
    largest = {name: float(np.abs(array).max(initial=0)) for name, array in tensors.items()}
    if not math.isfinite(sum(largest.values()) + sum(costs.values())):
        raise diverged()
    floor = max(_LEAST_COST * max(costs.values()), 1e-300)
    relative = {name: max(costs[name], floor) ** -0.5 for name in tensors}
    factor = max(value / relative[name] for name, value in largest.items()) / (2**15 - 1)
    return {name: step_size(1.01 * factor * value) for name, value in relative.items()}
