"""How fast lookup tables are applied, beside what else a person would use, in one run on the same picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from morpho.images.sample import large_sample as picture
from morpho.luts import reference
from morpho.luts.engine import Engine
from morpho.luts.integers import IntegerLut
from morpho.luts.lut import Lut
from morpho.luts.reference import Interpolation
from morpho.timing import Timing, Way, threads_in_words, time_in_turn, time_once

__all__ = ["Timing", "look", "picture", "timings"]

Photo = NDArray[np.uint8]
Work = Callable[[], object]


def look(nodes: int = 33) -> Lut:
    """A look that is neither the identity nor separate per channel: warmer, of more contrast and less saturation."""
    lattice = Lut.identity(nodes).lattice
    assert lattice is not None
    contrasted = lattice * lattice * (3 - 2 * lattice)
    grey = contrasted.mean(axis=-1, keepdims=True)
    return Lut((0.2 * grey + 0.8 * contrasted) * np.array([1.0, 0.97, 0.9]), title="bench")


def timings(image: Photo, lut: Lut, *, threads: int, runs: int = 15, slow: bool = True) -> list[Timing]:
    """Time morpho, OpenColorIO (where it is installed), Pillow and the NumPy twin on one picture.

    All write into an array that is there already, where they can. Every way runs once before it is timed; the fast ones
    in turn, round by round, so that a drift of the machine's speed meets all alike.

    Args:
        image: ``(H, W, 3)`` uint8.
        lut: a table with a lattice and nothing else.
        threads: for the ways that can use them.
        runs: of the fast ways.
        slow: whether to time the NumPy twin, too.
    """
    fast = dict(_morpho(image, lut, threads))
    fast.update(_opencolorio(image, lut, threads))
    fast.update(_pillow(image, lut))
    timed = time_in_turn(fast, runs)
    return timed + (time_once({"NumPy twin, tetrahedral, 8 bit": (1, _twin(image, lut))}) if slow else [])


def _morpho(image: Photo, lut: Lut, threads: int) -> Iterator[tuple[str, Way]]:
    for interpolation in get_args(Interpolation):
        for depth in (8, 16):
            pixels = image if depth == 8 else image.astype(np.uint16) * 257
            out = np.empty_like(pixels)
            for count in sorted({threads, 1}, reverse=True):
                engine = Engine(lut, interpolation=interpolation, threads=count)
                name = f"morpho, {interpolation}, {depth} bit, {threads_in_words(count)}"
                yield name, (count, _into(engine, pixels, out))


def _into(engine: Engine, pixels: NDArray[Any], out: NDArray[Any]) -> Work:
    return lambda: engine(pixels, out=out)


def _opencolorio(image: Photo, lut: Lut, threads: int) -> Iterator[tuple[str, Way]]:
    try:
        ocio = import_module("PyOpenColorIO")
    except ImportError:
        return
    assert lut.lattice is not None
    depth = ocio.BIT_DEPTH_UINT8
    out = np.empty_like(image)
    for interpolation, option in (("tetrahedral", ocio.INTERP_TETRAHEDRAL), ("trilinear", ocio.INTERP_LINEAR)):
        transform = ocio.Lut3DTransform(gridSize=len(lut.lattice))
        transform.setInterpolation(option)
        transform.setData(lut.lattice.astype(np.float32).ravel())  # blue fastest
        processor = ocio.Config.CreateRaw().getProcessor(transform)
        cpu = processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_DEFAULT)
        # It uses one thread; a program that wants more gives each a part of the picture.
        for count in sorted({threads, 1}, reverse=True):
            parts = [_described(ocio, a, count) for a in (image, out)]
            name = f"OpenColorIO, {interpolation}, 8 bit, {threads_in_words(count)}"
            yield name, (count, _on_threads(cpu, list(zip(*parts, strict=True)), count))


def _described(ocio: Any, array: Photo, parts: int) -> list[Any]:
    bands = np.array_split(array, parts)
    return [ocio.PackedImageDesc(b, b.shape[1], len(b), 3, ocio.BIT_DEPTH_UINT8, *b.strides[::-1]) for b in bands]


def _on_threads(processor: Any, parts: list[tuple[Any, Any]], threads: int) -> Work:
    def work() -> None:
        if threads == 1:
            processor.apply(*parts[0])
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: processor.apply(*part), parts))

    return work


def _pillow(image: Photo, lut: Lut) -> Iterator[tuple[str, Way]]:
    from PIL import Image, ImageFilter

    assert lut.lattice is not None
    if len(lut.lattice) > 65:  # more than it takes
        return
    red_fastest = np.ascontiguousarray(lut.lattice.transpose(2, 1, 0, 3), dtype=np.float32).ravel()
    table, source = ImageFilter.Color3DLUT(len(lut.lattice), red_fastest), Image.fromarray(image)
    yield "Pillow, trilinear, 8 bit, 1 thread", (1, lambda: source.filter(table))


def _twin(image: Photo, lut: Lut) -> Work:
    return lambda: reference.apply(image, IntegerLut.of(lut, image.dtype))
