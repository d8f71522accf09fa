"""``morpho demo``: the first thing that a new user sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from morpho.artifacts import shipped
from morpho.cli.app import main
from morpho.cli.demo import spoiled
from morpho.enhance import Enhancer
from morpho.enhance.evaluate import score
from morpho.images import psnr_y, read, sample
from morpho.upscale import Upscaler
from tests.enhance.synthetic import save_tables as save_enhancer
from tests.upscale.synthetic import save_tables

Capture = pytest.CaptureFixture[str]
NAMES = ["after.png", "before-after.png", "before.png", "close-up.png", "enhanced.png"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that ships synthetic tables."""
    save_tables(tmp_path / "weights", 2, 2, name="hklut-s-x4")
    save_enhancer(tmp_path / "weights")
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path / "weights")


@pytest.mark.usefixtures("installed")
def test_pictures_and_a_table_of_timings(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    folder = tmp_path / "morpho-demo"
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    dark, upscaler = spoiled(sample()).pixels, Upscaler.load("hklut-s", scale=4)
    np.testing.assert_array_equal(read(folder / "before.png").pixels, dark)
    enhanced, after = read(folder / "enhanced.png").pixels, read(folder / "after.png")
    np.testing.assert_array_equal(enhanced, Enhancer.load()(dark))
    np.testing.assert_array_equal(after.pixels, upscaler(enhanced))
    sheet, close_up = read(folder / "before-after.png"), read(folder / "close-up.png")
    assert (sheet.height, sheet.width) == (1024, 1024 + 3 + 1024)
    assert (close_up.height < sheet.height, close_up.width < sheet.width) == (True, True)
    # The left half is the dark photo, the right half is morpho's.
    np.testing.assert_array_equal(sheet.pixels[:, -1024:], after.pixels)
    assert abs(sheet.pixels[:, :1024].mean() - dark.mean()) < 1
    assert close_up.pixels[:, : 4 * 130].mean() < close_up.pixels[:, -4 * 130 :].mean() - 20
    assert "256x256 enhanced, then upscaled to 1024x1024, RGB" in captured.out
    assert "tables: icelut, " in captured.out
    assert "hklut-s-x4, 100.0 KiB" in captured.out
    for name in NAMES:
        assert str(Path("morpho-demo") / name) in captured.out
    ways = [" ".join(line.split()[:3]) for line in captured.out.splitlines()]
    for way in (
        "enhance morpho icelut,",
        "enhance Pillow autocontrast",
        "upscale morpho hklut-s-x4,",
        "upscale Pillow bicubic",
    ):
        assert way in ways


def test_the_spoiled_photo_is_dark_and_yellow_and_nothing_is_lost() -> None:
    photo, dark = sample().pixels, spoiled(sample()).pixels
    means = dark.reshape(-1, 3).mean(axis=0)
    assert dark.mean() < 0.6 * photo.mean()
    assert means[0] > means[1] > means[2]
    for channel in range(3):
        levels = len(np.unique(dark[..., channel]))
        assert levels > 0.4 * len(np.unique(photo[..., channel]))
        assert dark[..., channel].max() < 200


@pytest.mark.usefixtures("installed")
def test_into_another_folder_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_run(*arguments: object, **options: object) -> list[object]:
        return []

    monkeypatch.setattr("morpho.upscale.bench.timings", no_run)
    monkeypatch.setattr("morpho.enhance.bench.timings", no_run)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("kept")
    (folder / "after.png").write_bytes(b"of an earlier demo")
    assert main(["demo", "-o", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [*NAMES, "mine.txt"]
    assert read(folder / "after.png").height == 1024


def test_without_tables(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path)
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "demo").exists()


def test_shipped_tables_beat_bicubic_on_the_sample() -> None:
    """Not its own pixels: a photograph that no training has seen, shrunk four times."""
    from morpho.images import imresize

    if not shipped("hklut-s-x4"):
        pytest.skip("no tables are shipped yet")
    photo = sample().pixels
    low = imresize(photo, size=(64, 64))
    control = psnr_y(imresize(low, size=(256, 256)), photo, border=4)
    assert psnr_y(Upscaler.load("hklut-s-x4")(low), photo, border=4) > control + 0.5


def test_the_shipped_enhancer_brings_the_spoiled_sample_nearer_to_the_photo() -> None:
    if not shipped("icelut"):
        pytest.skip("no tables are shipped yet")
    photo, dark = sample().pixels, spoiled(sample()).pixels
    before, after = score(dark, photo), score(Enhancer.load()(dark), photo)
    assert after.psnr > before.psnr + 2
    assert after.delta_e < 0.8 * before.delta_e
