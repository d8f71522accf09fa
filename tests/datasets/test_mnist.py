"""MNIST's idx files, under all their names, whole and damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from morpho.datasets import load
from morpho.datasets.idx import read_idx
from morpho.errors import DataError
from tests.datasets.files import idx, random_bytes, write_mnist


@pytest.mark.parametrize("below", ["", "MNIST/raw"])
@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_official_files_are_read_under_all_their_names(tmp_path: Path, below: str, dot: bool, zipped: bool) -> None:
    made = write_mnist(tmp_path / below, dot=dot, zipped=zipped)
    data = load("mnist", tmp_path)
    for part, name in ((data.train, "train"), (data.test, "t10k")):
        images, labels = made[name]
        assert np.array_equal(part.inputs[:, 0].numpy(), images)
        assert part.labels.tolist() == labels.tolist()
    assert data.train.classes == tuple("0123456789")


def test_arrays_of_the_pack_are_read(tmp_path: Path) -> None:
    images, labels = random_bytes(5, 28, 28), np.arange(5, dtype=np.uint8)
    np.savez(
        tmp_path / "mnist.npz", train_image=images, train_label=labels, test_image=images[:2], test_label=labels[:2]
    )
    data = load("mnist", tmp_path)
    assert np.array_equal(data.train.inputs[:, 0].numpy(), images)
    assert data.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (0, 3)])
def test_idx_is_read_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = random_bytes(*shape)
    (tmp_path / "file").write_bytes(idx(array))
    assert np.array_equal(read_idx(tmp_path / "file"), array)


GOOD = idx(random_bytes(2, 3, 4))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an idx file"),
        (GOOD[:3], "is not an idx file"),
        (GOOD[:10], "is not an idx file"),
        (b"\0\0\x0d" + GOOD[3:], "is not an idx file of bytes"),
        (b"\0\0\x08\x09" + GOOD[4:], "is not an idx file"),
        (b"<html>no such page</html>", "is not an idx file"),
        (GOOD[:-1], "has 23 bytes of values where its header says 24"),
        (GOOD + b"\0", "has 25 bytes"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "header says 79228162"),
    ],
)
def test_a_damaged_idx_file_is_told_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "some-file").write_bytes(data)
    with pytest.raises(DataError, match=f"some-file.*{words}.*: get a fresh copy"):
        read_idx(tmp_path / "some-file")


@pytest.mark.parametrize(
    "data", [gzip.compress(GOOD)[:-9], b"\x1f\x8b nonsense", gzip.compress(GOOD)[:20] + b"xxxxxxxx"]
)
def test_a_damaged_gzip_is_told_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "some-file.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"some-file\.gz cannot be read"):
        read_idx(tmp_path / "some-file.gz")


def test_missing_parts_are_told(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="not both the images and the labels of t10k"):
        load("mnist", tmp_path)


def test_parts_that_do_not_fit_are_told(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is damaged .*one for each input"):
        load("mnist", tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(random_bytes(6, 28, 27)))
    with pytest.raises(DataError, match=r"not uint8 \(N, 28, 28\)"):
        load("mnist", tmp_path)
