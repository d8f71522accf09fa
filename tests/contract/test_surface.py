"""The public names are the recorded ones, and each can be imported."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

import morpho
from tests.contract.surface import FILE, exported, surface

RECORDED: dict[str, list[str]] = json.loads(FILE.read_text(encoding="utf-8"))


def test_public_names_are_the_recorded_ones(root: Path) -> None:
    assert surface(root / "src" / "morpho") == RECORDED, "if that is on purpose: python -m tests.contract.surface"


@pytest.mark.parametrize("package", sorted(RECORDED))
def test_every_public_name_can_be_imported(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in RECORDED[package] if not hasattr(module, name)] == []


def test_top_level_says_where_each_name_lives() -> None:
    assert set(morpho.__all__) == {*morpho._HOMES, "__version__"}
    assert list(morpho.__all__) == sorted(morpho.__all__)
    assert set(morpho.__all__) <= set(dir(morpho))


def test_top_level_shows_type_checkers_the_same_names(root: Path) -> None:
    text = (root / "src" / "morpho" / "__init__.py").read_text(encoding="utf-8")
    assert [name for name in morpho._HOMES if f" import {name} as {name}\n" not in text] == []


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'upscayl'"):
        _ = morpho.upscayl  # type: ignore[attr-defined]


def test_exported_reads_both_forms(tmp_path: Path) -> None:
    init = tmp_path / "__init__.py"
    init.write_text("from a import B as B\nfrom a import hidden\n")
    assert exported(init) == ["B"]
    init.write_text("from a import B as B\n__all__ = ['C']\n")
    assert exported(init) == ["C"]
