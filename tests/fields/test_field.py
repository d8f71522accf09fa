"""Fields as functions, pictures, frames and volumes: the same numbers whichever way they are asked for."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morpho.errors import InputError
from morpho.fields.arrays import NUMPY
from morpho.fields.field import Field
from morpho.fields.model import Scone
from morpho.fields.quantise import widths
from morpho.fields.signal import Signal
from tests.fields.small import CARD, PICTURE, SHAPE, VIDEO, field


def _points(signal: Signal, sizes: tuple[int, ...] | None = None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack(np.meshgrid(*signal.coordinates(sizes), indexing="ij"), -1)


def test_values_have_the_signals_units() -> None:
    shape = field(signal=SHAPE)
    points = np.random.default_rng(0).uniform(-1, 1, (2, 7, 3))
    tensors = {name: value.astype(np.float64) for name, value in shape.tensors.items()}
    outputs = shape.model.apply(NUMPY, tensors, points.reshape(-1, 3)).reshape(2, 7, 1)
    np.testing.assert_allclose(shape(points), outputs * 0.5, rtol=1e-12)
    assert shape(points.astype(np.float32)).dtype == np.float32


def test_torch_agrees_and_is_differentiable() -> None:
    picture = field()
    points = torch.tensor(np.random.default_rng(0).uniform(-1, 1, (11, 2)), requires_grad=True)
    values = picture(points)
    np.testing.assert_allclose(values.detach().numpy(), picture(points.detach().numpy()), atol=1e-12)
    (slope,) = torch.autograd.grad(values[:, 0].sum(), points)
    step = 1e-5
    for axis in range(2):
        shift, here = step * np.eye(2)[axis], points.detach().numpy()
        rise = picture(here + shift)[:, 0] - picture(here - shift)[:, 0]
        np.testing.assert_allclose(slope[:, axis].numpy(), rise / (2 * step), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own, in jacfwd
def test_functional_transforms_of_the_coordinates() -> None:
    picture = field()
    points = torch.tensor(np.random.default_rng(0).uniform(-1, 1, (5, 2)))
    mapped = torch.func.vmap(lambda point: picture(point[None])[0])(points)
    np.testing.assert_allclose(mapped.numpy(), picture(points.numpy()), atol=1e-12)
    slopes = [
        torch.func.vmap(way(lambda point: picture(point[None])[0]))(points)
        for way in (torch.func.jacfwd, torch.func.jacrev)
    ]
    assert slopes[0].shape == (5, 3, 2)
    torch.testing.assert_close(*slopes)


def test_whole_coordinates_are_coordinates() -> None:
    corners = np.array([[-1, 1], [0, 1]])
    values = field()(torch.from_numpy(corners))
    assert values.dtype == torch.float32
    np.testing.assert_allclose(values, field()(corners), atol=1e-4)


def test_no_points_and_single_points() -> None:
    assert field()(np.zeros((0, 2), np.float32)).shape == (0, 3)
    assert field()(np.zeros(2)).shape == (3,)


@pytest.mark.parametrize("shape", [(), (3,), (4, 3)])
def test_points_of_other_dimensions_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"this field needs \(..., 2\)"):
        field()(np.zeros(shape))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("threads", [1, 2])
def test_render_rounds_the_values_at_the_samples(depth: int, threads: int) -> None:
    picture = field(signal=replace(PICTURE, depth=depth), gain=3)
    pixels, peak = picture.render(threads=threads), 2**depth - 1
    values = picture(_points(picture.signal)) * peak
    assert pixels.dtype == (np.uint8 if depth == 8 else np.uint16)
    assert pixels.min() == 0 and pixels.max() == peak  # it clips
    assert np.abs(pixels - np.clip(values, 0, peak)).max() < 0.5 + 1e-4 * peak


@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70))
def test_smaller_pixels_are_means_of_places(height: int, width: int) -> None:
    picture = field()
    places = min(-(-20 // height), 16), min(-(-30 // width), 16)
    fine = picture(_points(PICTURE, (height * places[0], width * places[1])))
    means = fine.reshape(height, places[0], width, places[1], 3).mean((1, 3))
    wanted = np.clip(means * 255, 0, 255)
    assert np.abs(picture.render((height, width)) - wanted).max() < 0.51


@settings(max_examples=40)
@given(st.data())
def test_a_crop_is_a_part_of_the_whole(data: st.DataObject) -> None:
    picture = field()
    size = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    top, left = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    height, width = data.draw(st.integers(1, size[0] - top)), data.draw(st.integers(1, size[1] - left))
    whole, part = picture.render(size).astype(int), picture.render(size, (top, left, height, width))
    # A point's place among others may change the last bit of a matrix product, and with it a rounding.
    assert np.abs(whole[top : top + height, left : left + width] - part).max() <= 1
    assert part.shape == (height, width, 3)


@pytest.mark.parametrize(
    ("size", "crop", "match"),
    [
        ((0, 5), None, "no size"),
        ((5, -1), None, "no size"),
        (None, (0, 0, 0, 5), "empty"),
        (None, (0, 28, 5, 3), "not within"),
        (None, (-1, 0, 5, 3), "not within"),
        ((2**20, 2**20), None, "too large"),
    ],
)
def test_impossible_pictures_are_refused(
    size: tuple[int, int] | None, crop: tuple[int, int, int, int] | None, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        field().render(size, crop)


def test_absurd_signals_are_refused_when_rendered_but_parts_of_them_are_not() -> None:
    huge = field(signal=replace(PICTURE, shape=(2**31, 2**31)))
    with pytest.raises(InputError, match="too large"):
        huge.render()
    assert huge.render((3, 4)).shape == (3, 4, 3)


def test_frames() -> None:
    video = field(signal=VIDEO)
    frames = list(video.frames())
    wanted = np.clip(video(_points(VIDEO)) * 255, 0, 255)
    assert len(frames) == 5 and np.abs(np.stack(frames) - wanted).max() < 0.51
    between = video.frame(1.5, (16, 24))
    points = _points(VIDEO, (5, 16, 24))[0]
    points[..., 0] = -0.25  # a quarter of the way from the middle to the start
    assert np.abs(between - np.clip(video(points) * 255, 0, 255)).max() < 0.51


@pytest.mark.parametrize("time", [-0.1, 4.1, np.nan])
def test_frames_beyond_the_ends_are_refused(time: float) -> None:
    with pytest.raises(InputError, match="the video has the frames 0 to 4"):
        field(signal=VIDEO).frame(time)


def test_a_frame_of_an_endless_video_takes_no_more_memory_than_of_any() -> None:
    """Files come from anywhere, and may say 2^31 frames."""
    video = field(signal=replace(VIDEO, shape=(2**24, 8, 12)))
    video.frame(3)  # compiled before it is measured
    tracemalloc.start()
    assert video.frame(2**24 - 1).shape == (8, 12, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_volume() -> None:
    shape = field(signal=SHAPE)
    axis = np.linspace(-1, 1, 9)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    np.testing.assert_allclose(shape.volume(9), shape(points)[..., 0], atol=1e-5)
    with pytest.raises(InputError, match="choose 2 to 1024"):
        shape.volume(1025)


def test_an_oblong_volume_keeps_its_voxels() -> None:
    oblong = field(signal=replace(SHAPE, shape=(12, 6, 3)))
    assert oblong.volume().shape == (12, 6, 3)
    assert oblong.volume(23).shape == (23, 11, 5)
    np.testing.assert_allclose(oblong.volume(23)[::2, ::2, ::2], oblong.volume(), atol=1e-5)
    with pytest.raises(InputError, match="too large"):
        field(signal=replace(SHAPE, shape=(2**20, 2**20, 2))).volume()


def test_other_kinds_are_refused() -> None:
    for wrong in (field().volume, lambda: field().frame(0), field().frames, field(signal=SHAPE).render):
        with pytest.raises(InputError, match="this field is of the kind"):
            wrong()


def test_quantised() -> None:
    picture = field()
    coarse = picture.quantised(6)
    assert coarse.scales is not None and coarse.quantised(6) is coarse and coarse.quantised(8) is coarse
    assert coarse.quantised(5) is not coarse
    for name, width in widths(picture.shapes, 6).items():
        levels = coarse.tensors[name] / coarse.scales[name]
        assert np.array_equal(levels, np.rint(levels)) and np.abs(levels).max() <= 2 ** (width - 1) - 1
    errors = [np.abs(picture.quantised(bits)(np.zeros((1, 2))) - picture(np.zeros((1, 2)))).max() for bits in (4, 12)]
    assert errors[1] < errors[0] / 20


def test_what_does_not_fit_the_model_is_refused() -> None:
    model, tensors = Scone(width=24), field().tensors
    with pytest.raises(InputError, match="the model needs the tensors"):
        Field(PICTURE, model, {k: v for k, v in tensors.items() if k != "head.bias"}, CARD)
    with pytest.raises(InputError, match="has the shape"):
        Field(PICTURE, model, tensors | {"head.bias": np.zeros(4, np.float32)}, CARD)
    with pytest.raises(InputError, match="no number"):
        Field(PICTURE, model, tensors | {"head.bias": np.array([0, np.inf, 0], np.float32)}, CARD)
    with pytest.raises(InputError, match="no multiples of the step size"):
        Field(PICTURE, model, tensors, CARD, scales=dict.fromkeys(tensors, 0.5))
    with pytest.raises(InputError, match=r"no multiples of the step size 0\.0"):
        Field(PICTURE, model, tensors, CARD, scales={})


def test_weights_beyond_all_bounds_render_without_a_warning() -> None:
    tensors = {name: np.full_like(value, 3e38) for name, value in field().tensors.items()}
    assert Field(PICTURE, Scone(width=24), tensors, CARD).render().shape == (20, 30, 3)
