"""A reader of coded fields made from the words of docs/fields.md alone, against the package's own."""

from __future__ import annotations

import json
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.artifacts import Card
from morpho.fields import files
from morpho.fields.field import Field
from morpho.fields.model import Scone
from morpho.fields.signal import Signal
from tests.fields import small


class Decoder:
    """The range decoder with its models; nothing but Python's integers."""

    def __init__(self, octets: bytes) -> None:
        self.octets = iter(octets)
        self.range, self.code = 2**32 - 1, 0
        for _ in range(4):
            self.code = self.code << 8 | next(self.octets)
        self.models: dict[tuple[object, ...], list[int]] = {}

    def bit(self, *model: object) -> int:
        """One bit, with a model by name, or even."""
        if not model:
            return self.split(self.range >> 1)
        start = {"nonzero": 0, "negative": 8, "exponent": 0, "below": 12}[str(model[1])]
        state = self.models.setdefault(model, [2**21, start])
        bit = self.split((self.range >> 15) * min(max(state[0] >> 7, 2**8), 2**15 - 2**8))
        p, n = state
        state[0] = p - p // (n + 2) if bit else p + (2**22 - p) // (n + 2)
        state[1] = min(n + 1, 1000)
        return bit

    def split(self, bound: int) -> int:
        bit = int(self.code >= bound)
        if bit:
            self.code, self.range = self.code - bound, self.range - bound
        else:
            self.range = bound
        while self.range < 2**24:
            self.range, self.code = self.range << 8, self.code << 8 | next(self.octets)
        return bit

    def integer(self, kind: int) -> int:
        if not self.bit(kind, "nonzero"):
            return 0
        negative = self.bit(kind, "negative")
        e = 0
        while e < 15 and self.bit(kind, "exponent", e):
            e += 1
        size, below = 1, 1
        for place in range(e):
            bit = self.bit(kind, "below", e, below) if place < 3 else self.bit()
            size, below = 2 * size + bit, 2 * below + bit
        return -size if negative else size

    def forget(self, kind: int) -> None:
        for model, state in self.models.items():
            if model[0] == kind:
                state[1] = min(state[1], 60)


def read(content: bytes) -> dict[str, list[float]]:
    """The weights of a coded scone, flat, by name."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header["__metadata__"]["card"])
    assert (card["kind"], card["recipe"]["format"]) == ("field", 1)
    begin, end = header["coded"]["data_offsets"]
    coded = content[8 + length :][begin:end]
    own = {name: card["recipe"][name] for name in ("format", "model", "signal")}
    text = json.dumps(own, separators=(",", ":"))
    assert all(json.dumps(own[name], separators=(",", ":")) in header["__metadata__"]["card"] for name in own)
    assert zlib.crc32(text.encode() + b"coded" + coded) == card["recipe"]["crc32"]
    model, signal = card["recipe"]["model"], card["recipe"]["signal"]
    n, d = model["width"], len(signal["shape"])
    sizes: dict[str, int] = {}
    for i in range(1, len(model["omegas"]) + 1):
        sizes |= {f"mask.{i}.weight": n * (d if i == 1 else n), f"mask.{i}.bias": n}
        sizes |= {f"basis.{i}.weight": n * d, f"basis.{i}.bias": n}
    sizes |= {"head.weight": n * signal["channels"], "head.bias": signal["channels"]}
    steps = [struct.unpack("<f", b"\0\0" + coded[2 * i : 2 * i + 2])[0] for i in range(len(sizes))]
    decoder = Decoder(coded[2 * len(sizes) :])
    weights = {}
    for (name, size), step in zip(sizes.items(), steps, strict=True):
        kind = int(32 * size < sum(sizes.values()))
        decoder.forget(kind)
        weights[name] = [decoder.integer(kind) * step for _ in range(size)]
    assert next(decoder.octets, None) is None
    return weights


@pytest.mark.parametrize("bits", [2, 3, 6, 8, 12])
@pytest.mark.parametrize("width", [3, 24])
def test_the_page_describes_the_file(tmp_path: Path, bits: int, width: int) -> None:
    model = Scone(width=width)
    signal = Signal(kind="image", shape=(20, 30), channels=3, colour="rgb")
    random = np.random.default_rng(bits)
    tensors = {name: value * random.laplace(1) for name, value in model.initial(2, 3, random).items()}
    card = Card(kind="field", name="toy", version="1", licence="CC0-1.0")
    files.save(tmp_path / "toy.field", Field(signal, model, tensors, card), bits)
    loaded = files.load(tmp_path / "toy.field")
    found = read((tmp_path / "toy.field").read_bytes())
    assert found.keys() == tensors.keys()
    for name, values in found.items():
        assert values == loaded.tensors[name].ravel().tolist()
        assert math.isfinite(sum(values))


def scone(field: Field, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's outputs, by the page's formula in plain NumPy."""
    model, weights = field.model, field.tensors
    assert isinstance(model, Scone)
    assert model.mask == "sin2"

    def layer(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values @ weights[f"{name}.weight"].astype(np.float64).T + weights[f"{name}.bias"])

    h = x
    for i, omega in enumerate(model.omegas, 1):
        h = np.sin(omega * layer(f"basis.{i}", x)) * np.sin(model.omega0 * layer(f"mask.{i}", h)) ** 2
    return layer("head", h)


@pytest.mark.parametrize("size", [(20, 30), (33, 41), (10, 15), (7, 29), (1, 40)])
def test_the_page_describes_other_sizes(size: tuple[int, int]) -> None:
    field = small.field()
    axes = []
    for m, n in zip(size, field.signal.shape, strict=True):
        k = min(math.ceil(n / m), 16) if m < n else 1
        places = [[min(max((k * j + p + 0.5) * n / (k * m) - 0.5, 0), n - 1) for p in range(k)] for j in range(m)]
        axes.append(2 * np.array(places) / (n - 1) - 1)
    rows, columns = axes
    shape = (len(rows), len(columns), rows.shape[1], columns.shape[1])
    points = np.stack(
        [
            np.broadcast_to(rows[:, None, :, None], shape),
            np.broadcast_to(columns[None, :, None, :], shape),
        ],
        -1,
    )
    values = scone(field, points).mean((2, 3))
    wanted = np.clip(255 * (values + 1) / 2, 0, 255)
    assert np.abs(field.render(size=size) - wanted).max() < 0.5 + 1e-3
