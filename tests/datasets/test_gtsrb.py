"""GTSRB's official folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from morpho.datasets import load
from morpho.datasets.gtsrb import GTSRB
from morpho.errors import DataError, InputError
from tests.datasets.files import colour_of, write_gtsrb


@pytest.fixture
def official(tmp_path: Path) -> Path:
    write_gtsrb(tmp_path / "GTSRB")
    return tmp_path


def test_there_are_43_signs() -> None:
    assert len(set(GTSRB)) == 43
    assert (GTSRB[0], GTSRB[14], GTSRB[42]) == ("speed limit 20", "stop", "end of no overtaking by trucks")


@pytest.mark.parametrize("below", ["", "GTSRB"])
def test_pictures_are_resized_and_labelled(official: Path, below: str) -> None:
    data = load("gtsrb", official / below)
    assert data.train.inputs.shape == (4, 3, 32, 32)
    assert data.train.labels.tolist() == [0, 0, 14, 14]
    assert data.test.labels.tolist() == [14, 0]
    for pixels, label in zip(data.train.inputs, data.train.labels.tolist(), strict=True):
        assert pixels[:, 16, 16].tolist() == list(colour_of(label))
        assert pixels[:, 0, 0].tolist() == [128] * 3


def test_a_crop_is_the_sign_alone(official: Path) -> None:
    data = load("gtsrb", official, crop=True, size=20)
    assert data.test.inputs.shape == (2, 3, 20, 20)
    for pixels, label in zip(data.test.inputs, data.test.labels.tolist(), strict=True):
        assert torch.equal(pixels, torch.tensor(colour_of(label), dtype=torch.uint8)[:, None, None].expand(-1, 20, 20))


def test_the_test_table_may_lie_above(official: Path) -> None:
    folder = official / "GTSRB"
    (folder / "Final_Test" / "Images" / "GT-final_test.csv").rename(folder / "GT-final_test.csv")
    assert load("gtsrb", official).test.labels.tolist() == [14, 0]
    (folder / "GT-final_test.csv").unlink()
    with pytest.raises(DataError, match=r"put GT-final_test\.csv there"):
        load("gtsrb", official)


HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEADER}\n../../secret.ppm;1;1;0;0;1;1;0\n", "no file of its folder"),
        (f"{HEADER}\n/etc/passwd;1;1;0;0;1;1;0\n", "no file of its folder"),
        (f"{HEADER}\n..;1;1;0;0;1;1;0\n", "no file of its folder|cannot be read"),
        (f"{HEADER}\n;1;1;0;0;1;1;0\n", "no file of its folder"),
        (f"{HEADER}\nmissing.ppm;1;1;0;0;1;1;0\n", r"missing\.ppm cannot be read"),
        (f"{HEADER}\n00000.ppm;1;1;0;0;1;1;43\n", "43 classes"),
        (f"{HEADER}\n00000.ppm;1;1;0;0;1;1;one\n", "no whole number"),
        (f"{HEADER}\n00000.ppm;1;1\n", "no whole number"),
        (f"{HEADER}\n00000.ppm;50;30;6;5;51;25;0\n", "not inside its 50 x 30"),
        (f"{HEADER}\n00000.ppm;50;30;6;5;6;25;0\n", "not inside its 50 x 30"),
        (HEADER.replace(";", ",") + "\n00000.ppm,1,1,0,0,1,1,0\n", "has no column 'Filename'"),
        ("\xff\xfe", r"GT-final_test\.csv"),
        (HEADER, "0 to measure on"),
    ],
)
def test_a_wrong_table_is_told(official: Path, text: str, words: str) -> None:
    path = official / "GTSRB" / "Final_Test" / "Images" / "GT-final_test.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=words):
        load("gtsrb", official, crop=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P6\n50 30\n255\n" + bytes(4000),
        b"P5\n50 30\n255\n" + bytes(1500),
        b"P6\n99999999 99999999\n255\n",
        b"GIF89a",
    ],
)
def test_a_wrong_picture_is_told_by_name(official: Path, data: bytes) -> None:
    (official / "GTSRB" / "Final_Training" / "Images" / "00014" / "00000_00001.ppm").write_bytes(data)
    with pytest.raises(DataError, match=r"00000_00001\.ppm cannot be read"):
        load("gtsrb", official)


def test_an_empty_size_is_refused(official: Path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        load("gtsrb", official, size=0)
