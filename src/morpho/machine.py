"""The machine a number was measured on, described without naming it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = [
    "cores",
    "cpu_model",
    "current_commit",
    "describe",
    "let_idle_threads_sleep",
    "memory_bytes",
    "package_version",
]


def describe() -> dict[str, str | int | float | None]:
    """Describe this machine for a results record: processor, cores, memory, versions; no host or user name.

    >>> sorted(describe())
    ['cores', 'cpu', 'memory_gib', 'numba', 'numpy', 'python', 'system', 'torch']
    """
    import platform

    memory = memory_bytes()
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_gib": None if memory is None else round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": package_version("numpy"),
        "numba": package_version("numba"),
        "torch": package_version("torch"),
    }


def let_idle_threads_sleep() -> None:
    """Let torch's idle threads sleep instead of spin, unless the user said how they wait; call it before torch loads.

    Threads of OpenMP spin for a while when their part is done, and so keep the core from compiled loops that have
    threads of their own: a step of 8,192 points on two cores took 74 ms, and takes 54.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def cores() -> int:
    """Count the cores this process may run on, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """Name the processor, as well as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    import platform

    if platform.system() == "Darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine() or "unknown"


def memory_bytes() -> int | None:
    """Return the physical memory in bytes; ``None`` where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def package_version(name: str) -> str | None:
    """Return the version of an installed distribution without importing it; ``None`` where it is missing.

    >>> package_version("no-such-distribution") is None
    True
    """
    from importlib import metadata  # slow to import, and this module is needed at every start for cores()

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def current_commit() -> str:
    """Return the short git commit of the checkout this code runs from, with ``+`` where files changed since.

    ``unknown`` for an installed copy: the repository that a virtual environment happens to lie in is another.
    """
    package = Path(__file__).resolve().parent
    top = _output("git", "-C", str(package), "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() / "src" / "morpho" != package:
        return "unknown"
    commit = _output("git", "-C", str(package), "rev-parse", "--short=10", "HEAD")
    changed = _output("git", "-C", top, "status", "--porcelain", "--untracked-files=no")
    return (commit or "unknown") + ("+" if changed else "")


def _output(*command: str) -> str:
    """Run a command and return what it printed; empty where it fails or does not exist."""
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
