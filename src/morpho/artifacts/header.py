"""The header of a safetensors file, read with distrust.

    8 bytes   length n of the header, little endian
    n bytes   JSON: {"__metadata__": {text: text},
                     name: {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}, ...}
    rest      the tensors' bytes, without gaps

Nothing is allocated, and no other reader sees the file, before every number in the header fits the file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from morpho.errors import ArtifactError

__all__ = ["ITEM_BYTES", "Header", "TensorInfo", "check_tensor_name", "read_header"]

#: Bytes per element of the types that an artefact may hold; numpy knows each of them.
ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}  # fmt: skip

#: A card and some hundred tensor names take a few KiB.
_LONGEST_HEADER = 4 * 2**20
_MOST_DIMENSIONS = 16
_NAME = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*")


@dataclass(frozen=True)
class TensorInfo:
    """What the header says about one tensor: numpy-free, offsets relative to the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A checked header: the free texts and the tensors in the order of their bytes."""

    metadata: dict[str, str]
    tensors: dict[str, TensorInfo]


def read_header(path: Path) -> Header:
    """Read and check the header of a safetensors file.

    Raises:
        ArtifactError: the file cannot be read, is no safetensors file, or contradicts itself.
    """
    try:
        if not path.is_file():
            what = "is not a file" if path.exists() else "does not exist"
            raise ArtifactError(f"it {what}: give an artefact's file, or a name that `morpho list` shows")
        with path.open("rb") as file:
            return _parse(*_read_text(file, path.stat().st_size))
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}): check its permissions") from error


def check_tensor_name(name: str) -> None:
    """Refuse a tensor name that could act as a path or a control sequence.

    Raises:
        ArtifactError: the name is not made of words of ``A-Z a-z 0-9 _ -`` joined by single dots.

    >>> check_tensor_name("stages.0.msb")
    """
    if len(name) > 255 or not _NAME.fullmatch(name):
        raise ArtifactError(
            f"the tensor name {name[:60]!r} is not allowed: names are words of letters, digits, _ and - joined by dots"
        )


def _read_text(file: BinaryIO, size: int) -> tuple[bytes, int]:
    """Return the header's bytes and the number of bytes after it."""
    prefix = file.read(8)
    if len(prefix) < 8:
        raise ArtifactError("the file is too short to be a safetensors file: it is truncated or something else")
    length = int.from_bytes(prefix, "little")
    if length > min(_LONGEST_HEADER, size - 8):
        raise ArtifactError(
            f"the header claims {length} bytes in a file of {size}: it is truncated or not a safetensors file"
        )
    return file.read(length), size - 8 - length


def _parse(text: bytes, rest: int) -> Header:
    try:
        plain = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"the header is not JSON ({error!s:.80}): this is not a safetensors file") from error
    if not isinstance(plain, dict):
        raise ArtifactError("the header is not a JSON object: this is not a safetensors file")
    metadata = plain.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ArtifactError("the header's metadata are not texts: the file was not written by a safetensors writer")
    tensors = {name: _tensor(name, info) for name, info in plain.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    _check_tiling(ordered, rest)
    return Header(metadata, ordered)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) != len(pairs):
        raise ValueError("a name occurs twice")
    return plain


def _tensor(name: str, info: object) -> TensorInfo:
    check_tensor_name(name)
    if not isinstance(info, dict):
        raise ArtifactError(f"the entry of tensor {name!r} is not an object: the header is damaged")
    dtype, shape, offsets = info.get("dtype"), info.get("shape"), info.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ArtifactError(f"tensor {name!r} has the type {dtype!r:.20}: artefacts hold {', '.join(ITEM_BYTES)}")
    if not _are_sizes(shape) or len(shape) > _MOST_DIMENSIONS:
        raise ArtifactError(f"tensor {name!r} has the shape {shape!r:.60}: the header is damaged")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != prod(shape) * ITEM_BYTES[dtype]:
        raise ArtifactError(
            f"tensor {name!r} of type {dtype} and shape {shape!r:.60} cannot lie at bytes {offsets!r:.60}: "
            "the header is damaged"
        )
    return TensorInfo(dtype, tuple(shape), offsets[0], offsets[1])


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 2**48 for v in value)


def _check_tiling(tensors: dict[str, TensorInfo], rest: int) -> None:
    """The tensors must fill the bytes after the header without gap or overlap."""
    end = 0
    for name, info in tensors.items():
        if info.begin != end:
            raise ArtifactError(f"tensor {name!r} starts at byte {info.begin} instead of {end}: the header is damaged")
        end = info.end
    if end != rest:
        what = "truncated" if end > rest else "followed by other data"
        raise ArtifactError(f"the tensors take {end} bytes and the file holds {rest}: it is {what}, get it again")
