"""What results are called: beside the input, in a folder, by a template, or as the person said."""

from __future__ import annotations

import os
import string
from pathlib import Path

from morpho.cli.inputs import Found, is_picture
from morpho.errors import InputError
from morpho.images.io import SUFFIXES, format_of

__all__ = ["CubeNamer", "Namer", "sheet_of"]

#: The suffix a result gets for ``--format``.
_SUFFIX_OF = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}
_OWN_FIELDS = ("stem", "ext", "name", "parent", "folder")


class Namer:
    """Names results, in the way that the output asks for."""

    #: Where the output was given, for the sentences.
    _option = "-o"
    #: A template that tells inputs of several folders apart, and one for several inputs.
    apart, example = "big/{parent}/{stem}{ext}", "{stem}_big{ext}"

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

    def name(self, found: Found) -> Path | None:
        """Name the result for a picture; None is stdout.

        Raises:
            InputError: the name is one of another format than ``--format``.
            ImageError: the name says no format.
        """
        if self._kind == "stdout" or (self._kind == "beside" and found.path is None):
            return None
        source = found.path or Path("stdin.png")
        ext = self._ext(source)
        name = f"{source.stem}{self._suffix}{ext}"
        if self._kind == "beside":
            return source.with_name(name)
        if self._kind == "folder":
            return Path(self._output or "", found.folder, name)
        path = Path(self._fill(source, found.folder, ext) if self._kind == "template" else self._output or "")
        self._check_suffix(path)
        return path

    def _ext(self, source: Path) -> str:
        if self._format is not None:
            return _SUFFIX_OF[self._format]
        return source.suffix if is_picture(source.name) else ".png"

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
                f"or a template ({self.example}) with {self._option}"
            )
        return "file"

    def _check_template(self) -> None:
        known = (*_OWN_FIELDS, *self._fields)
        try:
            used = [_field(part) for part in string.Formatter().parse(self._output or "") if part[1] is not None]
        except ValueError as error:
            raise InputError(f"the template {self._output!r} cannot be read ({error}): check its braces") from error
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


class CubeNamer(Namer):
    """Names the ``.cube`` files of pictures, in the way that ``--cube`` asks for."""

    _option = "--cube"

    def __init__(self, output: str, fields: dict[str, str], *, several: bool) -> None:
        if output in ("", "-"):
            raise InputError("--cube takes a file, a folder or a template such as {stem}.cube, not stdout")
        super().__init__(output, "", fields, None, several=several)

    def _ext(self, source: Path) -> str:
        return ".cube"

    def _check_suffix(self, path: Path) -> None:
        if path.suffix.lower() != ".cube":
            raise InputError(f"{path} is no name for a lookup table: let --cube end in .cube")


def sheet_of(target: Path) -> Path:
    """Where the comparison sheet of a result goes.

    >>> sheet_of(Path("big/cat_x4.png")).as_posix()
    'big/cat_x4_compare.png'
    """
    return target.with_name(f"{target.stem}_compare{target.suffix}")


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
