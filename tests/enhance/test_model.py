"""The claim of the system: tables give what the quantised network gives, byte for byte.

The network is evaluated here once more, without its tables: pixel by pixel, in double precision, from its weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from morpho.enhance import Enhancer
from morpho.enhance.model import Network, Shape, interpolate
from morpho.enhance.predict import ONE, fuse, identity, mean_features, weights
from morpho.enhance.train import histograms
from morpho.errors import InputError
from morpho.luts import Lut, reference
from morpho.luts.integers import IntegerLut
from tests.enhance.synthetic import card, hulls, random_network
from tests.luts.oracles import by_opencolorio
from tests.upscale.photos import photo

Floats = NDArray[np.float64]

#: As published but for its widths; and what is the default here, with fewer of everything.
PUBLISHED = Shape(groups=3, bases=4, levels=64, low=True, thumbnail=6, widths=(8, 12), hidden=10, nodes=9, rest_rank=4)
DEFAULT = Shape(groups=3, bases=4, widths=(8, 12), hidden=10, nodes=9, rest_rank=4)
SHAPES = {
    "published": PUBLISHED,
    "default": DEFAULT,
    "both branches, interpolated": Shape(levels=9, low=True, widths=(8,), hidden=6, nodes=17, own_rank=2, rest_rank=3),
    "one branch, nearest, thumbnail": Shape(levels=16, thumbnail=5, widths=(), hidden=6, nodes=5, groups=2, bases=2),
}


# --- the network once more ---


class Truth:
    """A network in NumPy, from the description of the paper and of the tables."""

    def __init__(self, network: Network) -> None:
        self.shape = network.shape
        self.state = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def __call__(self, picture: NDArray[Any]) -> NDArray[Any]:
        seen = picture
        if self.shape.thumbnail:
            side = self.shape.thumbnail
            rows, columns = ([(2 * i + 1) * length // (2 * side) for i in range(side)] for length in picture.shape[:2])
            seen = np.array([[picture[row, column] for column in columns] for row in rows])
        shift = 8 * (picture.dtype.itemsize - 1)  # of 16 bits the upper eight count
        mean = self.mean(seen.reshape(-1, 3).astype(np.int64) >> shift)
        lattice = self.lattice(self.weights(mean))
        return reference.apply(picture, IntegerLut.of(Lut(lattice / ONE), picture.dtype))

    def mean(self, pixels: NDArray[np.int64]) -> list[int]:
        """Mean features in 1/256 of the tables' unit: of integers, rounded half up."""
        found = self.branch("high", pixels // 16)
        if self.shape.low:
            found = found + self.branch("lower", pixels % 16)
        return [(512 * int(total) + len(pixels)) // (2 * len(pixels)) for total in found.sum(0)]

    def branch(self, name: str, nibbles: NDArray[np.int64]) -> NDArray[np.int64]:
        """Features of each pixel, in eighths, as int8 holds them."""
        x = nibbles / 16 * 2 - 1
        count = len(self.shape.widths) + 1
        for layer in range(count):
            x = x @ self.state[f"{name}.{2 * layer}.weight"].T + self.state[f"{name}.{2 * layer}.bias"]
            x = x if layer == count - 1 else np.maximum(x, 0)
        return np.clip(np.rint(8 * x * 8), -127, 127).astype(np.int64)

    def weights(self, mean: list[int]) -> NDArray[np.int64]:
        """In units of 2^-14: each group's answers at the corners around its two features, and between them."""
        levels, total = self.shape.levels, np.zeros(self.shape.bases)
        cells = levels - levels % 2
        for group, pair in enumerate(zip(mean[::2], mean[1::2], strict=True)):
            at = [min(max(feature / 256 + 128, 0), 256) / (256 / cells) for feature in pair]  # exact: powers of two
            if levels % 2 == 0:
                total += self.head(group, *(min(int(a + 0.5), levels - 1) for a in at))
                continue
            i, j = (min(int(a), cells - 1) for a in at)
            y, x = at[0] - i, at[1] - j
            total += (1 - y) * ((1 - x) * self.head(group, i, j) + x * self.head(group, i, j + 1))
            total += y * ((1 - x) * self.head(group, i + 1, j) + x * self.head(group, i + 1, j + 1))
        return np.floor(256 * total + 0.5).astype(np.int64)

    def head(self, group: int, i: int, j: int) -> Floats:
        """The answer of a group's network to one entry's features, in 1/64, as int8 holds it."""
        cells = self.shape.levels - self.shape.levels % 2
        features = np.array([i, j]) * (32 / cells) - 16
        x = features / 4 @ self.state["inner"][group] + self.state["inner_bias"][group, 0]
        x = x * np.clip(x + 3, 0, 6) / 6
        x = x @ self.state["outer"][group] + self.state["outer_bias"][group, 0]
        answer: Floats = np.clip(np.rint(64 * x), -127, 127)
        return answer

    def lattice(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Identity and bases, with the roundings that `morpho.enhance.predict` names; clamped, and made to rise."""
        nodes = self.shape.nodes
        own, mix, rest = (
            np.clip(np.rint(self.state[name] * 2**bits), 1 - 2**15, 2**15 - 1).astype(np.int64)
            for name, bits in (("own", 14), ("mix", 11), ("rest", 14))
        )
        mixed = (np.einsum("n,nkcr->kcr", chosen, mix) + 2**8) >> 9
        planes = (np.einsum("kcr,rp->kcp", mixed, rest) + 2**9) >> 10
        cubes = ((np.einsum("ik,kcp->cip", own, planes) + 2**13) >> 14).reshape(3, nodes, nodes, nodes)
        result = np.empty((nodes, nodes, nodes, 3), np.int64)
        for r, g, b in np.ndindex(nodes, nodes, nodes):
            added = cubes[0, r, g, b], cubes[1, g, r, b], cubes[2, b, r, g]
            result[r, g, b] = [
                min(max(place * ONE // (nodes - 1) + int(more), 0), ONE)
                for place, more in zip((r, g, b), added, strict=True)
            ]
        above, below = hulls(result)
        return np.asarray((above + below) // 2)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_tables_give_what_the_network_gives(name: str, seed: int) -> None:
    network = random_network(SHAPES[name], seed)
    enhancer, truth = Enhancer(network.tables(), card()), Truth(network)
    small, large = photo(seed + 9, 7, 3) // 3, photo(seed, 20, 31)
    for picture in (large, small, large[:1, :1], 255 * (large // 128)):
        for pixels in (picture, (257 * picture.astype(np.uint16)) ^ 3):
            result = enhancer(pixels)
            np.testing.assert_array_equal(result, truth(pixels))
    assert np.abs(enhancer(large).astype(int) - large).max() > 2
    mine, other = (enhancer.lut(picture).lattice for picture in (large, small))
    assert mine is not None
    assert other is not None
    assert (mine != other).any()  # each picture has its own


def test_the_networks_of_these_tests_use_what_tables_have() -> None:
    """Rounding, clamping to int8 and bases that differ: or the equality above would say little."""
    for shape in (PUBLISHED, DEFAULT):
        tables = random_network(shape).tables()
        for table in (tables.msb, tables.lsb):
            if table is not None:
                assert len(np.unique(table)) > 150
                assert (np.abs(table.astype(int)) == 127).any()
        assert len(np.unique(tables.groups)) > 60
        assert (np.abs(tables.own.astype(int)) > 2**13).any()
        assert np.linalg.matrix_rank(tables.mix.reshape(shape.bases, -1)) == shape.bases


# --- tables ---


@pytest.mark.parametrize("name", SHAPES)
def test_tables_have_the_shape_of_the_network(name: str) -> None:
    shape = SHAPES[name]
    tables = random_network(shape).tables()
    assert tables.groups.shape == (shape.groups, shape.levels, shape.levels, shape.bases)
    assert (tables.nodes, tables.thumbnail, tables.lsb is not None) == (shape.nodes, shape.thumbnail, shape.low)
    assert (tables.own.shape[1], len(tables.rest)) == (shape.own_rank, shape.rest_rank)


def test_the_default_enhancer_is_small() -> None:
    assert Network(Shape()).tables().nbytes < 256 * 1024


def test_the_published_shape() -> None:
    """9 hidden layers; 5 groups of two features; 33 nodes, as the paper's released code."""
    shape = Shape.published()
    assert (shape.groups, shape.bases, shape.levels, shape.low, shape.thumbnail) == (5, 10, 64, True, 32)
    assert (shape.nodes, shape.own_rank, shape.rest_rank, shape.hidden) == (33, 5, 10, 512)
    assert Shape.published(bases=20).bases == 20
    assert len(shape.widths) == 9


def test_a_new_network_changes_nothing() -> None:
    network = Network(DEFAULT)
    picture = photo(0, 9, 9)
    np.testing.assert_array_equal(Enhancer(network.tables(), card())(picture), picture)


def test_making_tables_leaves_the_network_and_the_random_numbers_alone() -> None:
    network = random_network(DEFAULT)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    before = torch.random.get_rng_state()
    first, second = network.tables(), network.tables()
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in vars(first).items():
        np.testing.assert_array_equal(getattr(second, name), value)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])
        assert value.dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        *(({name: 0}, "must be at least 1") for name in ("groups", "bases", "hidden", "own_rank", "rest_rank")),
        ({"widths": (8, 0)}, "must be at least 1"),
        *(({"levels": levels}, "levels must be a power of two") for levels in (0, 1, 6, 12, 512, 1025)),
        *(({"nodes": nodes}, "nodes must be a power of two") for nodes in (1, 2, 4, 32, 257)),
        ({"groups": 33}, "at most 32 groups"),
        ({"bases": 65}, "64 bases"),
        ({"own_rank": 65}, "ranks of 64"),
        ({"rest_rank": 65}, "ranks of 64"),
        ({"thumbnail": -1}, "thumbnail"),
        ({"thumbnail": 4097}, "thumbnail"),
    ],
)
def test_shapes_that_no_tables_can_have(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Shape(**changes)


# --- in floats, as it is trained ---


def as_batch(*pictures: NDArray[np.uint8]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(picture.reshape(-1, 3)).float() / 255 for picture in pictures])


@torch.no_grad()
@pytest.mark.parametrize("name", SHAPES)
def test_what_is_trained_is_what_is_shipped(name: str) -> None:
    """To within a quarter of a grey level, since training does not round sums.

    Where the nearest entry counts, a mean may lie halfway between two: not with this seed.
    """
    shape = SHAPES[name]
    network = random_network(shape, 6)
    tables = network.tables()
    pictures = [photo(seed, 13, 17) for seed in range(4)]
    batch = as_batch(*pictures)
    counts = histograms(network, batch)
    _, lattices = network(*counts, batch)
    for row, picture in enumerate(pictures):
        msb, lsb = (None if part is None else np.rint(len(batch[0]) * part[row].numpy()) for part in counts)
        assert msb is not None
        features = mean_features(tables, msb.astype(np.int64), None if lsb is None else lsb.astype(np.int64))
        lattice = fuse(tables, weights(tables, features)) / ONE
        wanted = lattices[row].numpy() + identity(shape.nodes) / ONE
        wanted = np.mean(hulls(wanted.clip(0, 1)), axis=0)
        assert np.abs(wanted - identity(shape.nodes) / ONE).max() > 0.02
        assert np.abs(lattice - wanted).max() < 1e-3
        if not shape.thumbnail:  # in training these are drawn at random
            shipped = Enhancer(tables, card())(257 * picture.astype(np.uint16)) / 65535
            clamped = _applied(wanted, batch[row])
            assert np.abs(shipped.reshape(-1, 3) - clamped).max() < 1e-3


def _applied(lattice: Floats, pixels: torch.Tensor) -> Floats:
    found: Floats = interpolate(torch.from_numpy(lattice)[None], pixels.double()[None])[0].numpy()
    return found


@torch.no_grad()
def test_the_result_is_the_pixels_and_their_lattices_corrections() -> None:
    network = random_network(DEFAULT, 1)
    batch = as_batch(photo(0, 9, 9), photo(1, 9, 9))
    counts = histograms(network, batch)
    result, lattices = network(*counts, batch[:, :20])
    assert result.shape == (2, 20, 3)
    assert torch.equal(result, batch[:, :20] + interpolate(lattices, batch[:, :20]))
    for row in range(2):  # no picture sees another
        alone = [None if part is None else part[row : row + 1] for part in counts]
        one, _ = network(*alone, batch[row : row + 1, :20])
        torch.testing.assert_close(one[0], result[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_reach_every_parameter(name: str) -> None:
    network = random_network(SHAPES[name], 2)
    batch = as_batch(photo(0, 20, 20), photo(1, 20, 20))
    result, _ = network(*histograms(network, batch), batch)
    (result - 0.5).square().mean().backward()
    for parameter, values in network.named_parameters():
        assert values.grad is not None, parameter
        assert torch.isfinite(values.grad).all(), parameter
        reached = bool(values.grad.any())
        # With the nearest entry, as published, rounding hides the slope of a group's table, but not its place.
        assert reached or "high.0" in parameter, parameter


def test_the_gradient_of_a_lattice() -> None:
    """It is linear in the weights of the bases."""
    network = random_network(Shape(bases=4, nodes=3, widths=(), hidden=1), 3).double()
    chosen = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network.lattice, (chosen,))


@pytest.mark.parametrize("nodes", [2, 4])
def test_the_gradient_of_interpolation(nodes: int) -> None:
    generator = torch.Generator().manual_seed(nodes)
    lattice = torch.randn(2, nodes, nodes, nodes, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    pixels = torch.rand(2, 4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(interpolate, (lattice, pixels))


def test_the_gradient_of_rounded_tables_is_that_of_plain_ones() -> None:
    """Straight through, but not beyond what int8 holds."""
    network = random_network(DEFAULT, 4)
    errors = torch.randn(4096, 6, generator=torch.Generator().manual_seed(0))
    plain = 8 * network.high(2 * network.colors - 1)
    inside = (plain.abs() < 127 / 8).float()
    assert 0.02 < 1 - float(inside.mean()) < 0.5
    wanted = torch.autograd.grad((plain * inside * errors).sum(), list(network.high.parameters()))
    found = torch.autograd.grad((network.feature_table(network.high) * errors).sum(), list(network.high.parameters()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("nodes", [2, 9, 33])
def test_interpolation_is_opencolorios(nodes: int) -> None:
    pytest.importorskip("PyOpenColorIO")
    lattice = np.random.default_rng(nodes).random((nodes, nodes, nodes, 3))
    image = np.random.default_rng(1).integers(0, 65536, (30, 30, 3), dtype=np.uint16)
    image[0, :8] = [[x, y, z] for x in (0, 65535) for y in (0, 65535) for z in (0, 65535)]
    image[1] = image[1, :, :1]  # greys: all fractions are equal
    found = _applied(lattice, torch.from_numpy(image.reshape(-1, 3).astype(float) / 65535))
    wanted = by_opencolorio(image, Lut(lattice), "tetrahedral").reshape(-1, 3)
    assert np.abs(65535 * found - wanted).max() < 0.6  # of 65535: it is rounded there


def test_interpolation_meets_the_nodes() -> None:
    lattice = torch.rand(1, 5, 5, 5, 3, generator=torch.Generator().manual_seed(0))
    axis = torch.arange(5) / 4
    found = interpolate(lattice, torch.cartesian_prod(axis, axis, axis)[None])
    torch.testing.assert_close(found[0], lattice.flatten(0, 3), rtol=0, atol=1e-6)
