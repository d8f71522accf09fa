"""Tensors through the compiled loops of ``kernel``: rows, pictures place by place, and windows of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from morpho.butterfly.kernel import Job, Packed, run
from morpho.butterfly.kernel_layout import LANES, Source

__all__ = ["multiply_places", "multiply_rows", "multiply_windows", "takes"]


def takes(inputs: Tensor) -> bool:
    """Whether the loops can compute on a tensor, and nobody wants gradients, graphs or other types of it."""
    return (
        not torch.is_grad_enabled()
        and type(inputs) is Tensor
        and inputs.dtype == torch.float32
        and inputs.device.type == "cpu"
        and inputs.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


def multiply_rows(packed: Packed, rows: Tensor, bias: Tensor) -> Tensor:
    """``(B, n)`` to ``(B, len(bias))``; n may be less than the chain takes."""
    rows = rows.contiguous()
    count, features = rows.shape
    job = Job(
        kind=Source.ROWS,
        images=1,
        columns=count,
        features=features,
        image=0,
        stride=features,
        outputs=len(bias),
    )
    return _run(packed, job, rows, bias, (count, len(bias)))


def multiply_places(packed: Packed, pictures: Tensor, bias: Tensor) -> Tensor:
    """``(N, channels, places)`` to ``(N, len(bias), places)``."""
    pictures = pictures.contiguous()
    count, features, places = pictures.shape
    job = Job(
        kind=Source.COLUMNS,
        images=count,
        columns=places,
        features=features,
        image=features * places,
        stride=places,
        outputs=len(bias),
    )
    return _run(packed, job, pictures, bias, (count, len(bias), places))


def multiply_windows(
    packed: Packed,
    pictures: Tensor,
    bias: Tensor,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Convolve ``(N, channels, H, W)``, channel-major, without unfolding; the result must have at least one place.

    Places side by side in the picture are the columns of a vector. With a stride, the picture is first taken apart
    into one for each remainder of row and column, in which they are side by side again.
    """
    count, channels = pictures.shape[0], packed.patterns[0].q // prod(kernel)
    padded = [size + 2 * pad for size, pad in zip(pictures.shape[2:], padding, strict=True)]
    options = zip(padded, kernel, dilation, stride, strict=True)
    height, width = ((size - d * (k - 1) - 1) // step + 1 for size, k, d, step in options)
    rows, columns = (-(-size // step) for size, step in zip(padded, stride, strict=True))
    block = packed.patterns[0].s // prod(kernel)
    plane = rows * columns * prod(stride)
    job = Job(
        kind=Source.WINDOWS,
        images=count,
        columns=height * columns,
        features=packed.patterns[0].q,
        image=channels * plane,
        stride=block * plane,
        outputs=len(bias),
        offsets=_offsets(block, kernel, stride, dilation, rows, columns),
    )
    spread = _spread(pictures, channels, (rows, columns), stride, padding, spare=columns + LANES)
    return _run(packed, job, spread, bias, (count, len(bias), height, columns))[..., :width].contiguous()


def _offsets(
    block: int, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], rows: int, columns: int
) -> tuple[int, ...]:
    """Where the numbers of a window are, from the first channel of its block on."""
    found = []
    for channel, y, x in product(range(block), range(kernel[0]), range(kernel[1])):
        (down, below), (right, beside) = divmod(y * dilation[0], stride[0]), divmod(x * dilation[1], stride[1])
        part = (channel * stride[0] + below) * stride[1] + beside
        found.append((part * rows + down) * columns + right)
    return tuple(found)


def _spread(
    pictures: Tensor, channels: int, size: tuple[int, int], stride: Sequence[int], padding: Sequence[int], *, spare: int
) -> Tensor:
    """Pictures with zeros around them, apart by the remainders of their rows and columns, and room at the end."""
    count, given, height, width = pictures.shape
    (rows, columns), (down, right) = size, stride
    numbers = count * channels * rows * down * columns * right
    whole = torch.zeros(numbers + spare)
    parts = whole[:numbers].view(count, channels, down, right, rows, columns)
    if down == right == 1:
        parts[:, :given, 0, 0, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = pictures
        return whole
    after = rows * down - height - padding[0], columns * right - width - padding[1]
    around = functional.pad(pictures, (padding[1], after[1], padding[0], after[0]))
    parts[:, :given] = around.view(count, given, rows, down, columns, right).permute(0, 1, 3, 5, 2, 4)
    return whole


def _run(packed: Packed, job: Job, source: Tensor, bias: Tensor, shape: tuple[int, ...]) -> Tensor:
    target = torch.empty(shape)
    addresses = (source.data_ptr(), bias.data_ptr(), target.data_ptr())
    run(packed, job, *addresses, threads=torch.get_num_threads())
    return target
