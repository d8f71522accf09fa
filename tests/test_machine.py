"""What the machine is asked, and told."""

from __future__ import annotations

import os

import pytest

from morpho import machine


def test_idle_threads_sleep_unless_the_user_said_how_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    machine.let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    machine.let_idle_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
