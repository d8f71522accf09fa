"""The pack's forms: JPEGs in one array, sheets of tiles; whole, damaged, and hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morpho.datasets import cifar10_lossless, load
from morpho.datasets.cifar import CIFAR10
from morpho.errors import DataError
from tests.datasets.files import jpeg, plain, random_bytes

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (9, 99, 199)]


def arrays(**changes: Any) -> dict[str, Any]:
    """Four pictures to learn from, one to measure on."""
    files = [jpeg(plain(32, colour)) for colour in COLOURS]
    made: dict[str, Any] = {"class_names": np.array(CIFAR10)}
    for part, some in (("train", files), ("test", files[1:2])):
        made[f"{part}_jpeg"] = np.frombuffer(b"".join(some), np.uint8)
        made[f"{part}_offset"] = np.cumsum([0, *map(len, some)])
        made[f"{part}_label"] = np.arange(len(some), dtype=np.uint8)
    return made | changes


def write(folder: Path, made: dict[str, Any]) -> None:
    np.savez(folder / "cifar10_jpeg.npz", **made)


def test_jpegs_are_decoded_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, arrays())
    data = load("cifar10", tmp_path)
    assert data.train.labels.tolist() == [0, 1, 2, 3]
    expected = torch.tensor(COLOURS)[:, :, None, None].expand(-1, -1, 32, 32)
    assert (data.train.inputs.int() - expected).abs().max() <= 3
    assert (data.test.inputs.int() - expected[1:2]).abs().max() <= 3


def test_grey_jpegs_are_tripled(tmp_path: Path) -> None:
    grey = jpeg(np.full((32, 32), 77, np.uint8))
    write(
        tmp_path,
        arrays(test_jpeg=np.frombuffer(grey, np.uint8), test_offset=np.array([0, len(grey)])),
    )
    assert load("cifar10", tmp_path).test.inputs.numpy().ravel().tolist() == [77] * 3 * 32 * 32


OFFSETS = arrays()["train_offset"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_jpeg": arrays()["train_jpeg"][:-9]}, "train ends before its last picture"),
        ({"train_offset": OFFSETS[:-1]}, "do not fit together"),
        ({"train_offset": OFFSETS[::-1].copy()}, "do not fit together"),
        ({"train_offset": OFFSETS - 1}, "do not fit together"),
        ({"train_offset": OFFSETS.astype(float)}, "do not fit together"),
        ({"train_jpeg": arrays()["train_jpeg"].astype(np.int16)}, "do not fit together"),
        ({"train_label": np.array([0, 1, 2, 10])}, "10 classes"),
        ({"train_label": np.array([0.0, 1, 2, 3])}, "labels are float64"),
        ({"train_label": np.array([0, 1, 2, 3], dtype=object)}, r"not a usable \.npz file"),
        ({"train_offset": np.array([0, 5, 10, 15, 20])}, "picture 0 of train in .* cannot be read"),
        ({"test_jpeg": random_bytes(700), "test_offset": np.array([0, 700])}, "picture 0 of test in"),
    ],
)
def test_damage_is_told_with_the_files_name(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    write(tmp_path, arrays(**changes))
    with pytest.raises(DataError, match=words) as error:
        load("cifar10", tmp_path)
    assert "cifar10_jpeg.npz" in str(error.value)


@pytest.mark.parametrize("part", [0.3, 0.7, 0.98])
def test_a_jpeg_cut_off_is_told(tmp_path: Path, part: float) -> None:
    file = jpeg(random_bytes(32, 32, 3))
    file = file[: int(part * len(file))]
    write(tmp_path, arrays(test_jpeg=np.frombuffer(file, np.uint8), test_offset=np.array([0, len(file)])))
    with pytest.raises(DataError, match="picture 0 of test in"):
        load("cifar10", tmp_path)


def test_a_jpeg_of_another_size_is_told(tmp_path: Path) -> None:
    file = jpeg(plain(33, (1, 2, 3)))
    write(tmp_path, arrays(test_jpeg=np.frombuffer(file, np.uint8), test_offset=np.array([0, len(file)])))
    with pytest.raises(DataError, match="33 x 33 pixels, not 32 x 32"):
        load("cifar10", tmp_path)


def test_another_picture_format_is_not_decoded(tmp_path: Path) -> None:
    Image.fromarray(plain(32, (1, 2, 3))).save(tmp_path / "x.png")
    file = (tmp_path / "x.png").read_bytes()
    write(tmp_path, arrays(test_jpeg=np.frombuffer(file, np.uint8), test_offset=np.array([0, len(file)])))
    with pytest.raises(DataError, match="not a JPEG"):
        load("cifar10", tmp_path)


def test_a_missing_array_is_told(tmp_path: Path) -> None:
    made = arrays()
    del made["test_label"]
    write(tmp_path, made)
    with pytest.raises(DataError, match=r"cifar10_jpeg\.npz has no array .*test_label"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_a_truncated_npz_is_told(tmp_path: Path, cut: int) -> None:
    write(tmp_path, arrays())
    path = tmp_path / "cifar10_jpeg.npz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"cifar10_jpeg\.npz is not a usable \.npz file"):
        load("cifar10", tmp_path)


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    write(tmp_path, arrays())
    path = tmp_path / "cifar10_jpeg.npz"
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8\xff") + 500] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"not a usable \.npz file .*CRC"):
        load("cifar10", tmp_path)


def test_a_single_array_under_the_name_is_told(tmp_path: Path) -> None:
    with (tmp_path / "cifar10_jpeg.npz").open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(DataError, match=r"not a usable \.npz file"):
        load("cifar10", tmp_path)


def write_sheets(folder: Path, pixels: np.ndarray, lines: list[str]) -> None:
    for number in range(2):
        Image.fromarray(pixels).save(folder / f"lossless_batch1_{number}.webp", lossless=True)
        (folder / f"lossless_batch1_{number}.csv").write_text("\n".join(lines) + "\n")


LINES = ["position,label,train_jpeg_index", "0,6,1", "1,9,2", "2,9,3"]


def test_tiles_are_cut_row_by_row(tmp_path: Path) -> None:
    sheet = random_bytes(64, 64, 3)
    write_sheets(tmp_path, sheet, LINES)
    data = cifar10_lossless(tmp_path)
    assert data.labels.tolist() == [6, 9, 9] * 2
    for place, (top, left) in enumerate([(0, 0), (0, 32), (32, 0)]):
        tile = sheet[top : top + 32, left : left + 32].transpose(2, 0, 1)
        assert np.array_equal(data.inputs[place].numpy(), tile)
        assert np.array_equal(data.inputs[place + 3].numpy(), tile)


@pytest.mark.parametrize(
    ("size", "lines", "words"),
    [
        ((64, 60), LINES, "60 x 64 pixels"),
        ((32, 64), LINES, "does not hold 3 RGB tiles"),
        ((64, 64), LINES[:1], "does not hold 0 RGB tiles"),
        ((64, 64), ["position,class", "0,1"], "has no column 'label'"),
        ((64, 64), ["position,label", "0,x"], "no number"),
        ((64, 64), ["position,label", "0"], "no number"),
        ((64, 64), ["position,label", "0,11"], "10 classes"),
    ],
)
def test_sheets_and_lists_must_fit(tmp_path: Path, size: tuple[int, int], lines: list[str], words: str) -> None:
    write_sheets(tmp_path, random_bytes(*size, 3), lines)
    with pytest.raises(DataError, match=words):
        cifar10_lossless(tmp_path)


def test_a_truncated_sheet_is_told(tmp_path: Path) -> None:
    write_sheets(tmp_path, random_bytes(64, 64, 3), LINES)
    path = tmp_path / "lossless_batch1_1.webp"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"lossless_batch1_1\.webp"):
        cifar10_lossless(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"lossless_batch1_1\.webp does not exist"):
        cifar10_lossless(tmp_path)
