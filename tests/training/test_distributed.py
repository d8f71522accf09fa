"""Several processes do the work of one, and reach what one reaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from morpho.errors import InputError
from morpho.training import Fit, Processes, cross_entropy, fit, processes
from morpho.training.distributed import choose_device
from morpho.upscale.linear import LinearStage
from morpho.upscale.tables import Tables
from morpho.upscale.train import Recipe, train
from tests.training.problems import rings, shuffled
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
import os, sys, time
from pathlib import Path
from tests.training.test_distributed import little_fit, little_run

folder = Path(sys.argv[1])
little_run(folder / os.environ["RANK"])
time.sleep(0.5 * int(os.environ["RANK"]))  # who joins anew first must wait for the other, not find what it was before
little_fit(folder / "fit" / os.environ["RANK"])
"""


def little_run(folder: Path) -> None:
    """Take five steps so small that no entry is rounded to another unit: the gradients depend on the crops alone."""
    linear = LinearStage.of(2)
    start = Tables((linear.to_stage(np.zeros(linear.size)),) * 2)
    recipe = Recipe(steps=5, batch=4, crop=12, learning_rate=1e-3, variations=0, held_every=5)
    train(recipe, photos(6, 64, 64), start=start, folder=folder, every=3, device="cpu")


def little_fit(folder: Path) -> None:
    """Train a small classifier without batch statistics, and keep beside the run what was given back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(folder.name == "1"))  # processes begin with the parameters of the first one
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    plan = Fit(epochs=3, batch=16, learning_rate=0.1, averaging="ema", average=0.5, schedule="constant")
    sizes = set()

    def loss(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.add((len(inputs), len(labels)))
        return cross_entropy(model, inputs, labels)

    batches = shuffled(*rings(64), 16)
    kept = fit(model, plan, batches, steps_per_epoch=4, folder=folder, every=2, loss=loss, device="cpu")
    result = {"sizes": sizes, "kept": kept.state_dict(), "last": model.state_dict()}
    torch.save(result, folder.parent / f"{folder.name}.pt")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The folder in which two processes did both runs."""
    folder = tmp_path_factory.mktemp("both")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    done = torchrun(2, str(script), str(folder), root=root)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_give_what_one_gives(tmp_path: Path, both: Path) -> None:
    assert list((both / "1").iterdir()) == []  # the first one writes; here each has a folder of its own
    little_run(tmp_path)
    states = [torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (both / "0", tmp_path)]
    for number in (0, 1):
        means = [state["optimizer"]["state"][number]["exp_avg"] for state in states]  # of the gradients
        assert torch.linalg.norm(means[0] - means[1]) < 1e-5 * torch.linalg.norm(means[1])
        entries = [state["model"][f"stages.{number}.entries"] for state in states]
        assert entries[1].abs().max() > 2e-3
        # Adam asks for little more than a gradient's sign: a few that are next to zero may go another way.
        assert (entries[0] - entries[1]).abs().gt(1e-5).float().mean() < 1e-3


def test_two_processes_fit_what_one_fits(tmp_path: Path, both: Path) -> None:
    """And each of them gives back the trained model."""
    assert list((both / "fit" / "1").iterdir()) == []
    little_fit(tmp_path / "0")
    alone = torch.load(tmp_path / "0.pt", weights_only=True)
    assert alone.pop("sizes") == {(16, 16)}
    for rank in "01":
        states = torch.load(both / "fit" / f"{rank}.pt", weights_only=True)
        assert states.pop("sizes") == {(8, 8)}  # half the work each
        torch.testing.assert_close(states, alone, rtol=1e-4, atol=1e-6)
    checkpoints = [torch.load(one / "0" / "checkpoint.pt", weights_only=True) for one in (both / "fit", tmp_path)]
    momenta = [[one["momentum_buffer"] for one in state["optimizer"]["state"].values()] for state in checkpoints]
    torch.testing.assert_close(*momenta, rtol=1e-4, atol=1e-6)
    assert (alone["kept"]["0.weight"] - alone["last"]["0.weight"]).abs().max() > 1e-3
