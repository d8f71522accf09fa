"""What a person would try instead: the controls beside which an enhancer is measured.

Each takes and returns a picture, ``(H, W, 3)`` uint8. `fixed_lut` is what one gets from training pairs without looking
at the picture: a single table for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morpho.enhance.corpus import Pair, Photo
from morpho.enhance.evaluate import Method
from morpho.errors import DataError, InputError, require
from morpho.luts import Lut
from morpho.luts.operations import grid

__all__ = ["CONTROLS", "autocontrast", "clahe", "fixed_lut", "grey_world", "unchanged"]

_Floats = NDArray[np.float64]

#: Of the conjugate gradients; tens are usual.
_MOST_STEPS = 500


def unchanged(photo: Photo) -> Photo:
    """The input itself."""
    return photo


def autocontrast(photo: Photo, *, cutoff: float = 0.0) -> Photo:
    """Pillow's: each channel is stretched to 0 to 255.

    Args:
        photo: ``(H, W, 3)`` uint8.
        cutoff: percent of each channel's darkest and brightest values that are clipped.
    """
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.autocontrast(Image.fromarray(np.ascontiguousarray(photo)), cutoff=cutoff))


def clahe(photo: Photo) -> Photo:
    """Contrast-limited adaptive histogram equalisation of the HSV value, by scikit-image with its defaults.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    exposure = require("skimage.exposure", "dev")
    result: Photo = np.rint(255 * exposure.equalize_adapthist(photo)).astype(np.uint8)
    return result


def grey_world(photo: Photo) -> Photo:
    """White balance in linear light: each channel is scaled to the mean of all three."""
    light = np.arange(256) / 255
    light = np.where(light > 0.04045, ((light + 0.055) / 1.055) ** 2.4, light / 12.92)
    means = np.array([np.bincount(photo[..., i].ravel(), minlength=256) @ light for i in range(3)])
    result = np.empty_like(photo)
    for i, gain in enumerate(means.mean() / np.maximum(means, 1e-12)):
        scaled = np.minimum(light * gain, 1)
        encoded = np.where(scaled > 0.0031308, 1.055 * scaled ** (1 / 2.4) - 0.055, 12.92 * scaled)
        result[..., i] = np.rint(255 * encoded).astype(np.uint8)[photo[..., i]]
    return result


#: The controls that need no training, under the names of the command line and the results.
CONTROLS: Mapping[str, Method] = MappingProxyType(
    {
        "input": unchanged,
        "autocontrast": autocontrast,
        "autocontrast-1": partial(autocontrast, cutoff=1.0),
        "clahe": clahe,
        "grey-world": grey_world,
    }
)


def fixed_lut(pairs: Iterable[Pair], *, nodes: int = 33, smoothness: float = 1e-2, ridge: float = 1e-7) -> Lut:
    """Fit one lookup table to pairs, by least squares.

    The lattice ``x`` minimises, with the trilinear weights ``A`` of all pixels' inputs and their targets ``y``,

        mean (A x - y)^2 + smoothness sum (second differences of x)^2 + ridge sum (x - identity)^2

    Args:
        pairs: what to learn from; each pixel of each counts the same.
        nodes: per axis, 3 to 65.
        smoothness: weight of the bends along the three axes.
        ridge: weight of the distance to the table that changes nothing, for colours that no pair has.

    Raises:
        DataError: there is no pair.
        InputError: a parameter is out of range.
        MissingExtraError: SciPy is not installed.
    """
    if not 3 <= nodes <= 65 or not smoothness > 0 or not ridge > 0:
        raise InputError(f"nodes must be 3 to 65, smoothness and ridge > 0, not {nodes}, {smoothness:g}, {ridge:g}")
    colors, share, means = _distinct(pairs)
    weights = _trilinear(colors, nodes)
    matrix = _normal(weights, share, smoothness, ridge, nodes)
    right = weights.T @ (share[:, None] * (means - colors))
    change = _solve(matrix, right, _Smoothing(nodes, smoothness))
    return Lut(grid(nodes) + change.reshape(nodes, nodes, nodes, 3), title="fixed")


def _distinct(pairs: Iterable[Pair]) -> tuple[_Floats, _Floats, _Floats]:
    """The distinct input colours, each one's share of all pixels, and the mean of its targets; 0 to 1."""
    both = [(pair.input.reshape(-1, 3) @ np.array([65536, 256, 1]), pair.target.reshape(-1, 3)) for pair in pairs]
    if not both:
        raise DataError("there is no pair to fit a table to: give some")
    target = np.concatenate([target for _, target in both])
    found, place, counts = np.unique(
        np.concatenate([codes for codes, _ in both]), return_inverse=True, return_counts=True
    )
    sums = np.stack([np.bincount(place, target[:, i]) for i in range(3)], axis=1)
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1) / 255
    return colors, counts / counts.sum(), sums / counts[:, None] / 255


def _trilinear(colors: _Floats, nodes: int) -> Any:
    """The sparse matrix, colours by nodes, that interpolates."""
    sparse = require("scipy.sparse", "dev")
    position = colors * (nodes - 1)
    cell = np.minimum(position.astype(np.int64), nodes - 2)
    fraction = position - cell
    columns, values = [], []
    for corner in np.ndindex(2, 2, 2):
        columns.append((cell + corner) @ np.array([nodes * nodes, nodes, 1]))
        values.append(np.where(corner, fraction, 1 - fraction).prod(axis=1))
    rows = np.tile(np.arange(len(colors)), 8)
    shape = (len(colors), nodes**3)
    return sparse.coo_array((np.concatenate(values), (rows, np.concatenate(columns))), shape=shape).tocsr()


def _normal(weights: Any, share: _Floats, smoothness: float, ridge: float, nodes: int) -> Any:
    """The sparse matrix of the normal equations."""
    sparse = require("scipy.sparse", "dev")
    weighted = weights.multiply(np.sqrt(share)[:, None]).tocsr()
    one = sparse.eye_array(nodes)
    bends = sparse.csr_array(_bends(nodes))
    axes = ((bends, one, one), (one, bends, one), (one, one, bends))
    smooth = sum(sparse.kron(a, sparse.kron(b, c)) for a, b, c in axes)
    return (weighted.T @ weighted + smoothness * smooth + ridge * sparse.eye_array(nodes**3)).tocsr()


def _bends(nodes: int) -> _Floats:
    """The matrix of the squared second differences along an axis."""
    second = np.diff(np.eye(nodes), 2, axis=0)
    return second.T @ second


class _Smoothing:
    """What preconditions: the inverse of ``data + smoothness * bends``, as if each node had the same data.

    The bends of a lattice have the products of one axis' eigenvectors for their own.
    """

    #: What a node has of the data: less than where pairs have their colours, more than where they have none.
    _DATA = 1e-6

    def __init__(self, nodes: int, smoothness: float) -> None:
        values, self._vectors = np.linalg.eigh(_bends(nodes))
        total = values[:, None, None] + values[:, None] + values
        self._inverse = 1 / (self._DATA + smoothness * total[..., None])

    def __call__(self, values: _Floats) -> _Floats:
        lattice = self._turned(values.reshape(*self._inverse.shape[:3], 3), self._vectors.T)
        return self._turned(self._inverse * lattice, self._vectors).reshape(values.shape)

    @staticmethod
    def _turned(lattice: _Floats, matrix: _Floats) -> _Floats:
        """Multiply each axis; after three turns the axes are in order again."""
        for _ in range(3):
            lattice = np.moveaxis(np.tensordot(matrix, lattice, axes=(1, 0)), 0, 2)
        return lattice


def _solve(matrix: Any, right: _Floats, precondition: Callable[[_Floats], _Floats]) -> _Floats:
    """Conjugate gradients, for the three channels at once, until the residual is 1e-4 of what it was."""
    result, residual = np.zeros_like(right), right.copy()
    direction = conditioned = precondition(residual)
    product = (residual * conditioned).sum(axis=0)
    for _ in range(_MOST_STEPS):
        if np.linalg.norm(residual) <= 1e-4 * np.linalg.norm(right):
            break
        ahead = matrix @ direction
        step = product / (direction * ahead).sum(axis=0)
        result += step * direction
        residual -= step * ahead
        conditioned = precondition(residual)
        product, before = (residual * conditioned).sum(axis=0), product
        direction = conditioned + product / before * direction
    return result
