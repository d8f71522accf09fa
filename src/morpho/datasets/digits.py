"""scikit-learn's 1,797 handwritten digits of 8 x 8, which come with the library; source: alpaydin1998digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from morpho.datasets.labelled import Dataset, Labelled
from morpho.errors import require

__all__ = ["digits"]


def digits(root: Path | None = None, *, seed: int = 0) -> Dataset:
    """Read the digits, 60 % of each class for training and 40 % for testing.

    Args:
        root: not needed.
        seed: of the split.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    found = require("sklearn.datasets", "eval").load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    data = Labelled(torch.from_numpy(pixels), torch.from_numpy(found.target.astype(np.int64)), tuple("0123456789"))
    return Dataset("digits", *data.split(0.4, seed))
