"""The task that lists are measured on: what the user comes to next, of all that could be shown.

In: a data set and a span of time. Out: the moments whose targets fall into that span, and the best items that a
scorer finds for each, among all items published by then that the user had not bought and was not looking at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_repo.state import ACTIONS
from training.dataset import DataError, Dataset
from training.metrics import hit_rate, ndcg, top_rows
from training.targets import Occasions

LIST_LENGTH = 10
BATCH = 256

_PURCHASE = ACTIONS.index("purchase") + 1

Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Occasions, int64 [B], to the score of every row of the item table for each, float32 [B, R]."""


@dataclass(frozen=True)
class Figures:
    """Mean hit rate and NDCG of lists of ten over a number of moments."""

    hit_rate: float
    ndcg: float
    moments: int


@dataclass(frozen=True)
class Task:
    """Moments to make a list at.

    Parameters
    ----------
    dataset, occasions
        Whose moments they are.
    moments
        int64 [Q], places of the occasions after which a list is made.
    published_ms
        int64 [R], when each row's item was published; row 0 never is.
    """

    dataset: Dataset
    occasions: Occasions
    moments: NDArray[np.int64]
    published_ms: NDArray[np.int64]

    def lists(self, scorer: Scorer) -> NDArray[np.int64]:
        """Give the ten best rows at each moment, best first: int64 [Q, 10]."""
        return self.best(scorer, LIST_LENGTH)[0]

    def best(self, scorer: Scorer, length: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Give the best rows at each moment, best first, int64 [Q, length], and their scores, float32 [Q, length].

        With fewer items than `length`, all of them; what must not be in a list comes last, with a score of -inf.
        """
        length = min(length, len(self.published_ms))
        rows, scores = [np.zeros((0, length), dtype=np.int64)], [np.zeros((0, length), dtype=np.float32)]
        for start in range(0, len(self.moments), BATCH):
            batch = self.moments[start : start + BATCH]
            of_batch = np.array(scorer(batch), dtype=np.float32)
            for place, occasion in enumerate(batch):
                of_batch[place, self._excluded(int(occasion))] = -np.inf
                of_batch[place, self.published_ms > self.occasions.target_ms[occasion]] = -np.inf
            rows.append(top_rows(of_batch, length))
            scores.append(np.take_along_axis(of_batch, rows[-1], axis=1))
        return np.concatenate(rows), np.concatenate(scores)

    def measure(self, scorer: Scorer) -> Figures:
        """Measure the lists that `scorer` makes at these moments."""
        hits, gains = self.each(scorer)
        return Figures(float(hits.mean()), float(gains.mean()), len(gains))

    def each(self, scorer: Scorer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure the list at each moment: hits, 0 or 1, and NDCG, float64 [Q] each."""
        lists = self.lists(scorer)
        targets = [self.occasions.targets_of(int(occasion)) for occasion in self.moments]
        return hit_rate(lists, targets), ndcg(lists, targets)

    def lengths(self) -> NDArray[np.int64]:
        """Count the entries of the history at each moment: int64 [Q]."""
        starts = self.dataset.interactions.starts[self.occasions.user[self.moments]]
        found: NDArray[np.int64] = self.occasions.end[self.moments] - starts
        return found

    def _excluded(self, occasion: int) -> NDArray[np.int64]:
        """Give the rows of what was bought, of what is looked at, and of the unknown item."""
        interactions = self.dataset.interactions
        start = interactions.starts[self.occasions.user[occasion]]
        end = self.occasions.end[occasion]
        rows = interactions.rows[start:end]
        bought = rows[interactions.action[start:end] == _PURCHASE]
        return np.concatenate([bought, rows[-1:], [0]])


def ranking_task(
    dataset: Dataset,
    occasions: Occasions,
    from_ms: int,
    until_ms: int,
    *,
    limit: int,
    first_only: bool = False,
    seed: int = 0,
) -> Task:
    """Find the moments whose targets come in [`from_ms`, `until_ms`).

    Parameters
    ----------
    dataset, occasions
        The log and its occasions.
    from_ms, until_ms
        The span, ms since the epoch.
    limit
        Most moments; where there are more, they are drawn at random.
    first_only
        Whether to keep each user's first moment only: the one that knows nothing of the span.
    seed
        Of the draw.

    Raises
    ------
    DataError
        When there is no such moment.
    """
    inside = (occasions.target_ms >= from_ms) & (occasions.target_ms < until_ms)
    moments = np.flatnonzero(inside)
    if len(moments) == 0:
        raise DataError(
            f"{dataset.name}: no user has both a history and a new item between {from_ms} and {until_ms} ms; "
            "expected at least one: use a longer log"
        )
    if first_only:
        moments = moments[np.append(True, np.diff(occasions.user[moments]) != 0)]
    if len(moments) > limit:
        moments = np.sort(np.random.default_rng(seed).choice(moments, limit, replace=False))
    published_ms = np.full(len(dataset.table.item_ids), np.iinfo(np.int64).max)
    for item in dataset.items:
        published_ms[dataset.table.row(item.item_id)] = item.published_at_ms
    return Task(dataset, occasions, moments, published_ms)
