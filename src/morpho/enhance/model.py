"""ICELUT (Yang et al., "Taming Lookup Tables for Efficient Image Retouching", ECCV 2024), for training.

    two branches     pointwise networks that see the three upper (lower) nibbles of a pixel: 12 bits -> 2 G features
    pooling          the branches' sum, averaged over the picture
    G groups         two features each, 2 -> hidden -> N with hard-swish; their sum is N weights
    N bases          residual 3D lookup tables, factorised as in CLUT-Net: one factor over a channel's own axis, one
                     over the two others
    result           picture + (sum of the weighted bases)(picture)

A branch has 4096 different inputs, so its table is made once per step and multiplied with histograms: what a step
costs does not depend on the size of pictures. Tables are rounded in every step, with a straight-through gradient, so
what is trained is what is shipped. In the published form (`Shape.published`) the mean features are rounded to half
units and a group's table has one entry per pair of them; by default it is interpolated between 33 x 33 entries, which
makes the look a continuous function of the picture.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from morpho.enhance.tables import (
    BASIS_LIMIT,
    FEATURE_RANGE,
    FEATURE_UNIT,
    GROUP_UNIT,
    MIX_UNIT,
    MOST_BASES,
    MOST_CELLS,
    MOST_GROUPS,
    MOST_RANK,
    MOST_SIDE,
    OWN_UNIT,
    REST_UNIT,
    Tables,
)
from morpho.errors import InputError

__all__ = ["Network", "Shape", "interpolate"]

#: Features reach from -16 to 16 while a network's outputs and inputs are of the order of one.
_SCALE = 8.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Which enhancer: the sizes of its parts.

    Attributes:
        groups: G, pairs of features. As published: 5.
        bases: N, basis lattices. As published: 10 in the code, 20 in the paper.
        levels: entries of a group's table along an axis; 2^k + 1 is interpolated, 2^k (published: 64) is not.
        low: whether there is a branch for the lower nibbles. In a whole picture their histogram is nearly flat, so it
            adds hardly more than a constant.
        thumbnail: side of the square of sampled pixels that is looked at; 0 for the whole picture. As published: 32.
        widths: hidden widths of a branch.
        hidden: hidden width of a group. As published: 512.
        nodes: D, nodes per axis of the lattices. As published: 33.
        own_rank: K, functions along a channel's own axis. As published: 5.
        rest_rank: R, functions over the two other axes. As published: 10.
    """

    groups: int = 5
    bases: int = 10
    levels: int = 33
    low: bool = False
    thumbnail: int = 0
    widths: tuple[int, ...] = (32, 64, 64, 32)
    hidden: int = 64
    nodes: int = 33
    own_rank: int = 5
    rest_rank: int = 10

    def __post_init__(self) -> None:
        if min(self.groups, self.bases, self.hidden, self.own_rank, self.rest_rank, *self.widths) < 1:
            raise InputError("groups, bases, widths and ranks of an enhancer must be at least 1")
        if self.groups > MOST_GROUPS or self.bases > MOST_BASES or max(self.own_rank, self.rest_rank) > MOST_RANK:
            raise InputError(f"an enhancer has at most {MOST_GROUPS} groups, {MOST_BASES} bases, ranks of {MOST_RANK}")
        for name, value, most in (
            ("levels", self.levels - self.levels % 2, FEATURE_RANGE),
            ("nodes", self.nodes - 1, MOST_CELLS),
        ):
            if not 2 <= value <= most or value & (value - 1):
                raise InputError(
                    f"{name} must be a power of two up to {most}, plus one for an interpolated table or a lattice"
                )
        if not 0 <= self.thumbnail <= MOST_SIDE:
            raise InputError(f"the thumbnail must be 0 to {MOST_SIDE}, not {self.thumbnail}")

    @classmethod
    def published(cls, bases: int = 10) -> Shape:
        """The shape of the paper's released code."""
        widths = (32, 64, 128, 256, 512, 256, 128, 64, 32)
        return cls(bases=bases, levels=64, low=True, thumbnail=32, widths=widths, hidden=512)


class Network(nn.Module):
    """The network, which makes tables in every step.

    Args:
        shape: its sizes.
    """

    colors: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        features = 2 * shape.groups
        self.high = _branch(shape.widths, features)
        self.lower = _branch(shape.widths, features) if shape.low else None
        self.inner = nn.Parameter(0.7 * torch.randn(shape.groups, 2, shape.hidden))
        self.inner_bias = nn.Parameter(0.5 * torch.randn(shape.groups, 1, shape.hidden))
        self.outer = nn.Parameter(0.5 / shape.hidden**0.5 * torch.randn(shape.groups, shape.hidden, shape.bases))
        self.outer_bias = nn.Parameter(torch.full((shape.groups, 1, shape.bases), 0.06))
        # As published: the factors over the axes are small and random, what joins them is zero.
        self.own = nn.Parameter(0.2 * torch.rand(shape.nodes, shape.own_rank) - 0.1)
        self.mix = nn.Parameter(torch.zeros(shape.bases, shape.own_rank, 3, shape.rest_rank))
        self.rest = nn.Parameter(0.2 * torch.rand(shape.rest_rank, shape.nodes**2) - 0.1)
        axis = torch.arange(16) / 16  # the nibble images of the paper: 0 to 15/16
        self.register_buffer("colors", torch.cartesian_prod(axis, axis, axis), persistent=False)

    def forward(self, msb: Tensor, lsb: Tensor | None, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Retouch some pixels of pictures.

        Args:
            msb: ``(B, 4096)`` shares of the colours of upper nibbles in each picture.
            lsb: the same of lower nibbles; needed with `Shape.low`.
            pixels: ``(B, K, 3)`` from 0 to 1.

        Returns:
            The retouched pixels ``(B, K, 3)``, not clamped, and the residual lattices ``(B, D, D, D, 3)``.
        """
        mean = msb @ self.feature_table(self.high)
        if self.lower is not None and lsb is not None:
            mean = mean + lsb @ self.feature_table(self.lower)
        lattice = self.lattice(self.weights(mean))
        return pixels + interpolate(lattice, pixels), lattice

    def feature_table(self, branch: nn.Sequential) -> Tensor:
        """``(4096, 2 G)`` features of all colours, rounded to the tables' unit."""
        table = _SCALE * branch(2 * self.colors - 1)
        return _rounded(table, FEATURE_UNIT, 127)

    def weights(self, mean: Tensor) -> Tensor:
        """Weights ``(B, N)`` of the bases from mean features ``(B, 2 G)``."""
        cells = self.shape.levels - self.shape.levels % 2
        size = FEATURE_RANGE * FEATURE_UNIT / cells
        at = (mean.unflatten(1, (-1, 2)).transpose(0, 1) / size + cells / 2).clamp(0, cells)  # (G, B, 2) in cells
        if self.shape.levels % 2 == 0:
            nearest = at + ((at + 0.5).floor().clamp(0, cells - 1) - at).detach()
            return self._entries(nearest, size).sum(0)
        low = at.detach().floor().clamp(0, cells - 1)
        part = at - low
        y, x = part[..., :1], part[..., 1:]
        corner = [
            self._entries(low + torch.tensor([i, j], dtype=low.dtype, device=low.device), size)
            for i in (0, 1)
            for j in (0, 1)
        ]
        upper, under = corner[0] * (1 - x) + corner[1] * x, corner[2] * (1 - x) + corner[3] * x
        return (upper * (1 - y) + under * y).sum(0)

    def _entries(self, at: Tensor, size: float) -> Tensor:
        """Entries ``(G, B, N)`` of the groups' tables at whole positions ``(G, B, 2)``."""
        cells = self.shape.levels - self.shape.levels % 2
        features = (at - cells / 2) * (2 * size / _SCALE)
        hidden = functional.hardswish(features @ self.inner + self.inner_bias)
        return _rounded(hidden @ self.outer + self.outer_bias, GROUP_UNIT, 127)

    def lattice(self, weights: Tensor) -> Tensor:
        """Residual lattices ``(B, D, D, D, 3)`` of weights ``(B, N)``."""
        own, mix, rest = self._basis()
        nodes = len(own)
        mixed = torch.einsum("bn,nkcr->bkcr", weights, mix)
        cubes = torch.einsum("ik,bkcp->bcip", own, mixed @ rest).unflatten(3, (nodes, nodes))
        red, green, blue = cubes.unbind(1)  # each with its own axis first
        return torch.stack([red, green.transpose(1, 2), blue.permute(0, 2, 3, 1)], dim=-1)

    def _basis(self) -> tuple[Tensor, Tensor, Tensor]:
        return (
            _rounded(self.own, OWN_UNIT, BASIS_LIMIT),
            _rounded(self.mix, MIX_UNIT, BASIS_LIMIT),
            _rounded(self.rest, REST_UNIT, BASIS_LIMIT),
        )

    @torch.no_grad()
    def tables(self) -> Tables:
        """The tables as they are now, computed in double precision."""
        double = deepcopy(self).cpu().double()
        own, mix, rest = double._basis()
        cells = self.shape.levels - self.shape.levels % 2
        axis = torch.arange(self.shape.levels, dtype=torch.float64)
        places = torch.cartesian_prod(axis, axis).expand(self.shape.groups, -1, -1)
        groups = double._entries(places, FEATURE_RANGE * FEATURE_UNIT / cells)

        def whole(values: Tensor, unit: float, bits: int) -> object:
            kind = torch.int8 if bits == 8 else torch.int16
            return (values / unit).round().to(kind).cpu().numpy()

        return Tables(
            msb=whole(double.feature_table(double.high), FEATURE_UNIT, 8),  # type: ignore[arg-type]
            lsb=None if double.lower is None else whole(double.feature_table(double.lower), FEATURE_UNIT, 8),  # type: ignore[arg-type]
            groups=whole(groups.unflatten(1, (self.shape.levels, -1)), GROUP_UNIT, 8),  # type: ignore[arg-type]
            own=whole(own, OWN_UNIT, 16),  # type: ignore[arg-type]
            mix=whole(mix, MIX_UNIT, 16),  # type: ignore[arg-type]
            rest=whole(rest, REST_UNIT, 16),  # type: ignore[arg-type]
            thumbnail=self.shape.thumbnail,
        )


def interpolate(lattice: Tensor, pixels: Tensor) -> Tensor:
    """Tetrahedral interpolation.

    Args:
        lattice: ``(B, D, D, D, 3)``, by red, green and blue.
        pixels: ``(B, K, 3)`` from 0 to 1.

    Returns:
        ``(B, K, 3)``.
    """
    nodes = lattice.shape[1]
    at = pixels * (nodes - 1)
    cell = at.detach().floor().clamp(0, nodes - 2)
    strides = torch.tensor([nodes * nodes, nodes, 1], device=pixels.device)
    fractions, order = (at - cell).sort(dim=-1, descending=True)
    # From the cell's corner along the axes in the order of their fractions: four vertices of a tetrahedron.
    vertices = (cell.long() * strides).sum(-1, keepdim=True) + functional.pad(strides[order].cumsum(-1), (1, 0))
    edges = functional.pad(fractions, (1, 1))
    edges[..., 0] = 1
    shares = edges[..., :-1] - edges[..., 1:]
    index = vertices.flatten(1)[..., None].expand(-1, -1, 3)
    values = torch.gather(lattice.flatten(1, 3), 1, index).unflatten(1, (-1, 4))
    return (values * shares[..., None]).sum(2)


def _branch(widths: tuple[int, ...], features: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = 3
    for width in widths:
        layers += [nn.Linear(before, width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, features))


def _rounded(values: Tensor, unit: float, limit: int) -> Tensor:
    """Round to whole units within the limit; the gradient passes where the limit is not reached."""
    units = (values / unit).clamp(-limit, limit)
    return unit * (units + (units.round() - units).detach())
