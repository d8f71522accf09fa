"""What the verbs on butterflies have in common: budgets as a person types them, chains in few letters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter, Token

from morpho.butterfly.chain import Chain

__all__ = ["Budget", "FamilyName", "allowed", "short"]

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
