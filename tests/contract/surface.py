"""The public names, package by package.

    python -m tests.contract.surface        writes them to tests/contract/api_surface.json

Run it when a name was added on purpose. A name that goes away breaks its users: say so in the CHANGELOG.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("api_surface.json")


def exported(init: Path) -> list[str]:
    """The names in an ``__init__.py``'s ``__all__``, or those imported as ``X as X``; nothing is run."""
    tree = ast.parse(init.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
            return sorted(ast.literal_eval(node.value))
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return sorted(a.name for node in imported for a in node.names if a.asname == a.name)


def surface(package: Path) -> dict[str, list[str]]:
    """The public names of ``morpho`` and of each of its packages."""
    inits = [package / "__init__.py", *sorted(package.glob("*/__init__.py"))]
    return {".".join(init.parent.relative_to(package.parent).parts): exported(init) for init in inits}


if __name__ == "__main__":
    FILE.write_text(json.dumps(surface(ROOT / "src" / "morpho"), indent=2) + "\n", encoding="utf-8")
