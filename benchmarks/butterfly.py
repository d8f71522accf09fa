"""Measure butterflies and write results/butterfly-*.json.

    python -m benchmarks.butterfly projection    errors of approximating matrices, and times, beside other ways
    python -m benchmarks.butterfly search        how long the search takes, and what it gains
    python -m benchmarks.butterfly mnist         LeNet on MNIST at the paper's 10,190 parameters
    python -m benchmarks.butterfly modelnet10    PointNet on ModelNet10 at 4.98 and 2.52 %
    python -m benchmarks.butterfly cifar10       a CNN on CIFAR-10: accuracy over budget
    python -m benchmarks.butterfly speed         linear layers beside dense ones, batch by batch
    python -m benchmarks.butterfly conv          convolutions of 3 x 3

Those on data sets train in runs/butterfly, and go on where they were interrupted. The data are found under MORPHO_DATA
(see CONTRIBUTING.md).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.places import write
from benchmarks.study import Outcome, Study
from morpho.butterfly import bench
from morpho.butterfly.als import als
from morpho.butterfly.chain import Chain, low_rank, monarch
from morpho.butterfly.generate import chains, least
from morpho.butterfly.project import project
from morpho.butterfly.search import best, front, pareto
from morpho.records import Cell, Record, Stopwatch
from morpho.timing import Timing, seconds

Matrix = NDArray[Any]

SEEDS = (0, 1, 2)
#: The paper's chains for LeNet, input side first: layer, name, chain, the paper's ALS error on its own weights.
PAPER = [
    ("FC1", "mono 1", "(8,25)(2,2)^4", 0.9044),
    ("FC1", "mono 2", "(16,25)(2,2)(1,2)(2,2)^2", 0.8534),
    ("FC1", "bulge 1", "(8,5)(4,5)(2,4)^2", 0.8305),
    ("FC1", "bulge 2", "(16,25)(2,1)(2,4)^2", 0.8289),
    ("FC1", "bulge 3", "(16,25)(2,1)(2,2)(1,2)(2,4)", 0.8321),
    ("CONV2", "mono 1", "(2,3)(1,3)(2,2)(4,4)", 0.8030),
    ("CONV2", "mono 2", "(2,3)(1,3)(8,8)", 0.8434),
    ("CONV2", "mono 3", "(4,6)(2,2)(1,2)(2,3)", 0.7248),
    ("CONV2", "bulge 1", "(4,3)(1,2)(2,6)(2,2)", 0.6289),
    ("CONV2", "bulge 2", "(4,3)(2,4)(1,2)(2,3)", 0.6595),
    ("CONV2", "bulge 3", "(4,3)(2,2)(1,2)(2,6)", 0.7042),
]
#: Gaussian matrices and chains of larger layers.
LARGE = [
    ("1024 x 1024", "radix 2", Chain.parse("(2,2)^10")),
    ("1024 x 1024", "radix 4", Chain.parse("(4,4)^5")),
    ("1024 x 1024", "Monarch", monarch(1024, 1024, 32)),
    ("512 x 4608", "VGG mono", Chain.parse("(8,9)(2,2)^3(2,4)^3")),
    ("512 x 4608", "two factors", Chain.parse("(16,72)(32,64)")),
    ("512 x 4608", "three factors", Chain.parse("(8,9)(8,16)(8,32)")),
]
#: Matrices of VGG-16 on CIFAR-10, rows and columns.
VGG16 = [(64, 27), (64, 576), (128, 576), (128, 1152), (256, 1152), (256, 2304), (256, 2304), (512, 2304)]
VGG16 += [(512, 4608)] * 5 + [(512, 512), (10, 512)]
#: Matrices of PointNet for ten classes.
POINTNET = [(64, 3), (128, 64), (1024, 128), (512, 1024), (256, 512), (9, 256), (64, 64), (128, 64), (1024, 128)]
POINTNET += [(512, 1024), (256, 512), (4096, 256), (64, 3), (128, 64), (1024, 128), (512, 1024), (256, 512), (10, 256)]


def projection(runs: int) -> list[Record]:
    """Our projection beside least squares from random factors, correct and as released, and the truncated SVD."""
    watch = Stopwatch()
    rows: list[list[Cell]] = [_projected(*case, runs) for case in (*_lenet(), *_gauss())]
    return [
        Record(
            name="butterfly-projection",
            title="Approximating matrices by given chains: relative Frobenius errors",
            command="python -m benchmarks.butterfly projection",
            protocol="LeNet: trained as in the paper, 30 epochs for its 150; CONV2 has spatial-major columns. Gaussian "
            "matrices of seed 0, float32. ALS: 5 sweeps from random factors, the best of 3 seeds; as released: the "
            "same with the left-most factor's solution put back transposed, as the published code does. "
            "SVD: truncated, of at most as many parameters. Seconds: the fastest of the runs, one core.",
            columns=[
                "matrix",
                "chain",
                "parameters",
                "morpho",
                "seconds",
                "ALS",
                "ALS as released",
                "SVD",
                "lazylinop ksd",
                "its seconds",
                "paper (its own weights)",
            ],
            rows=rows,
            seeds=[0],
            n=runs,
            wall_seconds=watch.seconds,
            notes="Gaussian matrices are the hardest case. On trained weights the truncated SVD has the smaller error "
            "at equal parameters.",
        )
    ]


def _lenet() -> Iterator[tuple[str, str, Chain, Matrix, float | None]]:
    teacher, _ = Study("lenet-mnist-paper").dense()
    weights = {name: teacher.get_parameter(f"{layer}.weight").detach() for name, layer in _LAYERS.items()}
    matrices = {"FC1": weights["FC1"], "CONV2": weights["CONV2"].permute(0, 2, 3, 1).reshape(16, 72)}
    for layer, name, chain, published in PAPER:
        yield f"LeNet {layer}", name, Chain.parse(chain), matrices[layer].contiguous().numpy(), published


def _gauss() -> Iterator[tuple[str, str, Chain, Matrix, float | None]]:
    for size, name, chain in LARGE:
        matrix = np.random.default_rng(0).normal(size=(chain.m, chain.n)).astype(np.float32)
        yield f"Gauss {size}", name, chain, matrix, None


def _projected(what: str, name: str, chain: Chain, matrix: Matrix, published: float | None, runs: int) -> list[Cell]:
    error = project(matrix, chain).error
    taken = min(seconds(lambda: project(matrix, chain)) for _ in range(runs))
    correct = min(_als(matrix, chain, seed)[-1] for seed in SEEDS)
    released = min(_als(matrix, chain, seed, transposed=True)[-1] for seed in SEEDS)
    rank = chain.parameters // (chain.m + chain.n)
    svd = project(matrix, low_rank(chain.m, chain.n, rank)).error if rank else None
    peer = _lazylinop(matrix, chain, runs)
    numbers = [error, round(taken, 4), correct, released, svd, *peer, published]
    return [what, name, chain.parameters, *(None if x is None else round(x, 4) for x in numbers)]


def _als(matrix: Matrix, chain: Chain, seed: int, *, transposed: bool = False, sweeps: int = 5) -> list[float]:
    """Errors after each sweep of least squares from random factors; transposed as the published code puts them back."""
    random = np.random.default_rng(seed)
    weights = [random.normal(size=f.shape).astype(matrix.dtype) / f.s**0.5 for f in chain.factors]
    errors = []
    for _ in range(sweeps):
        weights = als(matrix, chain, weights, 1)
        if transposed:
            last = chain.factors[-1]
            # Solved in the order (column, row), read in the order (row, column).
            weights[-1] = weights[-1].swapaxes(1, 2).reshape(last.shape)
        errors.append(float(np.linalg.norm(matrix - chain.dense(weights)) / np.linalg.norm(matrix)))
    return errors


def _lazylinop(matrix: Matrix, chain: Chain, runs: int) -> tuple[float | None, float | None]:
    """The hierarchical factorisation of another library, if it is installed: error and seconds."""
    try:
        from lazylinop.butterfly import Chain as TheirChain
        from lazylinop.butterfly import ksd
    except ImportError:
        return None, None
    patterns = TheirChain([(f.g, f.r, f.s, f.t) for f in reversed(chain.factors)])
    error = np.linalg.norm(ksd(matrix, patterns).toarray() - matrix) / np.linalg.norm(matrix)
    return float(error), round(min(seconds(lambda: ksd(matrix, patterns)) for _ in range(runs)), 4)


_LAYERS = {"CONV2": "conv2", "FC1": "fc1"}


def search(runs: int) -> list[Record]:
    """Seconds of the exact search and of ranking on weights, whole networks, and what ranking gains."""
    watch = Stopwatch()
    rows: list[list[Cell]] = []
    for m, n in ((512, 4608), (1024, 1024), (128, 400), (4096, 256), (510, 1000)):
        taken = min(seconds(partial(pareto, m, n)) for _ in range(runs))
        rows.append([f"{m} x {n}", "exact front of parameters and widths", len(pareto(m, n)), round(taken, 3), None])
    for name, sizes in (("VGG-16", VGG16), ("PointNet", POINTNET)):
        rows += [_whole(name, sizes, what) for what in ("ranked", "projected")]
    for what, _, chain, matrix, _ in (*_lenet(), *_gauss()):
        start = Stopwatch()
        candidate, found = best(matrix, budget=chain.parameters, family="debut")
        rows.append(
            [what, f"best within {chain.parameters}: {candidate.chain.pairs()}", None, start.seconds, found.error]
        )
        rows[-1][-1] = round(found.error, 4)
    return [
        Record(
            name="butterfly-search",
            title="Searching chains",
            command="python -m benchmarks.butterfly search",
            protocol="Exact front: the fastest of the runs. Whole networks: Gaussian weights of seed 0, one after "
            "the other on one core: chains of all sizes ranked on the weights, as a conversion needs them; or one "
            "projection within 4 %, or the smallest chain. Last rows: deformable butterflies ranked on a matrix of "
            "butterfly-projection, within the parameters of the chain there.",
            columns=["what", "how", "chains", "seconds", "error"],
            rows=rows,
            seeds=[0],
            n=runs,
            wall_seconds=watch.seconds,
        )
    ]


def _whole(name: str, sizes: Sequence[tuple[int, int]], what: str) -> list[Cell]:
    """Seconds for all layers of a network."""
    random = np.random.default_rng(0)
    matrices = [random.normal(size=size).astype(np.float32) for size in sizes]
    watch = Stopwatch()
    for matrix in matrices:
        m, n = matrix.shape
        budget = max(m * n // 25, least(m, n))
        if what == "ranked":
            front(matrix, family="debut")
        else:
            project(matrix, chains(m, n, budget=budget, count=1, family="debut")[0])
    return [f"all {len(sizes)} layers of {name}", what, None, round(watch.seconds, 2), None]


def mnist(seeds: Sequence[int]) -> list[Record]:
    """LeNet on MNIST at the paper's size of three layers in butterflies."""
    methods = ("debut", "monarch", "svd", "pruned", "narrow")
    return [
        _study(
            "lenet-mnist",
            [(method, 10_190, seeds) for method in methods],
            name="butterfly-mnist",
            title="LeNet on MNIST at 10,190 parameters (16.6 %)",
            published=[["published: DeBut, CONV2 + FC1 + FC2", 10190, None, 98.64, 0.15, 3, "Lin et al. 2021"]],
            notes="The paper trains on labels for 150 epochs; here 14 epochs of distillation, pictures shifted.",
        )
    ]


def modelnet10(seeds: Sequence[int]) -> list[Record]:
    """PointNet on ModelNet10 at the paper's share of parameters, and at half of it."""
    total = 3_471_473
    budget, half = int(0.0498 * total), 87_600  # the smallest butterflies make 2.52 %
    runs = [("debut", budget, seeds), *((method, budget, seeds[:1]) for method in ("svd", "pruned", "narrow"))]
    return [
        _study(
            "pointnet-modelnet10",
            [*runs, ("debut", half, seeds[:2])],
            votes=8,
            name="butterfly-modelnet10",
            title="PointNet on ModelNet10 at 4.98 % and 2.52 % of 3,471,473 parameters",
            published=[],
            notes="Clouds from voxels of 24^3. Trained on 128 of 1,024 points, drawn anew each time; tested on all, as "
            "the mean of eight answers. The paper's claim is a drop of less than 5 points at 4.98 % on ModelNet40. "
            "Two-factor chains cannot be that small here: Monarch needs 6.4 %.",
        )
    ]


def cifar10(seeds: Sequence[int]) -> list[Record]:
    """A CNN on CIFAR-10: accuracy over budget."""
    runs = [(method, budget, seeds[:1]) for budget in (_MIDDLE, 25_000) for method in _BOTH]
    runs += [(method, _MIDDLE, seeds[:1]) for method in ("pruned", "narrow")]
    runs += [("monarch", 13_200, seeds[:1])]
    return [
        _study(
            "cnn-cifar10",
            runs,
            name="butterfly-cifar10",
            title="A CNN of 127,096 parameters on CIFAR-10 (JPEG-coded): accuracy over budget",
            published=[],
            notes="The pictures are coded at about 30 dB: not comparable with published numbers on exact pixels.",
        )
    ]


def speed(runs: int) -> list[Record]:
    """Linear layers of one thread, batch by batch."""
    watch = Stopwatch()
    rows: list[list[Cell]] = []
    for name, chain in SPEED:
        for columns in (1, 4, 16, 64, 256, 1024, 4096):
            case = bench.Case(chain=chain, columns=columns)
            timed = bench.linear_timings(case, runs=runs, compiled=columns == 256, released=columns <= 256)
            rows.append([f"{chain.m} x {chain.n}, {name}", chain.parameters, columns, *_ways(timed)])
    return [
        Record(
            name="butterfly-speed",
            title="Linear layers: milliseconds of one thread",
            command="python -m benchmarks.butterfly speed",
            protocol=f"float32, inputs with the batch first, medians of {runs} runs of all ways in turn after one "
            "warm-up. As released: a broadcast product and a sum per factor.",
            columns=["layer", "parameters", "batch", *_WAYS, "over the best dense"],
            rows=rows,
            n=runs,
            wall_seconds=watch.seconds,
            notes="Ways are timed in turn, so each finds the caches as the others left them. The released way was not "
            "timed beyond a batch of 256, nor torch.compile at other batches.",
        )
    ]


def conv(runs: int) -> list[Record]:
    """Convolutions of 3 x 3 on one thread."""
    watch = Stopwatch()
    rows: list[list[Cell]] = []
    for channels, side, chain in CONVOLUTIONS:
        case = bench.Case(chain=chain, columns=8, side=side)
        timed = bench.conv_timings(case, runs=runs)
        share = round(100 * chain.parameters / (chain.m * chain.n), 2)
        written = "".join(f"({r},{s})" for r, s in chain.pairs())
        rows.append([f"{channels} channels, {side} x {side}", written, share, *_ways(timed, _CONV_WAYS)])
    return [
        Record(
            name="butterfly-conv",
            title="Convolutions of 3 x 3 on eight pictures: milliseconds of one thread",
            command="python -m benchmarks.butterfly conv",
            protocol=f"float32, padding 1, medians of {runs} runs of all ways in turn after a warm-up. As released: "
            "unfolded windows, then a broadcast product and a sum per factor.",
            columns=["layer", "chain, input side first", "parameters / %", *_CONV_WAYS, "over the best dense"],
            rows=rows,
            n=runs,
            wall_seconds=watch.seconds,
            notes="The chains that begin with (8,9) are the paper's.",
        )
    ]


def _ways(timed: Sequence[Timing], names: Sequence[str] | None = None) -> list[Cell]:
    """Milliseconds of each way, and how much faster ours is than the best dense one."""
    found = {timing.method: timing.milliseconds for timing in timed}
    return [*(found.get(way) for way in names or _WAYS), bench.ratios(timed)["morpho"]]


#: The columns of the tables of speed.
_WAYS = ("dense, torch", "dense, ONNX Runtime", "morpho", "morpho, torch.compile", "as released")
_CONV_WAYS = tuple(way for way in _WAYS if "compile" not in way)
SPEED = [
    ("2 %", Chain.parse("(4,4)^5")),
    ("radix 2", Chain.parse("(2,2)^10")),
    ("Monarch", monarch(1024, 1024, 32)),
    ("VGG's", Chain.parse("(8,9)(2,2)^3(2,4)^3")),
    ("two factors", Chain.parse("(16,72)(32,64)")),
]
CONVOLUTIONS = [
    (512, 14, Chain.parse("(1,9)(16,16)(32,32)")),
    (512, 14, Chain.parse("(2,9)(16,16)(16,32)")),
    (512, 14, Chain.parse("(8,9)(2,2)^3(2,4)^3")),
    (128, 28, Chain.parse("(1,9)(8,8)(16,16)")),
    (128, 28, Chain.parse("(2,9)(8,8)(8,16)")),
    (64, 32, Chain.parse("(1,9)(8,8)(8,8)")),
]


def _study(
    recipe: str,
    runs: Sequence[tuple[str, int, Sequence[int]]],
    *,
    name: str,
    title: str,
    published: list[list[Cell]],
    notes: str,
    votes: int = 1,
) -> Record:
    study = Study(recipe, votes=votes)
    _, dense = study.dense()
    taken = dense.seconds
    rows: list[list[Cell]] = [["dense teacher", dense.parameters, None, round(100 * dense.after, 2), None, 1, None]]
    for method, budget, seeds in runs:
        outcomes = [study.smaller(method, budget, seed) for seed in seeds]
        taken += sum(outcome.seconds for outcome in outcomes)
        rows.append(_row(method, outcomes))
    student, teacher = study.recipe.student, study.recipe.teacher
    return Record(
        name=name,
        title=title,
        command=f"python -m benchmarks.butterfly {name.removeprefix('butterfly-')}",
        protocol=f"Teacher: {teacher.epochs} epochs. Students: {student.epochs} epochs of distillation (T = "
        f"{study.recipe.distillation.temperature:g}, {study.recipe.distillation.alpha:g} of the loss), all alike, from "
        "the teacher's projected or pruned weights; narrow: the same network with all widths scaled, from random "
        "weights. The mean of the parameters after the last epoch is tested; nothing is selected on the test part.",
        columns=["method", "parameters", "before / %", "accuracy / %", "+-", "seeds", "source"],
        rows=[*rows, *published],
        seeds=list(SEEDS),
        n=len(study.data.test),
        wall_seconds=round(taken, 1),
        notes=f"+- is the standard deviation over seeds. {notes}",
    )


def _row(method: str, outcomes: Sequence[Outcome]) -> list[Cell]:
    after = [100 * outcome.after for outcome in outcomes]
    before = [100 * outcome.before for outcome in outcomes if outcome.before is not None]
    spread = round(statistics.stdev(after), 2) if len(after) > 1 else None
    mean_before = round(statistics.mean(before), 1) if before else None
    mean = round(statistics.mean(after), 2)
    return [_NAMES[method], outcomes[0].parameters, mean_before, mean, spread, len(after), None]


_MIDDLE = 12_709
_BOTH = ("debut", "svd")
_NAMES = {
    "debut": "morpho: deformable butterflies",
    "debut-random": "morpho: the same chains, random weights",
    "general": "morpho: any chains",
    "monarch": "Monarch",
    "svd": "truncated SVD",
    "pruned": "magnitude pruning",
    "narrow": "narrower dense network",
}


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    measures: dict[str, Callable[[argparse.Namespace], list[Record]]] = {
        "projection": lambda options: projection(options.runs),
        "search": lambda options: search(options.runs),
        "mnist": lambda options: mnist(options.seeds),
        "modelnet10": lambda options: modelnet10(options.seeds),
        "cifar10": lambda options: cifar10(options.seeds),
        "speed": lambda options: speed(options.runs),
        "conv": lambda options: conv(options.runs),
    }
    parser.add_argument("what", choices=list(measures))
    parser.add_argument("--runs", type=int, default=5, help="projection, search, speed: of each way")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="of the students")
    options = parser.parse_args()
    return write(measures[options.what](options))


if __name__ == "__main__":
    sys.exit(main())
