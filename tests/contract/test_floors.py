"""A file imports only from floors below its own; and the checker that says so sees every form of import."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.floors import violations

HOUSE = (
    "errors.py",
    "console.py",
    "images/__init__.py",
    "artifacts/__init__.py",
    "training/__init__.py",
    "upscale/__init__.py",
    "upscale/tables.py",
    "enhance/__init__.py",
    "cli/app.py",
)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    package = tmp_path / "morpho"
    for name in ("__init__.py", *HOUSE):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    return package


def test_nobody_breaks_the_floors(root: Path) -> None:
    assert violations(root / "src" / "morpho") == []


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("errors.py", "import morpho.images"),
        ("console.py", "from morpho.artifacts import Card"),
        ("images/__init__.py", "from morpho.upscale.tables import Tables"),
        ("images/__init__.py", "from morpho import artifacts"),
        ("images/__init__.py", "from ..artifacts import Card"),
        ("upscale/tables.py", "from .. import enhance"),
        ("upscale/tables.py", "from morpho.enhance import model"),
        ("upscale/tables.py", "def f():\n    from morpho.cli import app"),
        ("upscale/tables.py", "if TYPE_CHECKING:\n    from morpho.enhance import Recipe"),
        ("upscale/tables.py", "importlib.import_module('morpho.enhance')"),
        ("upscale/tables.py", "import morpho"),
        ("upscale/tables.py", "from morpho import Picture"),
        ("training/__init__.py", "from morpho.nets import resnet"),
        ("upscale/tables.py", "import morpho.attic"),
    ],
)
def test_checker_sees_a_planted_violation(house: Path, file: str, code: str) -> None:
    (house / file).write_text(code)
    found = violations(house)
    assert len(found) == 1
    assert found[0].startswith(f"morpho/{file}:")


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("console.py", "from morpho.errors import MorphoError"),
        ("images/__init__.py", "from morpho import errors, __version__"),
        ("upscale/__init__.py", "from .tables import Tables\nfrom morpho.upscale.tables import Stage"),
        (
            "upscale/tables.py",
            "from morpho.images import read\nfrom ..training import fit\nimport numpy, torch",
        ),
        ("cli/app.py", "import morpho\nfrom morpho import upscale\nimport morpho.enhance"),
    ],
)
def test_checker_allows_lower_floors_and_the_own_room(house: Path, file: str, code: str) -> None:
    (house / file).write_text(code)
    assert violations(house) == []


def test_checker_asks_for_the_floor_of_a_new_room(house: Path) -> None:
    (house / "attic").mkdir()
    (house / "attic" / "box.py").write_text("import morpho.errors")
    assert "no floor" in violations(house)[0]
