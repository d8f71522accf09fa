"""Small fields for tests: any model, with weights as large as training makes them."""

from __future__ import annotations

import numpy as np

from morpho.artifacts import Card
from morpho.fields.field import Field
from morpho.fields.model import Model, Scone
from morpho.fields.signal import Signal

CARD = Card(kind="field", name="toy", version="1", licence="CC0-1.0", recipe={"steps": 5}, numbers={"psnr": 31.5})
PICTURE = Signal(kind="image", shape=(20, 30), channels=3, colour="rgb")
VIDEO = Signal(kind="video", shape=(5, 8, 12), channels=3, colour="rgb", frame_rate=25.0)
SHAPE = Signal(kind="sdf", shape=(16, 16, 16), channels=1, low=-0.5, high=0.5, origin=(0, 0, 0), extent=(2, 2, 2))


def field(model: Model | None = None, signal: Signal = PICTURE, *, gain: float = 1.5, seed: int = 0) -> Field:
    """A field whose weights are those of a beginning training, times a gain; those of the head times ten more."""
    model = model or Scone(width=24)
    tensors = model.initial(signal.dimensions, signal.channels, np.random.default_rng(seed))
    heads = {name: 10.0 if name.startswith("head") else 1.0 for name in tensors}
    return Field(signal, model, {k: (v * gain * heads[k]).astype(np.float32) for k, v in tensors.items()}, CARD)
