"""Several processes do the work of one, and reach what one reaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from morpho.errors import InputError
from morpho.training import Processes, processes
from morpho.training.distributed import choose_device
from morpho.upscale.linear import LinearStage
from morpho.upscale.tables import Tables
from morpho.upscale.train import Recipe, train
from tests.training.torchrun import torchrun
from tests.upscale.photos import photos

CPU = torch.device("cpu")


def test_alone() -> None:
    with processes("cpu") as joined:
        assert joined == Processes(0, 1, CPU)
        assert joined.first
        model, batch = nn.Linear(2, 1), torch.arange(3)
        assert joined.wrap(model) is model
        assert joined.share(batch).tolist() == [0, 1, 2]
    assert not torch.distributed.is_initialized()


def test_shares_are_even_and_cover_the_batch() -> None:
    batch = torch.arange(12).reshape(6, 2)
    parts = [Processes(rank, 3, CPU).share(batch) for rank in range(3)]
    assert [len(part) for part in parts] == [2, 2, 2]
    assert sorted(torch.cat(parts).tolist()) == batch.tolist()
    assert [Processes(rank, 3, CPU).first for rank in range(3)] == [True, False, False]
    with pytest.raises(InputError, match="a batch of 6 cannot be shared by 4 processes: use a multiple"):
        Processes(0, 4, CPU).share(batch)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU
    for missing in ("cuda", "mps", "tpu", ""):
        with pytest.raises(InputError, match=f"{missing!r} is not available here: use auto or one of cpu$"):
            choose_device(missing)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    assert choose_device("cpu") == CPU


SCRIPT = """
import os, sys
from pathlib import Path
from tests.training.test_distributed import little_run

little_run(Path(sys.argv[1]) / os.environ["RANK"])
"""


def little_run(folder: Path) -> None:
    """Take five steps so small that no entry is rounded to another unit: the gradients depend on the crops alone."""
    linear = LinearStage.of(2)
    start = Tables((linear.to_stage(np.zeros(linear.size)),) * 2)
    recipe = Recipe(steps=5, batch=4, crop=12, learning_rate=1e-3, variations=0, held_every=5)
    train(recipe, photos(6, 64, 64), start=start, folder=folder, every=3, device="cpu")


def test_two_processes_give_what_one_gives(tmp_path: Path, root: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = torchrun(2, str(script), str(tmp_path), root=root)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "1").iterdir()) == []  # the first one writes; here each has a folder of its own
    little_run(tmp_path / "alone")
    both, alone = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("0", "alone"))
    for number in (0, 1):
        means = [state["optimizer"]["state"][number]["exp_avg"] for state in (both, alone)]  # of the gradients
        assert torch.linalg.norm(means[0] - means[1]) < 1e-5 * torch.linalg.norm(means[1])
        entries = [state["model"][f"stages.{number}.entries"] for state in (both, alone)]
        assert entries[1].abs().max() > 2e-3
        # Adam asks for little more than a gradient's sign: a few that are next to zero may go another way.
        assert (entries[0] - entries[1]).abs().gt(1e-5).float().mean() < 1e-3
