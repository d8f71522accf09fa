"""Each peer is its formula, with the counts of its published configurations, and starts from its own laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import map_coordinates

from morpho.errors import InputError
from morpho.fields.arrays import NUMPY
from morpho.fields.differentiable import TORCH
from morpho.fields.grids import Grid, HashGrid
from morpho.fields.model import Model
from morpho.fields.peers import Finer, FourierFeatures, Gauss, Mfn, Siren, Wire
from tests.fields.written_out import NETWORKS, double, evaluate

_GRIDS = (
    Grid(nodes=30),
    Grid(nodes=64, interpolation="linear"),
    HashGrid(width=6, levels=3, base=2, finest=9, table=40),
)
_MODELS = NETWORKS + _GRIDS


def _id(model: Model) -> str:
    return f"{model.name}-{getattr(model, 'mask', '') or getattr(model, 'interpolation', '') or len(str(model))}"


def _weights(model: Model, dimensions: int = 2, seed: int = 0) -> dict[str, Any]:
    weights = model.initial(dimensions, 3, np.random.default_rng(seed))
    for name in ("nodes", "table"):  # grids start at, or almost at, zero: other values show faults
        if name in weights:
            weights[name] = np.random.default_rng(seed).uniform(-1, 1, weights[name].shape).astype(np.float32)
    return weights


def _points(dimensions: int = 2, count: int = 60) -> Any:
    ends = [[-1.0] * dimensions, [1.0] * dimensions, [0.0] * dimensions]
    return np.concatenate([ends, np.random.default_rng(7).uniform(-1, 1, (count, dimensions))])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("model", NETWORKS, ids=_id)
def test_networks_are_their_formulas(model: Model, dimensions: int) -> None:
    weights, points = double(_weights(model, dimensions)), _points(dimensions)
    expected = evaluate(model, weights, points)
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(model.apply(NUMPY, weights, points), expected, atol=1e-12)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("model", _MODELS, ids=_id)
def test_torch_and_numpy_agree_in_double_and_single_precision(model: Model, dimensions: int) -> None:
    weights, points = _weights(model, dimensions), _points(dimensions)
    reference = model.apply(NUMPY, double(weights), points)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 3e-5)):
        cast = {name: value.astype(dtype) for name, value in weights.items()}
        tensors = {name: torch.from_numpy(value) for name, value in cast.items()}
        plain = model.apply(NUMPY, cast, points.astype(dtype))
        values = model.apply(TORCH, tensors, torch.from_numpy(points.astype(dtype))).numpy()
        assert plain.dtype == values.dtype == dtype
        np.testing.assert_allclose(plain, reference, rtol=0, atol=tolerance)
        np.testing.assert_allclose(values, reference, rtol=0, atol=tolerance)


@pytest.mark.parametrize("model", _MODELS, ids=_id)
def test_shapes_say_what_is_drawn_and_the_draw_follows_the_seed(model: Model) -> None:
    drawn = model.initial(2, 3, np.random.default_rng(4))
    assert {name: value.shape for name, value in drawn.items()} == model.shapes(2, 3)
    assert {value.dtype for value in drawn.values()} == {np.dtype(np.float32)}
    again = model.initial(2, 3, np.random.default_rng(4))
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)


@pytest.mark.parametrize("model", [each for each in _MODELS if not isinstance(each, Finer)], ids=_id)
def test_gradients_of_weights_and_coordinates_are_those_of_finite_differences(model: Model) -> None:
    weights = {name: torch.from_numpy(value) for name, value in double(_weights(model)).items()}
    points = torch.from_numpy(np.random.default_rng(3).uniform(-0.95, 0.95, (6, 2))).requires_grad_()
    names = [name for name in weights if not name.startswith("frequencies")]
    for name in names:
        weights[name].requires_grad_()

    def function(points: torch.Tensor, *values: torch.Tensor) -> Any:
        return model.apply(TORCH, weights | dict(zip(names, values, strict=True)), points)

    assert torch.autograd.gradcheck(function, (points, *(weights[name] for name in names)), fast_mode=True)


def test_finers_factor_has_no_gradient() -> None:
    model = Finer(width=1, layers=2, first_omega=3.0)
    weights = {"layer.1.weight": [[0.5]], "layer.1.bias": [0.1], "head.weight": [[1.0]], "head.bias": [0.0]}
    tensors = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in weights.items()}
    model.apply(TORCH, tensors, torch.tensor([[0.4]], dtype=torch.float64)).sum().backward()
    z, bias = 0.5 * 0.4 + 0.1, tensors["layer.1.bias"].grad
    assert bias is not None
    assert bias.item() == pytest.approx(math.cos(3 * (z + 1) * z) * 3 * (z + 1), rel=1e-12)


@pytest.mark.parametrize(
    ("model", "dimensions", "channels", "count"),
    [
        (Siren(), 2, 3, 198_915),
        (Siren(), 3, 3, 199_171),
        (Siren(), 3, 1, 198_657),
        (Finer(), 2, 3, 198_915),
        (Gauss(), 2, 3, 198_915),
        (Wire(), 2, 3, 199_284),
        (FourierFeatures(), 2, 3, 198_147 + 256),
        (Mfn(), 2, 3, 198_123),
        (Mfn(width=256, products=6, gabor=True), 2, 3, 406_275),
    ],
    ids=str,
)
def test_the_counts_of_published_configurations(model: Model, dimensions: int, channels: int, count: int) -> None:
    assert model.parameters(dimensions, channels) == count


@pytest.mark.parametrize(
    ("model", "name", "bound"),
    [
        (Siren(), "layer.1.weight", 1 / 2),
        (Siren(), "layer.1.bias", 1 / 2),
        (Siren(omega=20.0), "layer.2.weight", math.sqrt(6 / 256) / 20),
        (Siren(), "layer.3.bias", math.sqrt(6 / 256) / 30),
        (Siren(), "head.weight", math.sqrt(6 / 256) / 30),
        (Finer(first_bias=5.0), "layer.1.bias", 5.0),
        (Finer(), "layer.1.weight", 1 / 2),
        (Finer(), "layer.4.bias", 1 / 16),
        (Gauss(), "layer.1.bias", 1 / math.sqrt(2)),
        (Wire(width=256), "scale.2.weight", 1 / 16),
        (Wire(width=256), "frequency.2.bias", 1 / 16),
        (FourierFeatures(), "layer.1.weight", 1 / 16),
        (Mfn(width=256), "filter.1.weight", 256 / math.sqrt(8)),
        (Mfn(width=256), "filter.4.bias", math.pi),
        (Mfn(width=256), "layer.2.weight", 1 / 16),
        (Mfn(width=256, gabor=True), "centre.2", 1.0),
        (HashGrid(), "table", 1e-4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_initial_laws_are_uniform_between_their_bounds(model: Model, name: str, bound: float) -> None:
    values = model.initial(2, 3, np.random.default_rng(1))[name] / bound
    assert 0.95 < np.abs(values).max() < 1 + 1e-6
    assert np.std(values) == pytest.approx(1 / math.sqrt(3), rel=3 / math.sqrt(values.size))


def test_the_other_initial_laws() -> None:
    random = np.random.default_rng(1)
    frequencies = FourierFeatures(frequencies=4096, sigma=8.0).initial(2, 3, random)["frequencies"]
    assert np.std(frequencies) == pytest.approx(8, rel=0.03)
    windows = Mfn(width=4096, products=1, gabor=True).initial(2, 3, random)
    assert np.mean(windows["window.1"]) == pytest.approx(3, rel=0.1)
    spread = np.std(windows["filter.1.weight"] / np.sqrt(windows["window.1"])[:, None])
    assert spread == pytest.approx(256 / math.sqrt(2 * 2) / math.sqrt(3), rel=0.05)
    assert not Grid().initial(2, 3, random)["nodes"].any()


def test_frozen_frequencies_are_the_only_ones() -> None:
    assert FourierFeatures().rates() == {"frequencies": 0.0}
    assert all(
        rate != 0 for model in _MODELS if not isinstance(model, FourierFeatures) for rate in model.rates().values()
    )


@pytest.mark.parametrize("counts", [(7, 5), (4, 3, 5)])
def test_a_linear_grid_interpolates_as_scipy_does(counts: tuple[int, ...]) -> None:
    model = Grid(nodes=math.prod(counts), aspect=counts, interpolation="linear")
    assert model.counts(len(counts)) == counts
    nodes = np.random.default_rng(0).uniform(-1, 1, (*counts, 2))
    points = _points(len(counts))
    oracle = RegularGridInterpolator([np.linspace(-1, 1, count) for count in counts], nodes)
    values = model.apply(NUMPY, {"nodes": nodes.reshape(-1, 2)}, points)
    np.testing.assert_allclose(values, oracle(points), atol=1e-12)


def test_a_cubic_grid_goes_through_its_nodes_and_is_exact_for_parabolas_inside() -> None:
    model = Grid(nodes=99, aspect=(11, 9))
    rows, columns = np.meshgrid(np.linspace(-1, 1, 11), np.linspace(-1, 1, 9), indexing="ij")
    nodes = np.random.default_rng(0).uniform(-1, 1, (99, 1))
    at_nodes = model.apply(NUMPY, {"nodes": nodes}, np.stack([rows.ravel(), columns.ravel()], 1))
    np.testing.assert_allclose(at_nodes, nodes, atol=1e-12)

    def parabola(x: Any) -> Any:
        return (0.3 + x[:, :1] - 2 * x[:, :1] ** 2) * (1 - x[:, 1:] + x[:, 1:] ** 2)

    inside = np.random.default_rng(1).uniform(-0.7, 0.7, (50, 2))
    values = model.apply(NUMPY, {"nodes": parabola(np.stack([rows.ravel(), columns.ravel()], 1))}, inside)
    np.testing.assert_allclose(values, parabola(inside), atol=1e-12)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_an_axis_of_one_node_is_constant_and_points_outside_read_the_border(interpolation: str) -> None:
    model = Grid(nodes=4, aspect=(1e-3, 4), interpolation=interpolation)
    assert model.counts(2) == (1, 4)
    tensors = {"nodes": np.array([[1.0], [2.0], [5.0], [3.0]])}
    values = model.apply(NUMPY, tensors, np.array([[-1.0, -1.0], [0.3, -1.0], [1.0, 1.0], [0.0, 7.0], [0.0, -7.0]]))
    np.testing.assert_allclose(values[:, 0], [1, 1, 3, 3, 1])


@pytest.mark.parametrize(
    ("nodes", "aspect", "counts"),
    [(64, (), (8, 8)), (65, (), (8, 8)), (72, (), (8, 9)), (6, (1e-3, 1e6), (1, 6)), (1, (3, 2), (1, 1))],
)
def test_counts_follow_the_aspect_within_the_nodes(nodes: int, aspect: tuple[float, ...], counts: Any) -> None:
    assert Grid(nodes=nodes, aspect=aspect).counts(2) == counts


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_dense_hash_grid_interpolates_each_level_as_scipy_does(dimensions: int) -> None:
    model = HashGrid(levels=3, base=2, finest=8, features=2, table=10**6)
    assert model.cells() == (2, 4, 8)
    table, points, start, expected = _weights(model, dimensions)["table"], _points(dimensions), 0, []
    for cells in model.cells():
        counts, rows = (cells + 1,) * dimensions, (cells + 1) ** dimensions
        for feature in range(2):
            level = table[start : start + rows, feature].reshape(counts).astype(np.float64)
            expected.append(map_coordinates(level, (points.T + 1) / 2 * cells, order=1, mode="nearest"))
        start += rows
    encoded = model._encode(NUMPY, table.astype(np.float64), points)
    np.testing.assert_allclose(encoded, np.stack(expected, 1), atol=1e-12)


def test_a_hashed_level_reads_the_row_of_the_published_hash() -> None:
    model = HashGrid(levels=2, base=2, finest=1000, features=1, table=50)
    assert model.rows(2) == (9, 50)
    table = np.zeros((59, 1))
    row, column = 3, 700  # the node at which the point lies
    table[9 + ((row ^ (column * 2654435761)) % 50)] = 1
    encoded = model._encode(NUMPY, table, np.array([[row / 500 - 1, column / 500 - 1]]))
    assert encoded[0, 1] == pytest.approx(1, abs=1e-9)


def test_a_hash_grid_is_continuous_across_the_borders_of_cells() -> None:
    model = HashGrid(levels=4, base=3, finest=24, table=60)
    weights, step = double(_weights(model)), 1e-9
    points = np.stack([np.full(9, 2 * 1 / 3 - 1), np.linspace(-0.9, 0.9, 9)], 1)
    left, right = (model.apply(NUMPY, weights, points + np.array([each, 0])) for each in (-step, step))
    np.testing.assert_allclose(left, right, atol=1e-6)


def test_grids_refuse_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="not one entry for each of the signal's 3 axes"):
        Grid(aspect=(1, 2)).counts(3)
    with pytest.raises(InputError, match="make it finer"):
        HashGrid(base=32, finest=16)
    with pytest.raises(InputError, match="at most 3 axes, not 4"):
        HashGrid().shapes(4, 1)
