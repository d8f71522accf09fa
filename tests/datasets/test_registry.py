"""Data sets are found by name, under a root or MORPHO_DATA; what is not there is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from morpho.datasets import READERS, cifar10_lossless, load
from morpho.errors import DataError, InputError
from tests.datasets.files import write_cifar10, write_mnist

ON_DISK = sorted(set(READERS) - {"digits"})


def test_the_names_are_these() -> None:
    assert set(READERS) == {
        "mnist", "cifar10", "cifar100", "gtsrb", "tinyimagenet", "modelnet10", "modelnet40", "digits"
    }  # fmt: skip


@pytest.mark.parametrize("name", ON_DISK)
def test_an_empty_folder_says_what_would_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{tmp_path} holds no files of {name}: give a folder with .+"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", ON_DISK)
def test_a_wrong_root_is_told(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "nowhere", tmp_path / "file", str(tmp_path / "file")):
        with pytest.raises(DataError, match="is not a folder"):
            load(name, root)
    monkeypatch.delenv("MORPHO_DATA", raising=False)
    with pytest.raises(DataError, match="pass root, or set the environment variable MORPHO_DATA"):
        load(name)


def test_the_variable_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "a")
    write_cifar10(tmp_path / "b")
    monkeypatch.setenv("MORPHO_DATA", str(tmp_path / "a"))
    assert len(load("mnist").train) == 7
    with pytest.raises(DataError, match="holds no files of cifar10"):
        load("cifar10")
    assert len(load("cifar10", tmp_path / "b").train) == 20


def test_lossless_pictures_are_not_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of the shared pack"):
        cifar10_lossless(tmp_path)


@pytest.mark.parametrize(("name", "near"), [("MNIST", "mnist"), ("cifar-10", "cifar10"), ("x", "gtsrb")])
def test_an_unknown_name_is_told_with_near_ones(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"no data set called '{name}'.*{near}"):
        load(name)


def test_an_unknown_option_is_told_with_near_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="modelnet10 has no option 'point': did you mean points"):
        load("modelnet10", tmp_path, point=3)
    with pytest.raises(InputError, match="mnist has no option 'seed': there are none"):
        load("mnist", tmp_path, seed=3)
    with pytest.raises(InputError, match="no option 'classes'"):
        load("digits", classes=3)


def test_digits_need_no_folder() -> None:
    datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")
    found = datasets.load_digits()
    data, again, other = (load("digits", seed=seed) for seed in (0, 0, 1))
    assert (len(data.train), len(data.test)) == (1078, 719)
    assert torch.equal(data.test.inputs, again.test.inputs)
    assert not torch.equal(data.test.inputs, other.test.inputs)
    per_class = np.bincount(found.target)
    assert data.test.labels.bincount().tolist() == [round(0.4 * int(count)) for count in per_class]
    shades = [round(shade * 255 / 16) for shade in range(17)]
    assert sorted(set(data.train.inputs.flatten().tolist())) == shades
    everything = torch.cat([data.train.inputs, data.test.inputs]).flatten(1)
    expected = np.array(shades)[found.images.astype(int)].reshape(1797, -1)
    assert sorted(everything.tolist()) == sorted(expected.tolist())
