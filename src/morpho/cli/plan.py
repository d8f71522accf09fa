"""From what a person typed to a list of jobs: which pictures go in, and what the results are called.

All that can be known to go wrong with the names is found here, before any picture is read.
"""

from __future__ import annotations

import glob
import os
import re
import string
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from morpho.errors import InputError, OutputExistsError
from morpho.images.io import SUFFIXES, format_of

__all__ = ["Job", "Plan", "Shard", "make_plan", "sheet_of"]

#: The suffix a result gets for ``--format``.
_SUFFIX_OF = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
_OWN_FIELDS = ("stem", "ext", "name", "parent", "folder")


@dataclass(frozen=True)
class Job:
    """One picture to make: from where to where; None is stdin or stdout."""

    source: Path | None
    target: Path | None


@dataclass(frozen=True)
class Plan:
    """The jobs in order, whether folders may be made for the results, and what a person should know."""

    jobs: tuple[Job, ...]
    make_folders: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shard:
    """One of ``count`` machines' part of the work.

    A picture's part follows from its path below the folder or pattern that was given, not from its place in a
    list: machines agree on it whenever they start, and whatever files have appeared in between.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``, where i counts from 1.

        Raises:
            InputError: the text has another form, or i is not within 1 to n.

        >>> Shard.parse("2/8")
        Shard(index=2, count=8)
        """
        parts = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if parts is None or not 1 <= int(parts[1]) <= int(parts[2]):
            raise InputError(f"the shard {text!r} must be like 1/8, 2/8, ... 8/8")
        return cls(int(parts[1]), int(parts[2]))

    def takes(self, key: str) -> bool:
        """Whether this shard takes the picture with that key: exactly one of ``count`` does."""
        return zlib.crc32(key.encode("utf-8", "surrogateescape")) % self.count == self.index - 1


@dataclass(frozen=True)
class _Found:
    """A picture to work on, and how it was found."""

    path: Path | None
    #: The folder of the path below the folder that was given; ``.`` for a file.
    folder: Path
    #: Whether the person named this very file.
    named: bool

    @property
    def key(self) -> str:
        if self.path is None:
            return "-"
        return self.path.as_posix() if self.named else (self.folder / self.path.name).as_posix()

    def __str__(self) -> str:
        return "-" if self.path is None else str(self.path)


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

    Raises:
        InputError: an input, the output or a template cannot be used, or two results have the same name.
        OutputExistsError: a result would replace an input.
    """
    found = _unique(picture for text in inputs for picture in _find(text, recursive))
    namer = _Namer(output, suffix, dict(fields or {}), format, several=len(found) > 1)
    targets = [namer.name(picture) for picture in found]
    _check_clashes(found, targets, sheets)
    kept, notes = _pass_over_results(found, targets, overwrite)
    _check_inputs_survive(kept, sheets)
    jobs = tuple(
        Job(picture.path, target) for picture, target in kept if shard is None or shard.takes(picture.key)
    )
    return Plan(jobs, namer.makes_folders, notes)


def sheet_of(target: Path) -> Path:
    """Where the comparison sheet of a result goes.

    >>> sheet_of(Path("big/cat_x4.png")).as_posix()
    'big/cat_x4_compare.png'
    """
    return target.with_name(f"{target.stem}_compare{target.suffix}")


def _find(text: str, recursive: bool) -> Iterator[_Found]:
    """The pictures that one input stands for; a missing file fails when it is read, and the rest go on."""
    path = Path(text)
    if not text:
        raise InputError("an input has an empty name: name files, folders (with -r), patterns or -")
    if text == "-":
        yield _Found(None, Path(), named=True)
    elif path.is_dir():
        if not recursive:
            raise InputError(f"{text} is a folder: add -r to take all pictures in it, or name files")
        yield from _walk(path)
    elif glob.has_magic(text) and not path.exists():
        matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
        pictures = [Path(match) for match in matches if _is_picture(match) and Path(match).is_file()]
        if not pictures:
            raise InputError(f"no picture matches {text!r}: check the pattern")
        root = _fixed_part(text)
        yield from (_Found(picture, _below(picture, root), named=False) for picture in pictures)
    else:
        yield _Found(path, Path(), named=True)


def _walk(root: Path) -> Iterator[_Found]:
    """All pictures below a folder, sorted; hidden files and folders are none of our business."""
    pictures = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _is_picture(name) and not name.startswith("."):
                pictures += 1
                yield _Found(Path(folder, name), _below(Path(folder, name), root), named=False)
    if not pictures:
        raise InputError(f"{root} holds no picture: the suffixes {', '.join(SUFFIXES)} are looked for")


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _fixed_part(pattern: str) -> Path:
    """The folder above the first wildcard of a pattern."""
    parts = Path(pattern).parts
    return Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])


def _below(path: Path, root: Path) -> Path:
    return path.parent.relative_to(root)


def _unique(found: Iterable[_Found]) -> list[_Found]:
    """Each picture once, even if it was named twice."""
    return list({_identity(picture.path): picture for picture in found}.values())


def _identity(path: Path | None) -> str | None:
    return None if path is None else os.path.normcase(Path(path).absolute())


class _Namer:
    """Names results, in the way that the output asks for."""

    def __init__(
        self, output: str | None, suffix: str, fields: dict[str, str], format: str | None, *, several: bool
    ) -> None:
        self._output = output
        self._suffix = suffix
        self._fields = fields
        self._format = None if format is None else _known_format(format)
        self._kind = self._kind_of(output, several)
        self.makes_folders = self._kind in ("folder", "template")
        if self._kind == "template":
            self._check_template()

    def name(self, found: _Found) -> Path | None:
        if self._kind == "stdout" or (self._kind == "beside" and found.path is None):
            return None
        source = found.path or Path("stdin.png")
        ext = source.suffix if _is_picture(source.name) else ".png"
        if self._format is not None:
            ext = _SUFFIX_OF[self._format]
        name = f"{source.stem}{self._suffix}{ext}"
        if self._kind == "beside":
            return source.with_name(name)
        if self._kind == "folder":
            return Path(self._output or "", found.folder, name)
        path = Path(self._fill(source, found.folder, ext) if self._kind == "template" else self._output or "")
        self._check_suffix(path)
        return path

    def _kind_of(self, output: str | None, several: bool) -> str:
        if output is None:
            return "beside"
        if output == "-":
            if several:
                raise InputError("only one picture fits on stdout: name one input, or give a folder with -o")
            return "stdout"
        if "{" in output:
            return "template"
        path = Path(output)
        if path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix:
            return "folder"
        if several:
            raise InputError(
                f"several pictures cannot all become {output}: give a folder ({path.stem}/) "
                "or a template ({stem}_big{ext}) with -o"
            )
        return "file"

    def _check_template(self) -> None:
        known = (*_OWN_FIELDS, *self._fields)
        try:
            used = [
                _field(part) for part in string.Formatter().parse(self._output or "") if part[1] is not None
            ]
        except ValueError as error:
            raise InputError(
                f"the template {self._output!r} cannot be read ({error}): check its braces"
            ) from error
        for field in used:
            if field not in known:
                raise InputError(
                    f"the template {self._output!r} has the unknown field {{{field}}}: "
                    f"use {', '.join(f'{{{name}}}' for name in known)}"
                )

    def _fill(self, source: Path, folder: Path, ext: str) -> str:
        own = (source.stem, ext, source.name, str(source.parent), str(folder))
        return (self._output or "").format_map({**self._fields, **dict(zip(_OWN_FIELDS, own, strict=True))})

    def _check_suffix(self, path: Path) -> None:
        """See early that the name says a format, and not another one than ``--format``."""
        if format_of(path) != (self._format or format_of(path)):
            raise InputError(f"{path} is no name for a {self._format} file: drop --format or rename it")


def _known_format(format: str) -> str:
    """Accept ``png``, ``.PNG``, ``jpg`` for the name of a format."""
    kind = SUFFIXES.get(f".{format.lower().lstrip('.')}")
    if kind is None:
        raise InputError(f"{format!r} is no format that can be written: use {', '.join(_SUFFIX_OF.values())}")
    return kind


def _field(part: tuple[str, str | None, str | None, str | None]) -> str:
    """A field as it was written; one with a format, which we have no use for, is then unknown."""
    _, name, spec, conversion = part
    return f"{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"


def _check_clashes(found: list[_Found], targets: list[Path | None], sheets: bool) -> None:
    """Refuse to write one file twice."""
    written: dict[str | None, _Found] = {}
    for picture, target in zip(found, targets, strict=True):
        for path in _files(target, sheets):
            other = written.setdefault(_identity(path), picture)
            if other is not picture:
                raise InputError(
                    f"{other} and {picture} would both become {path}: tell them apart with a folder or a "
                    "template such as {folder}/{name}_big{ext} after -o"
                )


def _files(target: Path | None, sheets: bool) -> list[Path]:
    if target is None:
        return []
    return [target, sheet_of(target)] if sheets else [target]


def _pass_over_results(
    found: list[_Found], targets: list[Path | None], overwrite: bool
) -> tuple[list[tuple[_Found, Path | None]], tuple[str, ...]]:
    """Leave out inputs that are results of other inputs: an earlier run put them there.

    So a run can be repeated on ``*.png`` or a folder that has its own results in it. Only when overwriting, a
    file that the person named as an input is kept, for `_check_inputs_survive` to object.
    """
    makers = {
        _identity(path): picture
        for picture, target in zip(found, targets, strict=True)
        for path in _files(target, sheets=True)
    }
    kept = []
    passed_over = []
    for picture, target in zip(found, targets, strict=True):
        maker = picture if picture.path is None else makers.get(_identity(picture.path), picture)
        if maker is picture or (overwrite and picture.named):
            kept.append((picture, target))
        else:
            passed_over.append(str(picture))
    if not passed_over:
        return kept, ()
    more = f" and {len(passed_over) - 1} more" if len(passed_over) > 1 else ""
    return kept, (f"passed over {passed_over[0]}{more}: made from other inputs by an earlier run",)


def _check_inputs_survive(kept: list[tuple[_Found, Path | None]], sheets: bool) -> None:
    """See to it that no result replaces an input, be it through a link."""
    inputs = {_file_id(picture.path): picture for picture, _ in kept if picture.path is not None}
    inputs.pop(None, None)
    for _, target in kept:
        for path in _files(target, sheets):
            replaced = inputs.get(_file_id(path))
            if replaced is not None:
                raise OutputExistsError(
                    f"{path} is the input {replaced}, and inputs are never overwritten: "
                    "choose another name with -o"
                )


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
