"""The floors of the house, and who breaks them.

A file may import from its own room and from lower floors. So the systems on floor 3 never import each other,
and neither do two rooms of any other floor. The modules directly in ``morpho`` are one room, the ground.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GROUND = "ground"
FLOORS = {
    GROUND: 0,
    "images": 1,
    "artifacts": 1,
    "compiled": 1,
    "luts": 2,
    "nets": 2,
    "datasets": 2,
    "training": 2,
    "attacks": 2,
    "upscale": 3,
    "enhance": 3,
    "fields": 3,
    "butterfly": 3,
    "robustness": 3,
    "backdoor": 3,
    "autolabel": 3,
    "cli": 4,
}
#: ``import morpho`` itself leads to every floor.
FACADE = 4


class Import(NamedTuple):
    """An import of a module of morpho, as it stands in a file."""

    line: int
    module: str


def violations(package: Path) -> list[str]:
    """Say, one sentence each, which imports below ``package`` (the folder ``morpho``) break the floors."""
    return [
        f"{path.relative_to(package.parent)}:{found.line}: {complaint}"
        for path in sorted(package.rglob("*.py"))
        if path != package / "__init__.py"
        for found in imports(path, package)
        if (complaint := _complaint(_room(_module_name(path, package), package), found.module, package))
    ]


def imports(path: Path, package: Path) -> Iterator[Import]:
    """Yield what a file imports of morpho: at its top or inside, absolutely, relatively, or by a string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = _from(node, path, package)
        elif isinstance(node, ast.Call):
            modules = _by_string(node)
        else:
            continue
        for module in modules:
            if module == "morpho" or module.startswith("morpho."):
                yield Import(node.lineno, module)


def _from(node: ast.ImportFrom, path: Path, package: Path) -> list[str]:
    base = node.module or ""
    if node.level:
        parts = path.relative_to(package.parent).parent.parts
        base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
    if base != "morpho":
        return [base]
    # `from morpho import images` names a module, `from morpho import Picture` goes through the facade.
    return ["" if a.name == "__version__" else _child(a.name, package) for a in node.names]


def _child(name: str, package: Path) -> str:
    is_module = (package / name).is_dir() or (package / f"{name}.py").is_file()
    return f"morpho.{name}" if is_module else "morpho"


def _by_string(node: ast.Call) -> list[str]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called not in {"import_module", "__import__", "require"} or not node.args:
        return []
    first = node.args[0]
    return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []


def _module_name(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts)


def _room(module: str, package: Path) -> str:
    """The room of a module: the first folder below ``morpho``, or the ground."""
    parts = module.split(".")
    return GROUND if (package / f"{parts[1]}.py").is_file() else parts[1]


def _complaint(room: str, target: str, package: Path) -> str | None:
    if room not in FLOORS:
        return f"the room {room!r} has no floor: add it to FLOORS in tests/contract/floors.py"
    if target == "morpho":
        broken = FLOORS[room] < FACADE
        return f"{room} (floor {FLOORS[room]}) imports all of morpho: import the module" if broken else None
    other = _room(target, package)
    if other not in FLOORS:
        return f"it imports {target}, and the room {other!r} does not exist"
    if other != room and FLOORS[other] >= FLOORS[room]:
        return f"{room} (floor {FLOORS[room]}) imports {target} (floor {FLOORS[other]})"
    return None
