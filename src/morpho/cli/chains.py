"""What the verbs on butterflies have in common: budgets as a person types them, chains in few letters and in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter, Token

from morpho.butterfly.chain import Chain
from morpho.errors import InputError

__all__ = ["Budget", "FamilyName", "allowed", "read_chains", "short"]

#: What can be asked for; the library calls the third ``low_rank``.
FamilyName = Literal["debut", "general", "monarch", "low-rank"]


def _budget(_: object, tokens: Sequence[Token]) -> float:
    """Take a part (0.05 or 5%) or a number of parameters (10190)."""
    text = tokens[0].value.strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = 0.0
    whole = number >= 1 and number == int(number) if number < float("inf") else False
    if not (0 < number < 1 or whole) or (text.endswith("%") and number >= 1):
        raise ValueError(f"{text} is no budget: give a part such as 0.05 or 5%, or a number of parameters")
    return number


#: A part below 1, or a number of parameters.
Budget: TypeAlias = Annotated[float | None, Parameter(converter=_budget)]


def allowed(budget: float, whole: int) -> int:
    """The parameters of a budget.

    >>> allowed(0.05, 2000), allowed(300.0, 2000)
    (100, 300)
    """
    return int(budget * whole + 1e-9) if budget < 1 else int(budget)


def short(chain: Chain) -> str:
    """A chain in few letters: a deformable butterfly as pairs, the input's side first, any other in arrows.

    >>> short(Chain.parse("(8,9)(2,2)(2,2)(2,4)")), short(Chain.parse("6 <-(6,2,1)- 2 <-(2,8,1)- 8"))
    ('(8,9)(2,2)^2(2,4)', '6 <-(6,2,1)- 2 <-(2,8,1)- 8')
    """
    if not chain.is_debut:
        return str(chain)
    runs = ((pair, len(list(same))) for pair, same in groupby(chain.pairs()))
    return "".join(f"({r},{s})" + (f"^{count}" if count > 1 else "") for (r, s), count in runs)


def read_chains(path: Path, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Chain]:
    """Read a chain file: a line per layer that could be converted, in the network's order; ``-`` keeps a layer.

    A line is a chain in any notation, such as the released ``p q r s t p q r s t ...``. Empty lines and what follows
    ``#`` are left out.

    Args:
        path: the file.
        sizes: rows and columns of the layers, by name.

    Returns:
        The chains of those layers that have one.

    Raises:
        InputError: the file cannot be read, has another number of lines, or a chain is wrong or of another size.
    """
    try:
        written = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path} cannot be read ({what}): give a file with one chain per layer") from error
    lines = [line for line in written if line]
    if len(lines) != len(sizes):
        layers = ", ".join(f"{name} ({m} x {n})" for name, (m, n) in sizes.items())
        raise InputError(
            f"{path} is for {len(lines)} layers, and the network has {len(sizes)}: write a line for each, "
            f"- to keep it: {layers}"
        )
    pairs = zip(lines, sizes.items(), strict=True)
    return {name: _fitting(path, line, name, size) for line, (name, size) in pairs if line != "-"}


def _fitting(path: Path, line: str, name: str, size: tuple[int, int]) -> Chain:
    try:
        chain = Chain.parse(line)
    except InputError as error:
        raise InputError(f"{path}, the line of {name}: {error}") from error
    m, n = size
    if not (m <= chain.m < 2 * m and n <= chain.n < 2 * n):
        raise InputError(
            f"{path}: the layer {name} is {m} x {n}, and its chain {chain.m} x {chain.n}: give one of that size, or a "
            "little larger to be padded with zeros"
        )
    return chain
