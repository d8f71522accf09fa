"""``morpho lut apply``: anybody's table of colours, on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from morpho.cli import photos
from morpho.cli.looks import Strength, in_srgb
from morpho.cli.options import Inputs, Options
from morpho.cli.plan import Plan
from morpho.errors import OutputExistsError
from morpho.luts import Engine, mix, read

__all__ = ["apply"]


def apply(
    lut: Annotated[Path, Parameter(name="LUT")],
    inputs: Inputs,
    /,
    *,
    strength: Strength = 1.0,
    interpolation: Literal["tetrahedral", "trilinear"] = "tetrahedral",
    keep_profile: bool = False,
    options: Options = Options(),  # noqa: B008 - it is frozen
) -> int:
    """Apply a lookup table of colours to pictures.

    The table is one for sRGB: pictures with another colour profile, such as Display P3, are converted first.

    Args:
        lut: A .cube file, or a Hald picture (.png, .tif, .bmp).
        inputs: Files, folders (with -r), quoted patterns such as 'shots/*.png', or - for stdin.
        strength: 0 (nothing changes) to 1 (the table as it is).
        interpolation: Between the nodes.
        keep_profile: Keep the pictures' profiles and apply the table to the values as they are: for a table that
            was made for that profile.
        options: The options of every verb that turns pictures into pictures.
    """
    table = mix(read(lut), strength)
    fields = {"lut": lut.stem, "strength": f"{strength:g}"}
    plan = photos.plan(inputs, options, suffix=f"_{lut.stem}", fields=fields)
    _check_table_survives(lut, plan)
    engine = Engine(table, interpolation=interpolation, threads=options.threads_for(len(plan.jobs)))
    return photos.run(plan, engine, options, label=lut.stem, prepare=None if keep_profile else in_srgb)


def _check_table_survives(lut: Path, plan: Plan) -> None:
    """Refuse to write a result over the table: a Hald picture is an input too."""
    for job in plan.jobs:
        for target in job.files:
            if target.exists() and target.samefile(lut):
                raise OutputExistsError(f"{target} is the table itself, which is never overwritten: rename the result")
