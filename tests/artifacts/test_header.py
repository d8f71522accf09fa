"""A hostile or damaged safetensors header gives one sentence, and nothing else happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morpho.artifacts import load, read_card
from morpho.artifacts.header import check_tensor_name, read_header
from morpho.errors import ArtifactError

CARD = json.dumps({"kind": "toy", "name": "toy", "version": "1", "licence": "CC0-1.0"})
TENSOR = {"dtype": "I8", "shape": [2, 2], "data_offsets": [0, 4]}


def encode(header: object, data: bytes = b"\0" * 4, *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def with_tensor(name: str = "a", **changes: Any) -> dict[str, Any]:
    return {"__metadata__": {"card": CARD}, name: TENSOR | changes}


HOSTILE = {
    "empty file": (b"", "too short"),
    "seven bytes": (b"\1\0\0\0\0\0\0", "too short"),
    "huge header length": (encode({}, length=2**63), "claims 9223372036854775808 bytes"),
    "header longer than the file": (encode({}, length=100), "claims 100 bytes"),
    "100 MB of header": (encode(b"{}" + b" " * (5 * 2**20)), "claims 52"),
    "truncated data": (encode(with_tensor(), b"\0" * 3), "truncated"),
    "data after the end": (encode(with_tensor(), b"\0" * 5), "followed by other data"),
    "not JSON": (encode(b"not JSON"), "not JSON"),
    "not UTF-8": (encode(b'{"\xff": 1}'), "not JSON"),
    "too deep": (encode(b"[" * 100_000), "not JSON"),
    "endless number": (encode(b'{"a": ' + b"9" * 10_000 + b"}"), "not JSON"),
    "a name twice": (encode(b'{"a": {}, "a": {}}'), "twice"),
    "a list": (encode([1, 2]), "not a JSON object"),
    "metadata of numbers": (encode({"__metadata__": {"card": 1}}, b""), "metadata"),
    "metadata a list": (encode({"__metadata__": []}, b""), "metadata"),
    "no card": (encode({"a": TENSOR}), "has no card"),
    "card not JSON": (encode({"__metadata__": {"card": "{"}}, b""), "card is not JSON"),
    "card a list": (encode({"__metadata__": {"card": "[]"}}, b""), "not a JSON object"),
    "card too deep": (encode({"__metadata__": {"card": "[" * 100_000}}, b""), "card is not JSON"),
    "card lacks its kind": (encode({"__metadata__": {"card": "{}"}}, b""), "lacks"),
    "card of wrong types": (
        encode({"__metadata__": {"card": CARD.replace('"toy"', "3")}}, b""),
        "'kind' of a card must be a text",
    ),
    "tensor not an object": (encode({"__metadata__": {"card": CARD}, "a": 3}), "not an object"),
    "unknown type": (encode(with_tensor(dtype="I7")), "type 'I7'"),
    "type that numpy lacks": (encode(with_tensor(dtype="BF16")), "type 'BF16'"),
    "type a list": (encode(with_tensor(dtype=["I8"])), "type ['I8']"),
    "negative shape": (encode(with_tensor(shape=[-2, -2])), "shape"),
    "fractional shape": (encode(with_tensor(shape=[4.0])), "shape"),
    "true shape": (encode(with_tensor(shape=[True, 4])), "shape"),
    "huge shape": (encode(with_tensor(shape=[2**62, 2**62])), "shape"),
    "shape that does not fit": (encode(with_tensor(shape=[5])), "cannot lie at bytes"),
    "many dimensions": (encode(with_tensor(shape=[1] * 100 + [4])), "shape"),
    "offsets reversed": (encode(with_tensor(data_offsets=[4, 0])), "cannot lie"),
    "three offsets": (encode(with_tensor(data_offsets=[0, 4, 8])), "cannot lie"),
    "no offsets": (encode(with_tensor(data_offsets=None)), "cannot lie"),
    "gap": (encode(with_tensor(data_offsets=[4, 8]), b"\0" * 8), "starts at byte 4"),
    "overlap": (
        encode(with_tensor() | {"b": TENSOR | {"data_offsets": [2, 6]}}, b"\0" * 6),
        "starts at byte 2",
    ),
    "path up": (encode(with_tensor("../x")), "'../x' is not allowed"),
    "absolute path": (encode(with_tensor("/etc/passwd")), "not allowed"),
    "drive path": (encode(with_tensor("C:\\x")), "not allowed"),
    "dots": (encode(with_tensor("a..b")), "not allowed"),
    "escape sequence": (encode(with_tensor("a\x1b[2J")), "not allowed"),
    "empty name": (encode(with_tensor("")), "not allowed"),
    "long name": (encode(with_tensor("a" * 256)), "not allowed"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("reader", [load, read_card])
def test_hostile_file_gives_one_sentence(case: str, reader: Any, tmp_path: Path) -> None:
    content, expected = HOSTILE[case]
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        reader(path)
    message = str(caught.value)
    assert expected in message
    assert str(path) in message
    assert len(message) < 500
    assert "\n" not in message


def test_the_base_of_the_hostile_files_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.safetensors"
    path.write_bytes(encode(with_tensor()))
    tensors, card = load(path)
    assert (tensors["a"].shape, card.kind) == ((2, 2), "toy")


@given(st.binary(max_size=300))
def test_random_bytes_never_do_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        load(path)


@given(st.data())
def test_a_flipped_byte_of_the_header_is_an_error_or_a_valid_file(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(encode(with_tensor()))
    content[data.draw(st.integers(0, len(content) - 5))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(bytes(content))
    try:
        tensors, _ = load(path)
    except ArtifactError:
        return
    assert [array.size for array in tensors.values()] == [4]


@pytest.mark.parametrize("name", ["msb", "stages.0.msb", "A_b-1.c"])
def test_plain_names_are_allowed(name: str) -> None:
    check_tensor_name(name)


def test_folder_and_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a file"):
        read_header(tmp_path)
    with pytest.raises(ArtifactError, match="does not exist"):
        read_header(tmp_path / "missing.safetensors")
