"""The idx format of MNIST: two zero bytes, a type, the number of dimensions, their sizes, the values."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.errors import DataError

__all__ = ["read_idx"]

_UINT8 = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an array of bytes from an idx file, gzipped where its name ends in ``.gz``.

    The sizes, at most three, are big-endian 32-bit numbers.

    Raises:
        DataError: it cannot be read, is no idx file of bytes, or is not as long as it says.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error!s:.80}): get a fresh copy") from error
    if len(data) < 4 or data[:3] != bytes((0, 0, _UINT8)) or not 1 <= data[3] <= 3 or len(data) < 4 + 4 * data[3]:
        raise DataError(f"{path} is not an idx file of bytes: get a fresh copy")
    start = 4 + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) - start != math.prod(shape):
        raise DataError(
            f"{path} has {len(data) - start} bytes of values where its header says {math.prod(shape)}: get a fresh copy"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
