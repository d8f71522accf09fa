"""``morpho demo``: the first thing that a new user sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from morpho.artifacts import shipped
from morpho.cli.app import main
from morpho.images import psnr_y, read, sample
from morpho.upscale import Upscaler
from tests.upscale.synthetic import save_tables

Capture = pytest.CaptureFixture[str]
NAMES = ["after.png", "before-after.png", "before.png", "close-up.png"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that ships synthetic tables."""
    save_tables(tmp_path / "weights", 2, 2, name="hklut-s-x4")
    monkeypatch.setattr("morpho.artifacts.store._WEIGHTS", tmp_path / "weights")


@pytest.mark.usefixtures("installed")
def test_four_pictures_and_a_table_of_timings(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    folder = tmp_path / "morpho-demo"
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    photo, upscaler = sample(), Upscaler.load("hklut-s", scale=4)
    np.testing.assert_array_equal(read(folder / "before.png").pixels, photo.pixels)
    after = read(folder / "after.png")
    np.testing.assert_array_equal(after.pixels, upscaler(photo.pixels))
    sheet, close_up = read(folder / "before-after.png"), read(folder / "close-up.png")
    assert sheet.height >= after.height
    assert sheet.width >= 2 * after.width
    assert (close_up.height < sheet.height, close_up.width < sheet.width) == (True, True)
    # The right half is morpho's.
    np.testing.assert_array_equal(sheet.pixels[-after.height :, -after.width :], after.pixels)
    assert "256x256 to 1024x1024, RGB" in captured.out
    assert "tables: hklut-s-x4, 100.0 KiB" in captured.out
    for name in NAMES:
        assert str(Path("morpho-demo") / name) in captured.out
    for method in ("morpho hklut-s-x4", "Pillow bicubic", "NumPy twin"):
        assert method in captured.out


@pytest.mark.usefixtures("installed")
def test_into_another_folder_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from morpho.upscale import bench

    def one_run(*arguments: object, **options: object) -> list[bench.Timing]:
        return [bench.Timing(method="Pillow bicubic", threads=1, milliseconds=1.0, fastest=1.0, runs=1)]

    monkeypatch.setattr(bench, "timings", one_run)
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
