"""Artefacts on disk: safetensors files with a card, and the ones that morpho ships."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morpho.artifacts.card import Card
from morpho.artifacts.header import ITEM_BYTES, Header, check_tensor_name, read_header
from morpho.atomic import replacing
from morpho.errors import ArtifactError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[Any]]

__all__ = ["FIELD_SUFFIX", "SUFFIX", "Entry", "load", "locate", "read_card", "save", "shipped"]

SUFFIX = ".safetensors"
#: Of fields: the same form, with a short card, since a whole picture may take but some KB.
FIELD_SUFFIX = ".field"
_WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Entry:
    """One shipped artefact: its name, file, card and size in bytes."""

    name: str
    path: Path
    card: Card
    nbytes: int


def save(path: Path | str, tensors: Mapping[str, NDArray[Any]], card: Card, *, overwrite: bool = False) -> None:
    """Write an artefact; the same tensors and card give the same bytes.

    Args:
        path: the file, ending in ``.safetensors``, or in ``.field`` for a card of the kind ``field``.
        tensors: arrays by name, such as ``stages.0.msb``; integers of 1 to 8 bytes, booleans,
            float16 to float64.
        card: what it is and how it came to be.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: the name of the file or of a tensor, or a type, is not allowed.
        OutputExistsError: the file exists and ``overwrite`` is false.

    >>> import tempfile, numpy as np
    >>> path = Path(tempfile.mkdtemp()) / "toy.safetensors"
    >>> card = Card(kind="toy", name="toy", version="1", licence="CC0-1.0")
    >>> save(path, {"table": np.arange(3, dtype=np.int8)}, card)
    >>> tensors, card = load(path)
    >>> tensors["table"].tolist(), card.kind
    ([0, 1, 2], 'toy')
    """
    from safetensors.numpy import save as encode

    path = Path(path)
    suffix = FIELD_SUFFIX if card.kind == "field" else SUFFIX
    if path.suffix != suffix:
        raise InputError(f"{path} must end in {suffix}: that is the only form of such an artefact")
    plain = {name: _plain(name, array) for name, array in tensors.items()}
    content = encode(plain, metadata={"card": card.to_json(short=suffix == FIELD_SUFFIX)})
    with replacing(path, overwrite=overwrite) as file:
        file.write(content)


def load(path: Path | str, *, kind: str | None = None) -> tuple[Tensors, Card]:
    """Read an artefact: its arrays, which are writable copies, and its card.

    Args:
        path: the file.
        kind: the kind that the caller can use; ``None`` takes any.

    Raises:
        ArtifactError: the file is missing, damaged, has no card or is of another kind.
    """
    path = Path(path)
    header = read_header(path)
    card = _card(path, header)
    if kind is not None and card.kind != kind:
        raise ArtifactError(f"{path} is of the kind {card.kind!r:.40}: an artefact of the kind {kind!r} is needed here")
    from safetensors import SafetensorError
    from safetensors.numpy import load as decode

    try:
        tensors: Tensors = decode(path.read_bytes())
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): get it again") from error
    return tensors, card


def read_card(path: Path | str) -> Card:
    """Read the card of an artefact, without its tensors.

    Raises:
        ArtifactError: the file is missing, damaged or has no card.
    """
    path = Path(path)
    return _card(path, read_header(path))


def shipped(pattern: str = "*") -> list[Entry]:
    """List the artefacts that morpho ships, by name.

    Args:
        pattern: a shell pattern such as ``hklut*``.

    >>> shipped("no-such-*")
    []
    """
    return [
        Entry(path.stem, path, read_card(path), path.stat().st_size)
        for path in sorted(_WEIGHTS.glob(f"*{SUFFIX}"))
        if fnmatchcase(path.stem, pattern)
    ]


def locate(name: str) -> Path:
    """Find a shipped artefact's file by its name, such as ``hklut-s-x4``.

    Raises:
        ArtifactError: there is none of that name; the message says which come near.
    """
    known = {path.stem: path for path in sorted(_WEIGHTS.glob(f"*{SUFFIX}"))}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)[:6]
    remedy = f"did you mean {', '.join(near)}?" if near else "this installation ships none, so give a file"
    raise ArtifactError(f"there is no artefact called {name!r}: {remedy}")


def _card(path: Path, header: Header) -> Card:
    if "card" not in header.metadata:
        raise ArtifactError(f"{path} has no card: it is a safetensors file, but not one of morpho's")
    try:
        return Card.from_json(header.metadata["card"])
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as safetensors needs it: it writes a strided array's elements in the wrong order."""
    import numpy as np

    try:
        check_tensor_name(name)
    except ArtifactError as error:
        raise InputError(str(error)) from error
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    letter = {"b": "BOOL", "i": "I", "u": "U", "f": "F"}.get(plain.dtype.kind, "?")
    code = letter if letter == "BOOL" else f"{letter}{plain.dtype.itemsize * 8}"
    if code not in ITEM_BYTES:
        raise InputError(f"tensor {name!r} has the type {array.dtype}: artefacts hold {', '.join(ITEM_BYTES)}")
    return plain.reshape(array.shape)  # ascontiguousarray makes one dimension out of none
