"""SCONE is the published function with the published counts and initial laws, and its options are checked."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from subprocess import run
from typing import Any

import numpy as np
import pytest

from morpho.errors import InputError
from morpho.fields.arrays import NUMPY
from morpho.fields.model import LARGEST, Model, Scone
from tests.fields.written_out import evaluate

_SCONE = Scone()


def _weights(model: Model = _SCONE, dimensions: int = 2, seed: int = 0) -> dict[str, Any]:
    return model.initial(dimensions, 3, np.random.default_rng(seed))


@pytest.mark.parametrize(("dimensions", "channels", "count"), [(2, 3, 192_753), (3, 3, 194_003), (3, 1, 193_501)])
def test_the_published_counts(dimensions: int, channels: int, count: int) -> None:
    assert _SCONE.parameters(dimensions, channels) == count
    assert sum(each.size for each in _SCONE.initial(dimensions, channels, np.random.default_rng(0)).values()) == count


def test_the_published_model_is_the_default_and_is_the_formula() -> None:
    assert (_SCONE.width, _SCONE.omegas, _SCONE.omega0, _SCONE.mask) == (250, (90, 60, 30, 10), 30, "sin2")
    weights = {name: value.astype(np.float64) for name, value in _weights().items()}
    points = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    np.testing.assert_allclose(_SCONE.apply(NUMPY, weights, points), evaluate(_SCONE, weights, points), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("mask.1.weight", 1 / 2),
        ("mask.1.bias", 1 / 2),
        ("mask.3.weight", math.sqrt(6 / 250) / 30),
        ("mask.4.bias", math.sqrt(6 / 250) / 30),
        ("head.weight", math.sqrt(6 / 250) / 30),
        ("basis.1.weight", 1 / math.sqrt(2)),
        ("basis.4.bias", 1 / math.sqrt(2)),
    ],
)
def test_the_initial_laws_are_uniform_between_the_published_bounds(name: str, bound: float) -> None:
    values = _weights(seed=3)[name] / bound
    assert values.dtype == np.float32
    assert 0.95 < np.abs(values).max() < 1 + 1e-6
    assert np.mean(values) == pytest.approx(0, abs=3 / math.sqrt(3 * values.size))
    assert np.std(values) == pytest.approx(1 / math.sqrt(3), rel=3 / math.sqrt(values.size))


def test_the_signal_decays_over_the_stages_as_it_was_measured_of_the_authors_network() -> None:
    """The energies of the stages, and the spread of the masks' angles, in `research/inr.md` 1.2."""
    points = np.random.default_rng(5).uniform(-1, 1, (2000, 2)).astype(np.float32)
    energies, spreads = np.zeros(4), np.zeros(4)
    for seed in range(5):
        weights, h = _weights(seed=seed), points
        for i, omega in enumerate(_SCONE.omegas):
            basis, z = (
                NUMPY.linear(x, weights[f"{word}.{i + 1}.weight"], weights[f"{word}.{i + 1}.bias"])
                for word, x in (("basis", points), ("mask", h))
            )
            h = NUMPY.collage(basis, omega, z, 30.0)
            energies[i] += np.mean(h**2) / 5
            spreads[i] += np.std(30 * z) / 5
    np.testing.assert_allclose(energies, [0.188, 0.074, 0.022, 0.0035], rtol=0.06)
    np.testing.assert_allclose(spreads, [11.4, 0.62, 0.40, 0.23], rtol=0.06)


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    one, two, other = _weights(seed=1), _weights(seed=1), _weights(seed=2)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not any(np.array_equal(one[name], other[name]) for name in one)


def test_float32_stays_float32_and_is_close_to_float64() -> None:
    points = np.random.default_rng(1).uniform(-1, 1, (200, 3))
    weights = _weights(dimensions=3)
    single = _SCONE.apply(NUMPY, weights, points.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, evaluate(_SCONE, weights, points), atol=2e-6)


def test_shapes_have_the_names_and_order_of_the_tensors() -> None:
    model = Scone(width=7, omegas=(3.0,))
    expected = {"mask.1.weight": (7, 2), "mask.1.bias": (7,), "basis.1.weight": (7, 2), "basis.1.bias": (7,)}
    assert model.shapes(2, 1) == expected | {"head.weight": (1, 7), "head.bias": (1,)}
    assert {name: value.shape for name, value in model.initial(2, 1, np.random.default_rng(0)).items()} == model.shapes(
        2, 1
    )


def test_wider_models_learn_more_slowly() -> None:
    assert replace(_SCONE, width=250).learning_rate == pytest.approx(5.6e-4)
    assert replace(_SCONE, width=1).learning_rate == 2e-3
    assert replace(_SCONE, width=250).rate_for(60.0) == pytest.approx(0.6 * 5.6e-4)
    assert replace(_SCONE, width=1).rate_for(1.0, 10_000) == 1e-3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 0}, "scone's width is 0: it must lie in [1, 16384]"),
        ({"width": 2.0}, "scone's width is 2.0: it must be of type int"),
        ({"width": True}, "scone's width is True: it must be of type int"),
        ({"width": 10**400}, "it must lie in [1, 16384]"),
        ({"omega0": 10**400}, "it must be of type float"),
        ({"omega0": math.nan}, "scone's omega0 is nan: it must lie in [0.001, 10000]"),
        ({"omega0": "30"}, "scone's omega0 is '30': it must be of type float"),
        ({"omegas": ()}, "scone has no omegas"),
        ({"omegas": (90.0, math.inf)}, "scone's omegas is inf: it must lie in [0, 1e+06]"),
        ({"omegas": (90.0, "60")}, "an entry of scone's omegas is '60': it must be of type float"),
        ({"omegas": (1.0,) * 65}, "it must be a tuple of at most 64 numbers"),
        ({"omegas": "90"}, "it must be a tuple of at most 64 numbers"),
        ({"mask": "cos"}, "scone's mask is 'cos': choose from sin2, sin, half, linear"),
        ({"mask": 2}, "scone's mask is 2: it must be of type str"),
        ({"depth": 5}, "scone has no hyper-parameter 'depth': it has width, omegas, omega0, mask"),
    ],
)
def test_unusable_options_are_refused_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Scone.from_options(options)
    assert sentence in str(caught.value)


def test_whole_numbers_do_for_frequencies_and_lists_for_tuples() -> None:
    assert Scone.from_options({"omegas": [9, 3], "omega0": 5}) == Scone(omegas=(9.0, 3.0), omega0=5.0)


def test_hostile_sizes_are_refused_before_memory_is_taken() -> None:
    model = Scone(width=16384, omegas=(1.0,) * 64)
    assert sum(math.prod(shape) for shape in model.shapes(2, 3).values()) > LARGEST
    for refused in (lambda: model.parameters(2, 3), lambda: model.initial(2, 3, np.random.default_rng(0))):
        with pytest.raises(InputError, match="choose one of at most"):
            refused()


def test_models_and_numpy_arrays_need_no_torch() -> None:
    code = "import sys, morpho.fields.registry, morpho.fields.arrays; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
