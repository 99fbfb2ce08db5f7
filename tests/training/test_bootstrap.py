from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.gates.bootstrap import beats_or_equals, not_worse, paired_bootstrap
from training.gates.limits import RECOMMENDER

RANDOM = np.random.default_rng(3)
EVERYONE = np.arange(1000)


def test_interval_of_independent_cases_is_that_of_the_normal_law() -> None:
    differences = RANDOM.normal(0.1, 1.0, size=1000)
    interval = paired_bootstrap(differences, EVERYONE, 0.95)

    half = 1.96 * differences.std() / np.sqrt(1000)
    assert interval.mean == pytest.approx(differences.mean())
    assert interval.low == pytest.approx(interval.mean - half, abs=0.15 * half)
    assert interval.high == pytest.approx(interval.mean + half, abs=0.15 * half)


def test_cases_of_one_owner_count_as_one() -> None:
    each = RANDOM.normal(size=100)
    alone = paired_bootstrap(each, np.arange(100), 0.95)
    repeated = paired_bootstrap(np.repeat(each, 10), np.repeat(np.arange(100), 10), 0.95)

    assert repeated.high - repeated.low == pytest.approx(alone.high - alone.low)


def test_same_seed_gives_the_same_interval() -> None:
    differences = RANDOM.normal(size=200)
    assert paired_bootstrap(differences, EVERYONE[:200], 0.9) == paired_bootstrap(differences, EVERYONE[:200], 0.9)


@pytest.mark.parametrize(
    ("worse_by", "passes"), [(-0.05, True), (0.0, True), (0.005, True), (0.02, False), (0.1, False)]
)
def test_challenger_may_be_worse_by_a_fiftieth_of_the_champion(worse_by: float, passes: bool) -> None:
    champion = RANDOM.normal(0.5, 0.2, size=1000)
    # Differences that scatter more than their mean: chance explains any of these, the share of the champion does not.
    challenger = champion - worse_by + RANDOM.permutation(np.repeat([-2.0, 2.0], 500))

    gate = beats_or_equals("champion", challenger, champion, EVERYONE, RECOMMENDER, "figure of 1000 lists")

    assert gate.passed is passes
    assert "95 % interval" in gate.seen


def test_small_loss_that_chance_does_not_explain_is_refused() -> None:
    champion = np.full(1000, 0.5)
    assert not beats_or_equals("champion", champion - 0.001, champion, EVERYONE, RECOMMENDER, "figure").passed


def test_slice_is_refused_only_for_what_chance_does_not_explain() -> None:
    champion = np.full(1000, 0.5)
    noise = RANDOM.permutation(np.repeat([-0.2, 0.2], 500))

    assert not_worse("new users", champion - 0.01 + noise, champion, EVERYONE, RECOMMENDER, "lists").passed
    assert not not_worse("new users", champion - 0.1 + noise, champion, EVERYONE, RECOMMENDER, "lists").passed


def test_slice_of_a_few_is_not_judged() -> None:
    few = np.zeros(9)
    gate = not_worse("new users", few - 1, few, np.arange(9), replace(RECOMMENDER, fewest_in_slice=10), "lists")
    assert gate.passed
    assert gate.seen == "9 lists: too few to judge"
