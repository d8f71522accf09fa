"""What verbs that train have in common: recipes changed by options, where the result goes, its card."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from morpho.artifacts import Card
from morpho.errors import InputError, OutputExistsError
from morpho.images import find_pictures
from morpho.machine import current_commit

__all__ = ["changed", "check_output", "described_folders", "is_first_process", "new_card", "plain"]

Recipe = TypeVar("Recipe")


def check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse a result that could not be written, before the work.

    Raises:
        OutputExistsError: the file exists and ``overwrite`` is false.
        InputError: the name does not end in ``.safetensors``.
    """
    if output.exists() and not overwrite:
        raise OutputExistsError(f"{output} exists already: choose another name or add --overwrite")
    if output.suffix != ".safetensors":
        raise InputError(f"the output {output} must end in .safetensors")


def changed(recipe: Recipe, changes: Any, *, mode: str, verb: str) -> Recipe:
    """Change what was asked for; refuse what the recipe does not have.

    Args:
        recipe: a dataclass.
        changes: a dataclass of options, None where nothing was asked for.
        mode: what the recipe is called.
        verb: whose help tells the options.

    Raises:
        InputError: an option is none of this recipe, or out of range.
    """
    known = {field.name for field in fields(recipe)}  # type: ignore[arg-type]
    given = {name: value for name, value in asdict(changes).items() if value is not None}
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if name not in known:
            raise InputError(f"{option} is no option of {mode}: see `morpho {verb} --help`")
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{option} {value} is no finite number")
    return replace(recipe, **given)  # type: ignore[type-var]


def plain(recipe: Any) -> Any:
    """A recipe as JSON values: tuples become lists."""
    if is_dataclass(recipe) and not isinstance(recipe, type):
        return {field.name: plain(getattr(recipe, field.name)) for field in fields(recipe)}
    return [plain(value) for value in recipe] if isinstance(recipe, tuple | list) else recipe


def is_first_process() -> bool:
    """Whether this process writes: under torchrun, the first one alone does."""
    return os.environ.get("RANK", "0") == "0"


def described_folders(folders: Sequence[Path]) -> list[str]:
    """What a result was made from, in words."""
    return [f"{folder.resolve().name} ({len(find_pictures(folder))} photographs)" for folder in folders]


def new_card(kind: str, output: Path, recipe: dict[str, Any], data: list[str], numbers: dict[str, float]) -> Card:
    """The card of a result that was just trained."""
    return Card(
        kind=kind,
        name=output.stem,
        version="1",
        licence="Apache-2.0",
        recipe=recipe,
        data=data,
        seed=recipe["seed"],
        numbers={name: round(value, 4) for name, value in numbers.items()},
        commit=current_commit(),
    )
