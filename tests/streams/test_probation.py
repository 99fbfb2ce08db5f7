from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streams.probation import FEWEST_SCORES, JUDGED_EVERY, MOST_SCORES, Health, Limits, Probation, stability_index

random = np.random.default_rng(0)


def health(scores: int = 1000, mean: float = 0.3, fallbacks: int = 0, seconds: float = 0.001) -> Health:
    made = Health()
    feed(made, scores, mean, fallbacks, seconds)
    return made


def feed(into: Health, scores: int = 1000, mean: float = 0.3, fallbacks: int = 0, seconds: float = 0.001) -> None:
    for _ in range(scores // 50):
        into.add(random.normal(mean, 0.1, 50).astype(np.float32), fallbacks, seconds)


def probation(before: Health | None = None, **limits: Any) -> Probation:
    return Probation(before or health(), Limits(**limits), None)  # type: ignore[arg-type]


def test_recommender_like_the_one_before_is_not_put_back() -> None:
    assert probation().verdict(health()) is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"mean": 0.8}, "distribution of propensity"),
        ({"fallbacks": 20}, "fallback lists: a share of 0.40, at most 0.20"),
        ({"seconds": 0.2}, r"scoring latency: 200.0 ms a batch, at most 20.0 ms"),
    ],
)
def test_each_limit_is_held_and_named(seen: dict[str, Any], reason: str) -> None:
    verdict = probation().verdict(health(**seen))

    assert verdict is not None
    assert verdict.startswith(reason)


def test_slow_scoring_is_measured_by_what_it_was_before() -> None:
    before = health(seconds=0.1)

    assert probation(before).verdict(health(seconds=0.3)) is None
    assert probation(before).verdict(health(seconds=0.5)) is not None


def test_too_few_scores_on_either_side_are_no_ground_for_a_verdict() -> None:
    few = FEWEST_SCORES - 50

    assert probation(health(scores=few)).verdict(health(mean=0.8)) is None
    assert probation().verdict(health(scores=few, mean=0.8)) is None


def test_verdict_comes_with_enough_new_scores_only() -> None:
    watched, seen = probation(), health()
    assert watched.verdict(seen) is None

    feed(seen, JUDGED_EVERY - 50, fallbacks=50)
    assert watched.verdict(seen) is None
    feed(seen, 50, fallbacks=50)
    assert watched.verdict(seen) is not None


def test_watch_ends_with_its_time_and_not_without_scores() -> None:
    assert not probation().is_over(health())
    assert probation(watch_s=0).is_over(health())
    assert not probation(watch_s=0).is_over(health(scores=FEWEST_SCORES - 50))


def test_only_the_newest_scores_count() -> None:
    seen = health(scores=MOST_SCORES, mean=0.8)
    feed(seen, MOST_SCORES)

    assert MOST_SCORES <= seen.scores < MOST_SCORES + 50
    assert seen.seen == 2 * MOST_SCORES
    assert seen.propensities().mean() == pytest.approx(0.3, abs=0.01)


def test_index_of_two_samples_of_one_population_is_small_and_of_constants_nothing() -> None:
    one, other = (random.beta(2, 8, FEWEST_SCORES).astype(np.float32) for _ in range(2))
    constant = np.full(FEWEST_SCORES, 0.2, np.float32)

    assert stability_index(one, other) < 0.1
    assert stability_index(one, 1 - other) > 1
    assert stability_index(constant, constant) == 0
