"""Pairs are found and measured, against scikit-image; the controls do what their names say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from morpho.enhance.controls import CONTROLS, autocontrast, clahe, fixed_lut, grey_world, unchanged
from morpho.enhance.corpus import Pair, Photo
from morpho.enhance.evaluate import Quality, evaluate, mean, score
from morpho.errors import DataError, InputError
from morpho.luts import Engine
from tests.images.samples import noise, png_file, smooth


def darker(photo: Photo) -> Photo:
    return (0.6 * photo + [10, 5, 0]).astype(np.uint8)


def colors(seed: int, height: int = 40, width: int = 50) -> Photo:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(folder: Path, name: str, photo: Any) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(photo).save(folder / name)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three pairs, of different sizes and formats; the inputs are too dark."""
    left, right = tmp_path / "in", tmp_path / "out"
    for name, photo in (("b", smooth(20, 30)), ("a", colors(1, 17, 12)), ("c", smooth(11, 11))):
        save(left, f"{name}.png", darker(photo))
        save(right, f"{name}.{'bmp' if name == 'a' else 'png'}", photo)
    return left, right


def expected(result: Photo, target: Photo) -> tuple[float, float, float]:
    """By scikit-image."""
    similar = structural_similarity(  # type: ignore[no-untyped-call]
        result,
        target,
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    difference = deltaE_ciede2000(rgb2lab(result), rgb2lab(target)).mean()  # type: ignore[no-untyped-call]
    return peak_signal_noise_ratio(target, result), similar, difference  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("method", [unchanged, autocontrast])
def test_means_over_pictures_by_metrics_from_outside(folders: tuple[Path, Path], method: Any) -> None:
    found = evaluate(method, *folders)
    targets = [colors(1, 17, 12), smooth(20, 30), smooth(11, 11)]
    psnr, ssim, delta_e = np.mean([expected(method(darker(t)), t) for t in targets], axis=0)
    assert found.pairs == 3
    assert found.psnr == pytest.approx(psnr, abs=1e-6)
    assert found.ssim == pytest.approx(ssim, abs=1e-5)
    assert found.delta_e == pytest.approx(delta_e, abs=5e-3)


def test_more_pixels_than_are_compared_at_a_time() -> None:
    target = colors(0, 150, 160)
    found = score(darker(target), target)
    assert (found.psnr, found.ssim) == pytest.approx(expected(darker(target), target)[:2], abs=1e-5)
    assert found.delta_e == pytest.approx(expected(darker(target), target)[2], abs=5e-3)


def test_an_enhancer_is_a_method(folders: tuple[Path, Path]) -> None:
    from morpho.enhance import Enhancer
    from tests.enhance.synthetic import brightening, card

    assert evaluate(Enhancer(brightening(), card()), *folders).psnr > evaluate(unchanged, *folders).psnr + 2


def test_equal_pictures(folders: tuple[Path, Path]) -> None:
    found = evaluate(unchanged, folders[1], folders[1])
    assert (found.psnr, found.ssim, found.delta_e) == (math.inf, 1.0, 0.0)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False)) == {
        "pairs": 3,
        "psnr": None,
        "ssim": 1.0,
        "delta_e": 0.0,
    }


def test_numbers_for_json_are_rounded() -> None:
    quality = Quality(pairs=2, psnr=23.456789, ssim=0.87654321, delta_e=9.876543)
    assert quality.as_dict() == {"pairs": 2, "psnr": 23.4568, "ssim": 0.87654, "delta_e": 9.8765}


def test_grey_counts_as_rgb(tmp_path: Path) -> None:
    save(tmp_path / "in", "a.png", smooth(12, 12)[..., 0])
    save(tmp_path / "out", "a.png", smooth(12, 12)[..., :1].repeat(3, axis=2))
    assert evaluate(unchanged, tmp_path / "in", tmp_path / "out").delta_e == 0


@pytest.mark.parametrize(
    ("folder", "name", "photo", "complaint"),
    [
        ("in", "d.png", smooth(20, 20), r"in/d.png has no partner in .*out"),
        ("out", "d.png", smooth(20, 20), r"out/d.png has no partner in .*in"),
        ("in", "a.bmp", smooth(20, 20), r"a.png and .*a.bmp have the same name|a.bmp and .*a.png have the same name"),
        ("out", "b.png", smooth(21, 30), r"in/b.png and .*out/b.png have the sizes 30x20 and 30x21"),
    ],
)
def test_pairs_that_do_not_match(
    folders: tuple[Path, Path], folder: str, name: str, photo: Photo, complaint: str
) -> None:
    save(folders[0].parent / folder, name, photo)
    with pytest.raises(DataError, match=complaint) as caught:
        evaluate(unchanged, *folders)
    assert "\n" not in str(caught.value)


def test_folders_that_cannot_be_measured(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is no folder"):
        evaluate(unchanged, tmp_path / "nowhere", folders[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no picture"):
        evaluate(unchanged, folders[0], tmp_path / "empty")
    for folder in folders:
        save(folder, "small.png", smooth(40, 10))
    with pytest.raises(DataError, match=r"in/small.png is 10x40, too small to measure"):
        evaluate(unchanged, *folders)
    (folders[0] / "small.png").write_bytes(png_file(noise(40, 40, 3, dtype="uint16")))
    with pytest.raises(DataError, match=r"small.png has 16 bits per channel"):
        evaluate(unchanged, *folders)
    with pytest.raises(DataError, match="there is no pair to measure"):
        mean([])


def test_input_of_the_shared_pairs(data_root: Path) -> None:
    """The number of the data's own description."""
    folder = data_root / "enhance" / "fivek_pairs"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    found = evaluate(unchanged, folder / "input", folder / "expertC")
    assert (found.pairs, round(found.psnr, 2)) == (16, 19.83)


# --- controls ---


def test_names_of_the_controls() -> None:
    assert list(CONTROLS) == ["input", "autocontrast", "autocontrast-1", "clahe", "grey-world"]


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize(
    "photo", [smooth(13, 17), colors(0), np.zeros((9, 9, 3), np.uint8)], ids=["smooth", "noise", "black"]
)
def test_controls_return_pictures_and_leave_the_input_alone(name: str, photo: Photo) -> None:
    before = photo.copy()
    frozen = photo.view()
    frozen.setflags(write=False)
    result = CONTROLS[name](frozen)
    assert result.shape == photo.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(photo, before)


def test_input_is_the_input() -> None:
    np.testing.assert_array_equal(CONTROLS["input"](colors(0)), colors(0))


def test_autocontrast_stretches_each_channel() -> None:
    ramp = np.linspace(0, 1, 101)[None, :, None]
    photo = np.rint([50, 20, 0] + ramp * [100, 30, 255]).astype(np.uint8)
    result = autocontrast(photo)
    assert result.reshape(-1, 3).min(axis=0).tolist() == [0, 0, 0]
    assert result.reshape(-1, 3).max(axis=0).tolist() == [255, 255, 255]
    np.testing.assert_allclose(result[0, :, 0], 255 * ramp[0, :, 0], atol=2)


def test_the_cutoff_is_in_percent() -> None:
    photo = np.full((10, 20, 3), 100, np.uint8)
    photo[0, 0], photo[0, 1] = 0, 255  # half a percent each
    photo[5:] = 150
    assert set(CONTROLS["autocontrast-1"](photo)[1:].ravel().tolist()) == {0, 255}
    assert set(CONTROLS["autocontrast"](photo)[1:].ravel().tolist()) == {100, 150}


def test_clahe_raises_contrast_and_keeps_hues() -> None:
    photo = ((100 + 40 * smooth(128, 128)[..., :1] / 255.0) * [1.0, 0.9, 0.8]).astype(np.uint8)
    result = clahe(photo)
    assert result.std() > 1.5 * photo.std()
    np.testing.assert_allclose(result / result[..., :1], np.broadcast_to([1.0, 0.9, 0.8], photo.shape), atol=0.03)
    grey = clahe(smooth(64, 64)[..., :1].repeat(3, axis=2))
    assert np.ptp(grey, axis=2).max() <= 1


def test_grey_world_takes_a_cast_away_in_linear_light() -> None:
    """A picture of greys under a coloured light, made in linear light: the greys come back, and their mean light."""

    def encode(light: Any) -> Photo:
        value = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
        encoded: Photo = np.rint(255 * value).astype(np.uint8)
        return encoded

    light = np.random.default_rng(0).uniform(0.05, 0.6, (40, 40, 1))
    cast = encode(light * [1.3, 1.0, 0.7])
    result = grey_world(cast)
    assert np.ptp(result.astype(int), axis=2).max() <= 2
    np.testing.assert_allclose(result.astype(int), encode(light).repeat(3, axis=2), atol=2)
    assert np.ptp(cast.astype(int), axis=2).max() > 40


def test_grey_world_leaves_greys_alone() -> None:
    grey = smooth(20, 20)[..., :1].repeat(3, axis=2)
    assert np.abs(grey_world(grey).astype(int) - grey).max() <= 1
    black = np.zeros((4, 4, 3), np.uint8)
    np.testing.assert_array_equal(grey_world(black), black)


def look(photo: Photo) -> Photo:
    """A smooth look that mixes the channels."""
    x = photo / 255
    mixed = x @ np.array([[0.9, 0.1, 0.0], [0.0, 0.85, 0.1], [0.05, 0.0, 0.9]])
    looked: Photo = np.rint(255 * np.clip(mixed**0.8, 0, 1)).astype(np.uint8)
    return looked


def test_a_fixed_look_is_found() -> None:
    pairs = [Pair(str(i), colors(i, 80, 90), look(colors(i, 80, 90))) for i in range(3)]
    lut = fixed_lut(pairs, nodes=17, smoothness=1e-5)
    unseen = colors(9)
    assert score(Engine(lut)(unseen), look(unseen)).psnr > 40
    assert score(unseen, look(unseen)).psnr < 25


def test_the_mean_is_found_where_pairs_contradict_each_other() -> None:
    photo = smooth(30, 30)
    pairs = [Pair("a", photo, photo // 2), Pair("b", photo, photo // 2 + 40)]
    result = Engine(fixed_lut(pairs, nodes=9, smoothness=1e-6))(photo)
    assert np.abs(result.astype(int) - (photo // 2 + 20)).max() <= 3


def test_greys_alone_are_enough_for_a_curve_and_the_rest_stays_calm() -> None:
    """Colours that no pair has: continued smoothly from those that are there."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    lut = fixed_lut([Pair("a", grey, grey)], nodes=9)
    np.testing.assert_array_equal(Engine(lut)(colors(0)), colors(0))


def test_least_squares_to_the_letter() -> None:
    """A small problem, solved densely from its formula."""
    nodes, smoothness, ridge = 4, 1e-3, 1e-4
    pair = Pair("a", colors(0, 5, 6), colors(1, 5, 6))
    position = pair.input.reshape(-1, 3) / 255 * (nodes - 1)
    axis = np.arange(nodes)
    hats = np.maximum(0, 1 - np.abs(position[:, :, None] - axis))
    weights = np.einsum("pi,pj,pk->pijk", hats[:, 0], hats[:, 1], hats[:, 2]).reshape(len(position), -1)
    lattices = np.eye(nodes**3).reshape(nodes, nodes, nodes, -1)
    bends = np.concatenate([np.diff(lattices, 2, axis=i).reshape(-1, nodes**3) for i in range(3)])
    normal = weights.T @ weights / len(position) + smoothness * bends.T @ bends + ridge * np.eye(nodes**3)
    change = np.linalg.solve(normal, weights.T @ ((pair.target.astype(float) - pair.input).reshape(-1, 3) / 255) / 30)
    lattice = fixed_lut([pair], nodes=nodes, smoothness=smoothness, ridge=ridge).lattice
    assert lattice is not None
    identity = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1) / (nodes - 1)
    np.testing.assert_allclose(lattice - identity, change.reshape(lattice.shape), atol=2e-3)


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(DataError, match="there is no pair to fit a table to"):
        fixed_lut([])
    for options in ({"nodes": 2}, {"nodes": 66}, {"ridge": 0.0}, {"smoothness": -1.0}, {"ridge": math.nan}):
        with pytest.raises(InputError, match="nodes must be 3 to 65"):
            fixed_lut([Pair("a", colors(0), colors(0))], **options)
