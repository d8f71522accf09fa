"""Volumes from files of anywhere, resampled as published, and their signed distances."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from morpho.errors import InputError
from morpho.fields import volumes

scipy_io = pytest.importorskip("scipy.io")


def ball(size: int = 24, radius: float = 0.6) -> NDArray[np.bool_]:
    axis = np.linspace(-1, 1, size)
    return np.asarray(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < radius**2)


def mat(**arrays: object) -> bytes:
    file = io.BytesIO()
    scipy_io.savemat(file, arrays, do_compression=True)
    return file.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def test_all_forms_hold_the_same(tmp_path: Path) -> None:
    volume = ball()[:, :20]
    np.save(tmp_path / "a.npy", volume)
    np.savez_compressed(tmp_path / "b.npz", volume.astype(np.float32))
    (tmp_path / "c.mat").write_bytes(mat(hypercube=255 * volume.astype(np.uint8), other=volume))
    (tmp_path / "d.mat.zip").write_bytes(zipped("x.mat", mat(anything=volume.astype(float), n=3.0)))
    for name in ("a.npy", "b.npz", "c.mat", "d.mat.zip"):
        np.testing.assert_array_equal(volumes.read_volume(tmp_path / name), volume)


def test_key_and_level(tmp_path: Path) -> None:
    axis = np.linspace(0, 1, 8) * np.ones((8, 8, 8))
    np.savez(tmp_path / "two.npz", a=axis, b=1 - axis)
    with pytest.raises(InputError, match=r"several volumes \(a, b\)"):
        volumes.read_volume(tmp_path / "two.npz")
    assert volumes.read_volume(tmp_path / "two.npz", key="b", level=0.8)[0, 0].sum() == 2
    with pytest.raises(InputError, match="no volume c"):
        volumes.read_volume(tmp_path / "two.npz", key="c")
    with pytest.raises(InputError, match="no surface"):
        volumes.read_volume(tmp_path / "two.npz", key="a", level=3.0)
    np.save(tmp_path / "one.npy", axis)
    with pytest.raises(InputError, match="leave the key a out"):
        volumes.read_volume(tmp_path / "one.npy", key="a")


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    pickled = tmp_path / "object.npy"
    np.save(pickled, np.array([{}, None], object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros((4, 4)))
    np.save(tmp_path / "empty.npy", np.zeros((4, 4, 4)))
    np.save(tmp_path / "nan.npy", np.full((4, 4, 4), np.nan))
    np.save(tmp_path / "text.npy", np.full((4, 4, 4), "a"))
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    (tmp_path / "cut.mat").write_bytes(mat(hypercube=ball())[:300])
    (tmp_path / "cut.mat.zip").write_bytes(zipped("x.mat", mat(hypercube=ball()))[:-30])
    (tmp_path / "none.mat.zip").write_bytes(zipped("x.txt", b"text"))
    (tmp_path / "a.txt").write_bytes(b"")
    names = "object.npy flat.npy empty.npy nan.npy text.npy new.mat cut.mat cut.mat.zip none.mat.zip a.txt gone.npy"
    for name in names.split():
        with pytest.raises(InputError, match=name):
            volumes.read_volume(tmp_path / name)
    for name in ("gone.npy", "gone.npz", "gone.mat", "gone.mat.zip"):
        with pytest.raises(InputError, match=rf"{name} does not exist: check the path"):
            volumes.read_volume(tmp_path / name)


def test_bombs_are_refused_before_they_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_MOST_BYTES", 2**20)
    zeros = bytes(2**22)
    (tmp_path / "a.mat.zip").write_bytes(zipped("x.mat", zeros))
    np.savez_compressed(tmp_path / "b.npz", np.zeros((256, 256, 64), np.uint8))
    (tmp_path / "c.mat").write_bytes(mat(hypercube=np.zeros((256, 256, 64), np.uint8)))
    hidden = zlib.compress(struct.pack("<II", 14, 2**22) + zeros)  # an element whose header lists no size
    (tmp_path / "d.mat").write_bytes(mat(x=1.0)[:128] + struct.pack("<II", 15, len(hidden)) + hidden)
    for name in ("a.mat.zip", "b.npz", "c.mat", "d.mat"):
        assert (tmp_path / name).stat().st_size < 2**15
        with pytest.raises(InputError, match="smaller volume"):
            volumes.read_volume(tmp_path / name)


def test_resampling_is_a_zoom_of_order_0() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    volume = np.random.default_rng(0).integers(0, 255, (64, 64, 64))
    np.testing.assert_array_equal(volumes.resampled(volume, 32), ndimage.zoom(volume, 0.5, order=0))
    np.testing.assert_array_equal(volumes.resampled(volume, 64), volume)


def test_the_distance_of_a_ball() -> None:
    size = 49
    distance = volumes.volume_sdf(ball(size))
    axis = np.linspace(-1, 1, size)
    exact = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) - 0.6
    assert np.abs(distance - exact).max() < 2 / (size - 1)
    np.testing.assert_array_equal(distance < 0, ball(size))
    inside = np.abs(distance - exact)[ball(size)]
    assert inside.mean() < 0.3 * 2 / (size - 1)
    assert np.abs(distance).min() > 0
    assert np.abs(volumes.volume_sdf(ball(size), truncate=0.1)).max() == np.float32(0.1)
    with pytest.raises(InputError, match="no surface"):
        volumes.volume_sdf(np.ones((3, 3, 3), bool))


def test_voxels_of_an_oblong_volume_are_cubes() -> None:
    """A plane across the short axis has the distances of one across the long axis: 1/2, 3/2, ... voxels."""
    for axis in range(3):
        shape = [9, 9, 9]
        shape[axis] = 5
        volume = np.zeros(shape, bool)
        volume[(*[slice(None)] * axis, slice(2))] = True
        line = np.moveaxis(volumes.volume_sdf(volume), axis, 0)[:, 0, 0]
        np.testing.assert_allclose(line, np.array([-1.5, -0.5, 0.5, 1.5, 2.5]) / 4)


@pytest.mark.parametrize("truncate", [0.05, 0.3, 0.45])
def test_distances_near_the_surface_are_those_of_the_whole_transform(truncate: float) -> None:
    volume = np.random.default_rng(0).random((40, 7, 50)) < 0.02  # voxels that are nearest to each other at any angle
    np.testing.assert_array_equal(
        volumes.volume_sdf(volume, truncate), np.clip(volumes.volume_sdf(volume), -truncate, truncate)
    )


def test_signals_of_volumes() -> None:
    assert volumes.volume_signal(ball()).kind == "occupancy"
    signal = volumes.volume_signal(ball(), truncate=0.2)
    assert (signal.kind, signal.low, signal.extent) == ("sdf", -0.2, (23.0, 23.0, 23.0))


@pytest.mark.slow
def test_the_dragon(data_root: Path) -> None:
    volume = volumes.read_volume(data_root / "inr" / "occupancy" / "dragon.mat.zip")
    assert volume.shape == (512, 512, 512) and volume.mean() == pytest.approx(0.0553, abs=1e-4)
    assert volumes.tight(volume).shape == (360, 510, 228)
