"""Shapes and a video as fields, beside SIREN and other peers at equal parameters and steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fields_study import Study, sized
from benchmarks.places import data_root
from morpho.fields.evaluate import scores
from morpho.fields.field import Field
from morpho.fields.meshes import mesh_target
from morpho.fields.model import Model
from morpho.fields.peers import Mfn, Siren
from morpho.fields.plus import SconePlus
from morpho.fields.recipe import Recipe
from morpho.fields.registry import build, for_signal
from morpho.fields.shape_scores import score_against
from morpho.fields.shapes import Shape, read_shape
from morpho.fields.solids import VolumeTarget
from morpho.fields.surface import evaluate
from morpho.fields.targets import GridTarget, Target
from morpho.fields.video import read_video
from morpho.fields.volumes import read_volume, resampled, volume_sdf, volume_signal
from morpho.records import Cell, Record, Stopwatch

__all__ = ["shapes", "video"]

_RESOLUTION = 256
_PARAMETERS = 132_000
#: The distance, in units of the cube [-1, 1]^3, beyond which signed distances are cut off, and the share of points
#: that are drawn at the surface.
_REACH, _SURFACE = 6 / _RESOLUTION, 0.85


def shapes(lengths: tuple[int, ...] = (600, 1500)) -> list[Record]:
    """IoU and Chamfer distance of two occupancy volumes and a mesh."""
    watch, study = Stopwatch(), Study("shapes")
    rows: list[list[Cell]] = []
    folder = data_root("inr") / "inr"
    for name, file in (("dragon", "dragon.mat.zip"), ("thai", "thai_statue.mat.zip"), ("armadillo", "armadillo.ply")):
        truth, target = _mesh(folder / "mesh" / file) if file.endswith("ply") else _volume(folder / "occupancy" / file)
        for label, model, rate in _solid_models():
            row: list[Cell] = [name, label]
            for steps in lengths:
                recipe = Recipe(model=sized(model, _PARAMETERS, target), learning_rate=rate, steps=steps)
                done = study.run(f"{name}-{label}-{steps}", target, recipe, partial(_solid_numbers, truth))
                iou, chamfer = 100 * done.numbers["every_iou"], 1e4 * done.numbers["chamfer"]
                row += [round(iou, 2), round(chamfer, 2), round(done.seconds)]
            rows.append([*row[:2], done.parameters, *row[2:]])
    return [
        Record(
            name="fields-shapes",
            title="Shapes as fields: IoU in percent and Chamfer distance",
            command="python -m benchmarks.fields shapes",
            protocol=f"{' or '.join(f'{steps:,}' for steps in lengths)} steps of 8,192 points, at most "
            f"{_PARAMETERS:,} parameters, seed 0. "
            "Dragon and Thai statue: the 512^3 occupancies, nearest voxels of a 256^3 grid; the field is fitted to "
            "signed distances of that grid, cut off at 3 voxels, 85 % of the points at the surface. Armadillo: "
            "2,000,000 points around the mesh with signed distances. IoU of the signs on all voxels of the 256^3 grid. "
            "Chamfer: vertices of the two marching-cubes meshes of that grid, sum of the two mean distances, in "
            "1/10,000 of the cube's side.",
            columns=[
                "shape",
                "model",
                "parameters",
                *(f"{what}, {steps:,} steps" for steps in lengths for what in ("IoU", "Chamfer", "seconds")),
            ],
            rows=rows,
            n=3,
            seeds=[0],
            wall_seconds=watch.seconds,
            notes="Seconds: one thread, beside other work. SCONE's paper: 98.81 % and 0.0011 (11 in these units), on "
            "512^3 grids, from point clouds.",
        )
    ]


def _solid_models() -> list[tuple[str, Model, float | None]]:
    """Models with two thirds of the frequencies that pictures want."""
    return [
        ("scone+", SconePlus(omegas=(60.0, 36.0, 24.0, 15.0, 9.0, 4.2)), None),
        ("siren", Siren(first_omega=60.0), None),
        ("mfn", Mfn(input_scale=128.0), 2e-3),
        ("hash-grid", build("hash-grid", finest=128), None),
    ]


def _volume(path: Any) -> tuple[NDArray[np.bool_], Target]:
    volume = resampled(read_volume(path), _RESOLUTION)
    return volume, VolumeTarget(volume_signal(volume, _REACH), volume_sdf(volume, _REACH), surface=_SURFACE)


def _mesh(path: Any) -> tuple[NDArray[np.bool_], Target]:
    shape = read_shape(path)
    return _inside(shape), mesh_target(shape, points=2_000_000, truncate=0.05)


def _inside(shape: Shape) -> NDArray[np.bool_]:
    """Which points of the grid are inside, from winding numbers near the surface."""
    grid = evaluate(lambda points: 0.5 - shape.winding(points), (_RESOLUTION,) * 3, coarse=2)
    return grid < 0


def _solid_numbers(truth: NDArray[np.bool_], field: Field) -> dict[str, float]:
    found = score_against(field, truth)
    return {"every_iou": found.iou, "chamfer": found.chamfer}


def video(steps: int = 1200) -> list[Record]:
    """PSNR of 60 half-size frames."""
    watch, study = Stopwatch(), Study("video")
    clip = read_video(data_root("inr") / "inr" / "video" / "bikes.mp4", stop=60, scale=0.5)
    target = GridTarget(clip.signal, clip.frames)
    rows: list[list[Cell]] = []
    for label, model, auto in _video_models():
        model = sized(model, 196_608, target)
        model = for_signal(model, clip.signal.shape, 3) if auto else model
        recipe = Recipe(model=model, steps=steps)
        done = study.run(label, target, recipe, partial(_frame_numbers, clip.frames))
        numbers = [round(done.numbers[name], 2) for name in ("mean", "deviation")]
        rows.append([label, done.parameters, *numbers, round(done.seconds)])
    return [
        Record(
            name="fields-video",
            title="A video as a field: PSNR in dB over frames",
            command="python -m benchmarks.fields video",
            protocol="bikes.mp4, frames 0 to 59 at half size (320 x 136), 7.8 million values, at most 196,608 "
            f"parameters, {steps} steps of 8,192 samples, seed 0; PSNR of each frame at the end. auto: "
            "frequencies from the resolution and the number of parameters. Seconds: one thread, beside other work.",
            columns=["model", "parameters", "mean", "standard deviation", "seconds"],
            rows=rows,
            n=60,
            seeds=[0],
            wall_seconds=watch.seconds,
        )
    ]


def _video_models() -> list[tuple[str, Model, bool]]:
    """Models, and whether their frequencies are those that `morpho fit` gives them or as many as pictures have."""
    return [
        ("scone+, auto", SconePlus(), True),
        ("siren, auto", Siren(), True),
        ("siren, first omega 60", Siren(first_omega=60.0), False),
        ("finer", build("finer"), False),
        ("hash-grid", build("hash-grid", finest=256), False),
    ]


def _frame_numbers(frames: NDArray[np.uint8], field: Field) -> dict[str, float]:
    found = scores(field, frames)
    return {"mean": found.psnr, "deviation": found.psnr_std}
