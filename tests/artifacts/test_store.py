"""Artefacts come back as they were saved, and names lead to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from morpho.artifacts import Card, load, locate, read_card, save, shipped, store
from morpho.errors import ArtifactError, InputError, OutputExistsError

CARD = Card(
    kind="toy",
    name="toy-x2",
    version="2",
    licence="Apache-2.0",
    recipe={"steps": 10, "kernels": ["H", "D"]},
    data=["T91", "Kodak"],
    seed=7,
    numbers={"set5_psnr_y": 30.34},
    commit="abc",
)
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", "bool"]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped artefacts that a test controls."""
    monkeypatch.setattr(store, "_WEIGHTS", tmp_path)
    for name in ("hklut-l-x4", "hklut-s-x2", "hklut-s-x4", "icelut"):
        save(tmp_path / f"{name}.safetensors", {"a": np.zeros(3, np.int8)}, CARD)
    return tmp_path


@given(st.sampled_from(DTYPES).flatmap(lambda d: nps.arrays(np.dtype(d), nps.array_shapes(min_dims=0, min_side=0))))
def test_any_array_comes_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    save(path, {"a": array}, CARD, overwrite=True)
    tensors, card = load(path)
    np.testing.assert_array_equal(tensors["a"], array)
    assert tensors["a"].dtype == array.dtype
    assert tensors["a"].shape == array.shape
    assert card == CARD


def test_strided_reversed_and_big_endian_arrays_come_back(tmp_path: Path) -> None:
    """Safetensors itself writes such arrays wrong, silently."""
    base = np.arange(24, dtype=np.int16).reshape(4, 6)
    arrays = {
        "t": base.T,
        "step": base[::2, ::-3],
        "big": base.astype(">i2"),
        "scalar": np.array(5, np.uint8),
    }
    save(tmp_path / "a.safetensors", arrays, CARD)
    tensors, _ = load(tmp_path / "a.safetensors")
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name], array)
        assert tensors[name].shape == array.shape


def test_loaded_arrays_are_writable_and_the_input_may_be_read_only(tmp_path: Path) -> None:
    array = np.arange(4, dtype=np.int8)
    array.setflags(write=False)
    save(tmp_path / "a.safetensors", {"a": array}, CARD)
    tensors, _ = load(tmp_path / "a.safetensors")
    tensors["a"][0] = 9
    assert (tensors["a"].tolist(), array.tolist()) == ([9, 1, 2, 3], [0, 1, 2, 3])


def test_equal_artefacts_are_equal_bytes(tmp_path: Path) -> None:
    tensors: dict[str, np.ndarray] = {"b": np.ones(3, np.int8), "a": np.zeros((2, 2), np.float32)}
    save(tmp_path / "1.safetensors", tensors, CARD)
    save(tmp_path / "2.safetensors", dict(reversed(tensors.items())), CARD)
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_fields_have_their_own_suffix(tmp_path: Path) -> None:
    card = replace(CARD, kind="field")
    save(tmp_path / "a.field", {"a": np.zeros(3, np.int8)}, card)
    assert load(tmp_path / "a.field", kind="field")[1] == card
    with pytest.raises(InputError, match=r"must end in \.field"):
        save(tmp_path / "b.safetensors", {"a": np.zeros(3, np.int8)}, card)
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        save(tmp_path / "b.field", {"a": np.zeros(3, np.int8)}, CARD)


def test_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(path, {"a": np.zeros(1, np.int8)}, CARD)
    with pytest.raises(OutputExistsError, match="exists already"):
        save(path, {"a": np.ones(1, np.int8)}, CARD)
    assert load(path)[0]["a"][0] == 0
    save(path, {"a": np.ones(1, np.int8)}, CARD, overwrite=True)
    assert load(path)[0]["a"][0] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        ("a.npz", {"a": np.zeros(1)}, "must end in .safetensors"),
        ("a.safetensors", {"../a": np.zeros(1)}, "not allowed"),
        ("a.safetensors", {"a": np.zeros(1, complex)}, "type complex128"),
        ("a.safetensors", {"a": np.array(["x"])}, "type <U1"),
        ("a.safetensors", {"a": np.array([None])}, "type object"),
    ],
)
def test_unusable_input_is_refused_and_leaves_nothing(
    name: str, tensors: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        save(tmp_path / name, tensors, CARD)
    assert list(tmp_path.iterdir()) == []


def test_wrong_kind_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", {}, CARD)
    assert load(tmp_path / "a.safetensors", kind="toy")[1] == CARD
    with pytest.raises(ArtifactError, match="of the kind 'toy': an artefact of the kind 'hklut' is needed"):
        load(tmp_path / "a.safetensors", kind="hklut")


def test_shipped_lists_by_pattern(weights: Path) -> None:
    assert [entry.name for entry in shipped()] == ["hklut-l-x4", "hklut-s-x2", "hklut-s-x4", "icelut"]
    assert [entry.name for entry in shipped("hklut-s*")] == ["hklut-s-x2", "hklut-s-x4"]
    entry = shipped("icelut")[0]
    assert (entry.card, entry.nbytes) == (CARD, entry.path.stat().st_size)


def test_locate_finds_a_name_or_names_the_near_ones(weights: Path) -> None:
    assert locate("hklut-s-x4") == weights / "hklut-s-x4.safetensors"
    with pytest.raises(ArtifactError, match=r"no artefact called 'hklut-s-x3': did you mean hklut-s-x4, hklut-s-x2"):
        locate("hklut-s-x3")
    with pytest.raises(ArtifactError, match="did you mean hklut-l-x4"):
        locate("zzz")


@pytest.mark.parametrize("name", ["{parent}/icelut", "../{folder}/icelut", "", "icelut.safetensors", "*"])
def test_locate_never_builds_a_path_from_a_name(weights: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="no artefact called"):
        locate(name.format(parent=weights, folder=weights.name))


def test_every_shipped_artefact_is_whole() -> None:
    for entry in shipped():
        _, card = load(entry.path)
        assert card.name == entry.name
        assert card.licence == "Apache-2.0"
        assert read_card(entry.path).commit != "unknown"
