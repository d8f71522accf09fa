"""Turn the layers of a trained network into butterflies, within a budget of parameters for the whole network."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from morpho.butterfly.chain import Chain
from morpho.butterfly.layers import ButterflyConv1d, ButterflyConv2d, ButterflyLinear, columns_of
from morpho.butterfly.project import project
from morpho.butterfly.report import LayerReport, Report
from morpho.butterfly.search import Candidate, Family, allocate, front
from morpho.callable_module import make_callable
from morpho.errors import InputError
from morpho.nets import count_parameters as count_parameters

__all__ = ["Compressed", "Policy", "butterfly_of", "convert", "convertible", "count_parameters"]

Matrix: TypeAlias = NDArray[Any]
#: Gives the chain of a layer by its name and its matrix's size ``(m, n)``; None keeps the layer as it is.
Policy: TypeAlias = Callable[[str, int, int], Chain | None]
Order = Literal["channel", "spatial"]
Initialise = Literal["project", "random"]

_REPLACED = (nn.Linear, nn.Conv1d, nn.Conv2d)
#: These do not call the linear layers in them, at least at times, but read their weights.
_READERS = (nn.MultiheadAttention, nn.TransformerEncoderLayer)


@dataclass(frozen=True)
class Compressed:
    """A converted network.

    Attributes:
        model: a copy of the network whose layers are butterflies.
        report: what became of each layer.
    """

    model: nn.Module
    report: Report


def convert(
    model: nn.Module,
    *,
    budget: float | None = None,
    policy: Policy | Mapping[str, Chain] | None = None,
    family: Family = "debut",
    keep: Sequence[str] = (),
    order: Order = "channel",
    initialise: Initialise = "project",
    single: bool = True,
    sample: Tensor | None = None,
    seed: int = 0,
) -> Compressed:
    """Replace the Linear and Conv layers of a network by butterflies, with weights projected from its own.

    With a budget, chains are searched for every layer: candidates are ranked by how well they approximate the layer's
    weights, and the budget is shared out so that the sum of squared relative errors is smallest. A layer may stay a
    single dense factor where that is the best use of the budget. The network itself is left as it is.

    Args:
        model: any network; what is no Linear or Conv layer stays.
        budget: parameters of the result: a part of the network's own (below 1), or a number of them.
        policy: the chain of each layer instead of a search, by a function or by the layers' names.
        family: ``debut``; or ``general``, ``monarch`` or ``low_rank``, for comparison.
        keep: names of layers that stay as they are.
        order: how the columns of a convolution's matrix are counted, see `ButterflyConv2d`.
        initialise: ``project`` approximates the weights; ``random`` begins anew.
        single: whether the search may leave a layer as one dense factor.
        sample: inputs for the network: MACs are then counted, and errors weighted by the size of activations.
        seed: of random weights.

    Returns:
        The converted copy and a report with one row per layer; layers that were kept say why.

    Raises:
        InputError: budget and policy are both given or both missing, or the budget cannot be met; the sentence says
            what can.
    """
    if (budget is None) == (policy is None):
        raise InputError("give either a budget or a policy of chains")
    for what, value, known in (("beginning", initialise, get_args(Initialise)), ("order", order, get_args(Order))):
        if value not in known:
            raise InputError(f"the {what} {value!r:.40} is not known: use {' or '.join(known)}")
    result = copy.deepcopy(model)
    seen = _observe(result, sample)
    found, kept = _sort_out(result, keep)
    if policy is None:
        assert budget is not None
        chosen = _searched(result, found, _limit(result, budget), family, order, single, seen)
    else:
        chosen = _by_policy(found, policy, kept)
    rows = [_kept_row(model, name, reason, seen) for name, reason in kept.items()]
    for name, chain in ((name, chosen[name]) for name in found if name in chosen):
        layer, row = _converted(found[name], name, chain, order, initialise, seed, seen.get(name))
        result = _put(result, found[name], layer)
        rows.append(row)
    return Compressed(result, _report(model, result, rows))


def _report(model: nn.Module, result: nn.Module, rows: list[LayerReport]) -> Report:
    """Rows in the network's order, and its totals."""
    names = [name for name, _ in model.named_modules()]
    ordered = tuple(sorted(rows, key=lambda row: names.index(row.name)))
    return Report(ordered, parameters=count_parameters(result), dense_parameters=count_parameters(model))


def convertible(module: nn.Module) -> str | None:
    """Why a layer with weights cannot become a butterfly; an empty text where it can; None where it has none.

    >>> convertible(nn.Conv2d(4, 4, 3, groups=2)), convertible(nn.ReLU()) is None
    ('its convolution has 2 groups', True)
    """
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        if module.groups != 1:
            return f"its convolution has {module.groups} groups"
        if module.padding_mode != "zeros":
            return f"its padding is {module.padding_mode!r}"
        if isinstance(module.padding, str):
            return "its padding is given by name"
        return "" if module.weight.requires_grad else "its weights are not trained"
    if isinstance(module, nn.Linear):
        return "" if module.weight.requires_grad else "its weights are not trained"
    direct = [parameter for parameter in module.parameters(recurse=False) if parameter.ndim > 1]
    return f"a {type(module).__name__} is no Linear or Conv layer" if direct else None


def _sort_out(model: nn.Module, keep: Sequence[str]) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Layers to convert by name, and why the others stay."""
    layers = {name: module for name, module in model.named_modules() if convertible(module) is not None}
    unknown = [name for name in keep if name not in layers]
    if unknown:
        raise InputError(f"the network has no layer {unknown[0]!r}: its layers are {', '.join(layers)}")
    found, kept = {}, {}
    uses = Counter(id(weight) for module in model.modules() for weight in module.parameters(recurse=False))
    readers = {
        id(child): type(module).__name__
        for module in model.modules()
        if isinstance(module, _READERS)
        for child in module.children()
    }
    for name, module in layers.items():
        reason = "it was asked to stay" if name in keep else convertible(module)
        weight = getattr(module, "weight", None)
        if not reason and uses[id(weight)] > 1:
            reason = "it shares its weights with another layer"
        if not reason and id(module) in readers:
            reason = f"its weights are read by the {readers[id(module)]} around it"
        if reason:
            kept[name] = reason
        else:
            found[name] = module
    if not found:
        raise InputError("the network has no Linear or Conv layer that could become a butterfly")
    return found, kept


def _limit(model: nn.Module, budget: float) -> int:
    total = count_parameters(model)
    if not 0 < budget < math.inf or (budget >= 1 and budget != int(budget)):
        raise InputError(f"a budget of {budget} is no part (0 to 1) and no number of parameters")
    return int(budget * total) if budget < 1 else int(budget)


def _searched(
    model: nn.Module,
    found: Mapping[str, nn.Module],
    limit: int,
    family: Family,
    order: Order,
    single: bool,
    seen: Mapping[str, _Seen],
) -> dict[str, Chain]:
    fixed = count_parameters(model) - sum(_weight(module).numel() for module in found.values())
    fronts: dict[str, list[Candidate]] = {
        name: front(
            _matrix(module, order), family=family, column_weights=_column_weights(module, order, seen.get(name))
        )
        for name, module in found.items()
    }
    if not single:
        fronts = {name: [o for o in options if len(o.chain.factors) > 1] or options for name, options in fronts.items()}
    least = fixed + sum(min(option.chain.parameters for option in options) for options in fronts.values())
    total = count_parameters(model)
    if least > limit:
        raise InputError(
            f"{limit} parameters ({limit / total:.2%}) cannot be met: biases, normalisations and kept layers have "
            f"{fixed}, and the smallest {family} chains make it {least} ({least / total:.2%})"
        )
    costs = [
        [(option.chain.parameters, (option.error or 0.0) ** 2) for option in options] for options in fronts.values()
    ]
    picks = allocate(costs, limit - fixed)
    return {name: options[pick].chain for (name, options), pick in zip(fronts.items(), picks, strict=True)}


def _by_policy(
    found: Mapping[str, nn.Module], policy: Policy | Mapping[str, Chain], kept: dict[str, str]
) -> dict[str, Chain]:
    if isinstance(policy, Mapping):
        unknown = [name for name in policy if name not in found]
        if unknown:
            raise InputError(f"the network has no layer {unknown[0]!r} to convert: it has {', '.join(found)}")
    chosen = {}
    for name, module in found.items():
        m, n = _matrix_size(module)
        chain = policy.get(name) if isinstance(policy, Mapping) else policy(name, m, n)
        if chain is None:
            kept[name] = "the policy has no chain for it"
        else:
            chosen[name] = chain
    return chosen


def _converted(
    dense: nn.Module,
    name: str,
    chain: Chain,
    order: Order,
    initialise: Initialise,
    seed: int,
    seen: _Seen | None,
) -> tuple[nn.Module, LayerReport]:
    """A butterfly for a layer, and what that costs."""
    layer = butterfly_of(dense, chain, order, name, seed)
    matrix, error = _matrix(dense, order), None
    if initialise == "project":
        weights = _column_weights(dense, order, seen)
        projection = project(_padded(matrix, chain), chain, column_weights=_padded_weights(weights, chain))
        layer.set_weights(projection.weights)
        error = projection.error
    layer.to(device=_weight(dense).device, dtype=_weight(dense).dtype)
    layer.train(dense.training)
    return layer, LayerReport(
        name=name,
        kind=type(dense).__name__,
        size=_matrix_size(dense),
        chain=chain,
        parameters=chain.parameters,
        dense_parameters=matrix.size,
        positions=seen.positions if seen else None,
        error=error,
        reason="",
    )


def _put(model: nn.Module, dense: nn.Module, layer: nn.Module) -> nn.Module:
    """The network with another layer wherever it has this one, which may be in several places or the whole."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is dense:
                setattr(parent, name, layer)
    return layer if model is dense else model


def _kept_row(model: nn.Module, name: str, reason: str, seen: Mapping[str, _Seen]) -> LayerReport:
    module = model.get_submodule(name)
    count = sum(parameter.numel() for parameter in module.parameters(recurse=False) if parameter.ndim > 1)
    return LayerReport(
        name=name,
        kind=type(module).__name__,
        size=_matrix_size(module) if isinstance(module, _REPLACED) else None,
        chain=None,
        parameters=count,
        dense_parameters=count,
        positions=seen[name].positions if name in seen else None,
        error=None,
        reason=reason,
    )


def butterfly_of(
    dense: nn.Module, chain: Chain, order: Order, name: str, seed: int
) -> ButterflyLinear | ButterflyConv1d | ButterflyConv2d:
    """A layer with fresh weights in the form of a dense one, whose bias it takes over.

    Args:
        dense: a Linear or Conv layer.
        chain: of at least its size.
        order: of the columns.
        name: of the layer; it belongs to the seed.
        seed: of the weights.

    Raises:
        InputError: the chain is too small.
    """
    m, n = _matrix_size(dense)
    if chain.m < m or chain.n < n:
        raise InputError(f"the layer {name!r} is {m} x {n}, and its chain {chain} only {chain.m} x {chain.n}")
    bias = dense.bias is not None
    number = int(np.random.default_rng([seed, *name.encode()]).integers(2**62))
    layer: ButterflyLinear | ButterflyConv1d | ButterflyConv2d
    if isinstance(dense, nn.Linear):
        layer = ButterflyLinear(chain, in_features=n, out_features=m, bias=bias, seed=number)
    else:
        assert isinstance(dense, nn.Conv1d | nn.Conv2d)
        assert not isinstance(dense.padding, str)
        kind = ButterflyConv1d if isinstance(dense, nn.Conv1d) else ButterflyConv2d
        layer = kind(
            chain,
            dense.in_channels,
            dense.out_channels,
            dense.kernel_size,
            stride=dense.stride,
            padding=dense.padding,
            dilation=dense.dilation,
            bias=bias,
            order=order,
            seed=number,
        )
    if layer.bias is not None and dense.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(dense.bias)
    return layer


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _matrix_size(module: nn.Module) -> tuple[int, int]:
    weight = _weight(module)
    return weight.shape[0], weight.numel() // weight.shape[0]


def _matrix(module: nn.Module, order: Order) -> Matrix:
    """The weights as a matrix, with columns in the order of the butterfly."""
    return columns_of(_weight(module).detach().float().cpu(), order).numpy()


def _padded(matrix: Matrix, chain: Chain) -> Matrix:
    m, n = matrix.shape
    return np.pad(matrix, ((0, chain.m - m), (0, chain.n - n)))


def _padded_weights(weights: Matrix | None, chain: Chain) -> Matrix | None:
    return None if weights is None else np.pad(weights, (0, chain.n - len(weights)))


@dataclass(frozen=True)
class _Seen:
    """What a layer met in a forward pass.

    Attributes:
        positions: output positions per item, the columns of its product.
        energy: mean square of each input channel, times the positions.
    """

    positions: int
    energy: Tensor

    @property
    def sizes(self) -> Tensor:
        """Root mean square of each input channel."""
        return (self.energy / max(self.positions, 1)).sqrt()


def _column_weights(module: nn.Module, order: Order, seen: _Seen | None) -> Matrix | None:
    """How large the numbers are that each column of a layer's matrix meets."""
    if seen is None:
        return None
    weight = _weight(module)
    shape = (1, -1, *[1] * (weight.ndim - 2))
    spread = seen.sizes.reshape(shape).expand(1, *weight.shape[1:])
    return columns_of(spread, order).numpy().ravel()


def _observe(model: nn.Module, sample: Tensor | None) -> dict[str, _Seen]:
    """Run a sample through the network and note what each layer meets."""
    if sample is None:
        return {}
    seen: dict[str, _Seen] = {}

    def watch(name: str) -> Callable[..., None]:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            given = inputs[0].detach().float()
            channel = given.ndim - 1 if isinstance(module, nn.Linear) else 1
            others = [axis for axis in range(given.ndim) if axis != channel]
            positions = output.numel() // output.shape[channel] // len(given)
            energy = given.square().mean(others).cpu() * positions
            if name in seen:  # a layer may be called several times
                energy, positions = energy + seen[name].energy, positions + seen[name].positions
            seen[name] = _Seen(positions, energy)

        return note

    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, _REPLACED)]
    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers]
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(sample)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:  # not all need be in the same, such as frozen normalisations
            module.training = mode
    return seen


make_callable(__name__, "convert")
