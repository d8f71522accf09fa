"""``morpho render``: a field, decoded to a picture, a video, a mesh or a volume."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from morpho.atomic import check_folder, replacing
from morpho.cli.field_files import Kind, check_apart, crop, kind_of, open_field, pixel_size
from morpho.cli.options import whole
from morpho.console import format_seconds, printable, track
from morpho.errors import InputError, OutputExistsError
from morpho.fields.field import Field
from morpho.fields.raster import check_size
from morpho.images import Picture, format_of, write
from morpho.images.codecs import check_format

__all__ = ["Rendering", "render"]

#: Voxels per side of a shape where none are given.
_RESOLUTION = 256

#: Frames per second of a video that does not say, and the most of a video that is written: half a day.
_FRAME_RATE, _MOST_FRAMES = 25.0, 1_000_000

#: What each kind of field becomes.
_RESULTS: dict[str, tuple[Kind, ...]] = {
    "image": ("picture",),
    "video": ("video", "picture"),
    "sdf": ("mesh", "volume"),
    "occupancy": ("mesh", "volume"),
}
_TOLD = {
    "picture": "a picture (.png .jpg .webp .tif .bmp)",
    "video": "a video (.mp4 .mkv)",
    "mesh": "a mesh (.ply .obj .stl)",
    "volume": "a volume (.npy)",
}
#: Suffixes of what is written, where more are read.
_WRITTEN: dict[Kind, tuple[str, ...]] = {
    "video": (".mp4", ".mkv"),
    "mesh": (".ply", ".obj", ".stl"),
    "volume": (".npy",),
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What is rendered.

    Attributes:
        size: Of pictures and videos: width and height, such as 1024x683; by default those of the original.
        scale: Of pictures and videos: their size as a factor, such as 2 or 0.5.
        crop: Of pictures and videos: only the rectangle X,Y,W,H of the result.
        frame: Of a video: this frame as a picture, counted from 0; 12.5 lies between two.
        resolution: Of shapes: voxels along the longest side. Default: 256 for a mesh, the original's for a volume.
        exact: Of meshes: evaluate every voxel, not only those near the surface; slower, and sees the smallest parts.
    """

    size: Annotated[tuple[int, int] | None, Parameter(converter=pixel_size, n_tokens=1, metavar="WxH")] = None
    scale: Annotated[float | None, Parameter(validator=Number(gt=0, lte=10000))] = None
    crop: Annotated[tuple[int, int, int, int] | None, Parameter(converter=crop, n_tokens=1, metavar="X,Y,W,H")] = None
    frame: Annotated[float | None, Parameter(validator=Number(gte=0))] = None
    resolution: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=2, lte=1024))] = None
    exact: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.scale is not None:
            raise InputError("--size and --scale contradict each other: give one of them")

    def pixels(self, field: Field) -> tuple[int, int]:
        """Rows and columns of the whole picture, of which ``crop`` is a part."""
        rows, columns = field.signal.shape[-2:]
        if self.size is not None:
            return self.size[1], self.size[0]
        factor = self.scale or 1.0
        return max(round(rows * factor), 1), max(round(columns * factor), 1)

    def region(self, field: Field) -> tuple[int, int, int, int] | None:
        """The rectangle as top, left, height, width.

        Raises:
            InputError: it does not lie in the picture.
        """
        if self.crop is None:
            return None
        (rows, columns), (x, y, width, height) = self.pixels(field), self.crop
        if x + width > columns or y + height > rows:
            raise InputError(
                f"the rectangle {x},{y},{width},{height} does not lie in the picture of {columns}x{rows}: "
                "its pixels are those of the result"
            )
        return y, x, height, width


def render(
    file: Annotated[Path, Parameter(name="FIELD")],
    /,
    *,
    output: Annotated[str, Parameter(name=("--output", "-o"), allow_leading_hyphen=True)],
    rendering: Rendering = Rendering(),
    quality: Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=100))] = 92,
    threads: Annotated[int | None, Parameter(converter=whole, validator=Number(gte=1))] = None,
    overwrite: bool = False,
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False,
) -> None:
    """Decode a field of `morpho fit`, at any size and without PyTorch.

    What comes out follows from the suffix of the output: a picture's field becomes a picture; a video's a video, or
    one frame as a picture; a shape's a mesh, or a volume of its values as a .npy file.

    Args:
        file: A file of `morpho fit`.
        output: The file to write, such as photo.png, clip.mp4 or dragon.ply; - writes a PNG to stdout.
        rendering: What is rendered.
        quality: Of JPEG and WebP, and of .mp4, where 92 is H.264's CRF 16 and each step is 2; .mkv loses nothing.
        threads: By default all cores.
        overwrite: Replace an existing file.
        quiet: Print nothing but errors.
    """
    start = perf_counter()
    field = open_field(file)
    target = None if output == "-" else Path(output)
    kind = _result_kind(field, file, target)
    _check_options(field, file, kind, rendering)
    _check_target(target, overwrite=overwrite)
    if target is not None:
        check_apart("-o", target, file)
    try:
        told = _WRITERS[kind](field, _Task(target, rendering, quality, threads, overwrite))
    except OSError as error:
        if target is None:
            raise
        why = error.strerror or error
        raise InputError(f"{target} cannot be written ({why}): check the disk, and that you may write there") from error
    if not quiet:
        text = f"{printable(str(file))} -> {printable(output)}  {told}  {format_seconds(perf_counter() - start)}"
        print(text, file=sys.stderr if target is None else sys.stdout)


def _result_kind(field: Field, file: Path, target: Path | None) -> Kind:
    """What is written, by the output's suffix; refuse what this field cannot become."""
    possible = _RESULTS[field.signal.kind]
    with suppress(InputError):  # a suffix of no kind: what this field can become is told below
        kind: Kind = "picture" if target is None else kind_of(target)
        if kind in possible and (target is None or kind == "picture" or target.suffix.lower() in _WRITTEN[kind]):
            return kind
    name = "stdout" if target is None else str(target)
    ways = " or ".join(_TOLD[way] for way in possible)
    raise InputError(f"{file} is a field of the kind {field.signal.kind!r}, which cannot become {name}: name {ways}")


def _check_options(field: Field, file: Path, kind: Kind, asked: Rendering) -> None:
    """Refuse options that do not go with the result."""
    of_shapes = kind in ("mesh", "volume")
    for option, given in (("--size", asked.size), ("--scale", asked.scale), ("--crop", asked.crop)):
        if given is not None and of_shapes:
            raise InputError(f"{option} is for pictures and videos: for a {kind}, --resolution says how fine it is")
    if asked.resolution is not None and not of_shapes:
        raise InputError(f"--resolution is for shapes: for a {kind}, give --size or --scale")
    if asked.exact and kind != "mesh":
        raise InputError("--exact is for meshes: leave it out")
    frames = field.signal.shape[0]
    if field.signal.kind == "video" and kind == "picture":
        if asked.frame is None:
            raise InputError(f"{file} is a video of {frames} frames: choose one with --frame, or name {_TOLD['video']}")
        if asked.frame > frames - 1:
            raise InputError(f"{file} has the frames 0 to {frames - 1}: there is no frame {asked.frame:g}")
    elif asked.frame is not None:
        raise InputError("--frame takes one picture out of a video: leave it out")


def _check_target(target: Path | None, *, overwrite: bool) -> None:
    """Fail before the work rather than after it."""
    if target is None:
        if sys.stdout.isatty():
            raise InputError("a picture is not printed on a terminal: redirect stdout, or give a file with -o")
        return
    check_folder(target)
    if target.is_dir():
        raise InputError(f"{target} is a folder: name a file in it")
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists already: choose another name with -o, or add --overwrite")


@dataclass(frozen=True)
class _Task:
    """Where a result goes, and how it is made."""

    target: Path | None
    asked: Rendering
    quality: int
    threads: int | None
    overwrite: bool

    @property
    def path(self) -> Path:
        assert self.target is not None  # only pictures go to stdout
        return self.target


def _write_picture(field: Field, task: _Task) -> str:
    asked = task.asked
    size, region = asked.pixels(field), asked.region(field)
    shown = size if region is None else region[2:]
    check_size(*shown)
    _check_format(field, shown, task.target)
    if asked.frame is None:
        pixels = field.render(size=size, crop=region, threads=task.threads)
    else:
        pixels = field.frame(asked.frame, size=size, crop=region, threads=task.threads)
    write(
        Picture(pixels),
        task.target or sys.stdout.buffer,
        format=None if task.target else "PNG",
        quality=task.quality,
        overwrite=task.overwrite,
    )
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _check_format(field: Field, size: tuple[int, int], target: Path | None) -> None:
    """Refuse a format that cannot hold the picture before its pixels are computed."""
    import numpy as np

    if target is not None:
        pixel = np.zeros((1, 1, field.signal.channels), np.uint8 if field.signal.depth == 8 else np.uint16)
        check_format(Picture(np.broadcast_to(pixel, (*size, field.signal.channels))), format_of(target), str(target))


def _write_volume(field: Field, task: _Task) -> str:
    import numpy as np

    values = field.volume(task.asked.resolution)
    with replacing(task.path, overwrite=task.overwrite) as file:
        np.save(file, values)
    return " x ".join(str(side) for side in values.shape)


def _write_video(field: Field, task: _Task) -> str:
    from morpho.fields.video import write_video

    signal, size, region = field.signal, task.asked.pixels(field), task.asked.region(field)
    count = signal.shape[0]
    frames = (field.frame(time, size=size, crop=region, threads=task.threads) for time in range(count))
    rate = signal.frame_rate or _FRAME_RATE
    crf = min(2 * (100 - task.quality), 51)
    if signal.depth != 8:
        raise InputError(f"a video of {signal.depth} bits is not written: render its frames with --frame")
    if count > _MOST_FRAMES:
        raise InputError(f"a video of more than {_MOST_FRAMES:,} frames is not written: take single ones with --frame")
    shown: Iterator[Any] = track(frames, "frames", total=count)
    write_video(task.path, shown, rate, aspect=signal.aspect, crf=crf, overwrite=task.overwrite)
    height, width = size if region is None else region[2:]
    return f"{width} x {height} x {count} frames, {rate:g} per second"


def _write_mesh(field: Field, task: _Task) -> str:
    from morpho.fields.shape_scores import field_mesh
    from morpho.fields.surface import check_mesh_file, write_mesh

    asked = task.asked
    check_mesh_file(task.path, field.signal)
    vertices, faces = field_mesh(field, asked.resolution or _RESOLUTION, exact=asked.exact, threads=task.threads)
    write_mesh(task.path, vertices, faces, overwrite=task.overwrite)
    return f"{len(vertices):,} vertices, {len(faces):,} triangles"


_WRITERS: dict[Kind, Callable[[Field, _Task], str]] = {
    "picture": _write_picture,
    "video": _write_video,
    "mesh": _write_mesh,
    "volume": _write_volume,
}
