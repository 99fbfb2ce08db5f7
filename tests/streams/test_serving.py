"""Models swapped in and put back, with fakes for the models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streams.lists import POPULAR_REASON
from streams.probation import Limits
from streams.serving import NOT_FINITE, Models, Serving
from streams.store import RecommendedItem
from tests.streams.fakes import FakeRecommender, FakeSentiment, item, stocked

LIST = (RecommendedItem("tent", 1.0, "because you looked at Cup"),)
FALLBACK = (RecommendedItem("tent", 1.0, POPULAR_REASON),)
FEATURES = np.zeros((600, 2), np.float32)


class Named(FakeRecommender):
    def __init__(self, version: str, propensity: float = 0.5) -> None:
        super().__init__(propensity=propensity)
        self.version = version


class NamedSentiment(FakeSentiment):
    def __init__(self, version: str, value: float = 0.5) -> None:
        self.version, self._value = version, value

    def score(self, texts: Any) -> Any:
        scored = super().score(texts)
        scored.score[:] = self._value
        return scored


class Worker:
    """Serving with an item, which remembers what was put back."""

    def __init__(self, **limits: Any) -> None:
        self.first = Named("first")
        self.catalogue = stocked(item("tent"), recommender=self.first)
        models = Models(self.first, NamedSentiment("mood-1"))  # type: ignore[arg-type]
        self.serving = Serving(models, self.catalogue, Limits(**limits))
        self.back: list[tuple[str, str]] = []
        self.serving.went_back = lambda name, reason: self.back.append((name, reason))

    def swap(self, recommender: Any) -> None:
        self.serving.swap_recommender(self.catalogue.remake(recommender))

    def batch(self, made: Any = LIST) -> float:
        """Score 600 users; the propensity of the first."""
        self.serving.judge()
        scores = self.serving.score([[]] * 600, FEATURES)
        self.serving.observe(scores, [made] * 600)
        return float(scores.propensity[0])

    @property
    def version(self) -> str:
        return self.serving.models.recommender.version


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_swapped_recommender_scores_and_ranks_with_its_own_vectors(worker: Worker) -> None:
    second = Named("second", 0.25)
    worker.swap(second)

    assert worker.batch() == 0.25
    assert worker.version == "second"
    assert second.made == [1]


def test_recommender_that_gives_nan_never_scores_a_batch(worker: Worker) -> None:
    worker.batch()
    worker.swap(Named("second", float("nan")))

    assert worker.batch() == 0.5
    assert worker.version == "first"
    assert worker.back == [("recommender", NOT_FINITE)]


def test_recommender_that_drifts_goes_back_between_two_batches(worker: Worker) -> None:
    worker.batch()
    worker.swap(Named("second", 0.9))

    assert worker.batch() == pytest.approx(0.9)
    assert worker.back == []
    assert worker.batch() == 0.5
    assert [(name, reason.split(":")[0]) for name, reason in worker.back] == [
        ("recommender", "distribution of propensity")
    ]


def test_lists_that_fall_back_count(worker: Worker) -> None:
    worker.batch()
    worker.swap(Named("second"))
    worker.batch(FALLBACK)
    worker.batch()

    assert worker.version == "first"
    assert worker.back[0][1].startswith("fallback lists")


def test_after_the_watch_a_recommender_stays() -> None:
    worker = Worker(watch_s=0)
    worker.batch()
    worker.swap(Named("second"))
    worker.batch()
    worker.batch()

    second = worker.serving.models.recommender
    second.propensity = 0.9  # type: ignore[attr-defined]
    worker.batch()
    worker.batch()
    assert worker.version == "second"
    assert worker.back == []


def test_swap_in_the_middle_of_a_watch_goes_back_to_the_one_before(worker: Worker) -> None:
    worker.batch()
    worker.swap(Named("second"))
    worker.swap(Named("third", 0.9))
    worker.batch()
    worker.batch()

    assert worker.version == "second"


def test_swapped_sentiment_scores_and_says_so(worker: Worker) -> None:
    worker.serving.swap_sentiment(NamedSentiment("mood-2", -0.25))  # type: ignore[arg-type]

    scored, version = worker.serving.score_texts(["good mug"])

    assert (scored.score.tolist(), version) == ([-0.25], "mood-2")


def test_sentiment_that_gives_nan_never_scores_a_text(worker: Worker) -> None:
    worker.serving.swap_sentiment(NamedSentiment("mood-2", float("nan")))  # type: ignore[arg-type]

    scored, version = worker.serving.score_texts(["good mug"])

    assert (scored.score.tolist(), version) == ([0.5], "mood-1")
    assert worker.back == [("sentiment", NOT_FINITE)]
