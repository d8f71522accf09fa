"""Tables on disk: every value comes back, symmetric ones take less room, and damage is named."""

from __future__ import annotations

import pickle
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho import artifacts
from morpho.errors import ArtifactError
from morpho.upscale import files
from morpho.upscale.published import load_folder
from morpho.upscale.reference import upscale
from morpho.upscale.symmetry import is_symmetric
from morpho.upscale.tables import LSB_KERNELS, MSB_KERNELS, Tables
from tests.upscale.synthetic import card, random_tables, save_tables

Tensors = dict[str, NDArray[Any]]
CHAINS = [(2, 2), (2, 1, 2), (4,), (3,), (2,), (1,), (1, 4)]


def assert_same(a: Tables, b: Tables) -> None:
    assert [stage.factor for stage in a.stages] == [stage.factor for stage in b.stages]
    for one, other in zip(a.stages, b.stages, strict=True):
        np.testing.assert_array_equal(one.msb, other.msb)
        np.testing.assert_array_equal(one.lsb, other.lsb)


# --- symmetry ---


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("mirror", [np.flipud, np.fliplr, np.transpose, lambda a: a[::-1, ::-1].T])
def test_symmetric_tables_mirror_with_the_picture(chain: tuple[int, ...], mirror: Callable[[Any], Any]) -> None:
    tables = random_tables(*chain, symmetric=True)
    grey = np.random.default_rng(1).integers(0, 256, (6, 9), dtype=np.uint8)
    upright = upscale(grey[..., None], tables)[..., 0]
    mirrored = upscale(np.ascontiguousarray(mirror(grey))[..., None], tables)[..., 0]
    np.testing.assert_array_equal(mirrored, mirror(upright))


@pytest.mark.parametrize(("branch", "kernel"), [("msb", 0), ("msb", 1), ("msb", 2), ("lsb", 0), ("lsb", 1)])
def test_no_symmetry_can_be_left_out(branch: str, kernel: int) -> None:
    """One value of one table off: the symmetry is gone, in the table and in the picture."""
    stage = random_tables(2, symmetric=True).stages[0]
    table = getattr(stage, branch)[kernel]
    address = int("123"[: 3 if branch == "msb" else 2], 16)
    table[address, 0, 1] += 99
    assert not is_symmetric("HDB"[kernel], table)
    # The nibbles that lead to that entry, at the kernel's pixels.
    offsets = list((MSB_KERNELS if branch == "msb" else LSB_KERNELS).values())[kernel]
    grey = np.zeros((9, 9, 1), dtype=np.uint8)
    for offset, nibble in zip(offsets, (1, 2, 3), strict=False):
        grey[3 + offset[0], 3 + offset[1]] = nibble * (16 if branch == "msb" else 1)
    tables = Tables((stage,))
    flipped = upscale(grey[::-1, :], tables)[::-1, :]
    transposed = upscale(grey.swapaxes(0, 1), tables).swapaxes(0, 1)
    upright = upscale(grey, tables)
    assert (flipped != upright).any()
    assert (transposed != upright).any()


# --- our own form ---


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("chain", CHAINS)
def test_every_value_comes_back(tmp_path: Path, chain: tuple[int, ...], symmetric: bool) -> None:
    tables = random_tables(*chain, symmetric=symmetric)
    path = tmp_path / "t.safetensors"
    files.save(path, tables, card())
    loaded, found = files.load(path)
    assert_same(loaded, tables)
    assert found == card()


def test_symmetric_small_model_takes_62_kb(tmp_path: Path) -> None:
    """30,208 of a stage's 51,200 values are independent; the rest of the file is its header."""
    tables = random_tables(2, 2, symmetric=True)
    files.save(tmp_path / "t.safetensors", tables, card())
    assert tables.nbytes == 102_400
    assert 2 * 30_208 < (tmp_path / "t.safetensors").stat().st_size < 2 * 30_208 + 1_600


def test_only_what_is_symmetric_is_folded(tmp_path: Path) -> None:
    stage = random_tables(2, symmetric=True).stages[0]
    stage.msb[2, 7, 0, 1] ^= 1
    files.save(tmp_path / "t.safetensors", Tables((stage,)), card())
    tensors, _ = artifacts.load(tmp_path / "t.safetensors")
    assert {name for name in tensors if not name.endswith(".folded")} == {"stage1.factor", "stage1.msb.B"}
    assert_same(files.load(tmp_path / "t.safetensors")[0], Tables((stage,)))


@pytest.mark.skipif(not hasattr(time, "thread_time"), reason="needs a clock of this thread's work")
def test_loads_in_under_2_milliseconds(tmp_path: Path) -> None:
    path = save_tables(tmp_path, 2, 2)

    def seconds() -> float:
        start = time.thread_time()
        files.load(path)
        return time.thread_time() - start

    assert min(seconds() for _ in range(20)) < 2e-3


def damage(tensors: Tensors, **changes: NDArray[Any] | None) -> Tensors:
    """Replace tensors (``__`` stands for a dot), or remove them (None)."""
    damaged = dict(tensors)
    for name, tensor in changes.items():
        damaged.pop(name.replace("__", "."), None)
        if tensor is not None:
            damaged[name.replace("__", ".")] = tensor
    return damaged


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"stage1__msb__H__folded": None}, "one of 'stage1.msb.H' and 'stage1.msb.H.folded'"),
        ({"stage1__msb__H": np.zeros((4096, 2, 2), np.int8)}, "one of 'stage1.msb.H' and"),
        ({"stage1__msb__H__folded": np.zeros(8191, np.int8)}, r"must be int8 \(8192,\), not int8 \(8191,\)"),
        ({"stage1__msb__H__folded": np.zeros(8192, np.uint8)}, "not uint8"),
        ({"stage1__lsb__D__folded": np.zeros((768, 1), np.int8)}, r"not int8 \(768, 1\)"),
        ({"stage1__factor": np.array(5, np.int8)}, "factor of stage 1"),
        ({"stage1__factor": np.array(0, np.int8)}, "factor of stage 1"),
        ({"stage1__factor": np.array([2, 2], np.int8)}, "factor of stage 1"),
        ({"stage1__factor": np.array(2.0, np.float32)}, "factor of stage 1"),
        ({"stage1__factor": np.array(3, np.int8)}, r"must be int8 \(24576,\)"),
        ({"stage1__factor": None}, "0 stages"),
        ({"stage1__factor": None, "stage2__factor": np.array(2, np.int8)}, "factor of stage 1"),
        ({"bias": np.zeros(3, np.int8)}, "'bias', which is no part"),
    ],
)
def test_damage_is_named(tmp_path: Path, changes: dict[str, NDArray[Any] | None], complaint: str) -> None:
    tensors, found = artifacts.load(save_tables(tmp_path, 2))
    path = tmp_path / "damaged.safetensors"
    artifacts.save(path, damage(tensors, **changes), found)
    with pytest.raises(ArtifactError, match=complaint) as caught:
        files.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    other = artifacts.Card(kind="enhance", name="x", version="1", licence="CC0-1.0")
    with pytest.raises(ArtifactError, match="'enhance'"):
        files.save(tmp_path / "t.safetensors", random_tables(2), other)
    artifacts.save(tmp_path / "t.safetensors", {"x": np.zeros(3)}, other)
    with pytest.raises(ArtifactError, match="'enhance'"):
        files.load(tmp_path / "t.safetensors")


# --- the reference's own layout ---


def name_as_published(stage: int, branch: str, kernel: str, factor: int) -> str:
    family = "HDB" if branch == "MSB" else "HD"
    return f"S{stage}_{branch}_{family}_LUT_{kernel}_x{factor}_4bit_int8.npy"


def publish(folder: Path, tables: Tables, *, name: Callable[[int, str, str, int], str] = name_as_published) -> Path:
    """Write tables as the reference implementation does: ``(entries, 1, u, u)`` arrays."""
    folder.mkdir()
    for number, stage in enumerate(tables.stages, start=1):
        for branch, kernels, stacked in (("MSB", "HDB", stage.msb), ("LSB", "HD", stage.lsb)):
            for kernel, table in zip(kernels, stacked, strict=True):
                with (folder / name(number, branch, kernel, stage.factor)).open("wb") as file:
                    np.save(file, table[:, None])
    return folder


@pytest.mark.parametrize("chain", [(2, 2), (2, 1, 2), (4,)])
def test_published_folder(tmp_path: Path, chain: tuple[int, ...]) -> None:
    tables = random_tables(*chain)
    loaded, found = load_folder(publish(tmp_path / "hklut", tables))
    assert_same(loaded, tables)
    assert (found.kind, found.name, found.licence) == ("upscale", "hklut", "unknown")


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.removesuffix(".npy"),
        lambda name: name.replace("_4bit_int8", ""),
        lambda name: name.replace("_", "-"),
        lambda name: name.lower(),
        lambda name: name.replace("_LUT_", "_"),
    ],
)
def test_other_spellings_in_circulation(tmp_path: Path, change: Callable[[str], str]) -> None:
    tables = random_tables(2, 2)
    folder = publish(tmp_path / "t", tables, name=lambda *parts: change(name_as_published(*parts)))
    (folder / "README.md").write_text("tables")
    (folder / ".DS_Store").write_bytes(b"\0")
    assert_same(load_folder(folder)[0], tables)


MSB_H = "S1_MSB_HDB_LUT_H_x2_4bit_int8.npy"


class Boom:
    """Unpickling this would make a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "the MSB H table of stage 1 is missing"),
        (b"", "cannot be read as a NumPy array"),
        (b"hello", "cannot be read as a NumPy array"),
        (np.zeros((4096, 1, 2, 2), np.float32), "must be int8 .* not float32"),
        (np.zeros((4096, 1, 3, 3), np.int8), r"not int8 \(4096, 1, 3, 3\)"),
        (np.zeros((4, 4096), np.int8), "must be int8"),
        (np.array([Boom()], dtype=object), "cannot be read as a NumPy array"),
        (pickle.dumps(Boom()), "cannot be read as a NumPy array"),
    ],
)
def test_damaged_published_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, complaint: str) -> None:
    monkeypatch.chdir(tmp_path)
    folder = publish(tmp_path / "t", random_tables(2))
    (folder / MSB_H).unlink()
    if isinstance(content, bytes):
        (folder / MSB_H).write_bytes(content)
    elif content is not None:
        np.save(folder / MSB_H, content, allow_pickle=True)
    with pytest.raises(ArtifactError, match=complaint) as caught:
        load_folder(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "unpickled").exists()


def test_truncated_and_boastful_headers(tmp_path: Path) -> None:
    """A header may claim terabytes: nothing is allocated before the file's size agrees."""
    folder = publish(tmp_path / "t", random_tables(2))
    whole = (folder / MSB_H).read_bytes()
    for content in (whole[:-1], whole.replace(b"(4096, 1, 2, 2)", b"(4096,9**99,2,2"), whole[:60]):
        (folder / MSB_H).write_bytes(content)
        with pytest.raises(ArtifactError, match="cannot be read as a NumPy array"):
            load_folder(folder)
    (folder / MSB_H).write_bytes(whole.replace(b"(4096, 1, 2, 2), ", b"(4096,   99999), "))
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="cannot be read as a NumPy array"):
        load_folder(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize(
    ("added", "complaint"),
    [
        ("S1_LSB_HDB_LUT_H_x2_4bit_int8.npy", "only HD"),
        ("S1_LSB_HD_LUT_B_x2_4bit_int8.npy", r"only HD \(H, D\)"),
        ("S1_MSB_HDB_LUT_H_x2_4bit_int8", "are the same table"),
        ("S1_MSB_HDB_LUT_H_x3_4bit_int8.npy", "are the same table"),
        ("S3_MSB_HDB_LUT_H_x2_4bit_int8.npy", "table of stage 1|of stage 2 is missing"),
        ("bias.npy", "bias.npy is not named like"),
    ],
)
def test_surplus_published_table(tmp_path: Path, added: str, complaint: str) -> None:
    folder = publish(tmp_path / "t", random_tables(2))
    with (folder / added).open("wb") as file:
        np.save(file, np.zeros((256, 1, 2, 2), np.int8))
    with pytest.raises(ArtifactError, match=complaint):
        load_folder(folder)


def test_factors_of_a_stage_must_agree(tmp_path: Path) -> None:
    folder = publish(tmp_path / "t", random_tables(2))
    (folder / MSB_H).rename(folder / MSB_H.replace("x2", "x3"))
    with pytest.raises(ArtifactError, match=r"name the factors \[2, 3\]"):
        load_folder(folder)


def test_not_a_folder_of_tables(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no file is named like"):
        load_folder(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_folder(tmp_path / "missing")
