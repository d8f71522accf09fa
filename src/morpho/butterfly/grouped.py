"""Butterflies in the form in which runtimes are fast: convolutions in groups, and channels in another order.

A factor ``(g, r, s, t)`` mixes s channels that lie t apart. With the channels in the order (g, t, s) these are
neighbours, and the factor is one convolution in g t groups. Between two factors both reorderings are one, and the
last one can be done later: `morpho.butterfly.reordered` moves it past what treats all channels alike.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.butterfly.factor import Factor
from morpho.butterfly.layers import ButterflyConv1d, ButterflyConv2d, ButterflyLinear
from morpho.butterfly.plan import Plan, best_plan, bucket, dense_plan, plans
from morpho.butterfly.products import from_rows, merge, to_rows, with_columns

__all__ = ["GroupedConv", "GroupedLinear", "in_fast_form"]

AnyButterfly = ButterflyLinear | ButterflyConv1d | ButterflyConv2d


class GroupedConv(nn.Module):
    """A butterfly of the kind convolution, for inference: one convolution in groups for each group of factors.

    Args:
        layer: whose weights it multiplies out and copies; its chain must be as wide as its windows.
        plan: how the layer's factors are grouped; the first group must cover whole windows.

    >>> from morpho.butterfly import Chain
    >>> layer = ButterflyConv1d(Chain.parse("(2,4)(4,2)"), 8, 8, 1)
    >>> form = GroupedConv(layer, plans(layer.chain)[1])
    >>> x = torch.linspace(-1, 1, 40).reshape(1, 8, 5)
    >>> torch.allclose(form(x), layer(x), atol=1e-6)
    True
    """

    bias: Tensor
    kernel0: Tensor
    last: Tensor | None

    def __init__(self, layer: ButterflyConv1d | ButterflyConv2d, plan: Plan) -> None:
        super().__init__()
        groups = [merge(layer.chain.factors[group], list(layer.factors)[group]) for group in plan.groups()]
        self.groups = [pattern.g * pattern.t for pattern, _ in groups]
        self.options = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
        self.one_dimension = isinstance(layer, ButterflyConv1d)
        order: Tensor | None = None
        for number, (pattern, weights) in enumerate(groups):
            # The first group counts channels and places of windows; its t is 1, and its channels are in order.
            order = None if number == 0 else _composed(order, _grouped(pattern))
            self.register_buffer(f"order{number}", order)
            window = layer.kernel_size if number == 0 else tuple(1 for _ in layer.kernel_size)
            kernel = weights.detach().permute(0, 3, 1, 2).reshape(pattern.p, pattern.s // prod(window), *window)
            self.register_buffer(f"kernel{number}", kernel.contiguous())
            order = _back(pattern)
        self._finish(layer, order)

    def _finish(self, layer: ButterflyConv1d | ButterflyConv2d, order: Tensor | None) -> None:
        """The order of the outputs, without those that only pad, and the bias in the order of the last convolution."""
        bias = self.kernel0.new_zeros(layer.chain.m)
        if layer.bias is not None:
            bias[: layer.out_channels] = layer.bias.detach()
        self.register_buffer("bias", bias if order is None else torch.empty_like(bias).index_copy_(0, order, bias))
        if layer.out_channels < layer.chain.m:
            order = (torch.arange(layer.chain.m) if order is None else order)[: layer.out_channels]
        self.register_buffer("last", order)

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve ``(N, in, ...)`` to ``(N, out, ...)``."""
        convolve = functional.conv1d if self.one_dimension else functional.conv2d
        for number, groups in enumerate(self.groups):
            seen = _reordered(inputs, getattr(self, f"order{number}"))
            bias = self.bias if number == len(self.groups) - 1 else None
            options = self.options if number == 0 else {}
            inputs = convolve(seen, self.get_buffer(f"kernel{number}"), bias, groups=groups, **options)
        return _reordered(inputs, self.last)


class GroupedLinear(nn.Module):
    """A linear butterfly, for inference: one batched product for each group of factors, with constant weights.

    Args:
        layer: whose weights it multiplies out and copies.
        plan: how the layer's factors are grouped, in two groups or more.
    """

    bias: Tensor | None

    def __init__(self, layer: ButterflyLinear, plan: Plan) -> None:
        super().__init__()
        self.patterns = plan.patterns
        self.padding, self.out_features = layer.chain.n - layer.in_features, layer.out_features
        for number, group in enumerate(plan.groups()):
            _, weights = merge(layer.chain.factors[group], list(layer.factors)[group])
            self.register_buffer(f"weights{number}", weights.detach().contiguous())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Multiply; the last axis is that of the features."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        if self.padding:
            rows = functional.pad(rows, (0, self.padding))
        weights = [self.get_buffer(f"weights{number}") for number in range(len(self.patterns))]
        columns = from_rows(self.patterns[0], weights[0], rows)
        for pattern, own in zip(self.patterns[1:-1], weights[1:-1], strict=True):
            columns = with_columns(pattern, own, columns)
        outputs = to_rows(self.patterns[-1], weights[-1], columns)[:, : self.out_features]
        outputs = outputs if self.bias is None else outputs + self.bias
        return outputs.reshape(*inputs.shape[:-1], self.out_features)


def in_fast_form(layer: AnyButterfly, columns: int) -> nn.Module:
    """The form of a layer that is predicted to be the fastest, with factors multiplied out; dense where that is it.

    Args:
        layer: any butterfly; left as it is.
        columns: input vectors, or positions, at once; 0 multiplies nothing out, for the smallest file.
    """
    plan = _plan(layer, columns)
    if plan.is_dense:
        return layer.merge()
    return GroupedLinear(layer, plan) if isinstance(layer, ButterflyLinear) else GroupedConv(layer, plan)


def _plan(layer: AnyButterfly, columns: int) -> Plan:
    kernel = 1 if isinstance(layer, ButterflyLinear) else prod(layer.kernel_size)
    if not isinstance(layer, ButterflyLinear) and (layer.order != "channel" or layer.chain.n != layer.size[1]):
        return dense_plan(layer.chain)
    if layer.plan is not None:
        return layer.plan
    if columns:
        return best_plan(layer.chain, bucket(columns), kernel=kernel)
    fitting = [plan for plan in plans(layer.chain) if plan.is_dense or plan.patterns[0].s % kernel == 0]
    return min(fitting, key=lambda plan: plan.parameters)


def _reordered(inputs: Tensor, order: Tensor | None) -> Tensor:
    return inputs if order is None else inputs.index_select(1, order)


def _grouped(pattern: Factor) -> Tensor | None:
    """Where a convolution's inputs (g, t, s) are among those of its factor, (g, s, t); None if that is the same."""
    if pattern.s == 1 or pattern.t == 1:
        return None
    return torch.arange(pattern.q).reshape(pattern.g, pattern.s, pattern.t).transpose(1, 2).flatten()


def _back(pattern: Factor) -> Tensor | None:
    """Where a factor's outputs (g, r, t) are among those of its convolution, (g, t, r)."""
    if pattern.r == 1 or pattern.t == 1:
        return None
    return torch.arange(pattern.p).reshape(pattern.g, pattern.t, pattern.r).transpose(1, 2).flatten()


def _composed(first: Tensor | None, then: Tensor | None) -> Tensor | None:
    if first is None or then is None:
        return then if first is None else first
    return first[then]
