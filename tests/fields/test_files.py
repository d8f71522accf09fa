"""Files give back what was written, to the last bit; damaged and hostile ones give one sentence and take no memory."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morpho import artifacts
from morpho.artifacts import Card
from morpho.errors import ArtifactError, InputError, OutputExistsError
from morpho.fields.field import Field
from morpho.fields.files import checksum, load, save
from morpho.fields.model import Scone
from morpho.fields.quantise import widths
from morpho.fields.registry import NAMES, build
from tests.fields.small import CARD, PICTURE, SHAPE, VIDEO, field

_ALL = [(PICTURE, bits) for bits in (32, 16, 12, 8, 5, 2)] + [(VIDEO, 8), (SHAPE, 6), (SHAPE, 32)]


@pytest.mark.parametrize(("signal", "bits"), _ALL)
def test_there_and_back(tmp_path: Path, signal: Any, bits: int) -> None:
    given = field(signal=signal)
    path = tmp_path / "toy.field"
    save(path, given, bits)
    loaded = load(path)
    wanted = given.quantised(bits) if bits < 16 else given
    for name, value in wanted.tensors.items():
        exact = value.astype(np.float16).astype(np.float32) if bits == 16 else value
        assert np.array_equal(loaded.tensors[name], exact), name
    assert (loaded.signal, loaded.model, loaded.scales) == (given.signal, given.model, wanted.scales)
    assert loaded.card == replace(CARD, recipe=CARD.recipe if bits > 12 else {})


@pytest.mark.parametrize("name", NAMES)
def test_every_model(tmp_path: Path, name: str) -> None:
    given = field(build(name, **{} if name in ("grid", "hash-grid") else {"width": 16}), gain=1.0)
    save(tmp_path / "toy.field", given, 7)
    loaded = load(tmp_path / "toy.field")
    assert loaded.model == given.model
    assert np.array_equal(loaded.render(), given.quantised(7).render())


def test_quantised_weights_are_kept_whatever_is_asked(tmp_path: Path) -> None:
    coarse = field().quantised(6)
    for i, bits in enumerate((None, 6, 7, 32)):
        save(tmp_path / f"{i}.field", coarse, bits)
        loaded = load(tmp_path / f"{i}.field")
        assert all(np.array_equal(loaded.tensors[name], value) for name, value in coarse.tensors.items())
    assert (tmp_path / "0.field").read_bytes() == (tmp_path / "2.field").read_bytes()
    assert (tmp_path / "3.field").stat().st_size > 3 * (tmp_path / "0.field").stat().st_size
    save(tmp_path / "again.field", load(tmp_path / "0.field"))
    assert (tmp_path / "again.field").read_bytes() == (tmp_path / "0.field").read_bytes()


def test_bytes_beyond_the_entropy_are_few(tmp_path: Path) -> None:
    given = field(Scone(width=49, omegas=(30.0, 20.0, 10.0, 3.0)))
    random = np.random.default_rng(0)
    tensors = {k: (v.std() * random.laplace(0, 0.7, v.shape)).astype(np.float32) for k, v in given.tensors.items()}
    given = Field(given.signal, given.model, tensors, replace(CARD, numbers={}))
    save(tmp_path / "toy.field", given, 6)
    coarse = given.quantised(6)
    assert coarse.scales is not None
    entropy = 0.0
    for name, value in coarse.tensors.items():
        counts = np.unique(value, return_counts=True)[1]
        if value.size > 1000:  # the small ones' own counts say little about their law
            entropy -= float((counts * np.log2(counts / counts.sum())).sum() / 8)
        else:
            entropy += value.size * widths(given.shapes, 6)[name] / 8
    assert (tmp_path / "toy.field").stat().st_size < entropy + 500


def test_provenance(tmp_path: Path) -> None:
    for bits, provenance, kept in ((8, None, False), (8, True, True), (32, None, True), (16, False, False)):
        path = tmp_path / f"{bits}{provenance}.field"
        save(path, field(), bits, provenance=provenance)
        assert load(path).card.recipe == ({"steps": 5} if kept else {})


def test_refusals_of_save(tmp_path: Path) -> None:
    path = tmp_path / "toy.field"
    save(path, field(), 8)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        save(path, field(), 4)
    assert path.read_bytes() == before
    save(path, field(), 4, overwrite=True)
    for bits in (0, 1, 13, 15, 64, -8):
        with pytest.raises(InputError, match="cannot have"):
            save(tmp_path / "new.field", field(), bits)
    with pytest.raises(InputError, match=r"must end in \.field"):
        save(tmp_path / "new.safetensors", field())
    with pytest.raises(InputError, match="take 32 bits"):
        save(tmp_path / "new.field", field(gain=1e6), 16)
    assert not (tmp_path / "new.field").exists()


def _rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a file anew with another recipe on its card."""
    tensors, card = artifacts.load(path)
    recipe = json.loads(json.dumps(card.recipe))
    change(recipe)
    _saved(path, tensors, replace(card, recipe=recipe))


def _saved(path: Path, tensors: dict[str, Any], card: Card) -> None:
    """Write what may be wrong under a checksum that is right."""
    card = replace(card, recipe=card.recipe | {"crc32": checksum(card.recipe, tensors)})
    artifacts.save(path, tensors, card, overwrite=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda recipe: recipe.pop("format"), "no format"),
        (lambda recipe: recipe.update(format="1"), "no format"),
        (lambda recipe: recipe.update(format=0), "no format"),
        (lambda recipe: recipe.update(format=2), "install a newer one"),
        (lambda recipe: recipe.pop("signal"), "no signal"),
        (lambda recipe: recipe["signal"].update(shape=[20, -30]), "no signal"),
        (lambda recipe: recipe["signal"].update(channels=2, colour=None), "is not used"),
        (lambda recipe: recipe.pop("model"), "a name and hyper-parameters"),
        (lambda recipe: recipe["model"].update(name="brain"), "no field model"),
        (lambda recipe: recipe["model"].update(width=25), "is not used"),
        (lambda recipe: recipe["model"].update(width=16384), "is not used"),
        (lambda recipe: recipe["model"].update(omegas=[1.0]), "is not used"),
        (lambda recipe: recipe["model"].update(omegas=[1.0] * 64, width=16384), "is not used"),
    ],
)
@pytest.mark.parametrize("bits", [8, 32])
def test_wrong_cards_are_refused(tmp_path: Path, bits: int, change: Any, match: str) -> None:
    path = tmp_path / "toy.field"
    save(path, field(), bits)
    _rewritten(path, change)
    start = time.thread_time()
    tracemalloc.start()
    with pytest.raises(ArtifactError, match=match):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6 and time.thread_time() - start < 5


def _recoded(path: Path, change: Callable[[bytearray], object]) -> None:
    """Change the coded weights, and make the checksum right again."""
    tensors, card = artifacts.load(path)
    content = bytearray(tensors["coded"].tobytes())
    change(content)
    _saved(path, {"coded": np.frombuffer(content, np.uint8)}, card)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda code: code.__setitem__(slice(0, 2), b"\0\0"), "step size of its tensor mask.1.weight is 0.0"),
        (lambda code: code.__setitem__(slice(0, 2), b"\x80\xbf"), "is -1.0"),
        (lambda code: code.__setitem__(slice(0, 2), b"\x80\x7f"), "is inf"),
        (lambda code: code.__setitem__(slice(2, 4), b"\xc0\x7f"), "mask.1.bias is nan"),
        (lambda code: code.__delitem__(slice(-1, None)), "end before or after"),
        (lambda code: code.__delitem__(slice(60, None)), "cannot hold|end before or after"),
        (lambda code: code.extend(b"\0"), "end before or after"),
        (lambda code: code.__delitem__(slice(30, None)), "too short"),
    ],
)
def test_wrong_codes_are_refused(tmp_path: Path, change: Any, match: str) -> None:
    path = tmp_path / "toy.field"
    save(path, field(), 8)
    _recoded(path, change)
    with pytest.raises(ArtifactError, match=match):
        load(path)


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.field"
    save(path, field())
    tensors, card = artifacts.load(path)
    for wrong, match in (
        (tensors | {"head.bias": np.zeros(3)}, "weights are F32 or F16"),
        (tensors | {"head.bias": np.full(3, np.nan, np.float32)}, "no number"),
        (tensors | {"more": np.zeros(3, np.float32)}, "the model needs the tensors"),
        ({"coded": np.zeros(400, np.float32)}, "no bytes"),
        ({"coded": np.zeros(400, np.uint8)}, "step size"),
    ):
        artifacts.save(path, wrong, card, overwrite=True)
        with pytest.raises(ArtifactError, match="checksum is wrong"):
            load(path)
        _saved(path, wrong, card)
        with pytest.raises(ArtifactError, match=match):
            load(path)
    with pytest.raises(ArtifactError, match="does not exist"):
        load(tmp_path / "none.field")


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy.safetensors"
    artifacts.save(path, {"coded": np.zeros(9, np.uint8)}, replace(CARD, kind="lut"))
    with pytest.raises(ArtifactError, match="an artefact of the kind 'field' is needed"):
        load(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    folder = tmp_path_factory.mktemp("fields")
    for bits in (8, 32):
        save(folder / f"{bits}.field", field(Scone(width=5)), bits)
    return {bits: (folder / f"{bits}.field").read_bytes() for bits in (8, 32)}


@settings(max_examples=200)
@given(st.sampled_from([8, 32]), st.data())
def test_damage_is_refused_or_harmless(
    files: dict[int, bytes], tmp_path_factory: pytest.TempPathFactory, bits: int, data: st.DataObject
) -> None:
    content = bytearray(files[bits])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.field"
    path.write_bytes(files[bits])
    whole = load(path)
    path.write_bytes(content)
    try:
        found = load(path)
    except ArtifactError as error:
        assert "\n" not in str(error)
    else:
        assert (found.signal, found.model) == (whole.signal, whole.model)
        assert all(np.array_equal(found.tensors[name], value) for name, value in whole.tensors.items())
