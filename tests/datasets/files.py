"""Small files in the official forms of the data sets."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]


def random_bytes(*shape: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx(array: Bytes) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, *, dot: bool = False, zipped: bool = False) -> dict[str, tuple[Bytes, Bytes]]:
    """Seven pictures to learn from, three to measure on."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for part, count in (("train", 7), ("t10k", 3)):
        images, labels = random_bytes(count, 28, 28, seed=count), random_bytes(count, seed=count) % 10
        for array, name in ((images, "images-idx3"), (labels, "labels-idx1")):
            stem = f"{part}-{name}-ubyte".replace("-idx", ".idx") if dot else f"{part}-{name}-ubyte"
            data = gzip.compress(idx(array)) if zipped else idx(array)
            (folder / (stem + ".gz" * zipped)).write_bytes(data)
        made[part] = (images, labels)
    return made


def write_cifar10(folder: Path) -> tuple[Bytes, Bytes]:
    """Five files of four records and one of three: label, then the planes red, green, blue."""
    folder.mkdir(parents=True, exist_ok=True)
    labels, planes = (np.arange(23) % 10).astype(np.uint8), random_bytes(23, 3, 32, 32)
    records = np.concatenate([labels[:, None], planes.reshape(23, -1)], axis=1)
    for number in range(5):
        (folder / f"data_batch_{number + 1}.bin").write_bytes(records[4 * number : 4 * number + 4].tobytes())
    (folder / "test_batch.bin").write_bytes(records[20:].tobytes())
    return labels, planes


def write_cifar100(folder: Path) -> tuple[Bytes, Bytes, Bytes]:
    """Four records and two: coarse label, fine label, planes."""
    folder.mkdir(parents=True, exist_ok=True)
    coarse, fine = np.array([0, 5, 19, 7, 1, 2], np.uint8), np.array([99, 3, 0, 45, 12, 60], np.uint8)
    planes = random_bytes(6, 3, 32, 32)
    records = np.concatenate([coarse[:, None], fine[:, None], planes.reshape(6, -1)], axis=1)
    (folder / "train.bin").write_bytes(records[:4].tobytes())
    (folder / "test.bin").write_bytes(records[4:].tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(f"fine{i}" for i in range(100)) + "\n")
    (folder / "coarse_label_names.txt").write_text("\n".join(f"coarse{i}" for i in range(20)) + "\n\n")
    return coarse, fine, planes


def plain(side: int | tuple[int, int], colour: Sequence[int]) -> Bytes:
    """A picture of one colour; the side is one number, or height and width."""
    height, width = (side, side) if isinstance(side, int) else side
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def jpeg(pixels: Bytes, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=100, subsampling=0, **options)
    return stream.getvalue()


def ppm(pixels: Bytes) -> bytes:
    return b"P6\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()


def write_gtsrb(folder: Path) -> None:
    """Classes 0 and 14, two pictures each; two to test. A coloured sign stands on grey, and the table says where."""
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
    for label in (0, 14):
        images = folder / "Final_Training" / "Images" / f"{label:05d}"
        images.mkdir(parents=True)
        lines = [_sign(images / f"00000_{frame:05d}.ppm", label, 40 + frame) for frame in range(2)]
        (images / f"GT-{label:05d}.csv").write_text(header + "".join(lines))
    images = folder / "Final_Test" / "Images"
    images.mkdir(parents=True)
    lines = [_sign(images / f"{number:05d}.ppm", label, 50) for number, label in enumerate((14, 0))]
    (images / "GT-final_test.csv").write_text(header + "".join(lines))


def colour_of(label: int) -> tuple[int, int, int]:
    return 200, 10 * label, 0


def _sign(path: Path, label: int, width: int) -> str:
    pixels = plain((30, width), (128, 128, 128))
    pixels[5:25, 6 : width - 6] = colour_of(label)
    path.write_bytes(ppm(pixels))
    return f"{path.name};{width};30;6;5;{width - 6};25;{label}\n"


def write_tinyimagenet(folder: Path) -> None:
    """Two classes, listed the wrong way round; three pictures to learn from, two to measure on, one grey."""
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("n02\nn01\n")
    (folder / "words.txt").write_text("n00\tother\nn01\tgoldfish, Carassius auratus\nn02\tbullfrog\n")
    for wnid, colours in (("n01", [(250, 0, 0)]), ("n02", [(0, 250, 0), (0, 240, 0)])):
        images = folder / "train" / wnid / "images"
        images.mkdir(parents=True)
        for number, colour in enumerate(colours):
            (images / f"{wnid}_{number}.JPEG").write_bytes(jpeg(plain(64, colour)))
    (folder / "val" / "images" / "val_0.JPEG").write_bytes(jpeg(plain(64, (0, 230, 0))))
    (folder / "val" / "images" / "val_1.JPEG").write_bytes(jpeg(np.full((64, 64), 77, np.uint8)))
    (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t63\t63\nval_1.JPEG\tn01\t0\t0\t9\t9\n")


#: A cube with corners at 0 and 1: its eight corners, and its six sides as squares.
CUBE = "\n".join(f"{i >> 2 & 1} {i >> 1 & 1} {i & 1}" for i in range(8))
SQUARES = ("0 1 3 2", "4 5 7 6", "0 1 5 4", "2 3 7 6", "0 2 6 4", "1 3 7 5")


def cube(header: str = "OFF\n8 6 0\n", end: str = "\n") -> str:
    return header + CUBE + "\n" + "\n".join(f"4 {square}" for square in SQUARES) + end


def write_modelnet(folder: Path, classes: Sequence[str] = ("desk", "bed")) -> None:
    """Two objects to learn from and one to measure on, of each class."""
    for name in classes:
        for part, count in (("train", 2), ("test", 1)):
            (folder / name / part).mkdir(parents=True)
            for number in range(count):
                (folder / name / part / f"{name}_{number:04d}.off").write_text(cube())
