"""Layers whose weights are chains: in the place of nn.Linear, nn.Conv1d and nn.Conv2d."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.butterfly import quick
from morpho.butterfly.chain import Chain
from morpho.butterfly.factor import Factor
from morpho.butterfly.kernel import Packed, pack
from morpho.butterfly.plan import Plan, best_plan, bucket, dense_plan, quick_plan
from morpho.butterfly.products import from_rows, merge, to_rows, with_columns
from morpho.errors import InputError

__all__ = ["Butterfly", "ButterflyConv1d", "ButterflyConv2d", "ButterflyLinear", "columns_of"]

Order = Literal["channel", "spatial"]

#: Columns that are worked on at once: the numbers on the way then stay in a core's cache.
_CHUNK = 256
#: For how many plans merged weights are kept.
_KEPT = 4
#: For how many columns a compiled or exported layer is planned.
_COMPILED_COLUMNS = 256


class Butterfly(nn.Module):
    """What all layers have in common: factors, a bias, and plans for multiplying them.

    Attributes:
        chain: the shape of the weights.
        factors: weights ``(g, r, s, t)``, the right-most first.
        bias: ``(out,)`` or None.
        plan: fixes how factors are merged, and that torch multiplies them; None chooses by the size of the input, and
            for inference on a processor takes the compiled loops of `morpho.butterfly.kernel` where they are faster.
    """

    bias: nn.Parameter | None
    _kernel_places = 1

    def __init__(self, chain: Chain, size: tuple[int, int], *, bias: bool, seed: int) -> None:
        super().__init__()
        m, n = size
        if chain.m < m or chain.n < n:
            raise InputError(f"a chain of {chain.m} x {chain.n} is too small for a layer of {m} x {n}")
        self.chain, self.size = chain, (m, n)
        self.plan: Plan | None = None
        self._usual = best_plan(chain, _COMPILED_COLUMNS, kernel=self._kernel_places)
        self.factors = nn.ParameterList(nn.Parameter(torch.empty(factor.shape)) for factor in chain.factors)
        self.bias = nn.Parameter(torch.empty(m)) if bias else None
        self._kept: dict[tuple[int, ...], tuple[Any, list[tuple[Factor, Tensor]], list[Tensor]]] = {}
        self._packed: tuple[Any, Packed | None, list[Tensor]] | None = None
        self._plans: dict[tuple[int, bool], Plan] = {}
        self._quick_plans: dict[int, Plan | None] = {}
        self.reset_parameters(seed)

    @torch.no_grad()
    def reset_parameters(self, seed: int = 0, *, gain: float = 1.0) -> None:
        """Draw new weights that keep the variance of the inputs: every factor adds up ``s`` numbers.

        Args:
            seed: of the draw.
            gain: factor on the standard deviation of the whole layer; the square root of 2 before a ReLU.
        """
        device = self.factors[0].device
        random = torch.Generator().manual_seed(seed)
        unused = self.chain.n / self.size[1]  # columns that only see the padding's zeros
        for number, (factor, weights) in enumerate(zip(self.chain.factors, self.factors, strict=True)):
            spread = (gain * unused**0.5 if number == 0 else 1.0) / factor.s**0.5
            weights.copy_((torch.randn(factor.shape, generator=random) * spread).to(device))
        if self.bias is not None:
            bound = self.size[1] ** -0.5
            self.bias.copy_(torch.empty(self.size[0]).uniform_(-bound, bound, generator=random).to(device))

    @torch.no_grad()
    def set_weights(self, weights: Sequence[Any]) -> None:
        """Take weights over, such as those of a projection.

        Args:
            weights: an array or tensor ``(g, r, s, t)`` per factor, the right-most first.

        Raises:
            InputError: there are too few or too many, or one has another shape.
        """
        self.chain.check(weights)
        for own, given in zip(self.factors, weights, strict=True):
            own.copy_(given if isinstance(given, Tensor) else torch.from_numpy(np.ascontiguousarray(given)))

    def dense_matrix(self) -> Tensor:
        """The product of all factors, ``(out, in)``, differentiably; padding is cut off."""
        return self._cut(merge(self.chain.factors, list(self.factors))[1])

    def extra_repr(self) -> str:
        """The chain, for printing."""
        return f"{self.chain}, bias={self.bias is not None}"

    def _cut(self, weights: Tensor) -> Tensor:
        m, n = self.size
        return weights.reshape(self.chain.m, self.chain.n)[:m, :n]

    def _plan(self, columns: int) -> Plan:
        if self.plan is not None:
            return self.plan
        if _is_traced():
            return self._usual
        size, training = bucket(columns), torch.is_grad_enabled()
        if (size, training) not in self._plans:  # the hash of a chain takes as long as a small product
            plan = best_plan(self.chain, size, training=training, kernel=self._kernel_places)
            self._plans[size, training] = plan
        return self._plans[size, training]

    def _merged(self, plan: Plan) -> list[tuple[Factor, Tensor]]:
        """Patterns and weights of a plan's groups; kept while they cannot change."""
        traced = _is_traced()
        if torch.is_grad_enabled() and not traced:
            self._forget()  # fused optimisers write to weights without a trace, after a call with gradients
        state = None if torch.is_grad_enabled() or traced else self._state()
        keep = state is not None
        if keep and plan.ends in self._kept and self._kept[plan.ends][0] == state:
            return self._kept[plan.ends][1]
        weights = list(self.factors)
        merged = [merge(self.chain.factors[group], weights[group]) for group in plan.groups()]
        if plan.is_dense:
            merged = [(plan.patterns[0], self._shaped(merged[0][1]))]
        if keep:
            merged = [(pattern, product.contiguous()) for pattern, product in merged]
            others = self._kept if len(self._kept) < _KEPT else {}
            self._kept = {**others, plan.ends: (state, merged, self._memory())}
        return merged

    def _shaped(self, weights: Tensor) -> Tensor:
        """The product of all factors as a dense layer's weight."""
        return self._cut(weights)

    def _quick(self, inputs: Tensor, columns: int) -> tuple[Packed, Tensor] | None:
        """Weights for the compiled loops, and the bias, where those can be used and are predicted to be the fastest."""
        if _is_traced() or self.plan is not None or not quick.takes(inputs):
            return None
        size = bucket(columns)
        if size not in self._quick_plans:
            self._quick_plans[size] = quick_plan(self.chain, size, kernel=self._kernel_places)
        plan = self._quick_plans[size]
        if plan is None:
            return None
        state = self._state()
        if state is None:
            return None
        if self._packed is None or self._packed[0] != state:
            self._packed = state, self._pack(plan), self._memory()
        if self._packed[1] is None:
            return None
        bias = torch.zeros(self.size[0]) if self.bias is None else self.bias.contiguous()
        return self._packed[1], bias

    def _pack(self, plan: Plan) -> Packed | None:
        """Merged weights for the compiled loops, if those can read them."""
        own = [*self.factors, *([] if self.bias is None else [self.bias])]
        if any(weights.dtype != torch.float32 or weights.device.type != "cpu" for weights in own):
            return None
        merged = [merge(self.chain.factors[group], own[group]) for group in plan.groups()]
        return pack(plan.patterns, [weights.numpy() for _, weights in merged])

    def _state(self) -> list[Any] | None:
        """What changes with the weights, or with the type in which they are merged; None where changes leave no trace.

        Weights that were made in inference mode do not count how often they are written to.
        """
        own: list[Any] = list(self.factors._parameters.values())  # much faster than the list's own iterator
        if self.bias is not None:
            own.append(self.bias)
        if any(w.is_inference() for w in own):
            return None
        device = own[0].device.type
        cast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        return [cast, *((w.data_ptr(), w._version, w.dtype) for w in own)]

    def _memory(self) -> list[Tensor]:
        """The memory of all weights: while it is held, no others can come to lie there and be taken for these."""
        return [w.detach() for w in self.parameters()]

    def train(self, mode: bool = True) -> Self:
        """Set the mode, and forget merged weights: whoever writes to ``weight.data`` leaves no other trace."""
        self._forget()
        return super().train(mode)

    def _forget(self) -> None:
        self._kept, self._packed = {}, None

    def __getstate__(self) -> dict[str, Any]:
        """Copies and files hold no merged weights."""
        return {**self.__dict__, "_kept": {}, "_packed": None}


class ButterflyLinear(Butterfly):
    """A linear layer, ``(..., in)`` to ``(..., out)``.

    Args:
        chain: of at least out x in; what is larger is padded with zeros and cut off.
        in_features: numbers per input; the chain's by default.
        out_features: numbers per output; the chain's by default.
        bias: whether there is one.
        seed: of the first weights.

    Raises:
        InputError: the chain is too small.

    >>> layer = ButterflyLinear(Chain.parse("(8,9)(2,2)(2,4)"))
    >>> layer(torch.zeros(5, 72)).shape, sum(weights.numel() for weights in layer.factors)
    (torch.Size([5, 32]), 832)
    """

    def __init__(
        self,
        chain: Chain,
        *,
        in_features: int | None = None,
        out_features: int | None = None,
        bias: bool = True,
        seed: int = 0,
    ) -> None:
        self.in_features = in_features or chain.n
        self.out_features = out_features or chain.m
        super().__init__(chain, (self.out_features, self.in_features), bias=bias, seed=seed)

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply; the last axis is that of the features."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        if inputs.shape[-1] != self.in_features:
            raise InputError(f"inputs of {inputs.shape[-1]} numbers do not fit a layer of {self.in_features}")
        packed = self._quick(inputs, rows.shape[0])
        if packed is not None:
            return quick.multiply_rows(packed[0], rows, packed[1]).reshape(*inputs.shape[:-1], self.out_features)
        plan = self._plan(rows.shape[0])
        merged = self._merged(plan)
        if plan.is_dense:
            return functional.linear(inputs, merged[0][1], self.bias)
        if self.in_features < self.chain.n:
            rows = functional.pad(rows, (0, self.chain.n - self.in_features))
        outputs = _through(merged, rows)[:, : self.out_features]
        if self.bias is not None:
            outputs = outputs + self.bias
        return outputs.reshape(*inputs.shape[:-1], self.out_features)

    def merge(self) -> nn.Linear:
        """The same as one dense layer."""
        dense = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        _fill(dense, self, self.dense_matrix())
        return dense


class _ButterflyConv(Butterfly):
    """A convolution of one or two dimensions."""

    _dense: type[nn.Conv1d | nn.Conv2d]
    _dimensions: int

    def __init__(
        self,
        chain: Chain,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        bias: bool = True,
        order: Order = "channel",
        seed: int = 0,
    ) -> None:
        if order not in ("channel", "spatial"):
            raise InputError(f"the order {order!r} of columns is not known: use channel or spatial")
        self.in_channels, self.out_channels, self.order = in_channels, out_channels, order
        self.kernel_size = self._tuple(kernel_size)
        self.stride, self.padding = self._tuple(stride), self._tuple(padding)
        self.dilation = self._tuple(dilation)
        self._kernel_places = prod(self.kernel_size)
        super().__init__(chain, (out_channels, in_channels * self._kernel_places), bias=bias, seed=seed)

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve ``(N, in, ...)`` to ``(N, out, ...)``."""
        count = inputs.shape[0] * prod(inputs.shape[2:]) // prod(self.stride)
        packed = self._quick(inputs, count)
        if packed is not None:
            return self._quickly(inputs, *packed)
        plan = self._plan(count)
        merged = self._merged(plan)
        if plan.is_dense:
            return self._convolve(inputs, merged[0][1], self.bias)
        columns, shape = self._first_columns(inputs, *merged[0])
        for pattern, weights in merged[1:]:
            columns = with_columns(pattern, weights, columns)
        columns = columns[: self.out_channels]
        if self.bias is not None:
            columns = columns + self.bias[:, None]
        return columns.reshape(self.out_channels, *shape).transpose(0, 1).contiguous()

    def _quick(self, inputs: Tensor, columns: int) -> tuple[Packed, Tensor] | None:
        places = zip(inputs.shape[2:], self.padding, self.dilation, self.kernel_size, strict=False)
        fits = inputs.ndim == 2 + self._dimensions and inputs.shape[1] == self.in_channels
        fits = fits and all(size + 2 * pad > step * (window - 1) for size, pad, step, window in places)
        whole = self.chain.n % self._kernel_places == 0 and (self.order == "channel" or self._kernel_places == 1)
        return super()._quick(inputs, columns) if fits and whole else None

    def _quickly(self, inputs: Tensor, packed: Packed, bias: Tensor) -> Tensor:
        if self._kernel_places == 1 and not any(self.padding):
            seen = inputs[(slice(None), slice(None), *(slice(None, None, step) for step in self.stride))]
            return quick.multiply_places(packed, seen.flatten(2), bias).reshape(len(seen), -1, *seen.shape[2:])
        sizes = {"kernel": self.kernel_size, "stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        if self._dimensions == 2:
            return quick.multiply_windows(packed, inputs, bias, **sizes)
        flat = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}
        rows = {name: (flat[name], *size) for name, size in sizes.items()}
        return quick.multiply_windows(packed, inputs[:, :, None], bias, **rows)[:, :, 0]

    def _first_columns(self, inputs: Tensor, first: Factor, weights: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The first group's outputs as columns, one per place, and the shape of all places."""
        kernel = prod(self.kernel_size)
        if kernel == 1:
            steps = tuple(slice(None, None, step) for step in self.stride)
            seen = inputs[(slice(None), slice(None), *steps)]
            return with_columns(first, weights, seen.transpose(0, 1).flatten(1)), (seen.shape[0], *seen.shape[2:])
        if first.s == kernel:  # depthwise convolutions of one output per channel have the fastest kernels
            parts = [
                self._convolve(inputs, weights[:, i, :, 0].reshape(-1, 1, *self.kernel_size), None, first.g)
                for i in range(first.r)
            ]
            stacked = torch.stack([part.transpose(0, 1) for part in parts], 1)
            return stacked.reshape(first.p, -1), (stacked.shape[2], *stacked.shape[3:])
        seen = self._convolve(inputs, weights.reshape(first.p, -1, *self.kernel_size), None, first.g)
        return seen.transpose(0, 1).reshape(first.p, -1), (seen.shape[0], *seen.shape[2:])

    def _convolve(self, inputs: Tensor, kernel: Tensor, bias: Tensor | None, groups: int = 1) -> Tensor:
        options = (self.stride, self.padding, self.dilation, groups)
        if self._dimensions == 1:
            return functional.conv1d(inputs, kernel, bias, *options)
        return functional.conv2d(inputs, kernel, bias, *options)

    def dense_weight(self) -> Tensor:
        """The kernel of the same convolution, ``(out, in, ...)``, differentiably."""
        return self._shaped(merge(self.chain.factors, list(self.factors))[1])

    def merge(self) -> nn.Conv1d | nn.Conv2d:
        """The same as one dense layer."""
        options: dict[str, Any] = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        kernel: Any = self.kernel_size
        dense = self._dense(self.in_channels, self.out_channels, kernel, bias=self.bias is not None, **options)
        _fill(dense, self, self.dense_weight())
        return dense

    def extra_repr(self) -> str:
        """The chain and the options, for printing."""
        kernel = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return f"{super().extra_repr()}, {kernel}, order={self.order}"

    def _shaped(self, weights: Tensor) -> Tensor:
        matrix = self._cut(weights)
        if self.order == "channel":
            return matrix.reshape(self.out_channels, self.in_channels, *self.kernel_size)
        return matrix.reshape(self.out_channels, *self.kernel_size, self.in_channels).movedim(-1, 1).contiguous()

    def _plan(self, columns: int) -> Plan:
        whole = self.chain.n == self.size[1] and self.order == "channel"
        padded = prod(self.kernel_size) == 1 and any(self.padding)
        return super()._plan(columns) if whole and not padded else dense_plan(self.chain)

    def _tuple(self, value: int | Sequence[int]) -> tuple[int, ...]:
        return (value,) * self._dimensions if isinstance(value, int) else tuple(value)


class ButterflyConv1d(_ButterflyConv):
    """A convolution ``(N, in, L)``; with a kernel of 1, the same linear map at every place or point."""

    _dense, _dimensions = nn.Conv1d, 1


class ButterflyConv2d(_ButterflyConv):
    """A convolution ``(N, in, H, W)`` as a depthwise one and a hierarchy of grouped, shuffled pointwise ones.

    The chain's columns are counted channel by channel (``channel``): factors up to the kernel's size act on windows
    of single channels, without unfolding the picture, and later ones mix channels. Published chain files count
    position by position (``spatial``): such layers are multiplied out to a dense kernel.

    Args:
        chain: of at least out x (in * kernel height * kernel width).
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: height and width.
        stride: see nn.Conv2d, as are padding and dilation.
        padding: zeros around.
        dilation: spacing of the kernel.
        bias: whether there is one.
        order: ``channel`` or ``spatial``.
        seed: of the first weights.

    Raises:
        InputError: the chain is too small.

    >>> layer = ButterflyConv2d(Chain.parse("(2,9)(4,8)(2,2)"), 16, 16, 3, padding=1)
    >>> layer(torch.zeros(1, 16, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    _dense, _dimensions = nn.Conv2d, 2


def columns_of(weight: Tensor, order: Order) -> Tensor:
    """A layer's weights as a matrix ``(out, columns)`` in the order of a butterfly's columns.

    >>> columns_of(torch.arange(8).reshape(1, 2, 2, 2), "spatial")
    tensor([[0, 4, 1, 5, 2, 6, 3, 7]])
    """
    if order == "spatial" and weight.ndim > 2:
        weight = weight.movedim(1, -1)
    return weight.reshape(weight.shape[0], -1)


def _through(merged: Sequence[tuple[Factor, Tensor]], rows: Tensor) -> Tensor:
    """Multiply groups by inputs ``(B, n)``, some at a time."""
    if not _is_traced() and rows.shape[0] > 2 * _CHUNK:
        return torch.cat([_through(merged, part) for part in torch.split(rows, _CHUNK)])
    columns = from_rows(*merged[0], rows)
    for pattern, weights in merged[1:-1]:
        columns = with_columns(pattern, weights, columns)
    return to_rows(*merged[-1], columns)


def _fill(dense: nn.Linear | nn.Conv1d | nn.Conv2d, layer: Butterfly, weight: Tensor) -> None:
    with torch.no_grad():
        dense.to(device=weight.device, dtype=weight.dtype).train(layer.training)
        dense.weight.copy_(weight)
        if dense.bias is not None and layer.bias is not None:
            dense.bias.copy_(layer.bias)


def _is_traced() -> bool:
    """Whether the code is compiled or exported: nothing may depend on the size of a batch then, or be kept."""
    return torch.compiler.is_compiling() or bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]
