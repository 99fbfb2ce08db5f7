"""What diversity costs and gives: a log and strengths in; hit rate, diversity within lists and coverage of each out.

A recommender is trained on all but the log's last days, and lists of ten are made at every occasion after. Each
strength of `scorer.diversity.marginal_order` reorders the same candidates, as serving does.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.diversity import intra_list_diversity, marginal_order
from training.dataset import Dataset
from training.evaluate import item_vectors, served_scorer, train_before
from training.metrics import hit_rate, ndcg
from training.ranking import LIST_LENGTH, Task, ranking_task
from training.reporting import Progress
from training.settings import Settings
from training.targets import find_occasions

CANDIDATES = 4 * LIST_LENGTH
"""As many for each place of a list as serving has (`streams.lists`)."""
MOST_MOMENTS = 2000


class DiversityRow(msgspec.Struct, frozen=True):
    """Figures of lists of ten at one strength.

    Parameters
    ----------
    strength
        0 is the undiversified list.
    hit_rate_10, ndcg_10
        Of the next occasion's items.
    intra_list_diversity
        Mean of one less the cosine over the pairs of a list's item vectors.
    categories
        Mean number of different categories in a list; items without one count as one.
    coverage
        Share of the catalogue that is in any of the lists.
    """

    strength: float
    hit_rate_10: float
    ndcg_10: float
    intra_list_diversity: float
    categories: float
    coverage: float


class DiversityReport(msgspec.Struct, frozen=True):
    """What was measured: on how many lists of which log, and a row for each strength."""

    source: str
    held_out_days: float
    items: int
    lists: int
    rows: list[DiversityRow]


def evaluate_diversity(
    dataset: Dataset,
    text_vectors: NDArray[np.float32],
    strengths: Sequence[float],
    *,
    held_out_days: float,
    settings: Settings,
    progress: Progress,
) -> DiversityReport:
    """Train on all but the last days of a log, and measure lists of each strength on those.

    Parameters
    ----------
    dataset
        The whole log.
    text_vectors
        Of the items' text by row, float32 [R, T].
    strengths
        Each from 0 to 1.
    held_out_days
        Days at the end to hold out.
    settings
        How to train.
    progress
        Is told a line a step.

    Raises
    ------
    DataError
        When either part of the log is too short.
    """
    occasions = find_occasions(dataset.interactions)
    recommender, cut_ms = train_before(dataset, occasions, text_vectors, held_out_days, settings, progress)
    task = ranking_task(dataset, occasions, cut_ms, dataset.last_ms + 1, limit=MOST_MOMENTS)
    vectors = item_vectors(recommender, dataset, text_vectors)
    rows, scores = task.best(served_scorer(recommender, vectors, dataset, occasions), CANDIDATES)
    measured = []
    for strength in strengths:
        measured.append(measure(task, diversified(rows, scores, vectors, strength), vectors, strength))
        progress(f"strength {strength:g}: HR@10 {measured[-1].hit_rate_10:.4f}")
    return DiversityReport(dataset.name, held_out_days, len(dataset.items), len(task.moments), measured)


def diversified(
    rows: NDArray[np.int64], scores: NDArray[np.float32], vectors: NDArray[np.float32], strength: float
) -> NDArray[np.int64]:
    """Reorder the candidates of each list, and keep ten of them.

    Parameters
    ----------
    rows, scores
        int64 and float32 [Q, C], best first; a score of -inf is no candidate, and stays behind all others.
    vectors
        float32 [R, D] by row.

    Returns
    -------
    NDArray
        int64 [Q, 10], or fewer where there are fewer candidates.
    """
    lists = np.array(rows[:, :LIST_LENGTH])
    for place, (candidates, worth) in enumerate(zip(rows, scores, strict=True)):
        allowed = candidates[np.isfinite(worth)]
        order = marginal_order(worth[np.isfinite(worth)], vectors[allowed], strength)[:LIST_LENGTH]
        lists[place, : len(order)] = allowed[order]
    return lists


def measure(task: Task, lists: NDArray[np.int64], vectors: NDArray[np.float32], strength: float) -> DiversityRow:
    """Measure lists, int64 [Q, 10], made at the moments of `task` with item vectors, float32 [R, D]."""
    targets = [task.occasions.targets_of(int(moment)) for moment in task.moments]
    category_of = np.full(len(vectors), "", dtype=object)
    for item in task.dataset.items:
        category_of[task.dataset.table.row(item.item_id)] = item.category or ""
    return DiversityRow(
        strength=strength,
        hit_rate_10=_rounded(hit_rate(lists, targets).mean()),
        ndcg_10=_rounded(ndcg(lists, targets).mean()),
        intra_list_diversity=_rounded(np.mean([intra_list_diversity(vectors[rows]) for rows in lists])),
        categories=_rounded(np.mean([len(set(category_of[rows])) for rows in lists])),
        coverage=_rounded(len(np.unique(lists)) / len(task.dataset.items)),
    )


def _rounded(value: np.floating | float) -> float:
    return round(float(value), 4)
