"""Pictures of chains show the supports, entry by entry, and the density where a pixel holds many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from morpho.butterfly.chain import Chain, low_rank
from morpho.butterfly.factor import Factor
from morpho.butterfly.picture import Pixels, draw, panel
from morpho.errors import InputError

WHITE = 255
small = st.integers(1, 4)


def inked(pixels: Pixels) -> NDArray[np.bool_]:
    shown: NDArray[np.bool_] = (pixels != WHITE).any(axis=2)
    return shown


@given(small, small, st.integers(2, 4), small)
def test_a_pixel_per_entry_is_the_support(g: int, r: int, s: int, t: int) -> None:
    factor = Factor(g, r, s, t)
    np.testing.assert_array_equal(inked(panel(factor, factor.p, factor.q)), factor.support())


@given(small, small, st.integers(2, 4), small, st.integers(2, 3), st.integers(1, 3))
def test_larger_pictures_repeat_entries(g: int, r: int, s: int, t: int, up: int, across: int) -> None:
    factor = Factor(g, r, s, t)
    shown = inked(panel(factor, up * factor.p, across * factor.q))
    np.testing.assert_array_equal(shown, factor.support().repeat(up, axis=0).repeat(across, axis=1))


@given(st.integers(1, 4), small, st.integers(2, 4), small, st.data())
def test_smaller_pictures_lose_no_entry(g: int, r: int, s: int, t: int, data: st.DataObject) -> None:
    factor = Factor(g, r, s, t)
    height, width = data.draw(st.integers(1, factor.p)), data.draw(st.integers(1, factor.q))
    shown = inked(panel(factor, height, width))
    rows, columns = np.nonzero(factor.support())
    row_of = np.searchsorted(np.arange(height + 1) * factor.p // height, rows, side="right") - 1
    column_of = np.searchsorted(np.arange(width + 1) * factor.q // width, columns, side="right") - 1
    wanted = np.zeros((height, width), bool)
    wanted[row_of, column_of] = True
    np.testing.assert_array_equal(shown, wanted)


def test_sizes_that_are_no_multiple() -> None:
    shown = inked(panel(Factor(2, 2, 2, 1), 6, 4))
    assert shown[:3, :2].all()
    assert shown[3:, 2:].all()
    assert shown.sum() == 12


def test_fuller_pixels_are_darker() -> None:
    factor = Factor(2, 1, 2, 1)
    full, half = (WHITE - panel(factor, *size)[0, 0].astype(float) for size in ((2, 4), (1, 2)))
    np.testing.assert_allclose(half / full, 0.5 + 0.5 * 0.5**0.5, atol=0.02)


def test_a_block_has_a_colour_and_its_interleaved_matrices_have_shades() -> None:
    shown = panel(Factor(2, 2, 2, 2), 8, 8).astype(int)
    first, lighter, second = shown[0, 0], shown[1, 1], shown[4, 4]
    assert (shown[2, 0] == first).all()
    assert (shown[0, 2] == first).all()
    assert (shown[3, 3] == lighter).all()
    assert lighter.sum() > first.sum() + 60
    assert lighter.argmin() == first.argmin()
    assert np.abs(second - first).max() > 60


def test_the_product_is_drawn_without_a_white_pixel() -> None:
    chain = Chain.parse("(2,2)^3")
    shown = draw(chain)
    assert shown.dtype == np.uint8
    assert shown.shape[2] == 3
    # The whole product is the lower left panel: its colour fills a square as large as the factor above it.
    blue = (shown == panel(Factor(1, 8, 8, 1), 8, 8)[0, 0]).all(axis=2)
    lower = blue[shown.shape[0] // 2 :, :400]
    side = np.flatnonzero(lower.sum(axis=1) > 200)
    assert 300 < np.ptp(side) <= 400


@pytest.mark.parametrize("chain", [Chain.parse("(8,9)(2,2)^3(2,4)^3"), low_rank(10, 4096, 2), Chain.parse("(3,5)")])
def test_any_chain_gets_a_sheet_of_a_readable_size(chain: Chain) -> None:
    height, width, _ = draw(chain).shape
    assert 150 <= height <= 1200
    assert 700 <= width <= 2200


def test_an_absurd_width_is_refused() -> None:
    with pytest.raises(InputError, match="2097152 wide, too much for a picture"):
        draw(Chain.parse("(1,2)^21"))
