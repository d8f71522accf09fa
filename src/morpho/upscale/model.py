"""HKLUT for training (Huang et al. 2024): tables, or the networks that produce them, inside the real inference.

The paper trains small networks and writes their tables afterwards. But a unit sees only 4096 (or 256) different inputs.
So here its table is made first, once per step, and every pixel *looks it up*: many times faster, and what is trained is
what is shipped, borders and rounding included.

A model is a list of stages. A stage yields its tables in one of two ways:

    TableStage     the entries themselves are the parameters
    NetworkStage   one small pointwise network per kernel: pixels -> 64 features -> ... -> u x u block

Both round to int8 units with a straight-through gradient. The published training lets no gradient through the nibbles
that select an entry, so that its first stage learns nothing of how the second one reads its output. Here an entry's
slope along its nibble axis stands in for that derivative (``slope=0`` gives the published form).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.upscale.linear import MSB_ROWS, OFFSETS, READS, ROWS, LinearStage
from morpho.upscale.tables import LSB_KERNELS, MSB_KERNELS, Tables

__all__ = ["Model", "NetworkStage", "TableStage", "Unit"]

_LIMIT = 6 * 255


class Model(nn.Module):
    """Stages in the order in which they run.

    Args:
        stages: `TableStage` or `NetworkStage`.
        slope: weight of the gradient through the nibbles: 1 is the entries' mean slope, 0 the published form.
    """

    def __init__(self, stages: Sequence[TableStage | NetworkStage], *, slope: float = 1.0) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.slope = slope

    def forward(self, image: Tensor) -> Tensor:
        """Upscale ``(N, C, H, W)`` grey levels 0..255 (integers in any type) to float grey levels, not rounded."""
        state = 6.0 * image.flatten(0, 1).float()
        for stage in self.stages:
            factor = cast("TableStage", stage).factor
            corrections = _Lookup.apply(state, stage(), self.slope)
            children = state[..., None] + cast(Tensor, corrections)[..., : factor**2]
            planes = functional.pixel_shuffle(children.permute(0, 3, 1, 2), factor)[:, 0]
            state = planes.clamp(0, _LIMIT)
        return state.unflatten(0, image.shape[:2]) / 6

    def tables(self) -> Tables:
        """Return the tables as they are now: inference with them equals `forward`."""
        return Tables(tuple(cast("TableStage", stage).to_stage() for stage in self.stages))


class _Stage(nn.Module):
    """What both kinds of stage share: the way from independent values to rows."""

    positions: Tensor
    weights: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.linear = LinearStage.of(factor)
        columns = -(-(factor**2) // 4) * 4  # the compiled loops take four at a time
        positions = np.pad(self.linear.positions, ((0, 0), (0, columns - factor**2)), mode="edge")
        self.register_buffer("positions", torch.from_numpy(positions.ravel()), persistent=False)
        self.register_buffer("weights", torch.from_numpy(self.linear.weights), persistent=False)

    def values(self) -> Tensor:
        """Independent values in int8 units, not rounded."""
        raise NotImplementedError  # abstract

    def forward(self) -> Tensor:
        """Rows in sixths of a grey level: ``(ROWS, columns)``; columns beyond ``u * u`` are padding."""
        values = self.values()
        rounded = values + (values.round().clamp(-128, 127) - values).detach()
        return (rounded * self.weights).index_select(0, self.positions).view(ROWS, -1)

    def to_stage(self) -> Any:
        values = self.values().detach().double().cpu().numpy()
        return self.linear.to_stage(np.rint(values) * self.linear.weights)


class TableStage(_Stage):
    """A stage whose parameters are its table entries, in int8 units.

    Args:
        factor: the stage's scale.
        values: start values in sixths of a grey level, as `LinearStage` orders them; zeros by default.
    """

    def __init__(self, factor: int, values: np.ndarray[Any, np.dtype[Any]] | None = None) -> None:
        super().__init__(factor)
        start = torch.zeros(self.linear.size)
        if values is not None:
            start = torch.from_numpy(values / self.linear.weights).float()
        self.entries = nn.Parameter(start)

    def values(self) -> Tensor:
        """Return the parameters."""
        return self.entries


class Unit(nn.Sequential):
    """The paper's unit: the pixels of a kernel to a block of corrections, within -1..1.

    Args:
        pixels: how many the kernel sees, 3 or 2.
        factor: the block's side.
    """

    def __init__(self, pixels: int, factor: int, *, features: int = 64, depth: int = 4) -> None:
        layers: list[nn.Module] = [nn.Linear(pixels, features), nn.ReLU()]
        for _ in range(depth):
            layers += [nn.Linear(features, features), nn.ReLU()]
        layers += [nn.Linear(features, factor**2), nn.Tanh()]
        super().__init__(*layers)
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)


class NetworkStage(_Stage):
    """A stage whose tables are computed by one `Unit` per kernel from all inputs it can see.

    Entries are ``127 * output``, rounded. (The published code takes the floor, which pulls every entry down by half a
    unit on average.) Entries that mirror symmetry ties together get their mean.
    """

    inputs_msb: Tensor
    inputs_lsb: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__(factor)
        self.msb = nn.ModuleList(Unit(3, factor) for _ in MSB_KERNELS)
        self.lsb = nn.ModuleList(Unit(2, factor) for _ in LSB_KERNELS)
        nibble = torch.arange(16.0) / 255
        self.register_buffer("inputs_msb", torch.cartesian_prod(*[16 * nibble] * 3), persistent=False)
        self.register_buffer("inputs_lsb", torch.cartesian_prod(nibble, nibble), persistent=False)
        self.register_buffer("tied", torch.from_numpy(self.linear.entries), persistent=False)
        self.register_buffer("multiplicity", torch.from_numpy(self.linear.multiplicity).float(), persistent=False)

    def values(self) -> Tensor:
        """Evaluate every unit on all its inputs."""
        blocks = [unit(self.inputs_msb).flatten() for unit in self.msb]
        blocks += [unit(self.inputs_lsb).flatten() for unit in self.lsb]
        whole = 127 * torch.cat(blocks)
        sums = torch.zeros(self.linear.size, device=whole.device).index_add(0, cast(Tensor, self.tied), whole)
        return sums / cast(Tensor, self.multiplicity)


class _Lookup(torch.autograd.Function):
    """Sum of the rows that each pixel reads: state ``(P, H, W)`` and rows to ``(P, H, W, columns)``."""

    @staticmethod
    def forward(ctx: Any, state: Tensor, rows: Tensor, slope: float) -> Tensor:
        grey = torch.div(state, 6, rounding_mode="floor").to(torch.uint8)
        where = _addresses(grey)
        ctx.save_for_backward(where, rows)
        ctx.shape, ctx.slope = tuple(state.shape), slope
        return _gather(where, rows).view(*state.shape, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        where, rows = ctx.saved_tensors
        errors = gradients[0].reshape(len(where), -1).contiguous()
        pulled = None
        if ctx.needs_input_grad[0] and ctx.slope:
            pulled = ctx.slope * _pull_slopes(where, _slopes(rows), errors, ctx.shape)
        return pulled, _scatter(where, errors), None


def _slopes(rows: Tensor) -> Tensor:
    """Mean change of an MSB row per sixth of a grey level of each of its pixels: ``(MSB_ROWS, 3, columns)``."""
    tables = rows[:MSB_ROWS].view(-1, 16, 16, 16, rows.shape[1])
    per_nibble = torch.gradient(tables, dim=(1, 2, 3))
    return torch.stack(list(per_nibble), dim=-2).view(MSB_ROWS, 3, -1) / (6 * 16)


def _addresses(grey: Tensor) -> Tensor:
    if grey.device.type == "cpu":
        from morpho.upscale import gather

        return torch.from_numpy(gather.addresses(grey.numpy()))
    return addresses_in_torch(grey)


def _gather(where: Tensor, rows: Tensor) -> Tensor:
    if where.device.type == "cpu":
        from morpho.upscale import gather

        return torch.from_numpy(gather.gather(where.numpy(), rows.detach().numpy()))
    return gather_in_torch(where, rows)


def _scatter(where: Tensor, errors: Tensor) -> Tensor:
    if where.device.type == "cpu":
        from morpho.upscale import gather

        return torch.from_numpy(gather.scatter(where.numpy(), errors.numpy())).float()
    return scatter_in_torch(where, errors)


def _pull_slopes(where: Tensor, slopes: Tensor, errors: Tensor, shape: tuple[int, int, int]) -> Tensor:
    if where.device.type == "cpu":
        from morpho.upscale import gather

        pulled = gather.pull_slopes(where.numpy(), slopes.numpy(), errors.numpy(), shape)
        return torch.from_numpy(pulled)
    return pull_slopes_in_torch(where, slopes, errors, shape)


def addresses_in_torch(grey: Tensor) -> Tensor:
    """Do the work of `morpho.upscale.gather.addresses` on any device: ``(pixels, READS)`` int32."""
    _, height, width = grey.shape
    rows, columns = (np.pad(np.arange(n), 2, mode="reflect") for n in (height, width))
    padded = grey[:, torch.from_numpy(rows).to(grey.device)][:, :, torch.from_numpy(columns).to(grey.device)].int()
    reads = []
    for read, offsets in enumerate(OFFSETS.tolist()):
        (ay, ax), (by, bx) = offsets
        centre, second, third = (
            padded[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width] for dy, dx in ((0, 0), (ay, ax), (by, bx))
        )
        if read * 4096 < MSB_ROWS:
            address = read * 4096 + (centre >> 4) * 256 + (second >> 4) * 16 + (third >> 4)
        else:
            address = MSB_ROWS + (read - MSB_ROWS // 4096) * 256 + (centre & 15) * 16 + (second & 15)
        reads.append(address)
    return torch.stack(reads, dim=-1).view(-1, READS)


def gather_in_torch(where: Tensor, rows: Tensor) -> Tensor:
    """Do the work of `morpho.upscale.gather.gather` on any device."""
    return functional.embedding_bag(where, rows, mode="sum")


def scatter_in_torch(where: Tensor, errors: Tensor) -> Tensor:
    """Do the work of `morpho.upscale.gather.scatter` on any device."""
    result = errors.new_zeros(ROWS, errors.shape[1])
    return result.index_add_(0, where.flatten(), errors.repeat_interleave(READS, dim=0))


def pull_slopes_in_torch(where: Tensor, slopes: Tensor, errors: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Do the work of `morpho.upscale.gather.pull_slopes` on any device."""
    planes, height, width = shape
    result = errors.new_zeros(planes, height + 4, width + 4)
    for read in range(MSB_ROWS // 4096):
        pulled = (slopes[where[:, read]] * errors[:, None]).sum(-1).view(planes, height, width, 3)
        for pixel, (dy, dx) in enumerate(((0, 0), *OFFSETS[read].tolist())):
            result[:, 2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width] += pulled[..., pixel]
    return result[:, 2:-2, 2:-2]


def upscale_in_torch(image: Tensor, tables: Tables) -> Tensor:
    """Upscale ``(N, C, H, W)`` uint8 by plain torch operations: the way of research code, to compare speeds with.

    The tables must mirror with the picture, as those trained here do.
    """
    state = 6.0 * image.flatten(0, 1).float()
    for stage in tables.stages:
        rows = torch.from_numpy(LinearStage.of(stage.factor).rows(LinearStage.of(stage.factor).from_stage(stage)))
        grey = torch.div(state, 6, rounding_mode="floor").to(torch.uint8)
        corrections = gather_in_torch(addresses_in_torch(grey), rows.to(image.device)).view(*state.shape, -1)
        children = (state[..., None] + corrections).permute(0, 3, 1, 2)
        state = functional.pixel_shuffle(children, stage.factor)[:, 0].clamp(0, _LIMIT)
    rounded = torch.div(state + 3, 6, rounding_mode="floor").to(torch.uint8)
    return rounded.unflatten(0, image.shape[:2])
