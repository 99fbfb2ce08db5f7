"""A held-out part of a log: recommenders in; a figure of each list and each forecast in it, and its slices, out.

Held out is what comes after everything that challenger and champion were trained on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.recommender import Recommender
from training.baselines import popular
from training.dataset import DAY_MS, Dataset, Examples
from training.evaluate import item_vectors, served_scorer
from training.metrics import ndcg
from training.ranking import Task, ranking_task
from training.targets import Occasions, find_occasions
from training.windows import newest_before

MOST_LISTS = 4_000
FEWEST_OF_A_LABEL = 20
"""Forecasts followed by a purchase, and not: with fewer, a mean loss says nothing."""


@dataclass(frozen=True)
class HeldOut:
    """Lists and forecasts after `cut_ms`, ms since the epoch."""

    dataset: Dataset
    occasions: Occasions
    text_vectors: NDArray[np.float32]
    cut_ms: int
    task: Task
    examples: Examples

    @classmethod
    def of(cls, dataset: Dataset, text_vectors: NDArray[np.float32], cut_ms: int) -> HeldOut | None:
        """Hold out what comes at or after `cut_ms`; None where no list can be made there.

        `text_vectors` are those of the items' text by row of the data set's table, float32 [R, T].
        """
        occasions = find_occasions(dataset.interactions)
        if not (occasions.target_ms >= cut_ms).any():
            return None
        task = ranking_task(dataset, occasions, cut_ms, dataset.last_ms + 1, limit=MOST_LISTS)
        after = dataset.examples.now_ms
        examples = dataset.examples.where((after >= cut_ms) & (after + DAY_MS <= dataset.last_ms))
        return cls(dataset, occasions, text_vectors, cut_ms, task, examples)

    @property
    def users(self) -> NDArray[np.int64]:
        """User of each list, int64 [Q]."""
        return self.occasions.user[self.task.moments]

    @property
    def forecasts_suffice(self) -> bool:
        """Whether there are enough forecasts of both labels."""
        bought = int(self.examples.bought.sum())
        return min(bought, len(self.examples.bought) - bought) >= FEWEST_OF_A_LABEL

    def ndcg(self, recommender: Recommender) -> NDArray[np.float64]:
        """NDCG@10 of each list that the bundle makes, float64 [Q]."""
        vectors = item_vectors(recommender, self.dataset, self.text_vectors)
        return self._gains(self.task.lists(served_scorer(recommender, vectors, self.dataset, self.occasions)))

    def popular_ndcg(self) -> NDArray[np.float64]:
        """NDCG@10 of lists of what was popular before the cut, float64 [Q]."""
        return self._gains(self.task.lists(popular(self.dataset, self.cut_ms)))

    def forecasts(self, recommender: Recommender) -> NDArray[np.float32]:
        """Propensity of each example, float32 [E]."""
        vectors = item_vectors(recommender, self.dataset, self.text_vectors)
        examples = self.examples
        windows = newest_before(self.dataset.interactions, examples.user, examples.end, recommender.max_length)
        return recommender.score(windows.model_inputs(vectors, examples.features)).propensity

    def base_rate(self) -> NDArray[np.float32]:
        """Share of purchases before the cut as the forecast of each example, float32 [E]."""
        before = self.dataset.examples
        known = before.bought[before.now_ms + DAY_MS < self.cut_ms]
        return np.full(len(self.examples.bought), known.mean() if len(known) else 0.5, dtype=np.float32)

    def log_likelihood(self, forecasts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log of the probability given to what happened, float64 [E]; `forecasts` float32 [E]."""
        given = np.where(self.examples.bought, forecasts, 1.0 - forecasts).astype(np.float64)
        return np.log(np.clip(given, 1e-7, 1.0))

    def slices(self, big_category: float) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield the slices by name, bool [Q]: new users, new items, and each big category of the items wanted."""
        interactions = self.dataset.interactions
        yield "new users", interactions.ms[interactions.starts[self.users]] >= self.cut_ms
        first_ms = np.full(len(self.dataset.table.item_ids), np.iinfo(np.int64).max)
        np.minimum.at(first_ms, interactions.rows, interactions.ms)
        wanted = [self.occasions.targets_of(int(moment)) for moment in self.task.moments]
        yield "new items", np.array([bool((first_ms[rows] >= self.cut_ms).any()) for rows in wanted])
        category_of = np.full(len(self.dataset.table.item_ids), "", dtype=object)
        for item in self.dataset.items:
            category_of[self.dataset.table.row(item.item_id)] = item.category or ""
        for category in sorted(set(category_of) - {""}):
            inside = np.array([bool((category_of[rows] == category).any()) for rows in wanted])
            if inside.mean() >= big_category:
                yield f"category {category}", inside

    def _gains(self, lists: NDArray[np.int64]) -> NDArray[np.float64]:
        return ndcg(lists, [self.occasions.targets_of(int(moment)) for moment in self.task.moments])
