"""The card in every artefact: what it is, and how it came to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from morpho.errors import ArtifactError, InputError

__all__ = ["Card"]


@dataclass(frozen=True, kw_only=True)
class Card:
    """What an artefact is, and how it came to be; ``morpho info FILE`` prints it.

    Attributes:
        kind: what can load it, such as ``upscale``; loaders refuse other kinds.
        name: the artefact's name, such as ``hklut-s-x4``.
        version: the artefact's version; a change of bytes is a new version.
        recipe: the hyper-parameters it was trained with, as JSON values.
        data: what it was trained on.
        seed: the seed of the run; ``None`` where nothing is random.
        numbers: what was measured on it, such as ``{"set5_psnr_y": 30.34}``.
        licence: under which licence it may be used, as an SPDX identifier.
        commit: the git commit of the code that made it.

    Raises:
        InputError: a field has another type, or a number is not finite.

    >>> card = Card(kind="hklut", name="toy", version="1", licence="Apache-2.0", numbers={"psnr": 30.0})
    >>> Card.from_json(card.to_json()) == card
    True
    """

    kind: str
    name: str
    version: str
    licence: str
    recipe: dict[str, Any] = field(default_factory=dict)
    data: str | list[str] = ""
    seed: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    commit: str = "unknown"

    def __post_init__(self) -> None:
        for name, (fits, expected) in _CHECKS.items():
            if not fits(getattr(self, name)):
                raise InputError(f"the field {name!r} of a card must be {expected}, not {getattr(self, name)!r:.80}")

    def to_json(self, *, short: bool = False) -> str:
        """Return the card as one line of JSON, the same for equal cards.

        Args:
            short: leave out what has its default, and spaces.

        Raises:
            InputError: the recipe or a number cannot be written as JSON (NaN and infinity cannot).
        """
        plain, separators = asdict(self), None
        if short:
            separators, default = (",", ":"), asdict(Card(kind=".", name=".", version=".", licence="."))
            plain = {name: value for name, value in plain.items() if value != default[name]}
        try:
            return json.dumps(plain, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=separators)
        except (TypeError, ValueError) as error:
            raise InputError(f"the card of {self.name!r} cannot be written as JSON ({error})") from error

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card; fields that a later version may have added are ignored.

        Raises:
            ArtifactError: the text is no card.
        """
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"the card is not JSON ({error}): the file was not written by morpho") from error
        if not isinstance(plain, dict):
            raise ArtifactError("the card is not a JSON object: the file was not written by morpho")
        known = {f.name for f in fields(cls)}
        try:
            return cls(**{key: value for key, value in plain.items() if key in known})
        except TypeError as error:
            missing = [name for name in ("kind", "name", "version", "licence") if name not in plain]
            raise ArtifactError(f"the card lacks {missing}: the file was not written by morpho") from error
        except InputError as error:
            raise ArtifactError(f"the card is damaged: {error}") from error


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _is_recipe(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_seed(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _is_numbers(value: object) -> bool:
    return _is_recipe(value) and isinstance(value, dict) and all(_is_number(v) for v in value.values())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "kind": (_is_filled, "a text"),
    "name": (_is_filled, "a text"),
    "version": (_is_filled, "a text"),
    "licence": (_is_filled, "a text"),
    "recipe": (_is_recipe, "an object"),
    "data": (_is_texts, "a text or a list of texts"),
    "seed": (_is_seed, "an integer or null"),
    "numbers": (_is_numbers, "an object of finite numbers"),
    "commit": (_is_text, "a text"),
}
