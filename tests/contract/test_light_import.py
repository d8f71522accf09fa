"""``import morpho`` is instant, and the core never needs torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from morpho.cli.app import VERBS

HEAVY = ("torch", "numba", "numpy", "PIL", "safetensors", "rich", "cyclopts")

BLOCK_TORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "einops", "torchvision"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def fits(code: str, limit: float, tries: int = 12) -> bool:
    """Whether a fresh interpreter runs the code in so many seconds of a core: of one that is free, that is.

    Processor time, because on a busy machine the clock measures the neighbours; several tries, because they
    fight over the caches too.
    """
    for _ in range(tries):
        start = os.times()
        run(code)
        end = os.times()
        if end.children_user + end.children_system - start.children_user - start.children_system < limit:
            return True
    return False


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, morpho; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert run(code) == "[]"


def test_errors_and_citations_load_nothing_heavy() -> None:
    code = "import sys, morpho; morpho.MorphoError; morpho.cite();"
    assert run(code + f"print([m for m in {HEAVY!r} if m in sys.modules])") == "[]"


@pytest.mark.skipif(os.name != "posix", reason="children's processor time is only told there")
def test_import_takes_at_most_150_milliseconds() -> None:
    assert fits("import morpho", 0.15)


@pytest.mark.skipif(os.name != "posix", reason="children's processor time is only told there")
def test_help_takes_at_most_250_milliseconds_and_imports_no_verb() -> None:
    code = "import sys; from morpho.cli.app import main; assert main(['--help']) == 0; "
    verbs = [verb.function.partition(":")[0] for verb in VERBS]
    loaded = run(code + f"print([m for m in {[*verbs, 'numpy', 'numba', 'torch']!r} if m in sys.modules])")
    assert loaded.splitlines()[-1] == "[]"
    assert fits(code, 0.25)


def test_core_works_without_torch() -> None:
    """Every verb's module and every core room can be imported where torch is not installed."""
    rooms = ["morpho.images", "morpho.artifacts", "morpho.upscale"]
    modules = rooms + [verb.function.partition(":")[0] for verb in VERBS]
    code = BLOCK_TORCH + f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\nprint('ok')"
    assert run(code) == "ok"
