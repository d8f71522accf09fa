"""A training run: its schedule, its running mean, what it keeps, and how it goes on after a stop."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from morpho.errors import ArtifactError
from morpho.training import Processes, Run, load_weights

CPU = torch.device("cpu")
ALONE = Processes(0, 1, CPU)


@dataclass(frozen=True, kw_only=True)
class Inner:
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    steps: int = 10
    learning_rate: float = 0.1
    average: float = 0.0
    inner: Inner = field(default_factory=Inner)


class Number(nn.Module):
    """One parameter, which starts at zero."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start))


def start(folder: Path, recipe: Recipe, *, joined: Processes = ALONE, resume: bool = False) -> Run[Number]:
    return Run(recipe, Number(), joined, folder, resume=resume)


def down(run: Run[Number]) -> Tensor:
    """One step of constant gradient: Adam goes up by the learning rate."""
    loss = run.update(-run.model.value)
    run.average()
    return loss


def go(run: Run[Number], *, every: int = 4, value: Callable[[], float] | None = None) -> list[float]:
    """Run to the end; return the losses of the evaluations."""
    losses: list[float] = []

    def evaluate(loss: float) -> None:
        losses.append(loss)
        run.keep(run.step if value is None else value(), {"loss": round(loss, 6)})

    run.go("test", lambda: down(run), evaluate, every)
    return losses


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def rates(steps: int, rate: float = 0.1) -> list[float]:
    return [rate * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]


def test_adam_follows_a_cosine(tmp_path: Path) -> None:
    """With a constant gradient, each of Adam's steps is as long as its learning rate."""
    run = start(tmp_path, Recipe())
    values = []
    for _ in range(10):
        assert not down(run).requires_grad
        values.append(float(run.model.value.detach()))
    wanted = [sum(rates(10)[: step + 1]) for step in range(10)]
    assert values == pytest.approx(wanted, rel=1e-4)
    assert run.step == 10


@pytest.mark.parametrize("average", [0.0, 0.5, 0.9])
def test_the_running_mean(tmp_path: Path, average: float) -> None:
    """The first step's parameters begin it; each further step counts for one minus the decay."""
    run, mean = start(tmp_path, Recipe(average=average)), 0.0
    for step in range(10):
        down(run)
        value = float(run.model.value.detach())
        mean = value if step == 0 else average * mean + (1 - average) * value
        assert float(run.mean.value.detach()) == pytest.approx(mean, rel=1e-5)


def test_a_checkpoint_that_is_not_written_in_full_is_an_error_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(tmp_path, Recipe())

    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="could not be written in full"):
        go(run, every=4)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_what_the_disk_says_of_a_checkpoint_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
        error.__context__ = OSError(errno.ENOSPC, "No space left on device")  # as torch leaves it on a full disk
        raise error

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        go(start(tmp_path, Recipe()), every=4)
    assert caught.value.errno == errno.ENOSPC


def test_other_errors_of_torch_are_not_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        go(start(tmp_path, Recipe()), every=4)


def test_evaluations_get_the_mean_loss_since_the_last(tmp_path: Path) -> None:
    run = start(tmp_path / "deep" / "run", Recipe())
    losses = go(run, every=4)
    before = [-sum(rates(10)[:step]) for step in range(10)]  # the loss of a step is that before it
    wanted = [sum(before[:4]) / 4, sum(before[4:8]) / 4, sum(before[8:]) / 2]
    assert losses == pytest.approx(wanted, rel=1e-4)
    written = lines(tmp_path / "deep" / "run")
    assert [line["step"] for line in written] == [4, 8, 10]
    assert [line["loss"] for line in written] == pytest.approx(wanted, rel=1e-4)
    assert all(line["seconds"] >= 0 for line in written)
    assert sorted(path.name for path in (tmp_path / "deep" / "run").iterdir()) == ["checkpoint.pt", "log.jsonl"]


def test_the_best_is_kept(tmp_path: Path) -> None:
    values = iter([1.0, 3.0, 3.0, -1.0, 2.0])
    run = start(tmp_path, Recipe(average=0.0))
    go(run, every=2, value=lambda: next(values))
    assert run.best == 3.0
    assert float(run.best_model().value.detach()) == pytest.approx(sum(rates(10)[:4]), rel=1e-4)  # the first of equals


def test_going_on_after_a_stop(tmp_path: Path) -> None:
    recipe = Recipe(average=0.7)
    values = [5.0, 1.0, 2.0]
    whole = start(tmp_path / "whole", recipe)
    given = iter(values)
    go(whole, value=lambda: next(given))
    cut = start(tmp_path / "cut", recipe)
    with pytest.raises(KeyboardInterrupt):
        cut.go("test", lambda: stop_at(cut, 7), lambda loss: cut.keep(values[0], {"loss": round(loss, 6)}), 4)
    resumed = start(tmp_path / "cut", recipe, resume=True)
    assert (resumed.step, resumed.best) == (4, 5.0)
    given = iter(values[1:])
    go(resumed, value=lambda: next(given))
    assert torch.equal(resumed.model.value, whole.model.value)
    assert torch.equal(resumed.mean.value, whole.mean.value)
    assert torch.equal(resumed.best_model().value, whole.best_model().value)
    for folder in ("cut", "whole"):
        assert [line["step"] for line in lines(tmp_path / folder)] == [4, 8, 10]
    again = start(tmp_path / "cut", recipe, resume=True)
    assert go(again) == []  # nothing is left
    assert torch.equal(again.best_model().value, whole.best_model().value)


def stop_at(run: Run[Number], step: int) -> Tensor:
    if run.step == step:
        raise KeyboardInterrupt
    return down(run)


def test_a_new_run_begins_a_new_log(tmp_path: Path) -> None:
    for _ in range(2):
        go(start(tmp_path, Recipe(steps=2)))
    assert len(lines(tmp_path)) == 1


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    go(start(tmp_path, Recipe(steps=2)))
    other = start(tmp_path, Recipe(steps=2), joined=Processes(1, 1, CPU))
    other.go("test", lambda: down(other), lambda loss: None, 4)
    assert len(lines(tmp_path)) == 1  # nor do they take away what the first one wrote


@pytest.mark.parametrize(
    "other", [Recipe(steps=3), Recipe(learning_rate=0.2), Recipe(average=0.1), Recipe(inner=Inner(sizes=(1, 3)))]
)
def test_another_recipe_is_refused(tmp_path: Path, other: Recipe) -> None:
    recipe = replace(Recipe(), steps=2)
    go(start(tmp_path, recipe))
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt is of a run with another recipe: repeat its options"):
        start(tmp_path, other, resume=True)
    assert start(tmp_path, Recipe(steps=2), resume=True).step == 2


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt cannot be read \(No such file.*: start without --resume"):
        start(tmp_path / "new", Recipe(), resume=True)


def damaged(tmp_path: Path) -> list[bytes]:
    """Files that are no checkpoint, some nearly."""
    go(start(tmp_path, Recipe(steps=2)))
    content = (tmp_path / "checkpoint.pt").read_bytes()
    other = tmp_path / "other.pt"
    contents = [b"", b"hello", b"PK\3\4 hello", content[:-1000], content[: len(content) // 2]]
    states: list[Any] = [[1, 2], {"recipe": {}}, {"recipe": {}, "best_state": {}}, torch.zeros(3)]
    for state in states:
        torch.save(state, other)
        contents.append(other.read_bytes())
    return contents


def test_damaged_checkpoints(tmp_path: Path) -> None:
    for content in damaged(tmp_path):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"checkpoint\.pt is damaged \(\w+\): start without --resume") as caught:
            start(tmp_path, Recipe(steps=2), resume=True)
        assert "\n" not in str(caught.value)
        with pytest.raises(ArtifactError, match=r"checkpoint\.pt is damaged \(\w+\): give the checkpoint\.pt of a run"):
            load_weights(tmp_path / "checkpoint.pt", Number())


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"recipe": {}, "best_state": Path("harmless")}, tmp_path / "checkpoint.pt")
    with pytest.raises(ArtifactError, match=r"is damaged \(UnpicklingError\)"):
        load_weights(tmp_path / "checkpoint.pt", Number())


def test_the_weights_of_another_run(tmp_path: Path) -> None:
    values = iter([2.0, 1.0])
    run = start(tmp_path, Recipe())
    go(run, every=5, value=lambda: next(values))
    model = Number(7.0)
    load_weights(str(tmp_path / "checkpoint.pt"), model)
    assert torch.equal(model.value, run.best_model().value)  # the best, not the last
    for other in (nn.Linear(1, 1), nn.Identity()):
        with pytest.raises(ArtifactError, match=r"is of a model of another shape: repeat that run's options"):
            load_weights(tmp_path / "checkpoint.pt", other)
    with pytest.raises(ArtifactError, match=r"nothing\.pt cannot be read \(No such file"):
        load_weights(tmp_path / "nothing.pt", model)
    with pytest.raises(ArtifactError, match=r"cannot be read|is damaged"):
        load_weights(tmp_path, model)
