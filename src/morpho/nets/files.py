"""A network's weights on disk: one tensor per parameter and buffer, and a card that says how to build the network.

The card's recipe holds ``{"net": "lenet", "options": {"classes": 10}, ...}``. A network is first built without memory
for its weights (on torch's meta device) and compared with the file, so a wrong card costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from morpho import artifacts
from morpho.artifacts import Card
from morpho.artifacts.header import read_header
from morpho.errors import ArtifactError, InputError
from morpho.nets.network import Network
from morpho.nets.registry import build

__all__ = ["KIND", "assign", "load", "load_plain", "outline", "save", "tensors_of"]

#: The kind on the card of every network.
KIND = "network"
#: What the files of others need not hold.
_MAY_LACK = re.compile(r"^normalise\.|\.num_batches_tracked$")


def save(path: Path | str, model: nn.Module, card: Card, *, overwrite: bool = False) -> None:
    """Write a network and its card.

    Args:
        path: the file, ending in ``.safetensors``.
        model: the network that the card's recipe names.
        card: what it is; its kind must be ``network``, its recipe must hold ``net`` and ``options``.
        overwrite: whether an existing file may be replaced.

    Raises:
        ArtifactError: the card is of another kind, or names another network than this one.
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "toy.safetensors"
    >>> recipe = {"net": "mlp", "options": {"sizes": [64, 8, 10]}}
    >>> card = Card(kind="network", name="toy", version="1", licence="CC0-1.0", recipe=recipe)
    >>> save(path, build("mlp", sizes=[64, 8, 10]), card)
    >>> load(path)[0].classifier
    Linear(in_features=8, out_features=10, bias=True)
    """
    if card.kind != KIND:
        raise ArtifactError(f"the card says {card.kind!r}: a network needs the kind {KIND!r}")
    tensors = tensors_of(model)
    _check(tensors, outline(card).state_dict())
    artifacts.save(path, tensors, card, overwrite=overwrite)


def load(path: Path | str) -> tuple[Network, Card]:
    """Read a network that `save` wrote, in evaluation mode.

    Raises:
        ArtifactError: the file is missing, damaged, of another kind, or does not fit the network that its card names.
    """
    tensors, card = artifacts.load(path, kind=KIND)
    try:
        model = outline(card)
        assign(model, tensors)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    return model.eval(), card


def load_plain(path: Path | str, net: str, options: Mapping[str, Any] | None = None) -> Network:
    """Read a network, in evaluation mode, from a safetensors file without a card.

    Its tensors must have this package's names; only the statistics of `Normalise` and batch norms' counters may lack.

    Args:
        path: the file.
        net: the network's name, see `build`.
        options: the network's options.

    Raises:
        InputError: there is no such network or option.
        ArtifactError: the file is missing, damaged, or does not fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    model = build(net, **(options or {}))
    read_header(Path(path))
    try:
        tensors = decode(Path(path).read_bytes())
        spare = {name: own for name, own in tensors_of(model).items() if _MAY_LACK.search(name)}
        assign(model, spare | tensors)
    except (SafetensorError, OSError, ArtifactError) as error:
        raise ArtifactError(f"{path}: {error}") from error
    return model.eval()


def tensors_of(model: nn.Module) -> dict[str, NDArray[Any]]:
    """A model's parameters and buffers by name, as arrays that may share its memory; bfloat16 becomes float32."""
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors.items()}


def assign(model: nn.Module, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Give a model all its parameters and buffers, in place; it may have been built on the meta device.

    Args:
        model: changed, if everything fits.
        tensors: one array for each name of its ``state_dict``; floats of any width become the model's.

    Raises:
        ArtifactError: a tensor lacks, is foreign, has another shape or type, or holds NaN or infinity.
    """
    state = model.state_dict()
    _check(tensors, state)
    outline = any(tensor.is_meta for tensor in state.values())  # what has memory keeps it: an optimiser may know it
    copies = {name: torch.from_numpy(np.array(tensors[name], order="C")).to(state[name].dtype) for name in state}
    model.load_state_dict(copies, assign=outline)


def _check(tensors: Mapping[str, NDArray[Any]], state: Mapping[str, Tensor]) -> None:
    for name in sorted(set(state) | set(tensors)):
        if name not in tensors:
            raise ArtifactError(f"the tensor {name!r} is missing: the file is of another network, or damaged")
        if name not in state:
            raise ArtifactError(f"the tensor {name!r} is foreign: the file is of another network, or damaged")
        array, needed = tensors[name], state[name]
        if array.shape != tuple(needed.shape):
            raise ArtifactError(
                f"the tensor {name!r} has the shape {array.shape} instead of {tuple(needed.shape)}: "
                "the file is of another network, or was built with other options"
            )
        if (array.dtype.kind == "f") != needed.is_floating_point() or array.dtype.kind not in "fiu":
            raise ArtifactError(f"the tensor {name!r} is of type {array.dtype} instead of {needed.dtype}: get it again")
        if not np.isfinite(array).all():
            raise ArtifactError(f"the tensor {name!r} holds NaN or infinity: train the network again")


def outline(card: Card) -> Network:
    """The network that a card names, on the meta device: without memory for its weights.

    Raises:
        ArtifactError: the card names no network, or one that cannot be built.
    """
    net, options = card.recipe.get("net"), card.recipe.get("options", {})
    if not isinstance(net, str) or not isinstance(options, dict) or "seed" in options:
        raise ArtifactError('the card names no network: its recipe needs {"net": NAME, "options": {...}}')
    try:
        with torch.device("meta"):
            return build(net, **options)
    except (InputError, ValueError) as error:
        raise ArtifactError(f"the card names a network that cannot be built: {error}") from error
