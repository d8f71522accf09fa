"""``morpho fit``: pictures, videos and shapes as small neural fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from morpho.cli.field_files import FIELD, FieldNamer, byte_count, frame_range, kind_of
from morpho.cli.options import Inputs, Output, whole
from morpho.cli.plan import Job, make_plan
from morpho.console import note
from morpho.errors import InputError, require
from morpho.machine import let_idle_threads_sleep

__all__ = ["Budget", "Finite", "Original", "Training", "fit"]

Count = Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))]
Finite = Annotated[float | None, Parameter(validator=Number(gt=-math.inf, lt=math.inf))]
Positive = Annotated[float | None, Parameter(validator=Number(gt=0, lt=math.inf))]


def _bits(_: object, tokens: Sequence[Token]) -> int:
    bits = whole(None, tokens)
    if bits not in (*range(2, 13), 16, 32):
        raise ValueError(f"{bits} bits per weight are not possible: give 2 to 12, 16 or 32")
    return bits


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Budget:
    """How large the field becomes; by default as its original needs it.

    Attributes:
        parameters: Weights of the model.
        size: Bytes of the file at most, such as 50KB.
        bpp: Bits per pixel of the file at most (per voxel of a volume).
        bits: Per weight: 32 or 16 (floats), or 2 to 12, entropy-coded after a fine-tuning that knows of it. Default:
            16; with --size or --bpp about 5.5 on the mean, fewer where errors cost less.
    """

    parameters: Count = None
    size: Annotated[int | None, Parameter(converter=byte_count, metavar="BYTES")] = None
    bpp: Positive = None
    bits: Annotated[int | None, Parameter(converter=_bits)] = None

    def __post_init__(self) -> None:
        given = [name for name in ("parameters", "size", "bpp") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"--{given[0]} and --{given[1]} contradict each other: give one of them")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training:
    """How the weights are found; what is left out suits the model and the original.

    Attributes:
        steps: Gradient steps.
        batch: Points per step; 0 takes all.
        psnr: Stop when so many dB are reached; --steps is then the most.
        seconds: Stop after so much time, with the schedule made to fit.
        sampler: even (all points in turn), random, or hard (more points where the error is large).
        between: The part of points that lie between the samples, such as 0.5: the field is then good where it is
            enlarged, and a little worse on the samples.
        rate: The learning rate; by default the model's own.
        seed: Of everything random.
        device: auto, cpu, cuda or mps.
    """

    steps: Count = None
    batch: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=0))] = None
    psnr: Annotated[float | None, Parameter(validator=Number(gt=0, lte=100))] = None
    seconds: Positive = None
    sampler: Literal["even", "random", "hard"] | None = None
    between: Annotated[float | None, Parameter(validator=Number(gte=0, lt=1))] = None
    rate: Positive = None
    seed: Annotated[int, Parameter(converter=whole, validator=Number(gte=0))] = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.steps is not None and self.seconds is not None:
            raise InputError("--steps and --seconds contradict each other: give one of them")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Original:
    """What is taken of the original.

    Attributes:
        form: Of a mesh or volume: sdf (signed distances, learnt faster) or occupancy (1 inside). Default: sdf.
        frames: Of a video: a range such as 0:60, or 0:250:5 for every fifth frame.
        scale: Of a video or volume: its size, such as 0.5.
        key: Of a volume's file: the array's name, where there are several.
        level: Of a volume: voxels above it are inside; by default halfway between the smallest and the largest value.
        keep_profile: Of a picture: take the values as they are; by default a colour profile is converted to sRGB.
        recursive: Take all pictures in folders, however deep.
    """

    form: Annotated[Literal["sdf", "occupancy"] | None, Parameter(name="--as")] = None
    frames: Annotated[
        tuple[int, int | None, int] | None, Parameter(converter=frame_range, n_tokens=1, metavar="A:B")
    ] = None
    scale: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1))] = None
    key: str | None = None
    level: Finite = None
    keep_profile: bool = False
    recursive: Annotated[bool, Parameter(name=("--recursive", "-r"))] = False


def fit(
    inputs: Inputs,
    /,
    *,
    output: Output = None,
    model: Annotated[str | None, Parameter(name=("--model", "-m"))] = None,
    budget: Budget = Budget(),
    training: Training = Training(),
    original: Original = Original(),
    resume: bool = False,
    overwrite: bool = False,
    json: bool = False,
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False,
) -> int:
    """Store pictures, videos, meshes or volumes as small neural fields, which `morpho render` decodes at any size.

    The kind follows from the suffix: a picture (.png .jpg .webp .tif .bmp), a video (.mp4 .mkv .mov .webm .avi), a
    mesh (.ply .obj .stl .off .glb), or a volume of occupancies (.npy .npz .mat .mat.zip). It takes a minute or two for
    a photo on two cores, needs `pip install "morpho[torch]"`, and the field is no sharper than its PSNR says: for plain
    storage of photos at high quality a codec is smaller and faster.

    Args:
        inputs: Files, folders of pictures (with -r), quoted patterns such as 'shots/*.png', or - for a picture on
            stdin.
        output: A file NAME.field, a folder, or a template such as fields/{stem}.field; by default beside the input.
        model: scone+ (the default), scone as published, or a peer: siren, finer, wire, gauss, fourier-features,
            mfn, grid, hash-grid.
        budget: How large the field becomes.
        training: How the weights are found.
        original: What is taken of the original.
        resume: Continue interrupted fits from NAME.run, with the same options; fields that are finished stay.
        overwrite: Replace existing fields; an input is never replaced.
        json: Print one JSON object per field.
        quiet: Print nothing but errors.
    """
    for text in inputs:
        if text.lower().endswith(FIELD):
            kind_of(Path(text))  # says that it is a field already
    plan = make_plan(
        inputs,
        output=output,
        suffix="",
        recursive=original.recursive,
        overwrite=overwrite,
        names=FieldNamer,
    )
    jobs = [
        job for job in plan.jobs if not (resume and job.target is not None and job.target.exists() and not overwrite)
    ]
    for job in jobs:
        _check(job, original, budget, training)
    if not jobs:
        note("all fields are there already: nothing is left to resume")
        return 0
    let_idle_threads_sleep()
    require("torch", "torch")
    from morpho.cli.fitting import Fitter

    fitter = Fitter(model, budget, training, original, resume=resume, overwrite=overwrite)
    return fitter.run(jobs, json=json, quiet=quiet)


def _check(job: Job, original: Original, budget: Budget, training: Training) -> None:
    """Refuse what does not go with an input's kind, before the work on any."""
    kind = "picture" if job.source is None else kind_of(job.source)
    name = job.source or "-"
    for option, given, kinds in (
        ("--frames", original.frames, ("video",)),
        ("--scale", original.scale, ("video", "volume")),
        ("--as", original.form, ("mesh", "volume")),
        ("--key", original.key, ("volume",)),
        ("--level", original.level, ("volume",)),
        ("--keep-profile", original.keep_profile, ("picture",)),
        ("--psnr", training.psnr, ("picture", "video")),
        ("--between", training.between, ("picture", "video")),
        ("--bpp", budget.bpp, ("picture", "video", "volume")),
    ):
        if given is not None and given is not False and kind not in kinds:
            raise InputError(f"{option} is for a {' or '.join(kinds)}, and {name} is a {kind}: leave it out")
