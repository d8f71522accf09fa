"""``morpho cite``: the papers behind the verbs."""

from __future__ import annotations

from morpho import citation

__all__ = ["cite"]


def cite(*verbs: str) -> None:
    """Print the BibTeX of the papers behind the verbs.

    Args:
        verbs: verbs such as upscale, or systems such as hklut; all without one.
    """
    print(citation.cite(*verbs))
