"""A log to figures: lists and propensity on its last days, by a model trained on what came before them.

In: a data set and text vectors. Out: a `Report` of the learned model, as exported and served, beside the rules that
it must beat. Two tasks, both over all items published by then that the user had not bought: the next occasion of
each user after the cut (nothing after it is known), and every occasion after the cut (what the user did since is
known, the model stays as it was).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from feature_repo.features import NUMERIC_NAMES
from scorer.recommender import Recommender
from training.baselines import last_category, neighbours, popular, recent_popularity, recently_seen
from training.dataset import DAY_MS, DataError, Dataset, Examples
from training.export import export
from training.logistic import logistic
from training.metrics import calibration_error
from training.ranking import Scorer, ranking_task
from training.reporting import Progress
from training.settings import Settings
from training.targets import Occasions, find_occasions
from training.train import train
from training.windows import newest_before

LEARNED = "learned"
RECENT_DAYS = 7.0
MOST_MOMENTS = 4000


class RankingRow(msgspec.Struct, frozen=True):
    """Figures of one way to make lists: `next_`, each user's next occasion; `every_`, every occasion."""

    method: str
    next_hit_rate_10: float
    next_ndcg_10: float
    every_hit_rate_10: float
    every_ndcg_10: float


class PropensityRow(msgspec.Struct, frozen=True):
    """Figures of one way to forecast a purchase within 24 hours."""

    method: str
    auc: float
    average_precision: float
    calibration_error: float


class Report(msgspec.Struct, frozen=True):
    """What an evaluation found.

    Parameters
    ----------
    source
        Name of the log.
    held_out_days
        Days at its end that training did not see.
    items, users, interactions
        Size of the log.
    next_moments, every_moments
        Lists made for either task.
    ranking
        The learned list first, then the rules.
    propensity_examples, base_rate
        Forecasts made, and the share of them followed by a purchase.
    propensity
        The learned forecast first.
    seconds
        Wall-clock time of the training and of the whole evaluation.
    version
        Version of the bundle evaluated.
    """

    source: str
    held_out_days: float
    items: int
    users: int
    interactions: int
    next_moments: int
    every_moments: int
    ranking: list[RankingRow]
    propensity_examples: int
    base_rate: float
    propensity: list[PropensityRow]
    seconds: dict[str, float]
    version: str


def evaluate(
    dataset: Dataset,
    text_vectors: NDArray[np.float32],
    *,
    held_out_days: float,
    settings: Settings,
    progress: Progress,
) -> Report:
    """Train on all but the last days of a log, and measure on those.

    Parameters
    ----------
    dataset
        The whole log.
    text_vectors
        Of the items' text by row, float32 [R, T].
    held_out_days
        Days at the end to hold out.
    settings
        How to train.
    progress
        Is told a line a step.

    Raises
    ------
    DataError
        When either part is too short.
    """
    started = time.monotonic()
    occasions = find_occasions(dataset.interactions)
    recommender, cut_ms = train_before(dataset, occasions, text_vectors, held_out_days, settings, progress)
    trained_s = time.monotonic() - started
    vectors = item_vectors(recommender, dataset, text_vectors)
    scorers: dict[str, Scorer] = {
        LEARNED: served_scorer(recommender, vectors, dataset, occasions),
        "popularity": popular(dataset, cut_ms),
        f"popularity, {RECENT_DAYS:g} days before the cut": popular(dataset, cut_ms, RECENT_DAYS),
        f"popularity, last {RECENT_DAYS:g} days": recent_popularity(dataset, occasions, RECENT_DAYS),
        "last category": last_category(dataset, occasions, cut_ms),
        "last category, 28 days before the cut": last_category(dataset, occasions, cut_ms, 28.0),
        "recently seen": recently_seen(dataset, occasions, cut_ms),
        "neighbours": neighbours(dataset, occasions, cut_ms),
    }
    ranking, moments = _ranking(dataset, occasions, cut_ms, scorers)
    propensity, examples = _propensity(recommender, vectors, dataset, cut_ms)
    return Report(
        source=dataset.name,
        held_out_days=held_out_days,
        items=len(dataset.items),
        users=len(dataset.interactions.user_ids),
        interactions=len(dataset.interactions.ms),
        next_moments=moments[0],
        every_moments=moments[1],
        ranking=ranking,
        propensity_examples=len(examples.bought),
        base_rate=_rounded(examples.bought.mean()) if len(examples.bought) else 0.0,
        propensity=propensity,
        seconds={
            "training": round(trained_s, 1),
            "all": round(time.monotonic() - started, 1),
        },
        version=recommender.version,
    )


def train_before(
    dataset: Dataset,
    occasions: Occasions,
    text_vectors: NDArray[np.float32],
    held_out_days: float,
    settings: Settings,
    progress: Progress,
) -> tuple[Recommender, int]:
    """Train on all but the last days of a log; the recommender as it would be served, and where those days begin (ms).

    Raises
    ------
    DataError
        When nothing is left to train on.
    """
    cut_ms = dataset.last_ms + 1 - int(held_out_days * DAY_MS)
    if cut_ms <= dataset.first_ms:
        raise DataError(
            f"{dataset.name}: holding out {held_out_days:g} days leaves nothing to train on; expected a log longer "
            f"than that, saw {(dataset.last_ms - dataset.first_ms) / DAY_MS:.1f} days"
        )
    trained = train(dataset, occasions, text_vectors, until_ms=cut_ms, settings=settings, progress=progress)
    with TemporaryDirectory() as folder:
        path = export(trained, dataset, Path(folder), text_encoder="", note="trained for an evaluation")
        return Recommender.load(path, "cpu", threads=max(1, settings.threads)), cut_ms


def item_vectors(recommender: Recommender, dataset: Dataset, text_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make the vectors of all items as serving does, by row of the data set's table: float32 [R, D]."""
    vectors = np.zeros((len(text_vectors), recommender.item_width), dtype=np.float32)
    item_ids = [item.item_id for item in dataset.items]
    rows = dataset.table.rows(item_ids)
    vectors[rows] = recommender.item_vectors(item_ids, text_vectors[rows])
    return vectors


def served_scorer(
    recommender: Recommender, vectors: NDArray[np.float32], dataset: Dataset, occasions: Occasions
) -> Scorer:
    """Score occasions with a loaded bundle and item vectors [R, D], as serving does."""

    def score(moments: NDArray[np.int64]) -> NDArray[np.float32]:
        windows = newest_before(
            dataset.interactions, occasions.user[moments], occasions.end[moments], recommender.max_length
        )
        features = np.zeros((len(moments), len(NUMERIC_NAMES)), dtype=np.float32)  # user vectors don't read them
        scores: NDArray[np.float32] = (
            recommender.score(windows.model_inputs(vectors, features)).user_vectors @ vectors.T
        )
        return scores

    return score


def _ranking(
    dataset: Dataset, occasions: Occasions, cut_ms: int, scorers: Mapping[str, Scorer]
) -> tuple[list[RankingRow], tuple[int, int]]:
    until_ms = dataset.last_ms + 1
    following = ranking_task(dataset, occasions, cut_ms, until_ms, limit=MOST_MOMENTS, first_only=True)
    every = ranking_task(dataset, occasions, cut_ms, until_ms, limit=MOST_MOMENTS)
    rows = []
    for method, scorer in scorers.items():
        first, all_ = following.measure(scorer), every.measure(scorer)
        rows.append(
            RankingRow(
                method,
                _rounded(first.hit_rate),
                _rounded(first.ndcg),
                _rounded(all_.hit_rate),
                _rounded(all_.ndcg),
            )
        )
    return rows, (len(following.moments), len(every.moments))


def _propensity(
    recommender: Recommender, vectors: NDArray[np.float32], dataset: Dataset, cut_ms: int
) -> tuple[list[PropensityRow], Examples]:
    examples = dataset.examples
    before = examples.where(examples.now_ms + DAY_MS < cut_ms)
    after = examples.where((examples.now_ms >= cut_ms) & (examples.now_ms + DAY_MS <= dataset.last_ms))
    if any(len(np.unique(part.bought)) < 2 for part in (before, after)):
        return [], after
    windows = newest_before(dataset.interactions, after.user, after.end, recommender.max_length)
    learned = recommender.score(windows.model_inputs(vectors, after.features)).propensity
    rate = np.full(len(after.bought), before.bought.mean(), dtype=np.float32)
    recency = [NUMERIC_NAMES.index("log_hours_since_purchase")]
    forecasts = {
        LEARNED: learned,
        "base rate": rate,
        "recency of the last purchase": logistic(before, after, recency),
        "all features, logistic": logistic(before, after, list(range(len(NUMERIC_NAMES)))),
    }
    rows = [
        PropensityRow(
            method,
            _rounded(roc_auc_score(after.bought, forecast)),
            _rounded(average_precision_score(after.bought, forecast)),
            _rounded(calibration_error(forecast, after.bought)),
        )
        for method, forecast in forecasts.items()
    ]
    return rows, after


def _rounded(value: float) -> float:
    return round(float(value), 4)
