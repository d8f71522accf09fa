"""From what a person typed to a list of jobs.

All that can be known to go wrong with the names is found here, before any picture is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from morpho.cli.inputs import Found, Shard, find_pictures, identity
from morpho.cli.names import CubeNamer, Namer, sheet_of
from morpho.errors import InputError, OutputExistsError

__all__ = ["Job", "Plan", "make_plan"]


@dataclass(frozen=True)
class Job:
    """One picture to make: from where to where; None is stdin or stdout.

    Attributes:
        source: the picture.
        target: the result.
        cube: the lookup table that is written too, or None.
        sheet: whether a comparison sheet is written beside the result.
    """

    source: Path | None
    target: Path | None
    cube: Path | None = None
    sheet: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are written."""
        sheet = sheet_of(self.target) if self.sheet and self.target is not None else None
        return tuple(path for path in (self.target, sheet, self.cube) if path is not None)


_Pair = tuple[Found, Job]


@dataclass(frozen=True)
class Plan:
    """The jobs in order, whether folders may be made for the results, and what a person should know."""

    jobs: tuple[Job, ...]
    make_folders: bool
    notes: tuple[str, ...] = ()


def make_plan(
    inputs: Sequence[str],
    *,
    output: str | None = None,
    suffix: str,
    fields: Mapping[str, str] | None = None,
    recursive: bool = False,
    format: str | None = None,
    shard: Shard | None = None,
    overwrite: bool = False,
    sheets: bool = False,
    cube: str | None = None,
    names: type[Namer] = Namer,
) -> Plan:
    """Decide what is made from what.

    Args:
        inputs: files, folders, patterns such as ``'shots/*.png'``, or ``-`` for stdin.
        output: a file, a folder, a template such as ``{stem}_big{ext}``, or ``-`` for stdout; by default
            every result lies beside its input.
        suffix: what is put behind the stem where no name is given, such as ``_x4``.
        fields: further fields of templates, beside stem, ext, name, parent and folder.
        recursive: take all pictures in folders, however deep.
        format: write this format; by default that of the input's name.
        shard: keep only this part of the jobs.
        overwrite: whether existing results will be replaced.
        sheets: whether a comparison sheet is written beside each result.
        cube: where each picture's lookup table goes: a file, a folder, or a template such as ``{stem}.cube``.
        names: how results are named.

    Raises:
        InputError: an input, the output or a template cannot be used, or two results have the same name.
        OutputExistsError: a result would replace an input.
    """
    found = find_pictures(inputs, recursive=recursive)
    namer = names(output, suffix, dict(fields or {}), format, several=len(found) > 1)
    cubes = None if cube is None else CubeNamer(cube, dict(fields or {}), several=len(found) > 1)
    pairs = [(one, Job(one.path, namer.name(one), None if cubes is None else cubes.name(one), sheets)) for one in found]
    kept, notes = _pass_over_results(pairs, overwrite)
    _check_clashes(kept, names.apart)
    _check_inputs_survive(kept)
    jobs = tuple(job for picture, job in kept if shard is None or shard.takes(picture.key))
    return Plan(jobs, namer.makes_folders, notes)


def _pass_over_results(pairs: list[_Pair], overwrite: bool) -> tuple[list[_Pair], tuple[str, ...]]:
    """Leave out inputs that are results of other inputs: an earlier run put them there.

    So a run can be repeated on ``*.png`` or a folder that has its own results in it. Only when overwriting,
    where a file could be lost that is an original after all, those are kept for the next two checks to object
    to: a file that the person named, and one that would replace itself, so that its name tells nothing.
    """
    makers: dict[str | None, list[Found]] = {}
    for picture, job in pairs:
        for path in replace(job, sheet=True).files:
            makers.setdefault(identity(path), []).append(picture)
    kept = []
    passed_over = []
    for picture, job in pairs:
        made_by = [] if picture.path is None else makers.get(identity(picture.path), [])
        doubtful = picture.named or picture in made_by
        if all(maker is picture for maker in made_by) or (overwrite and doubtful):
            kept.append((picture, job))
        else:
            passed_over.append(str(picture))
    if not passed_over:
        return kept, ()
    more = f" and {len(passed_over) - 1} more" if len(passed_over) > 1 else ""
    return kept, (f"passed over {passed_over[0]}{more}: made from other inputs by an earlier run",)


def _check_clashes(kept: list[_Pair], apart: str) -> None:
    """Refuse to write one file twice."""
    written: dict[str | None, Found] = {}
    for picture, job in kept:
        for path in job.files:
            other = written.setdefault(identity(path), picture)
            if other is not picture:
                template, option = ("{parent}/{stem}.cube", "--cube") if path == job.cube else (apart, "-o")
                raise InputError(
                    f"{other} and {picture} would both become {path}: "
                    f"tell them apart with a template such as {template} after {option}"
                )


def _check_inputs_survive(kept: list[_Pair]) -> None:
    """See to it that no result replaces an input, be it through a link."""
    inputs = {_file_id(picture.path): picture for picture, _ in kept if picture.path is not None}
    inputs.pop(None, None)
    for _, job in kept:
        for path in job.files:
            replaced = inputs.get(_file_id(path))
            if replaced is not None:
                option = "--cube" if path == job.cube else "-o"
                raise OutputExistsError(
                    f"{path} is the input {replaced}, and inputs are never overwritten: "
                    f"choose another name with {option}"
                )


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
