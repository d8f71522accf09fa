"""A file is there in full or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from morpho.atomic import replacing
from morpho.errors import InputError, OutputExistsError


def test_nothing_is_there_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path) as file:
        file.write(b"x")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path, overwrite=True) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/a", "file/deep/a", "nowhere/a"])
def test_a_folder_that_is_none_is_told_of(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(InputError, match=rf"as .*{name.split('/')[0]} is no folder"), replacing(tmp_path / name):
        pytest.fail("the body must not run")


def test_existing_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="exists already"), replacing(path):
        pytest.fail("the body must not run")
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_file_has_the_mode_that_the_umask_asks_for(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as file:
            file.write(b"x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
