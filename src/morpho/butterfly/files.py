"""Compressed networks on disk: the tensors, and a card that names the network and the chain of each butterfly.

The card's recipe holds ``{"net": "lenet", "options": {...}, "layers": {"fc1": {"chain": "p q r s t ...", "order":
"channel"}}}``. The dense network is built without memory for its weights, its layers are replaced, and the whole is
compared with the file: a wrong or hostile card is refused before anything large exists.

These files are for networks of `morpho.nets`. A network of your own is plain torch: keep its ``state_dict`` and load
it into the result of `convert` with the same chains (``policy=...``) and ``initialise="random"``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray
from torch import nn

from morpho import artifacts, nets
from morpho.artifacts import Card
from morpho.butterfly.chain import Chain
from morpho.butterfly.convert import butterfly_of, convertible
from morpho.butterfly.factor import Factor
from morpho.butterfly.layers import Butterfly
from morpho.errors import ArtifactError, InputError
from morpho.nets.files import KIND as DENSE
from morpho.nets.files import outline

__all__ = ["KIND", "layers_of", "load", "load_any", "save"]

Tensors: TypeAlias = Mapping[str, NDArray[Any]]

#: The kind on the card of every compressed network.
KIND = "butterfly"
#: A layer of more weights than these, multiplied out, is no layer of a network for which this package is made.
_LARGEST = 2**30


def save(path: Path | str, model: nn.Module, card: Card, *, overwrite: bool = False) -> None:
    """Write a converted network and its card; the chains of its layers are added to the card.

    Args:
        path: the file, ending in ``.safetensors``.
        model: a network of `morpho.nets` of which `convert` replaced layers.
        card: what it is; its kind must be ``butterfly``, its recipe must hold ``net`` and ``options``.
        overwrite: whether an existing file may be replaced.

    Raises:
        ArtifactError: the card is of another kind, or names another network than this one.
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile
    >>> from morpho.butterfly import convert
    >>> path = Path(tempfile.mkdtemp()) / "toy.safetensors"
    >>> dense = nets.build("mlp", sizes=[64, 32, 10])
    >>> small = convert(dense, policy={"hidden.0": Chain.parse("(4,8)(8,8)")}, keep=["classifier"]).model
    >>> card = Card(kind="butterfly", name="toy", version="1", licence="CC0-1.0",
    ...             recipe={"net": "mlp", "options": {"sizes": [64, 32, 10]}})
    >>> save(path, small, card)
    >>> load(path)[1].recipe["layers"]
    {'hidden.0': {'chain': '32 64 4 8 1 32 32 8 8 4', 'order': 'channel'}}
    """
    if card.kind != KIND:
        raise ArtifactError(f"the card says {card.kind!r}: a compressed network needs the kind {KIND!r}")
    card = replace(card, recipe={**card.recipe, "layers": layers_of(model)})
    tensors = nets.tensors_of(model)
    nets.assign(_outline(card, tensors), tensors)
    artifacts.save(path, tensors, card, overwrite=overwrite)


def load(path: Path | str) -> tuple[nn.Module, Card]:
    """Read a compressed network that `save` wrote, in evaluation mode.

    Raises:
        ArtifactError: the file is missing, damaged, of another kind, or does not fit the network and chains that its
            card names.
    """
    tensors, card = artifacts.load(path, kind=KIND)
    try:
        model = _outline(card, tensors)
        nets.assign(model, tensors)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    return model.eval(), card


def load_any(path: Path | str) -> tuple[nn.Module, Card]:
    """Read a network, dense or compressed, in evaluation mode.

    Raises:
        ArtifactError: the file is missing, damaged, of another kind, or does not fit its card.
    """
    kind = artifacts.read_card(path).kind
    if kind == KIND:
        return load(path)
    if kind == DENSE:
        return nets.load(path)
    raise ArtifactError(f"{path} is of the kind {kind!r}: a file of the kind network or butterfly is needed here")


def layers_of(model: nn.Module) -> dict[str, dict[str, str]]:
    """The chain and the order of columns of each butterfly, by the layer's name; what a card holds.

    >>> from morpho.butterfly import ButterflyLinear
    >>> layers_of(nn.Sequential(ButterflyLinear(Chain.parse("(2,3)(4,2)"))))
    {'0': {'chain': '4 6 2 3 1 8 4 4 2 2', 'order': 'channel'}}
    """
    return {
        name: {"chain": layer.chain.numbers(), "order": getattr(layer, "order", "channel")}
        for name, layer in model.named_modules()
        if isinstance(layer, Butterfly)
    }


def _outline(card: Card, tensors: Tensors) -> nn.Module:
    """The network that a card describes, without memory for its weights."""
    layers = card.recipe.get("layers")
    if not isinstance(layers, dict):
        raise ArtifactError(
            'the card names no chains: its recipe needs {"layers": {NAME: {"chain": ..., "order": ...}}}'
        )
    model: nn.Module = outline(card)
    for name, entry in layers.items():
        dense = _dense(model, name)
        chain, order = _chain(name, entry, tensors), entry["order"]
        _check_size(name, dense, chain)
        parent, _, last = name.rpartition(".")
        with torch.device("meta"):
            layer = butterfly_of(dense, chain, order, name, 0)
        setattr(model.get_submodule(parent), last, layer)
    return model


def _dense(model: nn.Module, name: str) -> nn.Module:
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        raise ArtifactError(f"the card has a chain for {name!r:.60}, and the network no layer of that name") from None
    if convertible(layer) != "":
        raise ArtifactError(f"the card has a chain for {name!r:.60}, which cannot be a butterfly in this network")
    return layer


def _chain(name: str, entry: object, tensors: Tensors) -> Chain:
    """The chain whose factors the file has; the card must name the same one."""
    if not isinstance(entry, dict) or entry.get("order") not in ("channel", "spatial"):
        raise ArtifactError(f'the card\'s entry of {name!r} is damaged: it needs {{"chain": ..., "order": "channel"}}')
    pattern = re.compile(re.escape(name) + r"\.factors\.\d+")
    count = sum(bool(pattern.fullmatch(key)) for key in tensors)
    shapes = [tensors[key].shape for i in range(count) if (key := f"{name}.factors.{i}") in tensors]
    try:
        # From the shapes, not from the text: numbers that a file only claims take no memory, and no time.
        factors = [Factor(*shape) for shape in shapes]
        _check_rules(factors)
        chain = Chain(tuple(factors))
    except (InputError, TypeError) as error:
        raise ArtifactError(f"the factors of {name!r} are no chain ({error!s:.120}): get the file again") from error
    if chain.numbers() != entry.get("chain"):
        raise ArtifactError(
            f"the card says that {name!r} is {entry.get('chain')!r:.80}, and its factors are {chain.numbers()!r:.80}: "
            "get the file again"
        )
    return chain


def _check_rules(factors: list[Factor]) -> None:
    """The rules of `Chain`, without a count of zeros in the matrix: hostile sizes must not get there."""
    meet = all(left.rank_after(right) is not None for right, left in pairwise(factors))
    if not factors or not meet or factors[0].t != 1 or factors[-1].g != 1:
        raise InputError("sizes of neighbours do not agree, or the product would have zeros")


def _check_size(name: str, dense: nn.Module, chain: Chain) -> None:
    """A chain may be a little larger than its layer, for padding."""
    weight = dense.weight
    assert isinstance(weight, torch.Tensor)
    m, n = weight.shape[0], prod(weight.shape[1:])
    if not (m <= chain.m < 2 * m and n <= chain.n < 2 * n) or chain.m * chain.n > _LARGEST:
        raise ArtifactError(
            f"the layer {name!r} is {m} x {n} and its chain {chain.m} x {chain.n}: a chain has its layer's size, or "
            f"the next that has factors, and no more than {_LARGEST} weights multiplied out"
        )
