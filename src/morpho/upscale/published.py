"""Tables in the file layout of the reference implementation: a folder with one ``.npy`` file per table.

    S<stage>_<MSB|LSB>_<HDB|HD>_LUT_<H|D|B>_x<factor>_4bit_int8.npy        int8 (4096 or 256, 1, u, u)

Copies in circulation leave the suffix out or put other characters between the parts (a colon does not survive
every file system), so any separator is taken, in either case. Files that are neither arrays nor named like
tables (a README, a licence) are passed over. Nothing of such a folder is ever unpickled.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morpho.artifacts import Card
from morpho.errors import ArtifactError
from morpho.upscale.files import KIND
from morpho.upscale.tables import LSB_KERNELS, MSB_KERNELS, Stage, Tables

__all__ = ["load_folder"]

_NAME = re.compile(
    r"S(?P<stage>[1-9])[\W_]+(?P<branch>MSB|LSB)[\W_]+(?P<family>HDB|HD)[\W_]+(?:LUT[\W_]+)?"
    r"(?P<kernel>[A-Z]+)[\W_]+x(?P<factor>[1-4])(?:[\W_]+4bit)?(?:[\W_]+int8)?(?:\.npy)?",
    re.IGNORECASE,
)
#: What the kernel families of both branches must be: the form that `Stage` holds.
_FAMILIES = {"MSB": ("HDB", tuple(MSB_KERNELS)), "LSB": ("HD", tuple(LSB_KERNELS))}
_ENTRIES = {"MSB": 4096, "LSB": 256}

_Key = tuple[int, str, str]


def load_folder(folder: Path | str) -> tuple[Tables, Card]:
    """Read tables that were published in the reference's own layout.

    Args:
        folder: holds ten files for the two-stage model: three MSB and two LSB tables per stage.

    Returns:
        The tables, and a card with the folder's name; what the folder does not tell is ``unknown``.

    Raises:
        ArtifactError: the folder is missing, or a file is missing, surplus, twice there or not such a table.
    """
    folder = Path(folder)
    try:
        return _tables(_find(folder)), _card(folder)
    except ArtifactError as error:
        raise ArtifactError(f"{folder}: {error}") from error


def _card(folder: Path) -> Card:
    name = folder.resolve().name or "folder"
    return Card(kind=KIND, name=name, version="unknown", licence="unknown", data="unknown")


def _find(folder: Path) -> dict[_Key, tuple[int, Path]]:
    """The tables' files by (stage, branch, kernel), each with the factor that its name tells."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ArtifactError(f"the folder cannot be read ({error.strerror}): give a folder of tables") from error
    found: dict[_Key, tuple[int, Path]] = {}
    for path in paths:
        named = _NAME.fullmatch(path.name)
        if named is None:
            _pass_over(path)
            continue
        key = _key(path, named)
        if key in found:
            raise ArtifactError(f"{found[key][1].name} and {path.name} are the same table: keep one of them")
        found[key] = int(named["factor"]), path
    if not found:
        raise ArtifactError("no file is named like S1_MSB_HDB_LUT_H_x2_4bit_int8.npy: give a folder of tables")
    return found


def _pass_over(path: Path) -> None:
    if path.suffix.lower() == ".npy":
        raise ArtifactError(
            f"{path.name} is not named like S1_MSB_HDB_LUT_H_x2_4bit_int8.npy: rename it or move it away"
        )


def _key(path: Path, named: re.Match[str]) -> _Key:
    branch, family, kernel = (named[part].upper() for part in ("branch", "family", "kernel"))
    expected, kernels = _FAMILIES[branch]
    if family != expected or kernel not in kernels:
        raise ArtifactError(
            f"{path.name} is a {kernel} table of a {family} {branch} branch: "
            f"only {expected} ({', '.join(kernels)}) is supported there"
        )
    return int(named["stage"]), branch, kernel


def _tables(found: dict[_Key, tuple[int, Path]]) -> Tables:
    count = max(stage for stage, _, _ in found)
    for number in range(1, count + 1):
        for branch, (_, kernels) in _FAMILIES.items():
            for kernel in kernels:
                if (number, branch, kernel) not in found:
                    raise ArtifactError(f"the {branch} {kernel} table of stage {number} is missing: add its file")
    return Tables(tuple(_stage(found, number) for number in range(1, count + 1)))


def _stage(found: dict[_Key, tuple[int, Path]], number: int) -> Stage:
    factors = {factor for (stage, _, _), (factor, _) in found.items() if stage == number}
    if len(factors) > 1:
        raise ArtifactError(f"the files of stage {number} name the factors {sorted(factors)}: they must agree")
    factor = factors.pop()
    msb, lsb = (
        np.stack([_read(found[number, branch, kernel][1], _ENTRIES[branch], factor) for kernel in kernels])
        for branch, (_, kernels) in _FAMILIES.items()
    )
    return Stage(factor, msb, lsb)


def _read(path: Path, entries: int, factor: int) -> NDArray[np.int8]:
    """Read one table; mapping the file first makes the size that its header claims harmless."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header also fails in Python's tokenizer and parser
        raise ArtifactError(f"{path.name} cannot be read as a NumPy array: get it again") from error
    if not isinstance(array, np.ndarray):
        raise ArtifactError(f"{path.name} is an archive, not one NumPy array: unpack it")
    block = factor * factor
    if array.dtype != np.int8 or array.size != entries * block or array.shape[:1] != (entries,):
        raise ArtifactError(f"{path.name} must be int8 {(entries, 1, factor, factor)}, not {array.dtype} {array.shape}")
    return np.array(array, order="C").reshape(entries, factor, factor)
