"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# A shared or slow machine must not fail a property test; CI repeats the same examples every time.
settings.register_profile("morpho", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("morpho")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data: MORPHO_DATA, or ``../shared/data`` beside the checkout."""
    folder = Path(os.environ.get("MORPHO_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs real data: {folder} does not exist (set MORPHO_DATA)")
    return folder
