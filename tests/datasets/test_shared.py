"""The shared pack holds what its README says; skipped where it is not there."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from morpho.datasets import Dataset, cifar10_lossless, load
from morpho.datasets.off import Mesh, read_off
from morpho.datasets.packed import rows
from tests.datasets.files import idx


@cache
def cached(name: str, root: Path) -> Dataset:
    return load(name, root)


def counts(data: Dataset) -> tuple[list[int], list[int]]:
    return data.train.labels.bincount().tolist(), data.test.labels.bincount().tolist()


def test_mnist_gives_back_the_official_files(data_root: Path, tmp_path: Path) -> None:
    """The sums of the four files as they are widely known."""
    data = cached("mnist", data_root)
    sums = {}
    for part, name in ((data.train, "train"), (data.test, "t10k")):
        for array, kind in ((part.inputs[:, 0], "images-idx3"), (part.labels, "labels-idx1")):
            content = idx(array.numpy().astype(np.uint8))
            (tmp_path / f"{name}-{kind}-ubyte").write_bytes(content)
            sums[f"{name}-{kind}"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert sums["train-images-idx3"].startswith("6bbc9ace")
    assert sums["t10k-images-idx3"].startswith("2646ac64")
    official = load("mnist", tmp_path)
    for mine, theirs in ((official.train, data.train), (official.test, data.test)):
        assert torch.equal(mine.inputs, theirs.inputs)
        assert torch.equal(mine.labels, theirs.labels)


def test_mnists_first_digits_and_counts(data_root: Path) -> None:
    data = cached("mnist", data_root)
    assert data.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert counts(data)[0] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.train.inputs.double().mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_a_root_may_be_the_folder_itself(data_root: Path) -> None:
    own = load("mnist", data_root / "classify" / "mnist")
    assert torch.equal(own.test.inputs, cached("mnist", data_root).test.inputs)


def test_cifars_exact_pictures_and_jpegs_are_the_same_pictures(data_root: Path, tmp_path: Path) -> None:
    """The first exact ones beside their JPEGs: 30.0 dB over all of them, and the same labels."""
    folder, some = data_root / "classify" / "cifar10", 400
    exact = cifar10_lossless(data_root)
    assert exact.inputs.shape == (2000, 3, 32, 32)
    assert exact.labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    index = [int(number) for (number,) in rows(folder / "lossless_batch1_0.csv", ("train_jpeg_index",))][:some]
    np.savez(tmp_path / "cifar10_jpeg.npz", **_part(folder / "cifar10_jpeg.npz", index))
    lossy = load("cifar10", tmp_path).train
    assert torch.equal(lossy.labels, exact.labels[:some])
    error = (lossy.inputs.double() - exact.inputs[:some].double()).square().mean()
    assert 10 * math.log10(255**2 / error) == pytest.approx(30.0, abs=0.3)


def _part(path: Path, index: list[int]) -> dict[str, Any]:
    with np.load(path) as file:
        jpeg, offset, label = (file[f"train_{name}"] for name in ("jpeg", "offset", "label"))
        names = file["class_names"]
    files = [jpeg[offset[i] : offset[i + 1]] for i in index]
    made = {"jpeg": np.concatenate(files), "offset": np.cumsum([0, *map(len, files)]), "label": label[index]}
    return {f"{part}_{key}": value for part in ("train", "test") for key, value in made.items()} | {
        "class_names": names
    }


@pytest.mark.slow
def test_cifars_counts_and_moments(data_root: Path) -> None:
    data = load("cifar10", data_root)
    assert counts(data) == ([5000] * 10, [1000] * 10)
    mean, std = (getattr(data.train.inputs.float() / 255, what)((0, 2, 3)) for what in ("mean", "std"))
    assert [round(number, 4) for number in mean.tolist()] == [0.4913, 0.4821, 0.4465]
    assert [round(number, 4) for number in std.tolist()] == [0.2452, 0.2428, 0.2606]
    assert data.train.classes == data.test.classes == cifar10_lossless(data_root).classes


def test_gtsrbs_counts(data_root: Path) -> None:
    data = cached("gtsrb", data_root)
    assert (len(data.train), len(data.test)) == (5227, 2105)
    assert len(data.train.classes) == 43
    assert min(counts(data)[0]) == 28
    first = [int(number) for (number,) in rows(data_root / "classify" / "gtsrb32" / "train.csv", ("class_id",))]
    assert data.train.labels.tolist() == first
    assert data.train.inputs.flatten(1).float().std(1).min() > 1  # no black padding among them


def test_gtsrbs_stop_signs_are_redder_than_its_blue_signs(data_root: Path) -> None:
    data = cached("gtsrb", data_root).train
    red_over_blue = data.inputs[:, 0, 10:22, 10:22].float().mean((1, 2)) / (
        data.inputs[:, 2, 10:22, 10:22].float().mean((1, 2)) + 1
    )
    names = list(data.classes)
    stop, right = (red_over_blue[data.labels == names.index(name)].mean() for name in ("stop", "keep right"))
    assert stop > 1.1
    assert right < 0.9


def test_tiny_imagenets_counts(data_root: Path) -> None:
    data = cached("tinyimagenet", data_root)
    assert counts(data) == ([500] * 20, [50] * 20)
    assert data.train.inputs.shape == (10_000, 3, 64, 64)
    assert data.train.classes[0] == "goldfish"
    goldfish = data.test.inputs[data.test.labels == 0].float().mean((0, 2, 3))
    assert goldfish[0] > 1.2 * goldfish[2]


def test_modelnets_counts_without_the_empty_objects(data_root: Path) -> None:
    data = cached("modelnet10", data_root)
    assert (len(data.train), len(data.test)) == (3991 - 7, 908 - 1)
    assert counts(data) == (
        [101, 515, 889, 200, 200, 465, 200, 680, 391, 343],
        [50, 100, 100, 85, 86, 100, 86, 100, 100, 100],
    )
    assert data.train.inputs.shape[1:] == (1024, 3)
    norms = data.train.inputs.norm(dim=2).amax(1)
    torch.testing.assert_close(norms, torch.ones_like(norms))
    assert data.train.inputs.mean(1).abs().max() < 1e-5


def test_modelnets_z_is_up(data_root: Path) -> None:
    """A table's top is high and its legs are thin: half of its points are in the highest fifth."""
    data = cached("modelnet10", data_root).train
    for name, expected in (("table", 0.5), ("bathtub", None)):
        clouds = data.inputs[data.labels == data.classes.index(name)]
        z = clouds[..., 2]
        height = (z - z.amin(1, keepdim=True)) / (z.amax(1, keepdim=True) - z.amin(1, keepdim=True))
        high = float((height > 0.8).float().mean())
        assert high > expected if expected else high < 0.5


def test_modelnets_own_files_are_read(data_root: Path, tmp_path: Path) -> None:
    samples = sorted((data_root / "points" / "modelnet10" / "off_samples").glob("*.off"))
    shapes = {path.stem: read_off(path) for path in samples}
    assert {name: (len(mesh.vertices), len(mesh.faces)) for name, mesh in shapes.items()} == {
        "bathtub_0001": (3514, 3546),
        "bathtub_0002": (700, 664),
        "bathtub_0004": (2842, 3519),
    }
    folder = tmp_path / "bathtub"
    for part, some in (("train", samples[:2]), ("test", samples[2:])):
        (folder / part).mkdir(parents=True)
        for path in some:
            (folder / part / path.name).write_bytes(path.read_bytes())
    data = load("modelnet10", tmp_path, points=20_000)
    assert data.train.inputs.shape == (2, 20_000, 3)
    for cloud, mesh in zip(data.train.inputs, (shapes["bathtub_0001"], shapes["bathtub_0002"]), strict=True):
        drawn, exact = np.cov(cloud.double().numpy().T), _covariance(mesh)
        assert np.abs(drawn / np.trace(drawn) - exact / np.trace(exact)).max() < 0.01


def _covariance(mesh: Mesh) -> NDArray[np.float64]:
    """Of points uniform on the surface: for a triangle v of mean g, E[p p'] is (sum of v v' + 9 g g') / 12."""
    corners = mesh.vertices[mesh.faces]
    weight = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    weight /= weight.sum()
    middle = corners.mean(axis=1)
    second = np.einsum("f,fci,fcj->ij", weight, corners, corners) + 9 * np.einsum("f,fi,fj->ij", weight, middle, middle)
    mean = weight @ middle
    return np.asarray(second / 12 - np.outer(mean, mean), dtype=np.float64)
