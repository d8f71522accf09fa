"""Photos to train on: none of those held back is ever trained on, and a crop's two halves show the same place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morpho.errors import DataError, InputError, MorphoError
from morpho.images import imresize, psnr_y, read_photos
from morpho.upscale import corpus, reference
from morpho.upscale.corpus import Pair, Photo, crops, held_psnr, make_pairs, prepare, split, vary
from tests.images.samples import noise, png_file, smooth
from tests.upscale.photos import photo, photos, save_photos
from tests.upscale.synthetic import random_tables


def numbered(count: int, side: int = 8) -> list[Photo]:
    """Photos that hold nothing but their number."""
    return [np.full((side, side, 3), number, np.uint8) for number in range(count)]


def numbers(pairs: list[Pair]) -> set[int]:
    return {int(value) for pair in pairs for part in (pair.low, pair.high) for value in np.unique(part)}


# --- reading ---


def test_reads_folders_by_name_as_arrays_of_color(tmp_path: Path) -> None:
    save_photos(tmp_path / "b", 2, 9, 7)
    save_photos(tmp_path / "b" / "deeper", 3, 9, 7)
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    (tmp_path / "a").mkdir()
    Image.fromarray(smooth(5, 6, 4)).save(tmp_path / "a" / "alpha.png")
    Image.fromarray(smooth(5, 6)[..., 0]).save(tmp_path / "a" / "grey.PNG")
    read = read_photos([tmp_path / "b", str(tmp_path / "a")])
    assert [p.shape for p in read] == [(9, 7, 3), (9, 7, 3), (5, 6, 3), (5, 6, 1)]
    assert all(p.dtype == np.uint8 for p in read)
    np.testing.assert_array_equal(read[1], photo(1, 9, 7))
    np.testing.assert_array_equal(read[2], smooth(5, 6, 4)[..., :3])


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (None, b"", "is no folder"),
        ("notes.txt", b"hello", "holds no picture"),
        ("a.png", b"hello", "a photo of the set is unusable: .*a.png"),
        ("a.png", png_file(noise(5, 6, 3, dtype="uint16")), "a.png has 16 bits per channel: convert"),
    ],
)
def test_unusable_folders(tmp_path: Path, name: str | None, content: bytes, complaint: str) -> None:
    folder = tmp_path / "photos"
    if name:
        save_photos(folder, 0)
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        read_photos([folder])
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


# --- splitting and varying ---


@pytest.mark.parametrize(("count", "every"), [(40, 20), (41, 20), (10, 3), (5, 2), (3, 5), (0, 2)])
def test_every_photo_is_trained_on_or_held_back(count: int, every: int) -> None:
    train, held = split(numbered(count), held_every=every)
    parts = [{int(p[0, 0, 0]) for p in part} for part in (train, held)]
    assert len(train) + len(held) == count
    assert parts[0] | parts[1] == set(range(count))
    assert not parts[0] & parts[1]
    assert len(held) == count // every


def test_nothing_held_back_leaks_into_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even varied: the copies are made after the split."""
    monkeypatch.setattr(corpus, "vary", lambda photo, generator: photo + np.uint8(100))
    pairs, held = prepare(numbered(12), 2, variations=2, held_every=4, seed=0)
    assert numbers(held) == {3, 7, 11}
    kept = set(range(12)) - {3, 7, 11}
    assert numbers(pairs) == kept | {number + 100 for number in kept}
    assert len(pairs) == 9 * 3


def test_a_run_repeats_and_its_seed_matters() -> None:
    one, again, other = (prepare(photos(4, 20, 24), 2, variations=2, held_every=2, seed=seed) for seed in (0, 0, 1))
    for a, b in zip(one[0], again[0], strict=True):
        np.testing.assert_array_equal(a.low, b.low)
        np.testing.assert_array_equal(a.high, b.high)
    same = [np.array_equal(a.high, b.high) for a, b in zip(one[0], other[0], strict=True)]
    assert same == [True] * 2 + [False] * 4  # the photos themselves, then the copies
    assert not np.array_equal(one[0][2].high, one[0][4].high)  # two copies of one photo
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(a.high, b.high)


def test_too_few_photos_to_hold_one_back() -> None:
    with pytest.raises(InputError, match="3 photos are too few to hold out one in 4"):
        prepare(numbered(3), 2, variations=0, held_every=4, seed=0)
    with pytest.raises(MorphoError):
        prepare([], 2, variations=0, held_every=4, seed=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_variations_change_tones_and_shift_the_grid(channels: int) -> None:
    """Each tone becomes one tone, and their order stays or is turned round."""
    original = noise(30, 20, channels)
    before, changed, cuts = original.copy(), 0, set()
    for seed in range(20):
        varied = vary(original, np.random.default_rng(seed))
        np.testing.assert_array_equal(varied, vary(original, np.random.default_rng(seed)))
        assert (varied.ndim, varied.shape[2]) == (3, channels)
        assert varied.dtype == np.uint8
        top, left = 30 - varied.shape[0], 20 - varied.shape[1]
        cuts.add((top, left))
        kept = original[top:, left:]
        changed += not np.array_equal(varied, kept)
        for channel in range(channels):
            tones = dict(zip(kept[..., channel].flat, varied[..., channel].flat, strict=True))
            expected = np.vectorize(tones.__getitem__)(kept[..., channel])
            np.testing.assert_array_equal(varied[..., channel], expected)
            steps = np.diff([int(tones[level]) for level in sorted(tones)])
            assert (steps >= 0).all() or (steps <= 0).all()
    assert changed >= 19
    assert {top for top, _ in cuts} == {left for _, left in cuts} == {0, 1, 2, 3}
    np.testing.assert_array_equal(original, before)


def test_variations_of_the_smallest_photos() -> None:
    for height, width in ((1, 1), (2, 7), (3, 1)):
        shapes = [vary(noise(height, width, 3), np.random.default_rng(seed)).shape for seed in range(20)]
        assert all(0 < h <= height and 0 < w <= width for h, w, _ in shapes)


def test_variations_shrink_large_photos_within_bounds() -> None:
    for height, width, least in ((400, 600, 0.5), (200, 900, 0.79), (160, 300, 0.98)):
        ratios = []
        for seed in range(6):
            result = vary(np.zeros((height, width, 3), np.uint8), np.random.default_rng(seed))
            ratios.append(result.shape[0] / height)
            assert least - 0.02 <= ratios[-1] <= 1
            assert abs(result.shape[1] / width - ratios[-1]) < 0.03
        assert least > 0.9 or min(ratios) < 0.9


# --- pairs ---


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_pairs_are_the_protocols(scale: int) -> None:
    original = photo(0, 25, 34)
    (pair,) = make_pairs([original], scale)
    height, width = 25 // scale, 34 // scale
    assert (pair.low.shape, pair.high.shape) == ((3, height, width), (3, height * scale, width * scale))
    assert pair.low.flags.c_contiguous
    assert pair.high.flags.c_contiguous
    high = original[: height * scale, : width * scale]
    np.testing.assert_array_equal(pair.high, high.transpose(2, 0, 1))
    np.testing.assert_array_equal(pair.low, imresize(high, size=(height, width)).transpose(2, 0, 1))


def test_photos_smaller_than_the_scale_are_left_out() -> None:
    assert [p.low.shape for p in make_pairs([photo(0, 3, 40), photo(1, 4, 9), photo(2, 40, 2)], 4)] == [(3, 1, 2)]


def test_held_psnr_is_the_mean_over_pictures_of_luma_without_border() -> None:
    tables, pictures = random_tables(2, 2), photos(2, 40, 52)
    expected = [psnr_y(reference.upscale(imresize(p, size=(10, 13)), tables), p, border=4) for p in pictures]
    assert held_psnr(tables, make_pairs(pictures, 4)) == pytest.approx(np.mean(expected), abs=1e-9)


def test_sampled_pairs_are_whole_distinct_and_few() -> None:
    pairs = make_pairs(numbered(20), 2)
    drawn = corpus.sample(pairs, 5 * 192 - 10, np.random.default_rng(0))
    assert len(numbers(drawn)) == len(drawn) == 5
    assert numbers(drawn) != numbers(corpus.sample(pairs, 5 * 192, np.random.default_rng(1)))
    assert numbers(corpus.sample(pairs, 10**9, np.random.default_rng(0))) == set(range(20))


# --- crops ---


def tiled(height: int, width: int, scale: int, first: int = 0) -> Pair:
    """Every low pixel has a value of its own, and so have its children."""
    low = np.arange(first, first + height * width, dtype=np.uint8).reshape(1, height, width)
    return Pair(low, low.repeat(scale, 1).repeat(scale, 2))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_both_halves_of_a_crop_show_the_same_place(scale: int) -> None:
    low, high = crops([tiled(7, 11, scale)], 40, 5, np.random.default_rng(0))
    assert (low.shape, high.shape) == ((40, 3, 5, 5), (40, 3, 5 * scale, 5 * scale))
    assert low.dtype == high.dtype == np.uint8
    np.testing.assert_array_equal(low.repeat(scale, 2).repeat(scale, 3), high)
    window = low[0, 0] - low[0, 0, 0, 0]
    np.testing.assert_array_equal(low - low[:, :, :1, :1], np.broadcast_to(window, low.shape))
    assert window[[0, 1, 4], [1, 0, 4]].tolist() == [1, 11, 48]


def test_a_low_crop_is_a_part_of_the_shrunk_photo() -> None:
    (pair,) = make_pairs([photo(3, 40, 40)], 4)
    low, high = crops([pair], 6, 6, np.random.default_rng(0))
    for one, big in zip(low, high, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if np.array_equal(pair.low[:, y : y + 6, x : x + 6], one)]
        assert len(places) == 1
        y, x = 4 * np.array(places[0])
        np.testing.assert_array_equal(pair.high[:, y : y + 24, x : x + 24], big)


def test_every_place_is_equally_likely() -> None:
    """Of 6 + 2 places, in a large and a small photo; the one that is too small is never drawn."""
    pairs = [tiled(4, 5, 2), tiled(2, 90, 2, first=50), tiled(3, 4, 2, first=200)]
    low, _ = crops(pairs, 4000, 3, np.random.default_rng(0))
    places, counts = np.unique(low[:, 0, 0, 0], return_counts=True)
    assert places.tolist() == [0, 1, 2, 5, 6, 7, 200, 201]
    assert abs(counts - 500).max() < 100  # five standard deviations


def test_crops_repeat_with_their_generator() -> None:
    pairs = make_pairs(photos(2, 30, 40), 2)
    one, again, other = (crops(pairs, 3, 8, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(one[1], other[1])


def test_crops_larger_than_every_photo() -> None:
    with pytest.raises(DataError, match="no training photo has 9 pixels per side"):
        crops([tiled(8, 20, 2)], 1, 9, np.random.default_rng(0))
