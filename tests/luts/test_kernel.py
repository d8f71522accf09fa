"""The compiled lookup equals the readable one, byte for byte, whatever it is given."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.luts import Lut, reference
from morpho.luts.integers import IntegerLut
from morpho.luts.kernel import Kernel
from morpho.luts.reference import Interpolation
from tests.luts.tables import DOMAINS, make_curves, make_lattice, make_picture

INTERPOLATIONS: list[Interpolation] = ["tetrahedral", "trilinear"]
DTYPES = [np.uint8, np.uint16]

side = st.one_of(st.integers(1, 6), st.integers(1, 90))


def assert_equal(image: NDArray[Any], lut: Lut, interpolation: Interpolation, **options: Any) -> None:
    before = image.copy()
    integers = IntegerLut.of(lut, image.dtype)
    result = Kernel(integers, interpolation)(image, **options)
    expected = reference.apply(image, integers, interpolation=interpolation)
    assert result.dtype == image.dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(image, before)


@settings(max_examples=200)
@given(
    nodes=st.one_of(st.none(), st.integers(2, 12), st.sampled_from([17, 33, 40, 41])),
    samples=st.one_of(st.none(), st.integers(2, 20), st.just(1024)),
    kind=st.sampled_from(["identity", "noise", "extremes", "wild", "white"]),
    curves_domain=st.sampled_from(DOMAINS),
    lattice_domain=st.sampled_from(DOMAINS),
    interpolation=st.sampled_from(INTERPOLATIONS),
    image_kind=st.sampled_from(["noise", "extremes", "grey", "black", "white"]),
    dtype=st.sampled_from(DTYPES),
    size=st.tuples(side, side, st.integers(3, 4)),
    threads=st.integers(1, 3),
    band=st.sampled_from([1, 100, 1 << 16]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference(
    nodes: int | None,
    samples: int | None,
    kind: str,
    curves_domain: Any,
    lattice_domain: Any,
    interpolation: Interpolation,
    image_kind: str,
    dtype: type,
    size: tuple[int, int, int],
    threads: int,
    band: int,
    seed: int,
) -> None:
    lattice = None if nodes is None else make_lattice(nodes, kind, seed)
    curves = make_curves(samples or 2, kind, seed) if samples is not None or nodes is None else None
    lut = Lut(lattice, curves, lattice_domain, curves_domain)
    assert_equal(make_picture(size, dtype, image_kind, seed), lut, interpolation, threads=threads, band=band)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("nodes", [*range(2, 20), 32, 33, 41, 64, 65, 129])
def test_identity_is_exact(nodes: int, interpolation: Interpolation, dtype: type) -> None:
    integers = IntegerLut.of(Lut.identity(nodes), np.dtype(dtype))
    for kind in ("noise", "extremes"):
        image = make_picture((70, 60, 3), dtype, kind)
        np.testing.assert_array_equal(Kernel(integers, interpolation)(image), image)
        np.testing.assert_array_equal(reference.apply(image, integers, interpolation=interpolation), image)


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("nodes", [2, 3, 5, 17, 40, 41, 52, 86, 256])
def test_every_level_and_every_order_of_fractions(nodes: int, curved: bool) -> None:
    """All pairs of 8-bit levels in every two channels, with the third at rest: all ties and both ends of every cell."""
    levels = np.arange(256, dtype=np.uint8)
    first, second = (plane.ravel() for plane in np.meshgrid(levels, levels))
    still = np.full(first.shape, 77, dtype=np.uint8)
    pictures = [np.stack(planes, axis=-1) for planes in ((first, second, still), (still, first, second))]
    image = np.stack([*pictures, np.stack((second, still, first), axis=-1)])
    curves = make_curves(9, "mild", 0) if curved else None
    if nodes < 256:
        assert_equal(image, Lut(make_lattice(nodes, "noise", 0), curves), "tetrahedral")
    else:  # the largest lattice there is, in as little memory as will do
        lattice = np.broadcast_to(
            make_lattice(2, "noise", 0).repeat(128, axis=1).repeat(128, axis=0), (256,) * 2 + (2, 3)
        )
        tall = np.ascontiguousarray(lattice.repeat(128, axis=2))
        assert_equal(image[:, :4096], Lut(tall, curves), "tetrahedral")


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [-1000.0, -0.2, 1.2, 1000.0])
def test_values_out_of_range_are_clipped(value: float, dtype: type, interpolation: Interpolation) -> None:
    lut = Lut(np.full((3, 3, 3, 3), value))
    image = make_picture((9, 11, 3), dtype)
    result = Kernel(IntegerLut.of(lut, image.dtype), interpolation)(image)
    assert (result == (np.iinfo(dtype).max if value > 1 else 0)).all()
    assert_equal(image, lut, interpolation)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lut", [Lut(make_lattice(5, "noise", 1)), Lut(None, make_curves(5, "mild", 1))])
def test_any_strides_and_read_only(lut: Lut, dtype: type) -> None:
    image = make_picture((60, 50, 4), dtype)
    odd: NDArray[Any] = np.frombuffer(b"x" + image.tobytes(), dtype=np.uint8)[1:].view(dtype).reshape(image.shape)
    for view in (image[::-2, 1::3], image[..., 1:4], image[..., ::-1], image.transpose(1, 0, 2), odd, image[:, :, :3]):
        view.flags.writeable = False
        assert_equal(view, lut, "tetrahedral", threads=2, band=64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 7, 8, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025, 2100])
@pytest.mark.parametrize("channels", [3, 4])
def test_writes_every_pixel_and_no_other(size: int, channels: int, dtype: type) -> None:
    image = make_picture((1, size, channels), dtype)
    integers = IntegerLut.of(Lut(make_lattice(17, "noise", 1)), image.dtype)
    frame: NDArray[Any] = np.full(size * channels + 200, 99, dtype=dtype)
    out = frame[100:-100].reshape(image.shape)
    assert Kernel(integers)(image, out=out) is out
    np.testing.assert_array_equal(out, reference.apply(image, integers))
    assert (frame[:100] == 99).all()
    assert (frame[-100:] == 99).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_in_place(interpolation: Interpolation, dtype: type) -> None:
    image = make_picture((100, 99, 3), dtype)
    kernel = Kernel(IntegerLut.of(Lut(make_lattice(9, "noise", 1)), image.dtype), interpolation)
    expected = kernel(image)
    assert kernel(image, out=image, threads=2, band=500) is image
    np.testing.assert_array_equal(image, expected)


def test_refuses_what_does_not_fit() -> None:
    kernel = Kernel(IntegerLut.of(Lut.identity(2), np.dtype(np.uint8)))
    image = make_picture((4, 5, 3), np.uint8)
    five = make_picture((4, 5, 5), np.uint8)
    for wrong in (image.astype(np.uint16), image[0], image[:0], image[..., :2], five, image.astype(float)):
        with pytest.raises(InputError, match="this table is for non-empty uint8 pictures"):
            kernel(wrong)
    for out in (np.empty((4, 5, 4), np.uint8), np.empty((4, 5, 3), np.uint16), np.empty((4, 10, 3), np.uint8)[:, ::2]):
        with pytest.raises(InputError, match="out must be a writeable C-contiguous uint8"):
            kernel(image, out=out)
    long = make_picture((9, 5, 3), np.uint8)
    with pytest.raises(InputError, match="out must not overlap the image"):
        kernel(long[:4], out=long[1:5])
    with pytest.raises(InputError, match="threads must be at least 1, not 0"):
        kernel(image, threads=0)
    with pytest.raises(InputError, match=r"uint8 or uint16, not uint8 \(4, 5\)"):
        reference.apply(image[..., 0], IntegerLut.of(Lut.identity(2), np.dtype(np.uint8)))


def test_kept_code_needs_no_numba() -> None:
    code = (
        "import sys, numpy as np\n"
        "from morpho.luts import Lut, apply\n"
        "image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)\n"
        "assert (apply(image, Lut.identity(33)) == image).all()\n"
        "print('numba' in sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[1].stdout.strip() == "False"
