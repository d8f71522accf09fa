"""A package that is also a function: the same object, in every import order."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PARENT = """
def __getattr__(name):
    if name != "grow":
        raise AttributeError(name)
    import importlib
    return importlib.import_module("house.grow")
"""
PACKAGE = """
from house.grow.work import grow as grow
from morpho.callable_module import make_callable
make_callable(__name__, "grow")
"""
WORK = """
def grow(image, *, scale=4):
    "Grow."
    return image * scale
"""

ORDERS = [
    "import house; f = house.grow",
    "import house.grow; f = house.grow",
    "import house.grow.work; import house; f = house.grow",
    "from house import grow as f",
    "from house.grow import grow; import house; f = house.grow",
    "import importlib; f = importlib.import_module('house.grow')",
]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "house" / "grow"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text(PARENT)
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.mark.parametrize("order", ORDERS)
def test_can_be_called_in_every_import_order(house: Path, order: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        del sys.modules[name]
    scope: dict[str, object] = {}
    exec(f"{order}\nresult = f(3, scale=2), f(3), f.work.grow(1)", scope)
    assert scope["result"] == (6, 12, 4)


def test_shows_the_signature_of_the_function(house: Path) -> None:
    module = __import__("house.grow").grow
    assert str(inspect.signature(module)) == "(image, *, scale=4)"


def test_passes_errors_through(house: Path) -> None:
    module = __import__("house.grow").grow
    with pytest.raises(TypeError, match="scael"):
        module(3, scael=2)


@pytest.mark.parametrize(
    "order",
    [
        "import morpho; f = morpho.upscale",
        "import morpho.upscale; f = morpho.upscale",
        "import morpho.upscale.tables; import morpho; f = morpho.upscale",
        "from morpho import upscale as f",
    ],
)
def test_morpho_upscale_can_be_called_in_every_import_order(order: str) -> None:
    code = f"{order}\nassert callable(f), f\nimport morpho.upscale as m; assert m is f; assert m.tables"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
