"""HKLUT inference in plain NumPy: the definition that the fast kernel must reproduce byte for byte.

The state of a pixel is its value in sixths of a grey level, an integer ``V`` (0 to 1530 for 8-bit pictures). A stage of
factor ``u`` reads the grey level ``n = V // 6``, splits it into nibbles, and adds to each of the ``u x u`` children
``2 * (sum of 12 MSB entries) + 3 * (sum of 8 LSB entries)``. Children keep the parent's remainder: it is never rounded
before the last stage. Outside the picture, pixels are mirrored without repeating the edge.

A 16-bit picture is handled in units 257 times finer: the tables read its upper eight bits and correct all sixteen, so
that an 8-bit picture widened by 257 gives the same grey levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.upscale.tables import (
    LSB_KERNELS,
    LSB_WEIGHT,
    MSB_KERNELS,
    MSB_WEIGHT,
    Stage,
    Tables,
    rotate_offset,
)

__all__ = ["check_image", "upscale"]

#: Units of state per grey level: sixths at 8 bit, sixths of a 257th at 16 bit.
UNITS = {np.dtype(np.uint8): 1, np.dtype(np.uint16): 257}
REACH = 2


def upscale(image: NDArray[np.generic], tables: Tables) -> NDArray[np.generic]:
    """Upscale every channel of a picture by itself.

    Args:
        image: ``(H, W, C)``, uint8 or uint16, H and W at least 1.
        tables: the stages.

    Returns:
        ``(scale * H, scale * W, C)`` of the same type.

    Raises:
        InputError: the array is no picture.
    """
    check_image(image)
    unit = UNITS[image.dtype]
    state = image.astype(np.int32) * 6
    for stage in tables.stages:
        state = _run_stage(state, stage, unit)
    return ((state + 3) // 6).astype(image.dtype)


def check_image(image: NDArray[np.generic]) -> None:
    """Refuse what is not an ``(H, W, C)`` picture of uint8 or uint16.

    Raises:
        InputError: says what the array is instead.
    """
    if image.ndim != 3 or image.dtype not in UNITS or 0 in image.shape:
        raise InputError(
            f"a picture must be a non-empty (height, width, channels) array of uint8 or uint16, "
            f"not {image.dtype} {image.shape}"
        )


def _run_stage(state: NDArray[np.int32], stage: Stage, unit: int) -> NDArray[np.int32]:
    factor = stage.factor
    grey = state // (6 * unit)
    total = np.zeros((*state.shape, factor, factor), dtype=np.int32)
    for quarter_turns in range(4):
        for table, offsets in zip(stage.msb, MSB_KERNELS.values(), strict=True):
            total += MSB_WEIGHT * _look_up(grey >> 4, table, offsets, quarter_turns)
        for table, offsets in zip(stage.lsb, LSB_KERNELS.values(), strict=True):
            total += LSB_WEIGHT * _look_up(grey & 15, table, offsets, quarter_turns)
    children = state[..., None, None] + unit * total
    height, width, channels = state.shape
    spread = children.transpose(0, 3, 1, 4, 2).reshape(height * factor, width * factor, channels)
    clipped: NDArray[np.int32] = np.clip(spread, 0, 6 * 255 * unit)
    return clipped


def _look_up(
    nibbles: NDArray[np.int32],
    table: NDArray[np.int8],
    offsets: tuple[tuple[int, int], ...],
    quarter_turns: int,
) -> NDArray[np.int32]:
    """Entries of one kernel in one rotation: ``(H, W, C, u, u)``, the block turned back into the picture's frame."""
    height, width, _ = nibbles.shape
    padded = np.pad(nibbles, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")
    address = np.zeros_like(nibbles)
    for offset in offsets:
        dy, dx = rotate_offset(offset, quarter_turns)
        seen = padded[REACH + dy : REACH + dy + height, REACH + dx : REACH + dx + width]
        address = 16 * address + seen
    # A quarter turn of the kernel sends sub-pixel (i, j) to (j, u-1-i), which is np.rot90 clockwise.
    turned = np.rot90(table, -quarter_turns, axes=(1, 2))
    return turned[address].astype(np.int32)
