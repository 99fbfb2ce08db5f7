"""Rules that a learned list must beat: popularity, the last category's popularity, items bought together.

In: what happened before the cut, and for `recent_popularity` before each moment. Out: scorers for
`training.ranking`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feature_repo.state import ACTIONS
from training.dataset import DAY_MS, Dataset
from training.ranking import Scorer
from training.targets import Occasions

# Weight of the category's items over all others; beyond any popularity, which is a share.
_CATEGORY_FIRST = 10.0
_WANTED = [ACTIONS.index(action) + 1 for action in ("click", "add", "purchase")]


def popularity(dataset: Dataset, until_ms: int, days: float | None = None) -> NDArray[np.float32]:
    """Count interactions before `until_ms`, of the last `days` or all: share of each row, float32 [R]."""
    interactions = dataset.interactions
    counted = (interactions.ms < until_ms) & np.isin(interactions.action, _WANTED) & (interactions.rows > 0)
    if days is not None:
        counted &= interactions.ms >= until_ms - days * DAY_MS
    counts = np.bincount(interactions.rows[counted], minlength=len(dataset.table.item_ids))
    shares: NDArray[np.float32] = (counts / max(counts.sum(), 1)).astype(np.float32)
    return shares


def popular(dataset: Dataset, until_ms: int, days: float | None = None) -> Scorer:
    """Score by popularity before `until_ms`, the same for everyone."""
    shares = popularity(dataset, until_ms, days)
    return lambda moments: np.tile(shares, (len(moments), 1))


def recent_popularity(dataset: Dataset, occasions: Occasions, days: float) -> Scorer:
    """Score by popularity in the `days` before the day of each moment's targets: it counts on past the cut."""
    known: dict[int, NDArray[np.float32]] = {}

    def score(moments: NDArray[np.int64]) -> NDArray[np.float32]:
        today = occasions.target_ms[moments] // DAY_MS
        for day in np.unique(today):
            if int(day) not in known:
                known[int(day)] = popularity(dataset, int(day) * DAY_MS, days)
        return np.stack([known[int(day)] for day in today])

    return score


def last_category(dataset: Dataset, occasions: Occasions, until_ms: int, days: float | None = None) -> Scorer:
    """Score the items of the last item's category by popularity, then all others by popularity."""
    shares = popularity(dataset, until_ms, days)
    categories = np.full(len(shares), "", dtype=object)
    for item in dataset.items:
        categories[dataset.table.row(item.item_id)] = item.category or ""

    def score(moments: NDArray[np.int64]) -> NDArray[np.float32]:
        last = dataset.interactions.rows[occasions.end[moments] - 1]
        same = (categories[last][:, None] == categories[None, :]) & (categories[last] != "")[:, None]
        return np.where(same, _CATEGORY_FIRST, 0.0).astype(np.float32) + shares

    return score


def recently_seen(dataset: Dataset, occasions: Occasions, until_ms: int, history: int = 50) -> Scorer:
    """Score a user's newest items, the newest first, then all others by popularity."""
    shares = popularity(dataset, until_ms)
    interactions = dataset.interactions

    def score(moments: NDArray[np.int64]) -> NDArray[np.float32]:
        scores = np.tile(shares, (len(moments), 1))
        for place, occasion in enumerate(moments):
            start = interactions.starts[occasions.user[occasion]]
            end = occasions.end[occasion]
            seen = interactions.rows[max(start, end - history) : end]
            scores[place, seen] = np.arange(len(seen)) + 2.0  # the later of two wins
        return scores

    return score


def neighbours(
    dataset: Dataset, occasions: Occasions, until_ms: int, history: int = 20, damping: float = 20.0
) -> Scorer:
    """Score by the cosine between items' users before `until_ms`, summed over a user's newest items.

    Parameters
    ----------
    history
        Newest interactions of a user that count.
    damping
        Added to the cosine's denominator, so that two items that share one user don't look alike.
    """
    interactions = dataset.interactions
    rows_count = len(dataset.table.item_ids)
    owner = np.repeat(np.arange(len(interactions.user_ids)), np.diff(interactions.starts))
    before = (interactions.ms < until_ms) & (interactions.rows > 0)
    touched = np.zeros((len(interactions.user_ids), rows_count), dtype=np.float32)
    touched[owner[before], interactions.rows[before]] = 1.0
    together = touched.T @ touched
    counts = np.diag(together).copy()
    alike = together / (np.sqrt(np.outer(counts, counts)) + damping)
    np.fill_diagonal(alike, 0.0)

    def score(moments: NDArray[np.int64]) -> NDArray[np.float32]:
        scores = np.zeros((len(moments), rows_count), dtype=np.float32)
        for place, occasion in enumerate(moments):
            start = interactions.starts[occasions.user[occasion]]
            end = occasions.end[occasion]
            scores[place] = alike[interactions.rows[max(start, end - history) : end]].sum(axis=0)
        return scores

    return score
