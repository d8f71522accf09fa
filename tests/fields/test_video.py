"""Videos go into arrays and back; what is damaged, too large or no video is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.errors import InputError, OutputExistsError
from morpho.fields import video

pytest.importorskip("av")


def frames(count: int = 6, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A coloured wave that moves."""
    t, y, x = np.meshgrid(np.arange(count), np.arange(height), np.arange(width), indexing="ij")
    waves = [np.sin(x / 9 + t / 3), np.cos(y / 7 - t / 5), np.sin((x + y) / 12)]
    return np.stack([127.5 + 100 * wave for wave in waves], -1).astype(np.uint8)


def test_ffv1_loses_nothing(tmp_path: Path) -> None:
    video.write_video(tmp_path / "a.mkv", frames(), 25)
    read = video.read_video(tmp_path / "a.mkv")
    np.testing.assert_array_equal(read.frames, frames())
    assert (read.frame_rate, read.aspect) == (25.0, 1.0)
    assert read.signal.shape == (6, 48, 64) and read.signal.frame_rate == 25


@pytest.mark.parametrize(("height", "width"), [(48, 64), (47, 63)])
def test_h264_keeps_colours_rate_and_aspect(tmp_path: Path, height: int, width: int) -> None:
    original = frames(height=height, width=width)
    video.write_video(tmp_path / "a.mp4", original, 23.976, aspect=4 / 3, crf=8)
    read = video.read_video(tmp_path / "a.mp4")
    error = read.frames.astype(float) - original
    assert np.abs(error.mean((0, 1, 2))).max() < 0.6  # a wrong matrix or range is off by several grey levels
    assert error.std() < 3.5
    assert read.frame_rate == pytest.approx(23.976, abs=1e-3) and read.aspect == pytest.approx(4 / 3, rel=1e-2)


def test_h264_is_not_darker_than_the_frames(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(60, 200, (2, 48, 64, 1), np.uint8).repeat(3, 3)
    video.write_video(tmp_path / "a.mp4", noise, 25, crf=0)
    assert abs((video.read_video(tmp_path / "a.mp4").frames.astype(float) - noise).mean()) < 0.3


def test_a_range_of_frames_and_a_scale(tmp_path: Path) -> None:
    video.write_video(tmp_path / "a.mkv", frames(), 24)
    read = video.read_video(tmp_path / "a.mkv", start=1, stop=6, step=2, scale=0.5)
    means = frames()[1:6:2].reshape(3, 24, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(read.frames - means).max() <= 1
    assert read.frame_rate == 12


def test_grey_frames_are_written_as_grey(tmp_path: Path) -> None:
    video.write_video(tmp_path / "a.mkv", frames()[..., :1], 25)
    np.testing.assert_array_equal(video.read_video(tmp_path / "a.mkv").frames, np.repeat(frames()[..., :1], 3, 3))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])  # Matroska does not say how many frames there are
def test_more_than_the_memory_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    video.write_video(tmp_path / name, frames(), 25)
    monkeypatch.setattr(video, "_MOST_BYTES", 5 * 48 * 64 * 3)
    with pytest.raises(InputError, match="read fewer frames"):
        video.read_video(tmp_path / name)
    assert len(video.read_video(tmp_path / name, stop=5).frames) == 5


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    video.write_video(path, frames(), 25)
    content = path.read_bytes()
    for damaged in (b"", b"no video", content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="get it again"):
            video.read_video(path)
    with pytest.raises(InputError, match=r"none.mp4 does not exist: check the path"):
        video.read_video(tmp_path / "none.mp4")


@pytest.mark.parametrize("suffix", video.READ_SUFFIXES)
def test_lists_of_other_files_are_refused(tmp_path: Path, suffix: str) -> None:
    video.write_video(tmp_path / "other.mkv", frames(), 25)
    path = tmp_path / f"a{suffix}"
    path.write_text("ffconcat version 1.0\nfile other.mkv\n")
    with pytest.raises(InputError, match="cannot be read as a video"):
        video.read_video(path)
    path.write_bytes((tmp_path / "other.mkv").read_bytes())  # whatever a video is called, it is read
    assert len(video.read_video(path).frames) == len(frames())


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    video.write_video(path, frames(), 25)
    with pytest.raises(OutputExistsError):
        video.write_video(path, frames(), 25)
    with pytest.raises(InputError, match="it ends before"):
        video.read_video(path, start=99)
    with pytest.raises(InputError, match="count from 0"):
        video.read_video(path, start=3, stop=3)
    with pytest.raises(InputError, match="no frames"):
        video.write_video(tmp_path / "b.mkv", [], 25)
    with pytest.raises(InputError, match="let it end in"):
        video.write_video(tmp_path / "b.gif", frames(), 25)
    with pytest.raises(InputError, match="is no part"):
        video.write_video(tmp_path / "b.mkv", [frames()[0], frames()[0][:40]], 25)
    assert not (tmp_path / "b.mkv").exists()
