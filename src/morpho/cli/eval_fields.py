"""``morpho eval fields``: what a field lost of its original, and what it costs."""

from __future__ import annotations

import json as jsonlib
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number
from numpy.typing import NDArray

from morpho.cli.field_files import frame_range
from morpho.cli.fit import Original
from morpho.cli.options import whole
from morpho.cli.originals import Opened, open_original
from morpho.console import format_bytes, print_table
from morpho.errors import InputError, OutputExistsError
from morpho.fields.files import load
from morpho.images import Picture, format_of, psnr, ssim, write

if TYPE_CHECKING:
    from morpho.fields.field import Field

__all__ = ["eval_fields"]

_PROTOCOLS = {
    "image": "PSNR over all channels of the decoded integers, and the mean over channels of SSIM (11x11 Gaussian)",
    "video": "the mean over frames of PSNR and SSIM, each as of a picture",
    "sdf": "IoU of the inside",
    "occupancy": "IoU",
}


def eval_fields(
    original: Annotated[Path, Parameter(name="ORIGINAL")],
    file: Annotated[Path, Parameter(name="FIELD")],
    /,
    *,
    errors: Path | None = None,
    stages: Path | None = None,
    frames: Annotated[tuple[int, int | None, int] | None, Parameter(converter=frame_range, n_tokens=1)] = None,
    scale: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1))] = None,
    keep_profile: bool = False,
    resolution: Annotated[int, Parameter(converter=whole, validator=Number(gte=16, lte=1024))] = 256,
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
        scale: Of a video: the scale at which it was fitted.
        keep_profile: Of a picture: fitted with --keep-profile.
        resolution: Of shapes: voxels along the cube's side.
        json: Print one JSON object instead of a table.
        overwrite: Replace existing pictures.
    """
    for option, path in (("--errors", errors), ("--stages", stages)):
        if path is not None:
            _check_picture(option, path, overwrite=overwrite)
    field = load(file)
    kind = field.signal.kind
    form = kind if kind in ("sdf", "occupancy") else None
    asked = Original(form=form, frames=frames, scale=scale, keep_profile=keep_profile)
    opened = open_original(original, asked)
    _check_match(field, file, opened, original)
    facts = {"original": str(original), "field": str(file), "kind": kind, "model": field.model.name}
    facts |= _cost(field, file) | _measure(field, opened, resolution)
    if errors is not None:
        _draw_errors(field, opened, errors, overwrite=overwrite)
    if stages is not None:
        from morpho.fields.picture import draw_stages

        write(Picture(draw_stages(field)), stages, overwrite=overwrite)
    _report(facts, json=json)


def _check_picture(option: str, path: Path, *, overwrite: bool) -> None:
    """Refuse, before the work, a picture that could not be written."""
    format_of(path)
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


def _cost(field: Field, file: Path) -> dict[str, Any]:
    """What the field takes: weights, bytes of its file, and bits per sample where it has samples."""
    size = file.stat().st_size
    count = sum(tensor.size for tensor in field.tensors.values())
    cost: dict[str, Any] = {"parameters": count, "bytes": size}
    if field.signal.kind != "sdf":
        cost["bits_per_sample"] = round(8 * size / field.signal.samples, 5)
    return cost


def _measure(field: Field, opened: Opened, resolution: int) -> dict[str, Any]:
    """The numbers of the kind's protocol."""
    if field.signal.kind == "image":
        return _picture_scores(opened.grid, field.render())
    raise NotImplementedError(resolution)


def _picture_scores(original: NDArray[Any], rendered: NDArray[Any]) -> dict[str, float | None]:
    """PSNR in dB, None where the two are equal, and SSIM, None where the pictures are too small for it."""
    peak = float(np.iinfo(original.dtype).max)
    decibels = psnr(original, rendered, peak=peak)
    scores: dict[str, float | None] = {"psnr": round(decibels, 4) if math.isfinite(decibels) else None, "ssim": None}
    if min(original.shape[:2]) >= 11:
        channels = range(original.shape[2])
        scores["ssim"] = round(mean(ssim(original[..., c], rendered[..., c], peak=peak) for c in channels), 5)
    return scores


def _draw_errors(field: Field, opened: Opened, path: Path, *, overwrite: bool) -> None:
    from morpho.fields.picture import draw_errors

    if field.signal.kind != "image":
        raise InputError(f"--errors maps those of a picture, and this is a field of the kind {field.signal.kind!r}")
    write(Picture(draw_errors(opened.grid, field.render())), path, overwrite=overwrite)


def _report(facts: Mapping[str, Any], *, json: bool) -> None:
    if json:
        print(jsonlib.dumps(facts, ensure_ascii=False))
        return
    shown = {name: value for name, value in facts.items() if name not in ("original", "kind")}
    shown["bytes"] = f"{facts['bytes']} ({format_bytes(facts['bytes'])})"
    print_table(["what", facts["original"]], [(name.replace("_", " "), value) for name, value in shown.items()])
    print(f"\n{_PROTOCOLS[facts['kind']]}")
