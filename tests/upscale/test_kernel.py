"""The compiled upscaler equals the readable one, byte for byte, whatever it is given."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.upscale import kernel, reference
from morpho.upscale.tables import Stage, Tables

Image = NDArray[np.generic]

FACTORS = [(1,), (2,), (3,), (4,), (1, 1), (2, 2), (2, 1, 2), (1, 3), (3, 2), (2, 3), (1, 4, 1)]
DTYPES = [np.uint8, np.uint16]


def make_tables(factors: tuple[int, ...], kind: str, seed: int) -> Tables:
    """Tables that never clip, that clip now and then, or whose entries are all -128 or 127."""
    rng = np.random.default_rng(seed)

    def entries(*shape: int) -> NDArray[np.int8]:
        if kind == "extreme":
            return rng.choice(np.array([-128, 127], dtype=np.int8), size=shape)
        if kind == "lowest" or kind == "highest":
            return np.full(shape, -128 if kind == "lowest" else 127, dtype=np.int8)
        spread = {"mild": 3, "rough": 30, "wild": 128}[kind]
        return rng.integers(-spread, spread, size=shape).astype(np.int8)

    return Tables(tuple(Stage(u, entries(3, 4096, u, u), entries(2, 256, u, u)) for u in factors))


def make_image(shape: tuple[int, int, int], dtype: type, kind: str, seed: int) -> Image:
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    if kind == "black" or kind == "white":
        return np.full(shape, 0 if kind == "black" else top, dtype=dtype)
    if kind == "extremes":
        return rng.choice(np.array([0, top], dtype=dtype), size=shape)
    if kind == "smooth":
        slope = np.linspace(0, top, shape[0] * shape[1]).reshape(shape[0], shape[1], 1)
        return np.broadcast_to(slope, shape).astype(dtype)
    return rng.integers(0, top, size=shape, endpoint=True).astype(dtype)


def assert_equal(image: Image, tables: Tables, threads: int = 1, band_rows: int | None = None) -> None:
    before = image.copy()
    result = kernel.upscale(image, tables, threads=threads, band_rows=band_rows)
    expected = reference.upscale(image, tables)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    assert np.array_equal(result, expected)
    assert np.array_equal(image, before)


side = st.one_of(st.integers(1, 6), st.integers(1, 45))
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150)
@given(
    factors=st.sampled_from(FACTORS),
    table_kind=st.sampled_from(["mild", "rough", "wild", "extreme", "lowest", "highest"]),
    image_kind=st.sampled_from(["noise", "smooth", "extremes", "black", "white"]),
    dtype=st.sampled_from(DTYPES),
    size=st.tuples(side, side, st.integers(1, 4)),
    threads=st.integers(1, 3),
    band_rows=st.one_of(st.none(), st.integers(1, 50)),
    seed=seeds,
)
def test_equals_the_reference(
    factors: tuple[int, ...],
    table_kind: str,
    image_kind: str,
    dtype: type,
    size: tuple[int, int, int],
    threads: int,
    band_rows: int | None,
    seed: int,
) -> None:
    tables = make_tables(factors, table_kind, seed)
    assert_equal(make_image(size, dtype, image_kind, seed), tables, threads, band_rows)


@settings(max_examples=60)
@given(
    factors=st.sampled_from(FACTORS),
    dtype=st.sampled_from(DTYPES),
    tile=st.tuples(st.integers(1, 20), st.integers(1, 40)),
    size=st.tuples(side, side, st.integers(1, 3)),
    seed=seeds,
)
def test_any_tiling_gives_the_same(
    factors: tuple[int, ...], dtype: type, tile: tuple[int, int], size: tuple[int, int, int], seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "TILE_ROWS", tile[0])
        patch.setattr(kernel, "TILE_COLUMNS", tile[1])
        assert_equal(make_image(size, dtype, "noise", seed), make_tables(factors, "rough", seed), band_rows=7)


@pytest.mark.parametrize("factors", [(2, 2), (4,), (3,), (2, 1, 2)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_larger_than_a_tile(factors: tuple[int, ...], channels: int) -> None:
    tables = make_tables(factors, "rough", 1)
    assert_equal(make_image((70, 290, channels), np.uint8, "noise", 1), tables, threads=2)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 200, 3), (200, 1, 3), (2, 2, 2), (2, 300, 4), (3, 1, 1)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_thin_pictures(shape: tuple[int, int, int], dtype: type) -> None:
    for factors in ((2, 2), (3,), (1, 1)):
        assert_equal(make_image(shape, dtype, "noise", 3), make_tables(factors, "rough", 3), 2, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_grey_level_and_its_neighbours(dtype: type) -> None:
    levels = np.arange(256) * (np.iinfo(dtype).max // 255)
    steps = levels[:, None] + np.arange(-3, 4)
    image = np.clip(steps, 0, np.iinfo(dtype).max).astype(dtype)[..., None]
    assert_equal(image, make_tables((2, 2), "mild", 5))
    assert_equal(image, make_tables((2, 2), "rough", 5))


@pytest.mark.parametrize("factors", [(1,), (2,), (3,), (4,), (2, 2), (2, 1, 2)])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_gives_the_turned_result(factors: tuple[int, ...], turns: int) -> None:
    tables = make_tables(factors, "rough", 11)
    image = make_image((37, 22, 3), np.uint8, "noise", 11)
    turned = kernel.upscale(np.rot90(image, turns), tables, threads=2, band_rows=9)
    assert np.array_equal(turned, np.rot90(kernel.upscale(image, tables), turns))


def test_a_16_bit_picture_widened_from_8_bits_gives_the_same_levels() -> None:
    tables = make_tables((2, 2), "rough", 13)
    image = make_image((20, 30, 3), np.uint8, "noise", 13)
    wide = kernel.upscale(image.astype(np.uint16) * 257, tables)
    assert np.array_equal((wide.astype(np.int64) + 128) // 257, kernel.upscale(image, tables))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("factors", [(2, 2), (3,)])
def test_any_memory_layout(dtype: type, factors: tuple[int, ...]) -> None:
    tables = make_tables(factors, "rough", 17)
    big = make_image((80, 90, 4), dtype, "noise", 17)
    read_only = big[:50, :40].copy()
    read_only.setflags(write=False)
    unaligned: Image = np.frombuffer(b"\0" + big.tobytes(), dtype=np.uint8)[1:].view(dtype).reshape(big.shape)
    for image in (
        big[3:70, 5:60, :3],
        big[::-1, ::-2, ::-1],
        big.transpose(1, 0, 2),
        np.asfortranarray(big[:33]),
        np.broadcast_to(big[:1, :, :1], (12, 90, 3)),
        read_only,
        unaligned,
    ):
        assert_equal(image, tables, threads=2, band_rows=11)


def test_writes_into_a_given_array() -> None:
    tables = make_tables((2,), "mild", 19)
    image = make_image((40, 50, 3), np.uint8, "noise", 19)
    canvas = np.zeros((3, 80, 100, 3), dtype=np.uint8)
    result = kernel.upscale(image, tables, out=canvas[1])
    assert result.base is canvas
    assert np.array_equal(canvas[1], reference.upscale(image, tables))
    assert not canvas[0].any()
    assert not canvas[2].any()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3, 1), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int16),
        np.zeros((4, 4, 3), np.dtype(np.uint16).newbyteorder()),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 0), np.uint8),
    ],
    ids=["flat", "deep", "float", "signed", "foreign", "empty", "colourless"],
)
def test_refuses_what_is_no_picture(image: Image) -> None:
    with pytest.raises(InputError, match="a picture must be"):
        kernel.upscale(image, make_tables((2,), "mild", 0))


def test_refuses_unusable_options() -> None:
    tables = make_tables((2,), "mild", 0)
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="threads must be at least 1"):
        kernel.upscale(image, tables, threads=0)
    with pytest.raises(InputError, match="band_rows must be at least 1"):
        kernel.upscale(image, tables, band_rows=-1)
    for out in (
        np.zeros((16, 16, 1), np.uint8),
        np.zeros((16, 16, 3), np.uint16),
        np.zeros((16, 32, 3), np.uint8)[:, ::2],
        np.broadcast_to(np.uint8(0), (16, 16, 3)),
    ):
        with pytest.raises(InputError, match="out must be a writeable"):
            kernel.upscale(image, tables, out=out)
    memory = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(InputError, match="must not overlap"):
        kernel.upscale(memory[:8, :8], tables, out=memory)


def test_work_space_does_not_grow_with_the_picture() -> None:
    tables = make_tables((2, 2), "mild", 0)
    image = np.zeros((500, 1000, 3), np.uint8)
    out = np.empty((2000, 4000, 3), np.uint8)
    kernel.upscale(image[:8], tables, threads=2)
    tracemalloc.start()
    kernel.upscale(image, tables, threads=2, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6


def test_once_compiled_numba_is_not_imported() -> None:
    kernel.upscale(np.zeros((2, 2, 1), np.uint8), make_tables((2,), "mild", 0))
    code = """
import sys
import numpy as np
from morpho.upscale import kernel
from morpho.upscale.tables import Stage, Tables
tables = Tables((Stage(2, np.ones((3, 4096, 2, 2), np.int8), np.ones((2, 256, 2, 2), np.int8)),))
assert kernel.upscale(np.full((9, 9, 3), 7, np.uint8), tables).tolist() == [[[15] * 3] * 18] * 18
assert "numba" not in sys.modules, "imported"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
