"""The models that score: one at a time, swapped between two micro-batches, watched after a swap, and put back.

All of it happens in the thread that prepares batches, so a batch is scored, ranked and composed by one model; what was
announced or is written then is composed already. Next models are made ready elsewhere (`streams.swaps`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from feature_repo.state import Entry
from scorer.aspects import Aspects
from scorer.gate_report import ReleasedName
from scorer.recommender import Recommender, Scores
from scorer.sentiment import Sentiment, SentimentScores
from streams.catalogue import Catalogue, ItemVectors
from streams.lists import falls_back
from streams.probation import FEWEST_SCORES, Health, Limits, Probation
from streams.store import RecommendedItem

log = logging.getLogger(__name__)

NOT_FINITE = "scores that are not finite"

WentBack = Callable[[ReleasedName, str], None]
"""Told the model that was put back, and why; called in the thread that prepares batches."""


@dataclass(frozen=True)
class Models:
    """The models that a worker serves; `aspects` where one is published."""

    recommender: Recommender
    sentiment: Sentiment
    aspects: Aspects | None = None

    def by_name(self) -> dict[str, Recommender | Sentiment | Aspects]:
        """The models by the name of their bundle."""
        optional = {"aspects": self.aspects} if self.aspects is not None else {}
        return {"recommender": self.recommender, "sentiment": self.sentiment, **optional}


class Serving:
    """Scores with the served models; ``went_back`` is told when one is put back."""

    def __init__(self, models: Models, catalogue: Catalogue, limits: Limits | None = None) -> None:
        self.models = models
        self.went_back: WentBack = lambda name, reason: None
        self._catalogue = catalogue
        self._limits = limits or Limits()
        self._health = Health()
        self._seconds = 0.0
        self._probation: Probation | None = None
        self._former_sentiment: Sentiment | None = None

    def score(self, histories: Sequence[Sequence[Entry]], feature_rows: npt.NDArray[np.float32]) -> Scores:
        """Score users by their histories and features, float32 [B, F]; by the former model if the new one cannot."""
        scores, self._seconds = self._score(histories, feature_rows)
        if self._probation is not None and not (
            np.isfinite(scores.propensity).all() and np.isfinite(scores.user_vectors).all()
        ):
            self._put_back_recommender(self._probation, NOT_FINITE)
            scores, self._seconds = self._score(histories, feature_rows)
        return scores

    def score_texts(self, texts: Sequence[str]) -> tuple[SentimentScores, str]:
        """Score review texts; by the former model if the new one cannot. With the version that did."""
        scored = self.models.sentiment.score(texts)
        if self._former_sentiment is not None and not np.isfinite(scored.score).all():
            log.error("sentiment %s goes back: %s", self.models.sentiment.version, NOT_FINITE)
            self.models, self._former_sentiment = replace(self.models, sentiment=self._former_sentiment), None
            self.went_back("sentiment", NOT_FINITE)
            scored = self.models.sentiment.score(texts)
        return scored, self.models.sentiment.version

    def observe(self, scores: Scores, lists: Sequence[tuple[RecommendedItem, ...]]) -> None:
        """Take note of a batch that was scored and ranked."""
        self._health.add(scores.propensity, sum(map(falls_back, lists)), self._seconds)

    def judge(self) -> None:
        """Put a model on probation back if it must be; to be called between two batches."""
        if self._probation is None:
            return
        reason = self._probation.verdict(self._health)
        if reason is not None:
            self._put_back_recommender(self._probation, reason)
        elif self._probation.is_over(self._health):
            log.info("recommender %s is past its probation", self.models.recommender.version)
            self._end_probation()

    def swap_recommender(self, made: ItemVectors) -> None:
        """Serve the recommender that the catalogue's vectors were remade for, on probation."""
        before = self._health
        if self._probation is not None and before.scores < FEWEST_SCORES:
            before = self._probation.before
        self._end_probation()
        former = self._catalogue.serve(made)
        self.models = replace(self.models, recommender=made.recommender)
        self._probation, self._health = Probation(before, self._limits, former), Health()

    def swap_sentiment(self, sentiment: Sentiment) -> None:
        """Serve another sentiment model; the former one is kept until the next swap."""
        self._former_sentiment = self.models.sentiment
        self.models = replace(self.models, sentiment=sentiment)

    def _score(
        self, histories: Sequence[Sequence[Entry]], feature_rows: npt.NDArray[np.float32]
    ) -> tuple[Scores, float]:
        recommender = self.models.recommender
        inputs = recommender.encode(histories, feature_rows, self._catalogue.table)
        started = time.perf_counter()
        scores = recommender.score(inputs)
        return scores, time.perf_counter() - started

    def _put_back_recommender(self, probation: Probation, reason: str) -> None:
        former = probation.former
        failed = self._catalogue.serve(former)
        log.error("recommender %s goes back to %s: %s", failed.recommender.version, former.recommender.version, reason)
        self._catalogue.forget(failed)
        self.models = replace(self.models, recommender=former.recommender)
        self._probation, self._health = None, probation.before
        self.went_back("recommender", reason)

    def _end_probation(self) -> None:
        if self._probation is not None:
            self._catalogue.forget(self._probation.former)
            self._probation = None
