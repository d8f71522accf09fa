"""``morpho check``: what this installation can do, on this machine."""

from __future__ import annotations

import json as jsonlib
import os
from importlib.util import find_spec
from pathlib import Path

import morpho
from morpho import machine
from morpho.compiled.native import cache_folder
from morpho.console import format_bytes, print_table

__all__ = ["check"]

_PACKAGE = Path(morpho.__file__).parent

#: What each processor family calls its vector units, the widest last.
_SIMD = ("sse2", "sse4.2", "avx", "avx2", "avx512f", "avx512bw", "avx512vbmi", "neon", "sve", "sve2")


def check(*, json: bool = False) -> None:
    """Report versions, processor, GPU and caches of this installation.

    Args:
        json: print one JSON object instead of a table.
    """
    report = _report()
    if json:
        print(jsonlib.dumps(report, ensure_ascii=False))
    else:
        print_table(["what", "here"], list(report.items()))


def _report() -> dict[str, str | int | None]:
    memory = machine.memory_bytes()
    versions = {
        name: machine.package_version(name) or "not installed"
        for name in ("numpy", "numba", "pillow", "safetensors", "cyclopts", "rich", "torch")
    }
    return {
        "morpho": f"{morpho.__version__} in {_PACKAGE}",
        "commit": machine.current_commit(),
        "python": str(machine.describe()["python"]),
        **versions,
        "system": str(machine.describe()["system"]),
        "processor": machine.cpu_model(),
        "cores": machine.cores(),
        "memory": None if memory is None else format_bytes(memory),
        "vector units": ", ".join(_simd()) or "none known",
        "gpu": _gpu(),
        "kernel cache": str(cache_folder()),
        "compiled kernels": _compiled_kernels(),
        "data": os.environ.get("MORPHO_DATA") or "MORPHO_DATA is not set",
    }


def _simd() -> list[str]:
    """The vector units that numba's compiler will use."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return [name for name in _SIMD if features.get(name)]


def _gpu() -> str:
    """The GPUs that torch sees."""
    if find_spec("torch") is None:
        return 'torch is not installed (pip install "morpho[torch]")'
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"torch is installed but cannot be imported ({error})"
    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return "mps" if torch.backends.mps.is_available() else "none"


def _compiled_kernels() -> str:
    """How many kernels are kept compiled, so that the first run need not compile."""
    count = sum(1 for _ in cache_folder().glob("kernel*.o"))
    return f"{count} kept" if count else "none yet: the first upscale compiles them (some seconds, once)"
