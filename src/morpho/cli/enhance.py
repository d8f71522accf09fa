"""``morpho enhance``: photographs, retouched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from morpho.cli import photos
from morpho.cli.looks import Strength, in_srgb
from morpho.cli.options import Inputs, Options
from morpho.enhance.enhancer import DEFAULT_NAME, Enhancer
from morpho.errors import InputError
from morpho.images import Picture

__all__ = ["enhance"]


def enhance(
    inputs: Inputs,
    /,
    *,
    strength: Strength = 1.0,
    cube: str | None = None,
    model: Annotated[str | None, Parameter(name=("--model", "-m"))] = None,
    tables: Path | None = None,
    keep_profile: bool = False,
    options: Options = Options(),  # noqa: B008 - it is frozen
) -> int:
    """Retouch photographs by lookup tables: no network, no GPU.

    Pictures with a colour profile, such as Display P3, are converted to sRGB.

    Args:
        inputs: Files, folders (with -r), quoted patterns such as 'shots/*.png', or - for stdin.
        strength: 0 (nothing changes) to 1.
        cube: Also write each picture's look as a .cube file, for other programs: a file, a folder, or a template
            such as {stem}.cube.
        model: The tables' name; `morpho list` shows all. Default: icelut.
        tables: Tables of your own: a .safetensors file.
        keep_profile: Keep the pictures' profiles and work on the values as they are, as if they were sRGB.
        options: The options of every verb that turns pictures into pictures.
    """
    if model is not None and tables is not None:
        raise InputError("--model and --tables contradict each other: give one of them")
    enhancer = Enhancer.load(tables or model or DEFAULT_NAME, strength=strength)
    fields = {"model": enhancer.card.name, "strength": f"{strength:g}"}
    plan = photos.plan(inputs, options, suffix="_enhanced", fields=fields, cube=cube)
    enhancer = replace(enhancer, threads=options.threads_for(len(plan.jobs)))

    def write_cube(picture: Picture, path: Path) -> None:
        from morpho.luts import files

        files.write(path, enhancer.lut(picture), overwrite=options.overwrite)

    prepare = None if keep_profile else in_srgb
    return photos.run(plan, enhancer, options, label=enhancer.card.name, prepare=prepare, write_cube=write_cube)
