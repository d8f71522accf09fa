"""CIFAR's binary files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from morpho.datasets import load
from morpho.errors import DataError, InputError
from tests.datasets.files import write_cifar10, write_cifar100


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])
def test_cifar10_is_read_in_the_order_of_its_files(tmp_path: Path, below: str) -> None:
    labels, planes = write_cifar10(tmp_path / below)
    data = load("cifar10", tmp_path)
    assert np.array_equal(data.train.inputs.numpy(), planes[:20])
    assert np.array_equal(data.test.inputs.numpy(), planes[20:])
    assert data.train.labels.tolist() == labels[:20].tolist()
    assert data.test.labels.tolist() == labels[20:].tolist()
    assert data.train.classes[3] == "cat"


@pytest.mark.parametrize("below", ["", "cifar-100-binary"])
def test_cifar100_has_fine_and_coarse_labels(tmp_path: Path, below: str) -> None:
    coarse, fine, planes = write_cifar100(tmp_path / below)
    for data, labels, count in (
        (load("cifar100", tmp_path), fine, 100),
        (load("cifar100", tmp_path, labels="coarse"), coarse, 20),
    ):
        assert np.array_equal(data.train.inputs.numpy(), planes[:4])
        assert np.array_equal(data.test.inputs.numpy(), planes[4:])
        assert data.train.labels.tolist() == labels[:4].tolist()
        assert len(data.test.classes) == count
    with pytest.raises(InputError, match="'fine' or 'coarse'"):
        load("cifar100", tmp_path, labels="rough")


@pytest.mark.parametrize("cut", [0, 1, 3072, 4 * 3073 - 1])
def test_a_truncated_file_is_told_by_name(tmp_path: Path, cut: int) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=rf"data_batch_3\.bin has {cut} bytes.*records of 3073"):
        load("cifar10", tmp_path)


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").unlink()
    with pytest.raises(DataError, match=r"test_batch\.bin cannot be read"):
        load("cifar10", tmp_path)


def test_a_label_without_a_class_is_told(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(DataError, match=r"test_batch\.bin is damaged .*10 classes"):
        load("cifar10", tmp_path)


def test_cifar100_needs_its_names(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    names = tmp_path / "fine_label_names.txt"
    names.write_text("apple\n")
    with pytest.raises(DataError, match="names 1 classes instead of 100"):
        load("cifar100", tmp_path)
    names.unlink()
    with pytest.raises(DataError, match=r"fine_label_names\.txt cannot be read"):
        load("cifar100", tmp_path)


def test_the_version_in_pickles_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x02}q\x01.")
    with pytest.raises(DataError, match="binary version"):
        load("cifar10", tmp_path)
