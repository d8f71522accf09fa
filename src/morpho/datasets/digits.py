"""scikit-learn's digits: 1,797 handwritten digits of 8 x 8, in 17 shades of grey (Alpaydin and Kaynak, UCI 1998)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from morpho.datasets.labelled import Dataset, Labelled
from morpho.errors import require

__all__ = ["digits"]


def digits(root: Path | str | None = None, *, seed: int = 0) -> Dataset:
    """Take the digits that come with scikit-learn, and hold out 40 % of each class to measure on.

    Args:
        root: not used; it is there because every reader has it.
        seed: of the split.

    Returns:
        uint8 ``(N, 1, 8, 8)``: the shades 0..16 brought to 0..255.

    Raises:
        MissingExtraError: scikit-learn is not installed.

    >>> len(digits().test)
    719
    """
    found = require("sklearn.datasets", "dev").load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = torch.from_numpy(found.target.astype(np.int64))
    train, test = Labelled(torch.from_numpy(pixels), labels, tuple("0123456789")).split(0.4, seed)
    return Dataset("digits", train, test)
