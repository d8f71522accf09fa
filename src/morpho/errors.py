"""Everything morpho raises on purpose.

    MorphoError
     +- InputError         an argument, array or option is unusable (also a ValueError)
     +- ImageError         a picture file cannot be read or written
     +- OutputExistsError  an output exists, or would be the input itself
     +- ArtifactError      a table or weights file is missing, corrupt or of the wrong kind
     +- DataError          a data set folder is missing or unusable
     +- LutError           a file of a lookup table of colours cannot be read or written
     +- MissingExtraError  an optional dependency is not installed

Each message is one sentence that names the input, says what was wrong, and what to do about it.
The command line prints that sentence and exits with status 1.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "ArtifactError",
    "DataError",
    "ImageError",
    "InputError",
    "LutError",
    "MissingExtraError",
    "MorphoError",
    "OutputExistsError",
    "require",
]


class MorphoError(Exception):
    """The base of every error that morpho raises on purpose."""


class InputError(MorphoError, ValueError):
    """An argument, array or option is unusable."""


class ImageError(MorphoError):
    """A picture file cannot be read or written."""


class OutputExistsError(MorphoError):
    """An output exists and overwriting was not asked for, or it would overwrite the input."""


class ArtifactError(MorphoError):
    """A table or weights file is missing, corrupt or of the wrong kind."""


class DataError(MorphoError):
    """A data set folder is missing or unusable."""


class LutError(MorphoError):
    """A file of a lookup table of colours cannot be read or written."""


class MissingExtraError(MorphoError):
    """An optional dependency is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Raises:
        MissingExtraError: ``module`` is not installed.

    >>> require("json", "torch").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'{module} is needed for this and cannot be imported ({error}): pip install "morpho[{extra}]"'
        ) from error
