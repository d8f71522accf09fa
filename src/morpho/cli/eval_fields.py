"""``morpho eval fields``: what a field lost of its original, and what it costs."""

from __future__ import annotations

import json as jsonlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.atomic import check_folder
from morpho.cli.field_files import check_apart, frame_range, open_field
from morpho.cli.fit import Finite, Original
from morpho.cli.options import whole
from morpho.cli.originals import Opened, open_original
from morpho.console import format_bytes, print_table
from morpho.errors import InputError, OutputExistsError
from morpho.fields.evaluate import scores
from morpho.images import Picture, format_of, write

if TYPE_CHECKING:
    from morpho.fields.field import Field

__all__ = ["eval_fields"]

_SHAPES = (
    "IoU of the insides at the points of a grid over the box; Chamfer: the mean distance from each surface's vertices "
    "to the other's, both ways, added up, in units of the box's longest side"
)
#: Points along the longest side of a shape.
_RESOLUTION = 256
_PROTOCOLS = {
    "image": "PSNR of clipped, unrounded values over all channels; SSIM with scikit-image's defaults (uniform 7 x 7)",
    "video": "mean and standard deviation over frames of PSNR of clipped, unrounded values over all channels, and of "
    "SSIM with scikit-image's defaults (uniform 7 x 7)",
    "sdf": _SHAPES,
    "occupancy": _SHAPES,
}


def eval_fields(
    original: Annotated[Path, Parameter(name="ORIGINAL")],
    file: Annotated[Path, Parameter(name="FIELD")],
    /,
    *,
    errors: Path | None = None,
    stages: Path | None = None,
    frames: Annotated[
        tuple[int, int | None, int] | None, Parameter(converter=frame_range, n_tokens=1, metavar="A:B")
    ] = None,
    scale: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1))] = None,
    key: str | None = None,
    level: Finite = None,
    keep_profile: bool = False,
    resolution: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=16, lte=1024))] = None,
    json: bool = False,
    overwrite: bool = False,
) -> None:
    """Measure a field against its original: PSNR and SSIM, or IoU and Chamfer distance, and bits per pixel of the file.

    The field is decoded as `morpho render` does it, and its whole file counts.

    Args:
        original: The picture, video, mesh or volume that was fitted.
        file: The field.
        errors: Also write a map of a picture's errors to this picture file.
        stages: Also draw what the stages of a picture's scone contribute, to this picture file.
        frames: Of a video: the frames that were fitted, such as 0:60.
        scale: Of a video or volume: the scale at which it was fitted.
        key: Of a volume: the array that was fitted.
        level: Of a volume: the level it was fitted with.
        keep_profile: Of a picture: fitted with --keep-profile.
        resolution: Of shapes: points along the longest side, 256 by default; of a volume, its own voxels in even steps.
        json: Print one JSON object instead of a table.
        overwrite: Replace existing pictures.
    """
    for option, path in (("--errors", errors), ("--stages", stages)):
        if path is not None:
            _check_picture(option, path, overwrite=overwrite)
            check_apart(option, path, original, file)
    if errors is not None and stages is not None:
        check_apart("--stages", stages, errors)
    field = open_field(file)
    kind = field.signal.kind
    for option, path in (("--errors", errors), ("--stages", stages)):
        if path is not None and kind != "image":
            raise InputError(f"{option} draws a picture's, and {file} is a field of the kind {kind!r}: leave it out")
    for option, given, kinds in (
        ("--frames", frames, ("video",)),
        ("--scale", scale, ("video", "sdf", "occupancy")),
        ("--key", key, ("sdf", "occupancy")),
        ("--level", level, ("sdf", "occupancy")),
        ("--keep-profile", keep_profile, ("image",)),
        ("--resolution", resolution, ("sdf", "occupancy")),
    ):
        if given is not None and given is not False and kind not in kinds:
            raise InputError(f"{option} does not go with {file}, a field of the kind {kind!r}: leave it out")
    form = kind if kind in ("sdf", "occupancy") else None
    asked = Original(form=form, frames=frames, scale=scale, key=key, level=level, keep_profile=keep_profile)
    opened = open_original(original, asked)
    _check_match(field, file, opened, original)
    facts = {"original": str(original), "field": str(file), "kind": kind, "model": field.model.name}
    facts |= _cost(field, file, opened) | _measure(field, opened, resolution or _RESOLUTION)
    if errors is not None:
        _draw_errors(field, opened, errors, overwrite=overwrite)
    if stages is not None:
        from morpho.fields.picture import draw_stages

        write(Picture(draw_stages(field)), stages, overwrite=overwrite)
    _report(facts, json=json)


def _check_picture(option: str, path: Path, *, overwrite: bool) -> None:
    """Refuse, before the work, a picture that could not be written."""
    format_of(path)
    check_folder(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists already: choose another name with {option}, or add --overwrite")


def _check_match(field: Field, file: Path, opened: Opened, original: Path) -> None:
    """Refuse to compare what does not belong together."""
    ours, theirs = field.signal, opened.signal
    if ours.kind != theirs.kind:
        raise InputError(f"{file} is a field of the kind {ours.kind!r}, and {original} is of {theirs.kind!r}")
    if ours.kind in ("image", "video") and (ours.shape, ours.channels) != (theirs.shape, theirs.channels):
        told = [" x ".join(map(str, signal.shape)) + f", {signal.channels} channels" for signal in (ours, theirs)]
        remedy = " (--frames and --scale say what was fitted)" if ours.kind == "video" else ""
        raise InputError(f"{file} is of {told[0]}, and {original} of {told[1]}: give the original{remedy}")
    cubes = [(*(signal.origin or ()), *(signal.extent or ())) for signal in (ours, theirs)]
    tolerance = 1e-5 * max(theirs.extent or (1.0,))  # of the size: shapes come in any units
    if len(cubes[0]) == len(cubes[1]) and not np.allclose(cubes[0], cubes[1], rtol=0, atol=tolerance):
        raise InputError(f"{file} is of a shape of another place or size than {original}: give the original")


def _cost(field: Field, file: Path, opened: Opened) -> dict[str, Any]:
    """What the field takes: weights, bytes of its file, and bits per sample where it has samples."""
    size = file.stat().st_size
    count = sum(tensor.size for tensor in field.tensors.values())
    cost: dict[str, Any] = {"parameters": count, "bytes": size}
    if opened.samples is not None:
        cost["bits_per_sample"] = round(8 * size / field.signal.samples, 5)
    return cost


def _measure(field: Field, opened: Opened, resolution: int) -> dict[str, Any]:
    """The numbers of the kind's protocol."""
    if field.signal.kind not in ("image", "video"):
        return _shape_scores(field, opened, resolution)
    found = dict(vars(scores(field, opened.grid)))
    if found["frames"] == 1:
        found = {name: found[name] for name in ("psnr", "ssim")}
    return {name: round(value, 5) if math.isfinite(value) else None for name, value in found.items()}


def _shape_scores(field: Field, opened: Opened, resolution: int) -> dict[str, Any]:
    from morpho.fields.shape_scores import score_against

    if opened.shape is not None:
        found = score_against(field, opened.shape.inside, opened.shape.vertices, resolution=resolution)
    else:
        inside = opened.grid < 0 if opened.signal.kind == "sdf" else opened.grid
        found = score_against(field, inside, resolution=resolution)
    return {"resolution": found.resolution, "iou": round(found.iou, 6), "chamfer": round(found.chamfer, 7)}


def _draw_errors(field: Field, opened: Opened, path: Path, *, overwrite: bool) -> None:
    from morpho.fields.picture import draw_errors

    write(Picture(draw_errors(opened.grid, field.render())), path, overwrite=overwrite)


def _report(facts: Mapping[str, Any], *, json: bool) -> None:
    if json:
        print(jsonlib.dumps(facts, ensure_ascii=False))
        return
    shown = {name: value for name, value in facts.items() if name not in ("original", "kind")}
    shown["bytes"] = f"{facts['bytes']} ({format_bytes(facts['bytes'])})"
    print_table(["what", facts["original"]], [(name.replace("_", " "), value) for name, value in shown.items()])
    print(f"\n{_PROTOCOLS[facts['kind']]}")
