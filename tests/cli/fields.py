"""Small fields for tests of the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from morpho.artifacts import Card
from morpho.fields import files
from morpho.fields.field import Field
from morpho.fields.registry import build
from morpho.fields.signal import Signal

#: Each kind's signal, small.
SIGNALS: dict[str, dict[str, Any]] = {
    "image": {"shape": (24, 36), "channels": 3, "colour": "rgb"},
    "video": {"shape": (5, 16, 24), "channels": 3, "colour": "rgb", "frame_rate": 10.0},
    "occupancy": {"shape": (32, 32, 32), "channels": 1},
    "sdf": {"shape": (32, 32, 32), "channels": 1, "low": -0.5, "high": 0.5},
}


def new_field(kind: Any = "image", *, model: str = "scone", seed: int = 0, **changes: Any) -> Field:
    """A field with random weights that vary over the whole range of its values."""
    signal = Signal(kind=kind, **{**SIGNALS[kind], **changes})
    chosen = build(model, width=8)
    random = np.random.default_rng(seed)
    tensors = chosen.initial(signal.dimensions, signal.channels, random)
    name = "head.weight" if "head.weight" in tensors else list(tensors)[-2]
    tensors[name] = random.uniform(-1, 1, tensors[name].shape).astype(np.float32)
    card = Card(kind="field", name="toy", version="1", licence="CC0-1.0", numbers={"psnr": 20.0})
    return Field(signal, chosen, tensors, card)


def save_field(path: str, kind: Any = "image", **changes: Any) -> Field:
    """Write such a field, and return it as it is read."""
    files.save(path, new_field(kind, **changes))
    return files.load(path)
