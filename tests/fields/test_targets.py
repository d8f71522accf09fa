"""What a field is fitted to: coordinates and values of samples, values between them, and the score."""

from __future__ import annotations

from typing import Any, cast, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage import metrics
from torch import Tensor

from morpho.errors import InputError
from morpho.fields import targets
from morpho.fields.directed import doubled
from morpho.fields.recipe import Interpolation
from morpho.fields.signal import Signal
from morpho.fields.solids import PointTarget, VolumeTarget
from morpho.fields.targets import GridTarget

SHAPES = [((7, 9), 3), ((1, 8), 2), ((6, 1), 1), ((4, 5, 6), 3), ((1, 1), 4)]


def picture(shape: tuple[int, ...], channels: int, dtype: Any = np.uint8) -> tuple[Signal, NDArray[Any]]:
    random = np.random.default_rng(0)
    samples = random.integers(0, np.iinfo(dtype).max, (*shape, channels), dtype=dtype, endpoint=True)
    kind: Any = {2: "image", 3: "video"}[len(shape)]
    return Signal(kind=kind, shape=shape, channels=channels, depth=8 * samples.itemsize), samples


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("shape", "channels"), SHAPES)
def test_samples_lie_where_the_signal_says(shape: tuple[int, ...], channels: int, dtype: Any) -> None:
    signal, samples = picture(shape, channels, dtype)
    coordinates, values = GridTarget(signal, samples).at(torch.arange(signal.samples))
    grid = np.stack(np.meshgrid(*signal.coordinates(), indexing="ij"), -1).reshape(-1, len(shape))
    np.testing.assert_allclose(coordinates.numpy(), grid, atol=1e-7)
    expected = samples.reshape(-1, channels) / np.iinfo(dtype).max * 2 - 1
    np.testing.assert_allclose(values.numpy(), expected, atol=2e-7)
    assert values.dtype == coordinates.dtype == torch.float32


def test_any_order_of_indices() -> None:
    signal, samples = picture((7, 9), 3)
    target = GridTarget(signal, samples)
    everything = target.at(torch.arange(63))
    index = torch.tensor([62, 0, 17, 17])
    for ours, all_of_them in zip(target.at(index), everything, strict=True):
        assert torch.equal(ours, all_of_them[index])


def test_read_only_and_strided_samples() -> None:
    signal, samples = picture((8, 6), 3)
    samples.flags.writeable = False
    flipped = GridTarget(signal, samples[::-1])
    assert torch.equal(flipped.at(torch.arange(6))[1], GridTarget(signal, samples).at(torch.arange(42, 48))[1])


@pytest.mark.parametrize(("shape", "channels"), SHAPES)
def test_values_between_samples_are_linear(shape: tuple[int, ...], channels: int) -> None:
    signal, samples = picture(shape, channels)
    places = torch.rand(300, len(shape), generator=torch.Generator().manual_seed(0))
    coordinates, values = GridTarget(signal, samples).between(places)
    positions = (places.numpy() * (np.array(shape) - 1)).T
    for channel in range(channels):
        plane = samples[..., channel] / 127.5 - 1
        expected = ndimage.map_coordinates(plane, positions, order=1, mode="nearest")
        np.testing.assert_allclose(values[:, channel], expected, atol=1e-5)
    expected = np.where(np.array(shape) > 1, 2 * places.numpy() - 1, 0)
    np.testing.assert_allclose(coordinates.numpy(), expected, atol=1e-6)


def test_cubic_values_between_samples() -> None:
    """Keys' cubic meets the samples, reproduces quadratics inside, and repeats the border."""
    axis = np.linspace(0, 1, 11)
    surface = (axis[:, None] ** 2 + axis[None] * 0.5) / 2
    signal = Signal(kind="image", shape=(11, 11), channels=1, depth=16)
    target = GridTarget(signal, np.rint(surface * 65535).astype(np.uint16))
    places = 0.1 + 0.8 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    _, values = target.between(places, "cubic")
    row, column = places.numpy().T
    np.testing.assert_allclose(values[:, 0], row**2 + column * 0.5 - 1, atol=1e-4)
    nodes = torch.tensor([[0.0, 0.0], [0.3, 0.7], [1.0, 1.0]])
    np.testing.assert_allclose(target.between(nodes, "cubic")[1], target.between(nodes)[1], atol=1e-4)
    linear = target.between(places)[1][:, 0].numpy()
    assert np.abs(linear - (row**2 + column * 0.5 - 1)).max() > 1e-3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("shape", "channels"), [row for row in SHAPES if len(row[0]) == 2])
def test_directed_values_are_linear_between_those_of_the_doubled_picture(
    shape: tuple[int, int], channels: int, dtype: Any
) -> None:
    signal, samples = picture(shape, channels, np.uint16 if dtype == np.float32 else dtype)
    levels = np.iinfo(samples.dtype).max
    plain = torch.from_numpy(samples / levels * 2 - 1)
    lattice = doubled(plain).clamp(-1, 1).numpy()
    if dtype == np.float32:
        target, fineness = GridTarget(signal, (samples / levels).astype(dtype)), 1e-5
    else:
        target, fineness = GridTarget(signal, samples), 1.001 / levels  # half a level of the two that there are
    places = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    coordinates, values = target.between(places, "directed")
    assert torch.equal(coordinates, target.between(places)[0])
    positions = (places.numpy() * (np.array(lattice.shape[:2]) - 1)).T
    for channel in range(channels):
        expected = ndimage.map_coordinates(lattice[..., channel], positions, order=1, mode="nearest")
        np.testing.assert_allclose(values[:, channel], expected, atol=fineness + 1e-5)


def test_the_doubled_picture_is_made_once_and_moves_along(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.Size] = []

    def counted(samples: Tensor) -> Tensor:
        made.append(samples.shape)
        return doubled(samples)

    monkeypatch.setattr(targets, "doubled", counted)
    target, places = GridTarget(*picture((7, 9), 3, np.uint16)), torch.rand(50, 2)
    first = target.between(places, "directed")[1]
    moved = target.to(torch.device("cpu"))
    for again in (target, moved):
        assert torch.equal(again.between(places, "directed")[1], first)
    assert made == [(7, 9, 3)]
    assert target.to(torch.device("meta")).between(places.to("meta"), "directed")[1].device.type == "meta"
    assert moved.fingerprint() == GridTarget(*picture((7, 9), 3, np.uint16)).fingerprint()


def test_directed_interpolation_is_for_pictures() -> None:
    for target in (GridTarget(*picture((4, 5, 6), 3)), volume("sdf"), volume("occupancy")):
        with pytest.raises(InputError, match=f"is for pictures.* {target.signal.kind}: use the linear or the cubic"):
            target.between(torch.zeros(1, 3), "directed")


def test_psnr_is_that_of_clipped_values() -> None:
    """The published protocol, by scikit-image: (y + 1) / 2 clipped to [0, 1], range 1, all channels together."""
    signal, samples = picture((40, 50), 3)
    target = GridTarget(signal, samples)

    def function(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0] * 1.5, x[:, 1], x.sum(1)], 1)

    x, _ = target.at(torch.arange(2000))
    ours = np.clip((function(x).numpy().reshape(40, 50, 3) + 1) / 2, 0, 1)
    expected = cast(Any, metrics).peak_signal_noise_ratio(samples / 255, ours, data_range=1)
    assert target.score(function)["psnr"] == pytest.approx(expected, abs=1e-4)


def test_score_of_a_perfect_field_is_finite() -> None:
    target = GridTarget(Signal(kind="image", shape=(4, 4), channels=1), np.full((4, 4), 255, np.uint8))
    assert 100 < target.score(lambda x: torch.ones(len(x), 1))["psnr"] < 1000


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [((4, 5), "u1", "image"), ((4, 5, 3), "i4", "image"), ((4, 5, 3), "u2", "image"), ((4, 4, 4), "u1", "occupancy")],
)
def test_other_samples_are_refused(shape: tuple[int, ...], dtype: str, kind: Any) -> None:
    own = (4, 5) if kind == "image" else (4, 4, 4)
    signal = Signal(kind=kind, shape=own, channels=3 if kind == "image" else 1)
    with pytest.raises(InputError):
        GridTarget(signal, np.full(shape, 2, dtype))


def ball(size: int = 20) -> NDArray[np.float64]:
    axis = np.linspace(-1, 1, size)
    distance: NDArray[np.float64] = np.sqrt(sum(np.meshgrid(axis**2, axis**2, axis**2))) - 0.6
    return distance


def volume(kind: Any, surface: float = 0.5) -> VolumeTarget:
    signal = Signal(
        kind=kind,
        shape=(20, 20, 20),
        channels=1,
        low=-0.2 if kind == "sdf" else 0,
        high=0.2 + 0.8 * (kind == "occupancy"),
    )
    return VolumeTarget(signal, ball() < 0 if kind == "occupancy" else ball(), surface=surface)


@pytest.mark.parametrize("kind", ["occupancy", "sdf"])
def test_half_of_the_draws_lie_at_the_surface(kind: str) -> None:
    target = volume(kind)
    coordinates, values = target.at(torch.arange(target.samples, target.count))
    assert target.count == pytest.approx(2 * target.samples, rel=0.1)
    near = (coordinates.square().sum(1).sqrt() - 0.6).abs()
    assert near.max() < 2 / 19 * 1.5
    assert {-1.0, 1.0} == set(values.sign().flatten().tolist())
    assert volume(kind, 0).count == 8000


def test_volumes_have_the_values_of_their_kind() -> None:
    _, values = volume("occupancy").at(torch.arange(8000))
    np.testing.assert_array_equal(values.numpy().reshape(20, 20, 20), np.where(ball() < 0, 1, -1))
    _, values = volume("sdf").at(torch.arange(8000))
    np.testing.assert_allclose(values.numpy().reshape(20, 20, 20), np.clip(ball() / 0.2, -1, 1), atol=1e-6)


@pytest.mark.parametrize(("kind", "sign"), [("occupancy", -1.0), ("sdf", 1.0)])
def test_intersection_over_union(kind: str, sign: float) -> None:
    """Of concentric balls it is the ratio of their volumes."""
    target = volume(kind)
    inner = target.score(lambda x: sign * (x.square().sum(1, keepdim=True).sqrt() - 0.4))["iou"]
    assert inner == pytest.approx((ball() < -0.2).sum() / (ball() < 0).sum(), abs=1e-9)
    same = target.score(lambda x: sign * (x.square().sum(1, keepdim=True).sqrt() - 0.6))["iou"]
    assert same == pytest.approx(1, abs=1e-3)


def test_cross_entropy_of_occupancies() -> None:
    target = volume("occupancy")
    output, values = torch.tensor([[0.5], [-0.5], [2.0]]), torch.tensor([[1.0], [1.0], [-1.0]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(4 * output, (values + 1) / 2, reduction="none")
    torch.testing.assert_close(target.errors(output, values), expected[:, 0])


def test_points_with_values() -> None:
    signal = Signal(kind="sdf", shape=(9, 9, 9), channels=1, low=-0.5, high=0.5)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    target = PointTarget(signal, points, points[:, 0])
    coordinates, values = target.at(torch.tensor([3, 4]))
    np.testing.assert_allclose(coordinates, points[[3, 4]], atol=1e-6)
    np.testing.assert_allclose(values[:, 0], np.clip(points[[3, 4], 0] * 2, -1, 1), atol=1e-6)
    assert target.score(lambda x: (2 * x[:, :1]).clamp(-1, 1) + 0.1)["mean_error"] == pytest.approx(0.05, abs=1e-6)
    assert PointTarget(signal, points, points[:, 0], measure=lambda _: {"iou": 0.25}).score(lambda x: x) == {
        "iou": 0.25
    }
    with pytest.raises(InputError):
        PointTarget(signal, points, points[:, :2])
    with pytest.raises(InputError):
        PointTarget(signal, points[:, :2], points[:, 0])
    with pytest.raises(InputError, match="between"):
        target.between(torch.zeros(1, 3))


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(get_args(Interpolation)))
@settings(max_examples=30, deadline=None)
def test_constants_stay_between_samples(rows: int, columns: int, interpolation: Interpolation) -> None:
    target = GridTarget(Signal(kind="image", shape=(rows, columns), channels=1), np.full((rows, columns), 51, np.uint8))
    corners = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]])
    torch.testing.assert_close(target.between(corners, interpolation)[1], torch.full((3, 1), -0.6))


def test_occupancies_of_points_have_the_cross_entropy_too() -> None:
    signal = Signal(kind="occupancy", shape=(9, 9, 9), channels=1)
    target = PointTarget(signal, np.zeros((2, 3)), np.array([0, 1]))
    output, (_, values) = torch.tensor([[0.5], [-0.5]]), target.at(torch.arange(2))
    assert values[:, 0].tolist() == [-1, 1]
    torch.testing.assert_close(target.errors(output, values), volume("occupancy").errors(output, values))


@pytest.mark.parametrize("value", [-1, 0.5, 2, np.nan])
def test_occupancies_are_zeros_and_ones(value: float) -> None:
    signal, samples = Signal(kind="occupancy", shape=(4, 4, 4), channels=1), np.zeros((4, 4, 4))
    samples[1, 2, 3] = 1
    assert GridTarget(signal, samples).at(torch.arange(64))[1].sum() == -62
    samples[0, 0, 0] = value
    with pytest.raises(InputError, match="0 and 1"):
        GridTarget(signal, samples)


def test_what_is_no_number_is_refused() -> None:
    signal = Signal(kind="sdf", shape=(4, 4, 4), channels=1, low=-1, high=1)
    samples, points = np.zeros((4, 4, 4)), np.zeros((5, 3))
    samples[0, 0, 0] = np.inf  # is cut off, as any distance
    assert VolumeTarget(signal, samples).at(torch.tensor([0]))[1].item() == 1
    samples[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="no number"):
        VolumeTarget(signal, samples)
    for coordinates, values in ((points, np.full(5, np.nan)), (np.full((5, 3), np.nan), np.zeros(5))):
        with pytest.raises(InputError, match="no number"):
            PointTarget(signal, coordinates, values)


def test_cubic_values_stay_within_what_a_model_gives() -> None:
    """Beside a step, Keys' cubic overshoots by a sixteenth of it, which no picture has."""
    signal = Signal(kind="image", shape=(1, 4), channels=1)
    target = GridTarget(signal, np.array([[[0], [0], [255], [255]]], np.uint8))
    values = target.between(torch.tensor([[0.0, 1 / 6], [0.0, 1 / 2], [0.0, 5 / 6]]), "cubic")[1]
    torch.testing.assert_close(values[:, 0], torch.tensor([-1.0, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_what_is_shown_of_a_mean_error() -> None:
    assert GridTarget(*picture((4, 5), 1)).live(4e-4) == pytest.approx(40)
    assert volume("occupancy").live(0.25) == 0.25
