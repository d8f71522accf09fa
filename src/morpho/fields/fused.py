"""The array operations of training: compiled stages and sines on a processor, coarse matrix products of gradients.

In float32 in the processor's memory, SCONE's stage and layers of sines are the loops of ``stage_loops``, in few passes
over memory. They compute what `morpho.fields.arrays.Arrays` says, and its derivatives, as
`morpho.fields.differentiable` has them for everything else: other devices and number types.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from morpho.compiled import native
from morpho.compiled.bands import in_bands
from morpho.fields.arrays import Affine
from morpho.fields.coarse import LEAST, CoarseLinear, product
from morpho.fields.differentiable import TorchArrays

__all__ = ["TrainingArrays"]

#: The jobs of ``stage_loops``, which is imported only where it must be compiled.
_FORTH, _BACK, _SINES, _SLOPES = 0, 1, 2, 3
#: Points whose derivatives are summed together: so sums do not depend on how many threads there are.
_BAND = 1024
#: Numbers of a layer of sines that a thread takes at a time.
_RUN = 1 << 16

_NONE = torch.zeros(1)


class TrainingArrays(TorchArrays):
    """`TorchArrays` for a fit: as fast as the machine allows, and differentiable once.

    Args:
        coarse: whether the matrix products of gradients are of bfloat16, see `morpho.fields.coarse`.

    >>> z = torch.tensor([[0.0, 0.25]], requires_grad=True)
    >>> TrainingArrays().sine(z, math.tau).round(decimals=5).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, *, coarse: bool = False) -> None:
        self.coarse = coarse

    def sine(self, z: Tensor, omega: float) -> Tensor:
        """Return ``sin(omega z)``."""
        if not _is_plain(z):
            plain: Tensor = super().sine(z, omega)
            return plain
        return _FusedSine.apply(z, omega)  # type: ignore[no-untyped-call, no-any-return]

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return ``x weight^T + bias``."""
        if not self.coarse or min(weight.shape) < LEAST:
            return super().linear(x, weight, bias)
        return CoarseLinear.apply(x, weight, bias)  # type: ignore[no-untyped-call, no-any-return]

    def stage(self, x: Tensor, basis: Affine, omega: float, h: Tensor, mask: Affine, omega0: float) -> Tensor:
        """Return SCONE's stage."""
        if not _has_loops(x, h):
            return super().stage(x, basis, omega, h, mask, omega0)
        options = omega, h, *mask, omega0, True, self.coarse
        return _FusedStage.apply(x, *basis, *options)  # type: ignore[no-untyped-call, no-any-return]

    def sine_stage(self, x: Tensor, basis: Affine, omega: float, h: Tensor, mask: Affine, omega0: float) -> Tensor:
        """Return the stage with sines as masks."""
        if not _has_loops(x, h):
            return super().sine_stage(x, basis, omega, h, mask, omega0)
        options = omega, h, *mask, omega0, False, self.coarse
        return _FusedStage.apply(x, *basis, *options)  # type: ignore[no-untyped-call, no-any-return]


def _is_plain(*tensors: Tensor) -> bool:
    """Tell whether tensors are float32, in the processor's memory."""
    return all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)


def _has_loops(x: Tensor, h: Tensor) -> bool:
    """Tell whether the loops of a stage know such points."""
    return _is_plain(x, h) and not x.requires_grad and x.shape[1] in (2, 3)


@cache
def _run_function() -> Callable[..., None]:
    sources = tuple(Path(__file__).with_name(f"{name}.py") for name in ("stage_loops", "sine_loops"))
    return native.load("morpho.fields.stage_loops", sources, pointers=8)


class _FusedStage(torch.autograd.Function):
    """``sin(omega (A x + a)) mask(omega0 (W h + b))``, the mask ``sin^2`` or ``sin``; coordinates get no gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        a: Tensor,
        a0: Tensor,
        omega: float,
        h: Tensor,
        w: Tensor,
        w0: Tensor,
        omega0: float,
        squared: bool,
        coarse: bool,
    ) -> Tensor:
        factor = omega0 / (math.pi if squared else math.tau)
        points, waves = x.contiguous(), torch.cat([a.T, a0[None]]).mul_(omega / math.tau)
        phases = torch.addmm(w0, h, w.T, beta=factor, alpha=factor)
        out = torch.empty_like(phases)

        def work(start: int, stop: int) -> None:
            band = slice(start, stop)
            _run(_FORTH, points[band], waves, phases[band], out=out[band], squared=squared)

        in_bands(len(points), 1, work, threads=torch.get_num_threads(), band=_BAND)
        ctx.save_for_backward(points, waves, phases, h, w)
        ctx.options = omega, omega0, squared, coarse
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        points, waves, phases, h, w = ctx.saved_tensors
        omega, omega0, squared, coarse = ctx.options
        grads, for_masks = grad.contiguous(), torch.empty_like(phases)
        tallies = torch.zeros(-(-len(points) // _BAND), len(waves) + 1, waves.shape[1])

        def work(start: int, stop: int) -> None:
            band, tally = slice(start, stop), tallies[start // _BAND]
            _run(_BACK, points[band], waves, phases[band], grads[band], for_masks[band], tally, squared)

        in_bands(len(points), 1, work, threads=torch.get_num_threads(), band=_BAND)
        sums = tallies.sum(0)
        for_basis = sums[:-2].T * omega, sums[-2] * omega
        for_h = product(for_masks, w * omega0, coarse) if ctx.needs_input_grad[4] else None
        for_mask = product(for_masks.T, h, coarse).mul_(omega0), sums[-1] * omega0
        return None, *for_basis, None, for_h, *for_mask, None, None, None


class _FusedSine(torch.autograd.Function):
    """``sin(omega z)``; derivatives of derivatives are left to torch."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, omega: float) -> Tensor:
        phases = z.contiguous() * (omega / math.tau)
        ctx.save_for_backward(z, phases)
        ctx.omega = omega
        return _along(_SINES, phases)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        z, phases = ctx.saved_tensors
        if torch.is_grad_enabled():  # they may be asked for
            return grad * torch.cos(ctx.omega * z) * ctx.omega, None
        return _along(_SLOPES, phases, grad.contiguous()).mul_(ctx.omega), None


def _along(job: int, phases: Tensor, grads: Tensor = _NONE) -> Tensor:
    """Do a job number by number."""
    out = torch.empty_like(phases)
    flat, slopes, values = phases.view(-1, 1), grads.view(-1, 1), out.view(-1, 1)

    def work(start: int, stop: int) -> None:
        band = slice(start, stop)
        # One row of many units.
        _run(job, _NONE, _NONE, flat[band].T, slopes[band].T, values[band].T)

    in_bands(len(flat), 1, work, threads=torch.get_num_threads(), band=_RUN)
    return out


def _run(
    job: int,
    points: Tensor,
    waves: Tensor,
    phases: Tensor,
    grads: Tensor = _NONE,
    out: Tensor = _NONE,
    tally: Tensor = _NONE,
    squared: bool = False,
) -> None:
    """Do a part of a job; ``stage_loops`` says what from."""
    space = torch.empty(2 * phases.shape[1] if job <= _BACK else 1)
    geometry = np.array([*phases.shape, points.shape[-1], job, squared], np.int64)
    tensors = (points, waves, phases, grads, out, tally, space)
    _run_function()(*(tensor.data_ptr() for tensor in tensors), geometry.ctypes.data)
