"""Tables on disk: every value comes back, and damage of every kind is a sentence."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho import artifacts
from morpho.artifacts import Card
from morpho.enhance import files
from morpho.enhance.tables import Tables
from morpho.errors import ArtifactError, MorphoError, OutputExistsError
from tests.enhance.synthetic import card, random_tables

Tensors = dict[str, NDArray[Any]]


def tensors_of(tables: Tables) -> Tensors:
    tensors = {name: value for name, value in vars(tables).items() if isinstance(value, np.ndarray)}
    return {**tensors, "thumbnail": np.array(tables.thumbnail, np.int16)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    files.save(path, random_tables(low=True), card("mine"))
    return path


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("thumbnail", [0, 32, 4096])
def test_every_value_comes_back(tmp_path: Path, low: bool, thumbnail: int) -> None:
    tables = random_tables(levels=8, low=low, thumbnail=thumbnail)
    path = tmp_path / "mine.safetensors"
    files.save(path, tables, card("mine"))
    loaded, found = files.load(str(path))
    assert found == card("mine")
    assert set(vars(loaded)) == set(vars(tables))
    for name, value in vars(tables).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
    assert path.stat().st_size < tables.nbytes + 2000
    files.save(tmp_path / "again.safetensors", loaded, found)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_an_existing_file_is_kept(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match=r"mine\.safetensors"):
        files.save(path, random_tables(1), card())
    assert path.read_bytes() == before
    files.save(path, random_tables(1), card(), overwrite=True)
    assert path.read_bytes() != before


def test_another_kind(path: Path) -> None:
    other = Card(kind="upscale", name="x", version="1", licence="CC0-1.0")
    with pytest.raises(ArtifactError, match="the card says 'upscale': tables for enhancing need the kind 'enhance'"):
        files.save(path, random_tables(), other, overwrite=True)
    artifacts.save(path, tensors_of(random_tables()), other, overwrite=True)
    with pytest.raises(ArtifactError, match=r"mine\.safetensors is of the kind 'upscale'"):
        files.load(path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        *(({name: None}, f"it lacks '{name}'") for name in ("msb", "groups", "own", "mix", "rest", "thumbnail")),
        ({"bias": np.zeros(3, np.int8)}, "it holds 'bias'"),
        ({"thumbnail": np.zeros(1, np.int16)}, "'thumbnail' is no whole number"),
        ({"thumbnail": np.array(32.5)}, "'thumbnail' is no whole number"),
        ({"thumbnail": np.array(-1, np.int16)}, "the thumbnail -1 is out of range"),
        ({"thumbnail": np.array(5000, np.int16)}, "the thumbnail 5000 is out of range"),
        ({"msb": np.zeros((1, 1, 1, 1), np.int8)}, "'msb' must be int8"),
        ({"lsb": np.zeros((4096, 4), np.float32)}, "'lsb' must be int8"),
        ({"groups": np.zeros((40, 2, 2, 3), np.int8)}, "'groups' has the shape"),
        ({"groups": np.array(1, np.int8)}, "'groups' has the shape"),
        ({"own": np.zeros((3, 3, 3), np.int16)}, "'own' has the shape"),
        ({"own": np.zeros((1025, 2), np.int16)}, "'own' has the shape"),
        ({"rest": np.array(1, np.int16)}, "'rest' has the shape"),
        ({"mix": np.array(1, np.int16)}, "'mix' must be int16"),
        ({"own": np.zeros((5, 2), np.uint16)}, "'own' must be int16"),
    ],
)
def test_other_tensors(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    tensors = {**tensors_of(random_tables()), **changes}
    path = tmp_path / "mine.safetensors"
    artifacts.save(path, {name: array for name, array in tensors.items() if array is not None}, card())
    with pytest.raises(ArtifactError, match=complaint) as caught:
        files.load(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith("get the file again")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 50, 400, 5000, -1])
def test_a_truncated_file(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"mine\.safetensors"):
        files.load(path)


def test_flipped_bytes_are_a_sentence_or_other_numbers(path: Path) -> None:
    """Every byte of the head, and some of the rest: no traceback, no warning, no wrong shapes."""
    content = path.read_bytes()
    head = int.from_bytes(content[:8], "little") + 8
    refused = 0
    for at in [*range(0, head, 3), *range(head, len(content), 5000)]:
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x11]) + content[at + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                tables, _ = files.load(path)
            except MorphoError as error:
                refused += 1
                assert "\n" not in str(error)
            else:
                assert (tables.features, tables.nodes) == (4, 5)
    assert refused > 50


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.safetensors"):
        files.load(tmp_path / "nothing.safetensors")
    with pytest.raises(ArtifactError):
        files.load(tmp_path)
