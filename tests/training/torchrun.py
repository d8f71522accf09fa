"""Start commands under torchrun, on this machine alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SECONDS = 90


def environment(root: Path) -> dict[str, str]:
    """One thread per process; the tests can be imported."""
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def torchrun(count: int, *words: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a script and its arguments (or ``-m`` and a module) in so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), *words]
    try:
        return _finished(command, root)
    except subprocess.TimeoutExpired:  # once in some hundred runs the processes have not found each other
        return _finished(command, root)


def _finished(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=root, env=environment(root)) as process:
        try:
            out, errors = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()  # not kill: it ends its workers first, which have sessions of their own
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, errors)
