"""The options that every verb has which turns pictures into pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import CycloptsError, Parameter, Token
from cyclopts.validators import Number

from morpho.cli.inputs import Shard

__all__ = ["Inputs", "Options", "Output", "Scale", "whole"]

#: So many pictures at a time at most, unless asked for more: each takes the memory of its result.
_MOST_WORKERS = 4


def _check_words(_: object, value: str | list[str] | None) -> None:
    """Let ``-`` through, which stands for stdin or stdout, but take no mistyped option for a file."""
    for word in [value] if isinstance(value, str) else value or ():
        if word.startswith("-") and word != "-":
            # Not a ValueError: cyclopts would repeat all words of the list before the sentence.
            raise CycloptsError(msg=f"Unknown option: {word}. A file of that name would be ./{word}.")


def _check_shard(_: object, text: str | None) -> None:
    if text is not None:
        Shard.parse(text)


def _check_options(_: object, options: Options | None) -> None:
    if options is not None and options.overwrite and options.skip_existing:
        raise ValueError("--overwrite and --skip-existing contradict each other: give one of them")


def whole(_: object, tokens: Sequence[Token]) -> int:
    """Take whole numbers only: cyclopts would cut 2.5 down to 2."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value} is no whole number") from None


#: How many times wider and higher.
Scale = Annotated[int | None, Parameter(name=("--scale", "-s"), converter=whole)]

#: Where results go: a file, a folder, a template, or - for stdout.
Output = Annotated[str | None, Parameter(name=("--output", "-o"), allow_leading_hyphen=True, validator=_check_words)]

#: The pictures that a verb works on, as its first parameter.
Inputs = Annotated[list[str], Parameter(name="IN", allow_leading_hyphen=True, validator=_check_words)]


@Parameter(name="*", validator=_check_options)
@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of every verb that turns pictures into pictures.

    Attributes:
        output: A file, a folder, a template such as {stem}_big{ext}, or - for stdout; by default beside the
            input.
        recursive: Take all pictures in folders, however deep, and keep their folders under -o.
        overwrite: Replace existing results; an input is never replaced.
        skip_existing: Leave existing results alone and make only the missing ones.
        format: Write png, jpg, webp, tif or bmp; by default the input's format.
        quality: Of JPEG and WebP.
        strip: Leave out EXIF, XMP, resolution and colour profile.
        compare: Also write a sheet NAME_compare: the input to the left, by bicubic interpolation where the result is
            larger, and the result to the right.
        workers: Pictures at a time; by default one per core, 4 at most.
        threads: Threads per picture; by default all cores, or one where several pictures run at a time.
        shard: Do only part i of n, such as 1/8: for several machines on the same list.
        json: Print one JSON object per picture.
        quiet: Print nothing but errors.
    """

    output: Output = None
    recursive: Annotated[bool, Parameter(name=("--recursive", "-r"))] = False
    overwrite: bool = False
    skip_existing: bool = False
    format: str | None = None
    quality: Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=100))] = 92
    strip: bool = False
    compare: bool = False
    workers: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None
    threads: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None
    shard: Annotated[str | None, Parameter(validator=_check_shard)] = None
    json: bool = False
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False

    def workers_for(self, jobs: int) -> int:
        """How many pictures to work on at a time."""
        if jobs <= 1:
            return 1  # without the 40 ms that the import below takes
        from morpho.machine import cores

        return min(self.workers or min(cores(), _MOST_WORKERS), jobs)

    def threads_for(self, jobs: int) -> int | None:
        """How many threads each picture gets; None for one per core."""
        return self.threads or (None if self.workers_for(jobs) == 1 else 1)
