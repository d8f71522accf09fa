"""ICC profiles made up for tests, byte by byte as ICC.1 says."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Chromaticities of red, green, blue; all but ProPhoto (D50) have the white of D65.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
PROPHOTO = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105))
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
D65, D50 = (0.3127, 0.3290), (0.345704, 0.358540)

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def gamma(value: float) -> bytes:
    return curve([round(256 * value)])


def curve(samples: Sequence[int]) -> bytes:
    return b"curv" + bytes(4) + struct.pack(f">I{len(samples)}H", len(samples), *samples)


def parametric(kind: int, *numbers: float) -> bytes:
    return b"para" + bytes(4) + struct.pack(f">HH{len(numbers)}i", kind, 0, *(round(65536 * n) for n in numbers))


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def color(values: Iterable[float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def profile(
    tags: dict[bytes, bytes], *, space: bytes = b"RGB ", kind: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    """A profile of version 4 with these tags and the two that every profile has."""
    text = b"mluc" + bytes(4) + struct.pack(">II2sHII", 1, 12, b"en", 21843, 2, 28) + "x".encode("utf-16-be")
    tags = {b"desc": text, b"cprt": text, b"wtpt": color(_xyz(D50)), **tags}
    directory, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        directory += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(directory) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x04400000, kind, space, connection)
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + color(_xyz(D50))[8:]
    return head.ljust(128, b"\0") + directory + body


def matrix_profile(
    primaries: Sequence[tuple[float, float]], curves: bytes | Sequence[bytes], white: tuple[float, float] = D65
) -> bytes:
    """A profile with three primaries, and one curve for all or one for each."""
    matrix = colorants(primaries, white)
    three = [curves] * 3 if isinstance(curves, bytes) else list(curves)
    tags = {}
    for i, channel in enumerate((b"r", b"g", b"b")):
        tags[channel + b"XYZ"] = color(matrix[:, i])
        tags[channel + b"TRC"] = three[i]
    return profile(tags)


def grey_profile(content: bytes, connection: bytes = b"XYZ ") -> bytes:
    return profile({b"kTRC": content}, space=b"GRAY", connection=connection)


def table_profile(exponent: float = 1.0) -> bytes:
    """A profile whose colours stand in a table of 8-bit Lab (type lut8): L* by R, a* by G, b* by B."""
    nodes, levels = 5, np.linspace(0, 1, 5) ** exponent
    lattice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)  # the last channel is fastest
    body = np.rint(lattice * [255, 100, 100] + [0, 78, 78]).clip(0, 255).astype(np.uint8).tobytes()
    ramp = bytes(range(256)) * 3
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut8 = b"mft1" + bytes(4) + bytes([3, 3, nodes, 0]) + identity + ramp + body + ramp
    return profile({b"A2B0": lut8}, kind=b"scnr", connection=b"Lab ")


def colorants(primaries: Sequence[tuple[float, float]], white: tuple[float, float]) -> Floats:
    """XYZ of the three lights, adapted to D50 by Bradford."""
    directions = np.array([_xyz(xy) for xy in primaries]).T
    matrix = directions * np.linalg.solve(directions, _xyz(white))
    gain = (_BRADFORD @ _xyz(D50)) / (_BRADFORD @ _xyz(white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ (gain[:, None] * _BRADFORD) @ matrix)


def _xyz(xy: tuple[float, float]) -> Floats:
    return np.array([xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]])
