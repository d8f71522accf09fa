"""Fields on disk: one small file that says what it is, and how its weights are read.

A ``.field`` file is a safetensors file, with a short card in its metadata. The card's recipe holds ``{"format": 1,
"model": {...}, "signal": {...}, "crc32": ...}``, the last a checksum of these and the weights, which are

* tensors by name, of type F32 or F16, or
* one tensor ``coded`` of type U8: for each of the model's tensors, in the order of its ``shapes``, the upper two bytes
  of its step size as a float32, little endian; then the integers, as `morpho.fields.entropy` codes them, those of
  tensors that are less than a 32nd of all weights with the second set of models, others with the first. A weight is
  its integer times the step size of its tensor.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho import artifacts
from morpho.artifacts import Card
from morpho.errors import ArtifactError, InputError
from morpho.fields import entropy
from morpho.fields.field import Field
from morpho.fields.model import Model, Shapes
from morpho.fields.quantise import dequantise, integers, is_scale, small_ones
from morpho.fields.registry import from_json
from morpho.fields.signal import Signal

__all__ = ["FORMAT", "KIND", "code", "load", "overhead", "save"]

#: The kind on the card of every field, and the version of what this module reads and writes.
KIND, FORMAT = "field", 1
_CODED, _CHECK = "coded", "crc32"
#: What the card's recipe holds beside how the field was trained.
_OWN = ("format", "model", "signal", _CHECK)

#: What else there is in the header: the card, with numbers of many digits, and the padding.
_REST = 540

Tensors = dict[str, NDArray[np.float32]]


def save(
    path: Path | str,
    field: Field,
    bits: int | None = None,
    *,
    provenance: bool | None = None,
    overwrite: bool = False,
) -> None:
    """Write a field to a file that `load` reads.

    Args:
        path: the file, ending in ``.field``.
        field: what to write.
        bits: per weight: 32 or 16 for floats; 2 to 12 for integers, entropy-coded, of which weights that make up
            little have four bits more. By default integers if the field's weights are such already, else 32. Weights
            that are integers of these widths already are written without a change.
        provenance: whether the recipe of the training is written, too; by default only with 16 or 32 bits, since it
            takes some hundred bytes.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: the name or the bits are not allowed, or a weight is too large for 16 bits.
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile
    >>> from morpho.fields.model import Scone
    >>> signal = Signal(kind="image", shape=(8, 8), channels=3, colour="rgb")
    >>> model, card = Scone(width=8), Card(kind="field", name="toy", version="1", licence="CC0-1.0")
    >>> field = Field(signal, model, model.initial(2, 3, np.random.default_rng(0)), card)
    >>> path = Path(tempfile.mkdtemp()) / "toy.field"
    >>> save(path, field, 8)
    >>> load(path).signal == signal, path.stat().st_size < 1000
    (True, True)
    """
    if bits is None and field.scales is None:
        bits = 32
    tensors: dict[str, NDArray[Any]] = dict(field.tensors)
    if bits == 16:
        tensors = {name: _half(name, value) for name, value in tensors.items()}
    elif bits != 32:
        whole = field if bits is None else field.quantised(bits)
        assert whole.scales is not None
        tensors = {_CODED: np.frombuffer(code(whole.tensors, whole.scales), np.uint8)}
    provenance = _CODED not in tensors if provenance is None else provenance
    recipe = field.card.recipe if provenance else {}
    recipe = {**recipe, "format": FORMAT, "model": field.model.to_json(), "signal": field.signal.to_json()}
    recipe[_CHECK] = checksum(recipe, tensors)
    artifacts.save(path, tensors, replace(field.card, kind=KIND, recipe=recipe), overwrite=overwrite)


def load(path: Path | str) -> Field:
    """Read a field.

    Raises:
        ArtifactError: the file is missing, damaged, of another kind, from a newer version, or what it says of itself
            does not fit.
    """
    tensors, card = artifacts.load(path, kind=KIND)
    try:
        _check(card, tensors)
        signal, model, shapes = _described(card)
        plain, scales = _decoded(tensors[_CODED], shapes) if _CODED in tensors else (_floats(tensors), None)
        recipe = {name: value for name, value in card.recipe.items() if name not in _OWN}
        return Field(signal, model, plain, replace(card, recipe=recipe), scales=scales)
    except (ArtifactError, InputError) as error:
        raise ArtifactError(f"{path} is not used: {error}") from error


def code(tensors: Mapping[str, NDArray[np.float32]], scales: Mapping[str, float]) -> bytes:
    """Return what a file holds of weights that are integers times their tensors' step sizes.

    Args:
        tensors: in the order of the model's shapes.
        scales: the step size of each.

    Raises:
        InputError: a weight is no multiple of its tensor's step size.
    """
    levels = []
    for name, value in tensors.items():
        whole = integers(value, scales[name])
        if whole is None:
            raise InputError(f"the tensor {name} has weights that are no multiples of its step size")
        levels.append(whole)
    upper = np.array([scales[name] for name in tensors], "<f4").view("<u2")[1::2]
    sets = [int(small) for small in small_ones({name: value.shape for name, value in tensors.items()}).values()]
    return upper.tobytes() + entropy.encode(levels, sets)


def overhead(signal: Signal, model: Model) -> int:
    """Return how many bytes a file takes beside its weights at most, with a name of 60 bytes.

    >>> from morpho.fields.plus import SconePlus
    >>> overhead(Signal(kind="image", shape=(512, 768), channels=3, colour="rgb"), SconePlus())
    744
    """
    text = json.dumps([signal.to_json(), model.to_json()], separators=(",", ":"))
    return _REST + len(json.dumps(text))


def checksum(recipe: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> int:
    """Return the CRC-32 of what a card's recipe says of the field, as JSON, and of the tensors' names and bytes."""
    own = {name: recipe.get(name) for name in ("format", "model", "signal")}
    text = json.dumps(own, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    crc = zlib.crc32(text.encode(errors="surrogatepass"))
    for name in sorted(tensors):
        crc = zlib.crc32(np.ascontiguousarray(tensors[name]).tobytes(), zlib.crc32(name.encode(), crc))
    return crc


def _half(name: str, value: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError(f"the tensor {name} has weights above 65504, which 16 bits cannot hold: take 32 bits or 12")
    return half


def _check(card: Card, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Refuse what is of another version, or damaged."""
    version = card.recipe.get("format")
    if not isinstance(version, int) or version < 1:
        raise ArtifactError("its card has no format of fields: it was not written by morpho")
    if version > FORMAT:
        raise ArtifactError(f"it has the format {version}, and this morpho reads up to {FORMAT}: install a newer one")
    if card.recipe.get(_CHECK) != checksum(card.recipe, tensors):
        raise ArtifactError("its checksum is wrong: the file is damaged, get it again")


def _described(card: Card) -> tuple[Signal, Model, Shapes]:
    """What the card says, with sizes that are not absurd."""
    signal, model = Signal.from_json(card.recipe.get("signal")), from_json(card.recipe.get("model"))
    model.parameters(signal.dimensions, signal.channels)
    return signal, model, model.shapes(signal.dimensions, signal.channels)


def _decoded(coded: NDArray[Any], shapes: Shapes) -> tuple[Tensors, dict[str, float]]:
    content, head = coded.tobytes(), 2 * len(shapes)
    if coded.dtype != np.uint8 or len(content) < head + 4:
        raise ArtifactError("its coded weights are too short, or no bytes: the file is damaged")
    upper = np.frombuffer(content[:head], "<u2").astype(np.uint32)
    scales = dict(zip(shapes, (upper << 16).view(np.float32).tolist(), strict=True))
    for name, scale in scales.items():
        if not is_scale(scale):
            raise ArtifactError(f"the step size of its tensor {name} is {scale}: the file is damaged")
    sizes, sets = [math.prod(shape) for shape in shapes.values()], [int(v) for v in small_ones(shapes).values()]
    levels = entropy.decode(content[head:], sizes, sets)
    pairs = zip(shapes.items(), levels, strict=True)
    return {name: dequantise(each.reshape(shape), scales[name]) for (name, shape), each in pairs}, scales


def _floats(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    for name, value in tensors.items():
        if value.dtype not in (np.float32, np.float16):
            raise ArtifactError(f"its tensor {name} has the type {value.dtype}: a field's weights are F32 or F16")
    return {name: value.astype(np.float32, copy=False) for name, value in tensors.items()}
