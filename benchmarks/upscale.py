"""Measure the upscaler and write results/upscale-*.json.

    python -m benchmarks.upscale quality     PSNR and SSIM on Set5, Set14, BSD100, x2 to x4
    python -m benchmarks.upscale speed       beside Pillow, NumPy and torch, the cold command, memory
    python -m benchmarks.upscale training    the ways to obtain tables, and what each ingredient is worth

The pictures are found under MORPHO_DATA (see CONTRIBUTING.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.places import data_root, write
from morpho.artifacts import read_card
from morpho.cli.app import main as morpho
from morpho.errors import DataError
from morpho.machine import cores
from morpho.records import Cell, Record, Stopwatch
from morpho.upscale import Upscaler, bench
from morpho.upscale.evaluate import Quality, bicubic, evaluate

SETS = ("Set5", "Set14", "BSD100")

#: Published results at x4: method, KiB, PSNR on Set5, Set14, BSD100, SSIM on Set5, where from.
PUBLISHED_X4: list[list[Cell]] = [
    ["HKLUT-S, its released tables", 100.0, 30.34, 27.38, 26.75, 0.8588, "Huang et al. 2024, re-measured"],
    ["HKLUT-L", 112.5, 30.42, 27.45, 26.79, 0.8606, "a fork's listing of the paper"],
    ["SR-LUT", 1305.0, 29.82, 27.01, 26.53, 0.8478, "Jo and Kim 2021"],
    ["MuLUT (sdy, x2)", 4159.0, 30.60, 27.60, 26.86, 0.8653, "Li et al. 2022"],
    ["TinyLUT-S", 37.0, 30.22, 27.33, 26.71, None, "Li et al. 2024"],
    ["ShiftLUT-S (30 times the look-ups)", 24.0, 30.50, None, None, None, "2026"],
    ["A+", 15534.0, 30.27, 27.30, 26.73, 0.8602, "Timofte et al. 2014"],
]
#: Published results at x2 and x3: scale, method, KiB, PSNR on Set5, Set14, BSD100, SSIM on Set5, where from.
PUBLISHED_X2_X3: list[list[Cell]] = [
    ["x2", "A+", None, 36.54, 32.28, 31.21, None, "Timofte et al. 2014, as later papers list it"],
    ["x2", "SRCNN", None, 36.66, 32.43, 31.36, 0.9542, "Dong et al. 2014, as later papers list it"],
    ["x3", "A+", None, 32.58, 29.13, 28.29, None, "Timofte et al. 2014, as later papers list it"],
]


def quality() -> list[Record]:
    """Shipped tables and bicubic on every test set."""
    watch = Stopwatch()
    tests = [data_root("sr") / "sr" / "test" / name for name in SETS]
    names = {2: ["hklut-s-x2"], 3: ["hklut-s-x3"], 4: ["hklut-s-x4", "hklut-l-x4"]}
    measured: dict[int, list[tuple[str, list[Quality]]]] = {}
    for scale, models in names.items():
        measured[scale] = [("bicubic", [bicubic(folder, scale) for folder in tests])]
        for model in models:
            upscaler = Upscaler.load(model)
            measured[scale].append((model, [evaluate(upscaler, folder) for folder in tests]))
    protocol = (
        "Luma of BT.601, `scale` pixels of border cut for PSNR and none for SSIM; low-resolution pictures by MATLAB's "
        "bicubic; the mean over pictures. Trained on T91, BSDS200 and 12 Kodak photos. Within a run, tables are "
        "selected on held-out training photos; that photos are varied at all was decided with Set5 and Set14 in view."
    )
    x4 = [_quality_row(name, results) for name, results in measured[4]]
    others = [[f"x{s}", *_quality_row(name, results)] for s in (2, 3) for name, results in measured[s]]
    columns = ["method", "tables / KiB", "Set5 / dB", "Set14 / dB", "BSD100 / dB", "Set5 SSIM", "source"]
    count = sum(result.images for result in measured[4][0][1])
    common = {"protocol": protocol, "n": count, "command": "python -m benchmarks.upscale quality"}
    seconds = watch.seconds
    return [
        Record(
            name="upscale-quality-x4",
            title="Super-resolution x4 by tables",
            columns=columns,
            rows=[*x4, *PUBLISHED_X4],
            wall_seconds=seconds,
            notes="Published methods were trained on DIV2K, most of them with selection on Set5.",
            **common,  # type: ignore[arg-type]
        ),
        Record(
            name="upscale-quality-x2-x3",
            title="Super-resolution x2 and x3 by tables",
            columns=["scale", *columns],
            rows=sorted([*others, *PUBLISHED_X2_X3], key=lambda row: str(row[0])),
            wall_seconds=seconds,
            notes="HKLUT publishes no x2 or x3 tables. On disk, mirror-symmetric tables take 60 % of the size given.",
            **common,  # type: ignore[arg-type]
        ),
    ]


def _quality_row(name: str, results: list[Quality]) -> list[Cell]:
    psnr = [round(result.psnr_y, 2) for result in results]
    return [name, round(results[0].bytes / 1024, 1), *psnr, round(results[0].ssim_y, 4), "this repository"]


def speed() -> list[Record]:
    """960x540 to 3840x2160, the cold command, and memory at 100 megapixels."""
    watch = Stopwatch()
    image = bench.picture(960, 540)
    rows: list[list[Cell]] = []
    threads = cores()
    for name in ("hklut-s-x4", "hklut-l-x4"):
        timed = bench.timings(Upscaler.load(name), image, threads=threads, slow=name == "hklut-s-x4")
        rows += [
            [t.method, t.threads, t.milliseconds, t.fastest] for t in timed if [t.method] not in [r[:1] for r in rows]
        ]
    base = next(row[2] for row in rows if row[0] == "Pillow bicubic")
    assert isinstance(base, float)
    rows = [[*row, round(float(row[2] or 0) / base, 2)] for row in rows]
    cold, memory = bench.cold_command(image), bench.peak_memory()
    speed_record = Record(
        name="upscale-speed",
        title="960x540 to 3840x2160, 8-bit RGB",
        command="python -m benchmarks.upscale speed",
        protocol="Median and fastest of 15 runs in turn after one warm-up, in one process; the slow ways once.",
        columns=["method", "threads", "median ms", "fastest ms", "time / Pillow bicubic"],
        rows=rows,
        n=15,
        wall_seconds=watch.seconds,
        notes="`morpho bench upscale` prints the same table on any machine.",
    )
    whole = Record(
        name="upscale-process",
        title="Whole processes",
        command="python -m benchmarks.upscale speed",
        protocol="Median of 5 processes, BMP to BMP (nothing to compress), 960x540 to 3840x2160, kernels compiled "
        "before; memory beyond the two pictures for 2500x2500 to 10000x10000.",
        columns=["what", "value", "unit"],
        rows=[
            ["cold `morpho upscale`", cold["command"], "s"],
            ["of which: Python with NumPy and Pillow", cold["python"], "s"],
            ["memory beyond input and output, 100 megapixels", round(memory["extra"], 1), "MB"],
        ],
        n=5,
        wall_seconds=watch.seconds,
    )
    return [speed_record, whole]


#: What each row of the training table is: its name, mode, options; the start of the fine-tuned ones is the fit.
RUNS: list[tuple[str, list[str]]] = [
    ("fit: least squares, no network", ["fit"]),
    ("fit, photos as they are", ["fit", "--variations", "0"]),
    ("finetune", ["finetune"]),
    ("finetune, no gradient through nibbles (published form)", ["finetune", "--slope", "0"]),
    ("finetune, photos as they are", ["finetune", "--variations", "0"]),
    ("network", ["network"]),
]


def training(steps: int, network_steps: int) -> list[Record]:
    """Train in every way with few steps, and measure on held-out photos and the test sets."""
    watch = Stopwatch()
    root = data_root("sr")
    photos = [str(root / "sr" / "train" / "T91"), str(root / "sr" / "train" / "BSDS200"), str(root / "inr" / "kodak")]
    tests = [root / "sr" / "test" / name for name in SETS]
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder, "run0.safetensors")
        for number, (label, options) in enumerate(RUNS):
            mode, *rest = options
            if mode != "fit":
                rest += ["--steps", str(network_steps if mode == "network" else steps)]
            if mode == "finetune":
                rest += ["--from", str(start)]
            output = Path(folder, f"run{number}.safetensors")
            run = Stopwatch()
            if morpho(["train", "upscale", mode, *photos, "-o", str(output), *rest]):
                raise DataError(f"the run {label!r} failed: see above")
            seconds = run.seconds
            upscaler = Upscaler.load(output)
            psnr = [round(evaluate(upscaler, test).psnr_y, 2) for test in tests]
            held = read_card(output).numbers["held_psnr_y"]
            taken = read_card(output).recipe.get("steps")
            rows.append([label, taken, round(seconds), round(held, 3), *psnr])
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return [
        Record(
            name="upscale-training",
            title="Ways to obtain the tables of HKLUT-S x4",
            command=f"python -m benchmarks.upscale training --steps {steps} --network-steps {network_steps}",
            protocol="T91, BSDS200, 12 Kodak photos; every 20th held out; seed 0; finetune starts from the first row.",
            columns=["way", "steps", "seconds", "held-out / dB", "Set5 / dB", "Set14 / dB", "BSD100 / dB"],
            rows=rows,
            seeds=[0],
            n=len(rows),
            wall_seconds=watch.seconds,
            notes="The test sets are reported, not selected by.",
        )
    ]


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "speed", "training"])
    parser.add_argument("--steps", type=int, default=1500, help="training: of finetune")
    parser.add_argument("--network-steps", type=int, default=3000, help="training: of network")
    options = parser.parse_args()
    measure: dict[str, Callable[[], list[Record]]] = {
        "quality": quality,
        "speed": speed,
        "training": lambda: training(options.steps, options.network_steps),
    }
    return write(measure[options.what]())


if __name__ == "__main__":
    sys.exit(main())
