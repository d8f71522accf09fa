"""The compiled loops that multiply a chain of factors by columns, sixteen at a time.

A tile of columns goes through all factors before the next one begins, so that the numbers on the way stay in a core's
second-level cache. Weights are packed in the order in which they are read (see ``kernel``).
"""

# The code below is typed by Numba, from the signature in build().
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numba
from numba import float32, types

from morpho.butterfly.kernel_lanes import add_copy, add_up, copy, slide, turn_in, turn_out
from morpho.butterfly.kernel_layout import EACH, HEAD, LANES, Place, Source
from morpho.compiled.pointers import OPTIONS, jit

__all__ = ["build"]

ROWS, WINDOWS = int(Source.ROWS), int(Source.WINDOWS)
KIND, COLUMNS, TILES, FEATURES, PADDED, IMAGE, STRIDE, FACTORS, OTHER = (
    int(place)
    for place in (
        Place.KIND,
        Place.COLUMNS,
        Place.TILES,
        Place.FEATURES,
        Place.PADDED,
        Place.IMAGE,
        Place.STRIDE,
        Place.FACTORS,
        Place.OTHER,
    )
)
OUTPUTS, OUT_IMAGE, OUT_STRIDE = (int(place) for place in (Place.OUTPUTS, Place.OUT_IMAGE, Place.OUT_STRIDE))


def build() -> Any:
    """Compile ``run`` to a C function."""
    numbers, sizes = types.CPointer(float32), types.CPointer(types.int64)
    signature = types.void(numbers, numbers, numbers, numbers, sizes, sizes, sizes, numbers)
    return numba.cfunc(signature, **OPTIONS)(run)


def run(source, weights, bias, target, geometry, offsets, span, space):
    """Multiply the tiles from ``span[0]`` to ``span[1]``.

    ``kernel_layout`` says what the geometry holds. Window number j of the first factor's block is ``offsets[j]`` after
    the block's first channel. ``space`` has room for two times the widest tile.
    """
    kind, columns = geometry[KIND], geometry[COLUMNS]
    for tile in range(span[0], span[1]):
        image = tile // geometry[TILES]
        column = LANES * (tile - image * geometry[TILES])
        count = min(LANES, columns - column)
        here, there, start = space, space + geometry[OTHER], 0
        numbers = source + image * geometry[IMAGE]
        if kind == WINDOWS:
            # The first factor reads the picture itself; there is room after its end for whole vectors.
            first = geometry + HEAD
            _slide(weights, first[0], first[1], first[2], numbers + column, geometry[STRIDE], offsets, here)
            start = 1
        elif kind == ROWS:
            _read_rows(numbers + column * geometry[STRIDE], geometry, count, here)
        else:
            _read_columns(numbers + column, geometry, count, here)
        for k in range(start, geometry[FACTORS]):
            factor = geometry + (HEAD + EACH * k)
            _multiply(weights + factor[4], factor[0], factor[1], factor[2], factor[3], here, there)
            here, there = there, here
        outputs = target + image * geometry[OUT_IMAGE]
        if kind == ROWS:
            _write_rows(here, bias, geometry, count, outputs + column * geometry[OUT_STRIDE])
        else:
            _write_columns(here, bias, geometry, count, outputs + column)


@jit
def _multiply(weights, g, r, s, t, source, target):
    """One factor: each vector of the target is a sum of s vectors that are t apart."""
    apart = LANES * t
    for b in range(g):
        for u in range(t):
            x, y = source + LANES * (b * s * t + u), target + LANES * (b * r * t + u)
            i = 0
            while i + 8 <= r:
                add_up(weights, 8, s, x, apart, y + apart * i, apart)
                weights = weights + 8 * s
                i += 8
            if r & 4:
                add_up(weights, 4, s, x, apart, y + apart * i, apart)
                weights = weights + 4 * s
                i += 4
            if r & 2:
                add_up(weights, 2, s, x, apart, y + apart * i, apart)
                weights = weights + 2 * s
                i += 2
            if r & 1:
                add_up(weights, 1, s, x, apart, y + apart * i, apart)
                weights = weights + s


@jit
def _slide(weights, g, r, s, numbers, block, offsets, target):
    """The first factor on windows of a padded picture: the columns of a vector are neighbouring places."""
    for b in range(g):
        x, y = numbers + b * block, target + LANES * b * r
        i = 0
        while i + 8 <= r:
            slide(weights, 8, s, x, offsets, y + LANES * i)
            weights = weights + 8 * s
            i += 8
        if r & 4:
            slide(weights, 4, s, x, offsets, y + LANES * i)
            weights = weights + 4 * s
            i += 4
        if r & 2:
            slide(weights, 2, s, x, offsets, y + LANES * i)
            weights = weights + 2 * s
            i += 2
        if r & 1:
            slide(weights, 1, s, x, offsets, y + LANES * i)
            weights = weights + s


@jit
def _read_rows(rows, geometry, count, tile):
    """Rows of the input as columns."""
    features, stride = geometry[FEATURES], geometry[STRIDE]
    whole = features // LANES * LANES
    for f in range(0, whole, LANES):
        turn_in(rows + f, stride, count - 1, tile + LANES * f)
    for f in range(whole, features):
        for c in range(count):
            tile[LANES * f + c] = rows[c * stride + f]
    _clear(tile, features, geometry[PADDED])


@jit
def _read_columns(columns, geometry, count, tile):
    """Columns that lie side by side."""
    features, stride = geometry[FEATURES], geometry[STRIDE]
    for f in range(features):
        if count == LANES:
            copy(columns + f * stride, tile + LANES * f)
        else:
            for c in range(count):
                tile[LANES * f + c] = columns[f * stride + c]
    _clear(tile, features, geometry[PADDED])


@jit
def _clear(tile, first, last):
    for k in range(LANES * first, LANES * last):
        tile[k] = float32(0)


@jit
def _write_rows(tile, bias, geometry, count, rows):
    features, stride = geometry[OUTPUTS], geometry[OUT_STRIDE]
    done = 0
    if count == LANES:
        while done + LANES <= features:
            turn_out(tile + LANES * done, bias + done, rows + done, stride)
            done += LANES
    for f in range(done, features):
        for c in range(count):
            rows[c * stride + f] = tile[LANES * f + c] + bias[f]


@jit
def _write_columns(tile, bias, geometry, count, columns):
    stride = geometry[OUT_STRIDE]
    for f in range(geometry[OUTPUTS]):
        if count == LANES:
            add_copy(tile + LANES * f, bias + f, columns + f * stride)
        else:
            for c in range(count):
                columns[f * stride + c] = tile[LANES * f + c] + bias[f]
