"""Tiny ImageNet's official folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from morpho.datasets import load
from morpho.errors import DataError
from tests.datasets.files import jpeg, plain, write_tinyimagenet


@pytest.fixture
def official(tmp_path: Path) -> Path:
    write_tinyimagenet(tmp_path / "tiny-imagenet-200")
    return tmp_path


@pytest.mark.parametrize("below", ["", "tiny-imagenet-200"])
def test_the_folders_are_read_with_classes_in_order(official: Path, below: str) -> None:
    data = load("tinyimagenet", official / below)
    assert data.train.classes == ("goldfish", "bullfrog")
    assert data.train.labels.tolist() == [0, 1, 1]
    assert data.test.labels.tolist() == [1, 0]
    colours = torch.tensor([(250, 0, 0), (0, 250, 0), (0, 240, 0)])[:, :, None, None]
    assert (data.train.inputs.int() - colours).abs().max() <= 3
    assert data.test.inputs[1].flatten().tolist() == [77] * 3 * 64 * 64


def test_classes_without_names_keep_their_numbers(official: Path) -> None:
    (official / "tiny-imagenet-200" / "words.txt").unlink()
    assert load("tinyimagenet", official).train.classes == ("n01", "n02")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("val/val_annotations.txt", "val_0.JPEG\tn09\t0\t0\t1\t1\n", "'n09', which wnids.txt lacks"),
        ("val/val_annotations.txt", "val_0.JPEG\n", "which wnids.txt lacks"),
        ("val/val_annotations.txt", "../../x.JPEG\tn01\n", "no file of its folder"),
        ("val/val_annotations.txt", "val_9.JPEG\tn01\n", r"val_9\.JPEG cannot be read"),
        ("val/val_annotations.txt", "\n", "0 to measure on"),
        ("wnids.txt", "n01\n../n02\n", "cannot be a folder"),
        ("wnids.txt", "n07\n", "which wnids.txt lacks"),
        ("train/n01/images/n01_0.JPEG", "no picture", r"n01_0\.JPEG cannot be read"),
    ],
)
def test_wrong_files_are_told(official: Path, file: str, text: str, words: str) -> None:
    (official / "tiny-imagenet-200" / file).write_text(text)
    with pytest.raises(DataError, match=words):
        load("tinyimagenet", official)


def test_a_missing_table_a_wrong_encoding_and_a_wrong_size_are_told(official: Path) -> None:
    folder = official / "tiny-imagenet-200"
    (folder / "train" / "n01" / "images" / "n01_0.JPEG").write_bytes(jpeg(plain(63, (0, 0, 0))))
    with pytest.raises(DataError, match="63 x 63 pixels, not 64 x 64"):
        load("tinyimagenet", official)
    (folder / "words.txt").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match=r"words\.txt is not a text in UTF-8"):
        load("tinyimagenet", official)
    (folder / "words.txt").unlink()
    (folder / "val" / "val_annotations.txt").unlink()
    with pytest.raises(DataError, match=r"val_annotations\.txt cannot be read"):
        load("tinyimagenet", official)
