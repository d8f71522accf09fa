"""Compiled code that is kept between runs, and used again without Numba.

Importing Numba and letting it read its own cache takes half a second, more than upscaling a large photo. Loops
that are written for it (see ``pointers``) need nothing from Numba or Python once they are compiled, so their
object file is kept in the user's cache folder and loaded by llvmlite alone, in 25 milliseconds. A file is used
only if it was made from the same sources by the same versions for the same processor, if it is complete, and if
nobody but the user can have written it; in every other case the loops are compiled anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from morpho.atomic import replacing
from morpho.console import note

__all__ = ["cache_folder", "load"]

#: What must stay alive as long as the code is used.
_KEPT: list[Any] = []
_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where compiled code is kept: ``MORPHO_CACHE``, or ``morpho`` in the user's cache folder.

    Where the user has no such folder or cannot write there, it is one in the folder for temporary files.
    """
    chosen = os.environ.get("MORPHO_CACHE")
    if chosen:
        return Path(chosen)
    with suppress(OSError, RuntimeError):  # the user has no home, or cannot look into it
        base = _user_cache()
        if os.access(next(place for place in (base, *base.parents) if place.exists()), os.W_OK):
            return base / "morpho"
    # Several users may share that folder; _check_private() keeps what is theirs out.
    return Path(tempfile.gettempdir()) / (f"morpho-{os.geteuid()}" if os.name == "posix" else "morpho")


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def load(module: str, sources: tuple[Path, ...], pointers: int) -> Callable[..., None]:
    """Return a C function that takes addresses, from the cache where possible.

    Args:
        module: its ``build()`` compiles the function with Numba, if that is needed.
        sources: the files that the code is made from, beside those of this folder.
        pointers: how many addresses the function takes.
    """
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers)
    path = _path(module, (*sources, *sorted(Path(__file__).parent.glob("*.py"))))
    if path is not None:
        with suppress(OSError, RuntimeError, ValueError):
            return prototype(_address(*_read(path)))
    if sys.stderr.isatty():
        note("compiling loops for this processor: once, it takes some seconds")
    built = import_module(module).build()
    _KEPT.append(built)
    if path is not None:
        with suppress(OSError, RuntimeError):
            _write(path, built.inspect_llvm(), built.native_name)
    return prototype(built.address)


def _path(module: str, sources: tuple[Path, ...]) -> Path | None:
    """The file that holds exactly this code, or None where the user has no folder for it."""
    import llvmlite

    try:
        folder = cache_folder()
        key = hashlib.sha256(repr((llvmlite.__version__, _processor())).encode())
        for source in (_numba_version_file(), *sources):
            key.update(source.read_bytes())
    except (OSError, RuntimeError):
        return None
    return folder / f"{module.rpartition('.')[2]}-{key.hexdigest()[:32]}.o"


def _numba_version_file() -> Path:
    """A file that changes with Numba's version, found without importing Numba."""
    spec = find_spec("numba")
    if spec is None or spec.origin is None:
        raise OSError("Numba has no files")
    return Path(spec.origin).with_name("_version.py")


def _processor() -> tuple[str, str, str]:
    from llvmlite import binding

    return (
        binding.get_default_triple(),
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
    )


def _machine() -> Any:
    """LLVM's code generator for this processor, with the settings of a just-in-time compiler."""
    from llvmlite import binding

    with suppress(RuntimeError):  # newer versions initialise themselves, and refuse
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    triple, name, features = _processor()
    return binding.Target.from_triple(triple).create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def _read(path: Path) -> tuple[bytes, str]:
    """The object code and its function's name.

    Raises:
        OSError: there is no such file, or others may have written it.
        ValueError: the file is damaged.
    """
    _check_private(path.parent, path.parent.stat())
    with path.open("rb") as file:
        _check_private(path, os.fstat(file.fileno()))
        content = file.read()
    digest, body = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{path} is damaged: it is not used")
    name, _, code = body.partition(b"\0")
    return code, name.decode()


def _check_private(place: Path, status: os.stat_result) -> None:
    if os.name == "posix" and (status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022):
        raise PermissionError(f"{place} can be written by others: it is not used")


def _address(code: bytes, name: str) -> int:
    from llvmlite import binding

    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _KEPT.append(engine)
    address: int = engine.get_function_address(name)
    if not address:
        raise ValueError(f"the compiled code has no function {name}")
    return address


def _write(path: Path, code: str, name: str) -> None:
    """Keep the object code, unless it needs something from outside, which the next process may lack."""
    from llvmlite import binding

    module = binding.parse_assembly(code)
    needed = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    needed += [v.name for v in module.global_variables if v.is_declaration]
    if needed:
        raise RuntimeError(f"the compiled code needs {', '.join(needed)}: it is not kept")
    body = name.encode() + b"\0" + _machine().emit_object(module)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with replacing(path, overwrite=True) as file:
        file.write(hashlib.sha256(body).digest() + body)
