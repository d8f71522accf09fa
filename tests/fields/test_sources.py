"""Files of originals that no reader is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from morpho.errors import InputError
from morpho.fields.sources import check_source


def test_a_file_with_content_is_good(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_bytes(b"ply")
    check_source(tmp_path / "a.ply", "mesh")


def test_what_no_reader_could_read_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "empty.ply").touch()
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path / "none.ply", r"none.ply does not exist: check the path"),
        (tmp_path, "is a folder: name a mesh file in it"),
        (tmp_path / "empty.ply", r"empty.ply is empty \(0 bytes\): get it again"),
        (tmp_path / "file" / "a.ply", r"a.ply cannot be opened \(Not a directory\): check the path and its rights"),
        (Path("a\0.ply"), r"cannot be opened \(embedded null byte\)"),
    ):
        with pytest.raises(InputError, match=said):
            check_source(path, "mesh")
