"""Self-describing files: safetensors with a card that says what they are and how they came to be."""

from morpho.artifacts.card import Card as Card
from morpho.artifacts.store import Entry as Entry
from morpho.artifacts.store import load as load
from morpho.artifacts.store import locate as locate
from morpho.artifacts.store import read_card as read_card
from morpho.artifacts.store import save as save
from morpho.artifacts.store import shipped as shipped

__all__ = ["Card", "Entry", "load", "locate", "read_card", "save", "shipped"]
