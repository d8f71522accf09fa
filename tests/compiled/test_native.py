"""Compiled code is kept and found again; what is damaged, foreign or open to others is not used."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from morpho.compiled import native

#: A function that writes a number to where its argument points.
CODE = 'define void @"put"(ptr %p) {{ store i64 {number}, ptr %p ret void }}'
OUTSIDE = 'declare void @f(ptr) define void @"put"(ptr %p) { call void @f(ptr %p) ret void }'

prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def built_here(place: int) -> None:
    ctypes.c_int64.from_address(place).value = -1


CALLBACK = prototype(built_here)


class Compiler:
    """Stands in for a module that calls Numba: what it builds writes -1, what is kept writes 42."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.builds = 0

    def build(self) -> SimpleNamespace:
        self.builds += 1
        address = ctypes.cast(CALLBACK, ctypes.c_void_p).value
        return SimpleNamespace(native_name="put", address=address, inspect_llvm=lambda: self.code)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Compiler:
    compiler = Compiler(CODE.format(number=42))
    monkeypatch.setitem(sys.modules, "tests_compiler", compiler)
    monkeypatch.setenv("MORPHO_CACHE", str(tmp_path / "cache"))
    return compiler


def outcome(*sources: Path) -> int:
    """What the loaded function writes: -1 if it was compiled, 42 if it was kept."""
    number = ctypes.c_int64(0)
    native.load("tests_compiler", sources, pointers=1)(ctypes.addressof(number))
    return number.value


def kept(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_code_is_compiled_once(compiler: Compiler, tmp_path: Path) -> None:
    assert [outcome() for _ in range(3)] == [-1, 42, 42]
    assert compiler.builds == 1
    assert kept(native.cache_folder()).name.startswith("tests_compiler-")


def test_changed_sources_are_compiled_anew(compiler: Compiler, tmp_path: Path) -> None:
    source = tmp_path / "source.py"
    source.write_text("one")
    assert [outcome(source), outcome(source)] == [-1, 42]
    source.write_text("two")
    assert [outcome(source), outcome(source)] == [-1, 42]


def test_another_processor_or_version_is_compiled_for(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert [outcome(), outcome()] == [-1, 42]
    processor = native._processor()
    monkeypatch.setattr(native, "_processor", lambda: (*processor[:2], processor[2] + ",+none"))
    assert outcome() == -1
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "tests_compiler", compiler)
    monkeypatch.setenv("MORPHO_CACHE", str(tmp_path / "cache"))
    version = tmp_path / "_version.py"
    version.write_text("99")
    monkeypatch.setattr(native, "_numba_version_file", lambda: version)
    assert outcome() == -1


@pytest.mark.parametrize("keep", [0, 10, 40, -1])
def test_a_cut_file_is_replaced(compiler: Compiler, tmp_path: Path, keep: int) -> None:
    outcome()
    file = kept(native.cache_folder())
    file.write_bytes(file.read_bytes()[:keep])
    assert [outcome(), outcome()] == [-1, 42]


def test_a_changed_byte_is_noticed(compiler: Compiler, tmp_path: Path) -> None:
    outcome()
    content = bytearray(kept(native.cache_folder()).read_bytes())
    content[len(content) // 2] ^= 1
    kept(native.cache_folder()).write_bytes(content)
    assert [outcome(), outcome()] == [-1, 42]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX modes")
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_is_not_used(compiler: Compiler, tmp_path: Path, mode: int) -> None:
    outcome()
    file = kept(native.cache_folder())
    file.chmod(0o644 | mode)
    assert outcome() == -1
    assert outcome() == 42  # written anew, with its own mode
    file.parent.chmod(0o755 | mode)
    assert [outcome(), outcome()] == [-1, -1]


@pytest.mark.skipif(os.name != "posix", reason="owners are POSIX users")
def test_what_another_user_owns_is_not_used(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert outcome() == -1


def test_code_that_needs_something_from_outside_is_not_kept(compiler: Compiler, tmp_path: Path) -> None:
    compiler.code = OUTSIDE
    assert [outcome(), outcome()] == [-1, -1]
    assert not (tmp_path / "cache").exists()


def test_works_without_a_place_to_keep_code(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MORPHO_CACHE", str(tmp_path / "file" / "cache"))
    assert [outcome(), outcome()] == [-1, -1]


def test_without_a_home_the_temporary_folder_serves(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    for name in ("MORPHO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert [outcome(), outcome()] == [-1, 42]
    assert kept(native.cache_folder()).is_relative_to(tmp_path)


def test_a_read_only_home_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MORPHO_CACHE", raising=False)
    assert native.cache_folder().parent != Path(tempfile.gettempdir())
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert native.cache_folder().parent == Path(tempfile.gettempdir())
