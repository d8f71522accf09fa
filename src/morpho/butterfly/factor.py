"""One deformable butterfly factor: block diagonal, every block a grid of diagonal matrices."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from morpho.errors import InputError

__all__ = ["Factor", "apply", "dense", "multiply"]

Matrix = NDArray[np.floating]


@dataclass(frozen=True, order=True)
class Factor:
    """The pattern of a factor ``R(p,q | r,s,t)``: ``g`` equal blocks, each an ``r x s`` grid of ``t x t`` diagonals.

    Its support is ``I_g (x) 1_{r x s} (x) I_t`` (Kronecker products), so ``p = g r t`` and ``q = g s t``. What is not
    zero, ``g r s t = p s = q r`` numbers, is held in an array ``(g, r, s, t)``. Source: Lin et al., NeurIPS 2021.

    Attributes:
        g: blocks along the diagonal.
        r: rows of the grid in a block.
        s: columns of the grid in a block.
        t: size of a diagonal matrix, the distance of the inputs that one output adds up.

    Raises:
        InputError: a number is not positive.

    >>> factor = Factor(g=2, r=2, s=3, t=4)
    >>> factor.p, factor.q, factor.parameters
    (16, 24, 48)
    """

    g: int
    r: int
    s: int
    t: int

    def __post_init__(self) -> None:
        if min(astuple(self)) < 1:
            raise InputError(f"the factor (g, r, s, t) = {astuple(self)} needs positive numbers")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of its weights, ``(g, r, s, t)``."""
        return self.g, self.r, self.s, self.t

    @property
    def p(self) -> int:
        """Rows of the matrix, the width of the output."""
        return self.g * self.r * self.t

    @property
    def q(self) -> int:
        """Columns of the matrix, the width of the input."""
        return self.g * self.s * self.t

    @property
    def parameters(self) -> int:
        """Numbers that are not zero; as many multiply-adds are needed per input vector."""
        return self.g * self.r * self.s * self.t

    def support(self) -> NDArray[np.bool_]:
        """Where the matrix may differ from zero, ``(p, q)``."""
        grid = np.kron(np.ones((self.r, self.s)), np.eye(self.t))
        return np.kron(np.eye(self.g), grid).astype(bool)

    def rank_after(self, right: Factor) -> int | None:
        """The overlap rank of ``self @ right``, or None where the product's support is no factor's again.

        Every sub-block of the product that belongs to one block of each is a matrix of at most this rank: 1 in a
        deformable butterfly, the rank itself in a low-rank product. Source: Le et al., arXiv 2411.04506.

        >>> Factor(1, 4, 2, 1).rank_after(Factor(1, 2, 6, 1))
        2
        """
        chains = self.q == right.p and right.g % self.g == 0 and self.t % right.t == 0
        # q = p says that s g' t' = r g t: with g' a divisor of g and t of t', this is a whole number, or none fits.
        return right.r * right.t // self.t if chains and (right.r * right.t) % self.t == 0 else None

    def after(self, right: Factor) -> Factor:
        """The pattern of the product ``self @ right``.

        Raises:
            InputError: the product is no such pattern.
        """
        if self.rank_after(right) is None:
            raise InputError(f"the factor {self} does not follow {right}: t must be a multiple, g a divisor of its own")
        return Factor(self.g, self.r * (self.t // right.t), right.s * (right.g // self.g), right.t)

    def __str__(self) -> str:
        return f"({self.r},{self.s},{self.t})"


def dense(factor: Factor, weights: Matrix) -> Matrix:
    """Write a factor out as a matrix ``(p, q)``.

    >>> dense(Factor(1, 1, 2, 2), np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    array([[1., 0., 3., 0.],
           [0., 2., 0., 4.]])
    """
    g, r, s, t = factor.shape
    matrix = np.zeros((g, r, t, g, s, t), dtype=weights.dtype)
    block, step = np.arange(g)[:, None], np.arange(t)[None, :]
    # Indices with slices between them come first in NumPy's result: (g, t, r, s).
    matrix[block, :, step, block, :, step] = weights.transpose(0, 3, 1, 2)
    return matrix.reshape(factor.p, factor.q)


def apply(factor: Factor, weights: Matrix, columns: Matrix) -> Matrix:
    """Multiply a factor by columns, ``(q, B)`` to ``(p, B)``: the readable twin of every faster way."""
    g, _, s, t = factor.shape
    product: Matrix = np.einsum("grst,gstb->grtb", weights, columns.reshape(g, s, t, -1), optimize=True)
    return product.reshape(factor.p, -1)


def multiply(left: Factor, left_weights: Matrix, right: Factor, right_weights: Matrix) -> Matrix:
    """Multiply two neighbours into the weights of ``left.after(right)``.

    With ``b = right.g / left.g``, ``d = left.t / right.t`` and the overlap rank ``k``:
    ``P[g, (i, e), (c, j), u] = sum_k L[g, i, (c, k), (e, u)] R[(g, c), (k, e), j, u]``.

    Raises:
        InputError: the product is no factor's pattern.
    """
    product = left.after(right)
    rank, b, d = right.r * right.t // left.t, right.g // left.g, left.t // right.t
    first = right_weights.reshape(left.g, b, rank, d, right.s, right.t)
    second = left_weights.reshape(left.g, left.r, b, rank, d, right.t)
    weights: Matrix = np.einsum("gicket,gckejt->giecjt", second, first, optimize=True)
    return weights.reshape(product.shape)
