"""Volumes of voxels: read from files that come from anywhere, resampled, and turned into signed distances."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError, MorphoError, require
from morpho.fields.signal import Signal
from morpho.fields.sources import check_source

__all__ = ["SUFFIXES", "read_volume", "resampled", "tight", "volume_sdf", "volume_signal"]

SUFFIXES = (".npy", ".npz", ".mat", ".mat.zip")

#: No file may take more memory than this once it is unpacked: eight bytes for each of 512^3 voxels.
_MOST_BYTES = 2**30
#: Distances within so many voxels are found by shifts, at half a gigavoxel in seconds; 2 * 11**2 + 1 fits a byte.
_NEAR = 11
#: The name that files of the usual test volumes give to theirs.
_USUAL = "hypercube"


def read_volume(path: Path | str, *, key: str | None = None, level: float | None = None) -> NDArray[np.bool_]:
    """Read an occupancy ``(X, Y, Z)`` from ``.npy``, ``.npz``, ``.mat`` (up to version 7) or ``.mat.zip``.

    Args:
        path: the file.
        key: the array's name, where the file holds several; by default ``hypercube``, or the only one of three axes.
        level: voxels above it are inside; by default halfway between the smallest and the largest value.

    Raises:
        InputError: the file is missing, damaged or too large, or holds no such volume.
    """
    path = Path(path)
    name = path.name.lower()
    if key is not None and name.endswith(".npy"):
        raise InputError(f"{path} holds one array without a name: leave the key {key} out")
    check_source(path, "volume")
    try:
        if name.endswith(".npy"):
            return _occupied(np.load(_checked_npy(path), mmap_mode="r", allow_pickle=False), path, level)
        if name.endswith(".npz"):
            return _occupied(_from_zip(path, key, ".npy", _from_npy), path, level)
        if name.endswith(".mat.zip"):
            return _occupied(_from_zip(path, None, ".mat", lambda content: _from_mat(content, path, key)), path, level)
        if name.endswith(".mat"):
            return _occupied(_from_mat(_content(path), path, key), path, level)
    except MorphoError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory: give a smaller volume") from error
    except Exception as error:  # SciPy's and NumPy's readers raise whatever damaged bytes lead them to
        raise InputError(f"{path} cannot be read as a volume ({_short(error)}): get it again") from error
    raise InputError(f"{path} is no volume that is known here: give one of {', '.join(SUFFIXES)}")


def resampled(volume: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the voxels nearest to ``size`` places per axis, first and last voxel kept, as a zoom of order 0 does.

    ``index[j] = floor(j (n - 1) / (size - 1) + 1/2)``, so that a field's coordinates mean the same at any size.

    Raises:
        InputError: the size is below 2.

    >>> resampled(np.arange(4) * np.ones((4, 4, 4)), 2)[0, 0].tolist()
    [0.0, 3.0]
    """
    if size < 2:
        raise InputError(f"a volume cannot have {size} voxels per axis: give 2 or more")
    index = [np.floor(np.linspace(0, n - 1, size) + 0.5).astype(np.intp) for n in volume.shape]
    return np.ascontiguousarray(volume[np.ix_(*index)])


def tight(volume: NDArray[np.bool_], margin: int = 0) -> NDArray[np.bool_]:
    """Cut a volume to the box around what is inside, with a margin of voxels where there are any.

    >>> box = np.zeros((9, 9, 9), bool)
    >>> box[2:4, 5:6, 7:9] = True
    >>> tight(box).shape, tight(box, margin=1).shape
    ((2, 1, 2), (4, 3, 3))
    """
    slices = []
    for axis in range(3):
        rows = np.flatnonzero(volume.any(axis=tuple({0, 1, 2} - {axis})))
        slices.append(slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin) if len(rows) else slice(None))
    return np.ascontiguousarray(volume[tuple(slices)])


def volume_sdf(volume: NDArray[np.bool_], truncate: float | None = None) -> NDArray[np.float32]:
    """Return the signed distance to a volume's surface at its voxels, negative inside; the longest side measures 2.

    The surface lies halfway between voxels inside and outside: ``distance to the nearest voxel of the other side -
    half a voxel``, by the Euclidean distance transform; so the sign is exact at every voxel. Voxels count as cubes.

    Args:
        volume: ``(X, Y, Z)`` booleans.
        truncate: the distance at which values are cut off.

    Raises:
        InputError: nothing or everything is inside.
        MissingExtraError: SciPy is not installed.

    >>> volume = np.zeros((5, 3, 3), bool)
    >>> volume[:2] = True
    >>> volume_sdf(volume)[:, 0, 0].tolist()
    [-0.75, -0.25, 0.25, 0.75, 1.25]
    """
    if volume.all() or not volume.any():
        raise InputError("the volume has no surface: some voxels must be inside and some outside")
    voxel = 2 / max(1, max(volume.shape) - 1)
    reach = math.inf if truncate is None else math.ceil(truncate / voxel + 0.5)
    if reach <= _NEAR:
        voxels = np.sqrt(np.arange(reach**2 + 2))
        table = (voxel * np.maximum(voxels - 0.5, 0)).astype(np.float32)
        distance: NDArray[np.float32] = table[_squares_within(~volume, int(reach))]
        distance -= table[_squares_within(volume, int(reach))]
    else:
        transform = require("scipy.ndimage", "shapes").distance_transform_edt
        distance = np.zeros(volume.shape, np.float32)
        for side, sign in ((volume, -1), (~volume, 1)):
            distance += (sign * voxel * np.maximum(transform(side) - 0.5, 0)).astype(np.float32)
    return distance if truncate is None else np.clip(distance, -truncate, truncate, out=distance)


def volume_signal(volume: NDArray[Any], truncate: float | None = None) -> Signal:
    """Return what a field of a volume stands for, one voxel being the unit of length.

    Args:
        volume: ``(X, Y, Z)``.
        truncate: for signed distances cut off at this one; None means occupancies.

    >>> volume_signal(np.zeros((8, 8, 4), bool)).extent
    (7.0, 7.0, 3.0)
    """
    extent = tuple(float(max(1, n - 1)) for n in volume.shape)
    place: dict[str, Any] = {"shape": volume.shape, "channels": 1, "origin": (0.0, 0.0, 0.0), "extent": extent}
    if truncate is None:
        return Signal(kind="occupancy", **place)
    return Signal(kind="sdf", low=-truncate, high=truncate, **place)


def _squares_within(side: NDArray[np.bool_], reach: int) -> NDArray[np.uint8]:
    """Return the squared distance in voxels from voxels of a side to the nearest of the other; 0 for the others.

    Axis by axis the least sum of squares is exact (Saito and Toriwaki, 1994); squares above ``reach**2`` all come out
    as one more than that, so that a few shifts per axis are enough.
    """
    squares = side.astype(np.uint8) * np.uint8(reach**2 + 1)
    for axis, across in ((0, 1), (1, 0), (2, 0)):
        for values in np.moveaxis(squares, (across, axis), (0, 1)):  # slice by slice, which the cache holds
            before = values.copy()
            for step in range(1, reach + 1):
                moved = before + np.uint8(step**2)
                np.minimum(values[step:], moved[:-step], out=values[step:])
                np.minimum(values[:-step], moved[step:], out=values[:-step])
    return squares


def _occupied(values: Any, path: Path, level: float | None) -> NDArray[np.bool_]:
    """Compare a volume with its level."""
    if not isinstance(values, np.ndarray) or values.ndim != 3 or values.dtype.kind not in "biuf" or not values.size:
        shape, kind = getattr(values, "shape", "?"), getattr(values, "dtype", "?")
        raise InputError(f"{path} holds {shape} of type {kind}, which is no volume: give numbers along three axes")
    if values.nbytes > _MOST_BYTES:
        raise _too_large(path)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{path} holds values that are no numbers: repair the volume")
    if level is None:
        level = (float(low) + float(high)) / 2
    if not float(low) <= level < float(high):
        raise InputError(f"{path} has values from {low} to {high}, all on one side of {level}: there is no surface")
    return np.ascontiguousarray(values > level)


def _content(path: Path) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise _too_large(path)
    return path.read_bytes()


def _checked_npy(path: Path) -> Path:
    if path.stat().st_size > _MOST_BYTES:
        raise _too_large(path)
    return path


def _from_npy(content: bytes) -> Any:
    values: Any = np.load(io.BytesIO(content), allow_pickle=False)
    return values


def _from_zip(path: Path, key: str | None, suffix: str, parse: Callable[[bytes], Any]) -> Any:
    """Parse the member of an archive that is named, usual or the only one, without unpacking more than is allowed."""
    with zipfile.ZipFile(path) as archive:
        members = {m.filename[: -len(suffix)]: m for m in archive.infolist() if m.filename.endswith(suffix)}
        name = _chosen(list(members), key, path)
        with archive.open(members[name]) as file:
            content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise _too_large(path)
    return parse(content)


def _from_mat(content: bytes, path: Path, key: str | None) -> Any:
    matlab = require("scipy.io", "shapes")
    if content[:4] == b"\x89HDF" or content[:128].find(b"MATLAB 7.3") >= 0:
        raise InputError(f"{path} has MATLAB's format 7.3: save it with -v7, or as .npy")
    _check_inflated(content, path)
    listed = {name: shape for name, shape, _ in matlab.whosmat(io.BytesIO(content)) if len(shape) == 3}
    if any(math.prod(shape) > _MOST_BYTES for shape in listed.values()):
        raise _too_large(path)
    name = _chosen(list(listed), key, path)
    return matlab.loadmat(io.BytesIO(content), variable_names=[name])[name]


def _check_inflated(content: bytes, path: Path) -> None:
    """Unpack the compressed elements of a MATLAB 5 file piece by piece and only count: a few KB may hide gigabytes."""
    order: Literal["little", "big"] = "little" if content[126:128] == b"IM" else "big"
    place, total = 128, 0
    while place + 8 <= len(content):
        kind = int.from_bytes(content[place : place + 4], order)
        size = int.from_bytes(content[place + 4 : place + 8], order)
        if kind == 15:
            engine, rest = zlib.decompressobj(), content[place + 8 : place + 8 + size]
            while rest and not engine.eof and total <= _MOST_BYTES:
                total += len(engine.decompress(rest, 2**20))
                rest = engine.unconsumed_tail
        place += 8 + size
    if total > _MOST_BYTES:
        raise _too_large(path)


def _chosen(names: list[str], key: str | None, path: Path) -> str:
    wanted = key if key is not None else _USUAL if _USUAL in names else names[0] if len(names) == 1 else None
    if wanted is None or wanted not in names:
        held = ", ".join(sorted(names)[:8]) or "none"
        asked = "several volumes" if wanted is None and names else f"no volume {wanted or 'at all'}"
        raise InputError(f"{path} holds {asked} ({held}): give its name as the key")
    return wanted


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def _too_large(path: Path) -> InputError:
    return InputError(f"{path} takes more than {_MOST_BYTES >> 30} GiB in memory: give a smaller volume")
