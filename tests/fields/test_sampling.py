"""Which samples a step sees: all in turn, independent ones, and hard ones; when a run goes on, the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from morpho.fields import sampling
from morpho.fields.recipe import Sampling
from morpho.fields.sampling import Sampler, generator

CPU = torch.device("cpu")


def sampler(kind: Sampling, count: int, batch: int, seed: int = 0) -> Sampler:
    return Sampler(kind, count, batch, seed=seed, device=CPU)


@pytest.mark.parametrize(("count", "batch"), [(1000, 50), (1000, 64), (16384, 2048), (7, 3), (5, 4), (97, 96)])
def test_even_draws_see_every_sample_in_turn(count: int, batch: int) -> None:
    """In one turn every sample is drawn once; where parts are of two sizes, the smaller ones repeat one."""
    draws = sampler("even", count, batch)
    longest = -(-count // batch)
    for turn in range(2):
        steps = range(turn * longest, (turn + 1) * longest)
        seen = np.bincount(torch.cat([draws.draw(step, 0.0)[0] for step in steps]).numpy(), minlength=count)
        assert seen.min() == 1
        assert seen.max() <= (1 if count % batch == 0 else 2)


def test_even_draws_take_one_sample_of_each_part() -> None:
    index, plain = sampler("even", 1000, 100).draw(7, 0.5)
    assert plain == 100
    assert (index // 10).tolist() == list(range(100))
    assert len(set((index % 10).tolist())) > 5  # at places of their own


def test_even_draws_spread_over_each_part() -> None:
    """Ten of a hundred places leave no gap of a quarter of them, as steps of the golden section do."""
    draws = sampler("even", 1000, 10)
    seen = torch.stack([draws.draw(step, 0.0)[0] for step in range(10)]).sort(0).values
    gaps = torch.cat([seen.diff(dim=0), (seen[0] + 100 - seen[-1])[None]])
    assert gaps.max() < 25


def test_turns_and_seeds_differ() -> None:
    def first(seed: int, step: int) -> list[int]:
        return list(sampler("even", 1000, 100, seed).draw(step, 0.0)[0].tolist())

    assert first(0, 0) != first(1, 0)
    assert first(0, 0) != first(0, 10)
    assert first(0, 3) == first(0, 3)


def test_random_draws_are_independent() -> None:
    """As often as chance has it, a sample is drawn twice: 1 - (1 - 1/n)^n of all samples are seen."""
    index, plain = sampler("random", 10_000, 10_000).draw(0, 0.0)
    assert plain == 10_000
    assert len(set(index.tolist())) / 10_000 == pytest.approx(1 - np.exp(-1), abs=0.02)
    assert index.min() >= 0
    assert index.max() < 10_000


@pytest.mark.parametrize(("kind", "batch"), [("even", 0), ("random", 0), ("hard", 0), ("even", 100), ("even", 50)])
def test_everything_is_everything_in_order(kind: Sampling, batch: int) -> None:
    draws = sampler(kind, 50, batch)
    assert draws.full
    index, plain = draws.draw(3, 0.2)
    assert index.tolist() == list(range(50))
    assert plain == 50


def test_hard_draws_go_where_the_errors_are() -> None:
    draws = sampler("hard", 1000, 200)
    errors = torch.zeros(1000)
    errors[:250] = torch.rand(250) + 1
    draws.learn(torch.arange(1000), errors)
    index, plain = draws.draw(0, 0.0)
    assert (len(index), plain) == (200, 100)
    assert (index[plain:] < 250).float().mean() > 0.9  # of 400 candidates about 100 have an error
    assert (index[:plain] < 250).float().mean() == pytest.approx(0.25, abs=0.05)


def test_candidates_are_other_samples_than_the_plain_ones_of_a_small_signal() -> None:
    draws = sampler("hard", 100, 400)
    index, plain = draws.draw(3, 0.0)
    assert plain == 200
    assert set(index[plain:].tolist()) != set(index[:plain].tolist())
    candidates = draws._random(plain, 3, sampling._HARD)
    assert (index[:plain] == candidates).float().mean() < 0.1


def test_hard_draws_fade() -> None:
    draws = sampler("hard", 1000, 200)
    assert [draws.draw(5, part)[1] for part in (0.0, 0.5, 1.0)] == [100, 150, 200]


def test_errors_are_part_of_the_state() -> None:
    draws, other = sampler("hard", 100, 20), sampler("hard", 100, 20)
    draws.learn(torch.arange(100), torch.rand(100))
    assert draws.draw(1, 0.0)[0].tolist() != other.draw(1, 0.0)[0].tolist()
    other.load_state_dict(draws.state_dict())
    assert draws.draw(1, 0.0)[0].tolist() == other.draw(1, 0.0)[0].tolist()


def test_errors_of_large_signals_are_remembered_for_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_MOST_REMEMBERED", 100)
    draws = sampler("hard", 990, 200)
    assert draws.state_dict()["errors"].shape == (99,)
    draws.learn(torch.arange(990), (torch.arange(990) >= 900).float())  # the last nine groups of ten
    index, plain = draws.draw(0, 0.0)
    assert (index[plain:] >= 900).float().mean() > 0.25  # of 400 candidates about 36; of 100 at random 9


def test_each_purpose_and_step_has_draws_of_its_own() -> None:
    words = [(0, 1, 2), (0, 2, 2), (0, 1, 3), (1, 1, 2), (0, 2, 1), (2, 1, 0)]
    drawn = [torch.rand(4, generator=generator(*word, CPU)).tolist() for word in words]
    assert len({tuple(each) for each in drawn}) == len(words)
    assert torch.rand(4, generator=generator(0, 1, 2, CPU)).tolist() == drawn[0]
