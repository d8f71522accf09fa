"""Modules that can be called like the function they are named after."""

from __future__ import annotations

import sys
from inspect import Signature, signature
from types import ModuleType
from typing import Any

__all__ = ["make_callable"]


def make_callable(module: str, function: str) -> None:
    """Let the package ``module`` be called: ``module(...)`` becomes ``module.function(...)``.

    ``morpho.upscale`` has to be two things: the package of the upscaling system, and the function that
    upscales a picture. Python settles such a clash by import order: whenever a sub-package is first imported,
    from anywhere, the import system stores the module under its name in the parent package, on top of any
    function put there before. So instead of racing it, the module itself becomes callable, and every import
    order gives the same object. Call it on the last line of the package's ``__init__``::

        make_callable(__name__, "upscale")

    The function is looked up at each call, so that it can be defined late or replaced in a test.
    Type checkers see the function: ``morpho/__init__.py`` imports it under ``TYPE_CHECKING``.

    Args:
        module: the name of a module that is being, or has been, imported.
        function: the name of the callable in it.

    >>> import types
    >>> shout = sys.modules["shout"] = types.ModuleType("shout")
    >>> shout.shout = lambda text, *, times=1: text.upper() + "!" * times
    >>> make_callable("shout", "shout")
    >>> shout("morpho", times=2)
    'MORPHO!!'
    >>> del sys.modules["shout"]
    """

    class CallableModule(ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return getattr(self, function)(*args, **kwargs)

        @property
        def __signature__(self) -> Signature:
            return signature(getattr(self, function))

    sys.modules[module].__class__ = CallableModule
