"""The literature's protocol, against scikit-image and the values that everybody prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from morpho.errors import DataError
from morpho.images import find_pictures, imresize
from morpho.upscale import Upscaler, reference
from morpho.upscale.evaluate import Quality, bicubic, evaluate
from tests.images.samples import noise, png_file
from tests.upscale.photos import photo, save_photos
from tests.upscale.synthetic import card, random_tables


def upscaler(*factors: int) -> Upscaler:
    return Upscaler(random_tables(*factors, symmetric=True), card("mine"))


def expected(enlarge: Any, pictures: list[Any], scale: int) -> tuple[float, float]:
    """The protocol once more, with metrics from outside."""
    scores = []
    for picture in pictures:
        height, width = (n // scale * scale for n in picture.shape[:2])
        high = picture[:height, :width]
        result = enlarge(imresize(high, size=(height // scale, width // scale)))
        a, b = (rgb2ycbcr(p)[..., 0] if p.shape[2] == 3 else p[..., 0].astype(float) for p in (high, result))
        inner = (slice(scale, -scale),) * 2
        ssim = structural_similarity(  # type: ignore[no-untyped-call]
            a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        psnr = peak_signal_noise_ratio(a[inner], b[inner], data_range=255)  # type: ignore[no-untyped-call]
        scores.append((psnr, ssim))
    means = np.mean(scores, axis=0)
    return float(means[0]), float(means[1])


@pytest.mark.parametrize("factors", [(2,), (3,), (2, 2)])
def test_equals_the_protocol_with_metrics_from_outside(tmp_path: Path, factors: tuple[int, ...]) -> None:
    folder = save_photos(tmp_path / "Some Set", 2, 41, 50)
    grey = photo(7, 33, 27)[..., :1]
    Image.fromarray(grey[..., 0]).save(folder / "grey.png")
    mine = upscaler(*factors)
    found = evaluate(mine, folder)
    pictures = [photo(0, 41, 50), photo(1, 41, 50), grey]
    psnr, ssim = expected(lambda low: reference.upscale(low, mine.tables), pictures, mine.scale)
    assert found.psnr_y == pytest.approx(psnr, abs=2e-3)
    assert found.ssim_y == pytest.approx(ssim, abs=1e-5)
    assert replace(found, psnr_y=0, ssim_y=0) == Quality(
        set="Some Set", images=3, psnr_y=0, ssim_y=0, bytes=mine.tables.nbytes, scale=mine.scale, model="mine"
    )


def test_bicubic_is_measured_alike(tmp_path: Path) -> None:
    folder = save_photos(tmp_path / "set", 2, 41, 50)
    found = bicubic(folder, 3)
    psnr, ssim = expected(
        lambda low: imresize(low, size=(3 * low.shape[0], 3 * low.shape[1])), [photo(i, 41, 50) for i in (0, 1)], 3
    )
    assert found.psnr_y == pytest.approx(psnr, abs=2e-3)
    assert found.ssim_y == pytest.approx(ssim, abs=1e-5)
    assert (found.model, found.bytes, found.scale, found.images) == ("bicubic", 0, 3, 2)


@pytest.mark.parametrize(("scale", "published"), [(2, 33.68), (3, 30.41), (4, 28.43)])
def test_bicubic_on_set5_as_published(data_root: Path, scale: int, published: float) -> None:
    folder = find_folder(data_root, "Set5")
    found = bicubic(folder, scale)
    assert (found.set, found.images) == ("Set5", 5)
    assert found.psnr_y == pytest.approx(published, abs=0.011)


def find_folder(data_root: Path, name: str) -> Path:
    folder = data_root / "sr" / "test" / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return folder


def test_numbers_for_json_are_rounded() -> None:
    quality = Quality(set="s", images=1, psnr_y=30.123456, ssim_y=0.87654321, bytes=9, scale=4, model="m")
    assert json.loads(json.dumps(quality.as_dict())) == {
        "set": "s", "images": 1, "psnr_y": 30.1235, "ssim_y": 0.87654, "bytes": 9, "scale": 4, "model": "m"
    }  # fmt: skip


def test_pictures_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", ".DS_Store"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "deeper.png").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.JPG", "b.png"]


def test_a_set_may_be_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_photos(tmp_path / "Set1", 1, 20, 20)
    monkeypatch.chdir(tmp_path / "Set1")
    assert bicubic(".", 2).set == "Set1"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (None, b"", "is no folder: give a folder"),
        ("notes.txt", b"hello", "holds no picture"),
        ("a.png", b"hello", "a photo of the set is unusable: .*a.png"),
        ("a.png", png_file(noise(40, 40, 3, dtype="uint16")), "a.png has 16 bits per channel"),
    ],
)
def test_unusable_sets(tmp_path: Path, name: str | None, content: bytes, complaint: str) -> None:
    folder = tmp_path / "set"
    if name:
        save_photos(folder, 0)
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        bicubic(folder, 4)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("scale", "least"), [(2, 12), (3, 12), (4, 12)])
def test_pictures_too_small_for_the_window(tmp_path: Path, scale: int, least: int) -> None:
    """SSIM needs eleven pixels after cropping to a multiple of the scale."""
    folder = save_photos(tmp_path / "set", 1, least, 40)
    assert np.isfinite(bicubic(folder, scale).psnr_y)
    save_photos(folder, 1, 40, least - 2)
    with pytest.raises(DataError, match=f"00.png is {least - 2}x40, too small to measure: leave it out"):
        bicubic(folder, scale)
