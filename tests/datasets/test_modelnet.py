"""ModelNet's folders of OFF files, and the pack's voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from morpho.datasets import load
from morpho.errors import DataError, InputError
from tests.datasets.files import write_modelnet


@pytest.mark.parametrize("below", ["", "ModelNet10"])
def test_folders_are_read_with_classes_in_order(tmp_path: Path, below: str) -> None:
    write_modelnet(tmp_path / below)
    data = load("modelnet10", tmp_path, points=300)
    assert data.train.classes == ("bed", "desk")
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.inputs.shape == (4, 300, 3)
    # On a cube's surface the largest coordinate, from the cube's middle, is half its side.
    middle = (data.train.inputs.amax(1) + data.train.inputs.amin(1)) / 2
    reach = (data.train.inputs - middle[:, None]).abs().amax(2)
    assert (reach.amax(1) - reach.amin(1)).max() < 0.05


def test_clouds_depend_on_the_seed_and_differ(tmp_path: Path) -> None:
    write_modelnet(tmp_path)
    first, again, other = (load("modelnet10", tmp_path, points=50, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert not torch.equal(first.train.inputs, other.train.inputs)
    assert not torch.equal(first.train.inputs[0], first.train.inputs[1])
    assert not torch.equal(first.train.inputs[0], first.test.inputs[0])


def test_a_folder_beside_the_classes_is_not_one(tmp_path: Path) -> None:
    write_modelnet(tmp_path)
    (tmp_path / "pictures" / "train").mkdir(parents=True)
    (tmp_path / "README.txt").write_text("read me")
    assert load("modelnet10", tmp_path, points=5).train.classes == ("bed", "desk")


def test_forty_classes_are_not_ten(tmp_path: Path) -> None:
    write_modelnet(tmp_path, [f"class{i:02}" for i in range(11)])
    with pytest.raises(DataError, match="11 classes, but modelnet10 has 10"):
        load("modelnet10", tmp_path, points=5)
    assert len(load("modelnet40", tmp_path, points=5).train.classes) == 11


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", r"desk_0000\.off cannot be used \(its surface has no area\)"),
        ("OFF\n3 1 0\n0 0 0\n", r"desk_0000\.off is damaged"),
    ],
)
def test_a_bad_mesh_is_told_by_name(tmp_path: Path, text: str, words: str) -> None:
    write_modelnet(tmp_path)
    (tmp_path / "desk" / "test" / "desk_0000.off").write_text(text)
    with pytest.raises(DataError, match=words):
        load("modelnet10", tmp_path)


@pytest.mark.parametrize("points", [0, -5])
def test_empty_clouds_are_refused(tmp_path: Path, points: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        load("modelnet10", tmp_path, points=points)


def voxels(**changes: Any) -> dict[str, Any]:
    """A slab that stands, one that lies, and an object without a voxel between them."""
    grids = np.zeros((3, 24, 24, 24), dtype=np.uint8)
    grids[0, 4:6, 4:20, 2:22] = 1
    grids[2, 4:20, 2:22, 4:6] = 1
    packed = np.packbits(grids.reshape(3, -1), axis=1)
    labels = np.array([0, 0, 1], dtype=np.uint8)
    made = {"class_names": np.array(["wall", "table"]), "train_packed": packed, "train_label": labels}
    return made | {"test_packed": packed[:1], "test_label": labels[:1]} | changes


def test_voxels_are_unpacked_and_empty_objects_skipped(tmp_path: Path) -> None:
    np.savez(tmp_path / "modelnet10_voxel24.npz", **voxels())
    data = load("modelnet10", tmp_path, points=2000)
    assert data.train.labels.tolist() == [0, 1]
    assert data.train.classes == ("wall", "table")
    extent = data.train.inputs.amax(1) - data.train.inputs.amin(1)
    torch.testing.assert_close(extent[0] / extent[0, 2], torch.tensor([0.1, 0.8, 1.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(extent[1] / extent[1, 1], torch.tensor([0.8, 1.0, 0.1]), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_packed": voxels()["test_packed"][:, :-1]}, "do not fit together"),
        ({"test_packed": voxels()["test_packed"].astype(int)}, "do not fit together"),
        ({"test_label": np.array([0, 1])}, "do not fit together"),
        ({"test_label": np.array([2])}, "2 classes"),
        ({"test_packed": np.zeros((1, 1728), dtype=np.uint8)}, "0 to measure on"),
    ],
)
def test_damaged_voxels_are_told(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "modelnet10_voxel24.npz", **voxels(**changes))
    with pytest.raises(DataError, match=words):
        load("modelnet10", tmp_path, points=5)
