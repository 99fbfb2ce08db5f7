from __future__ import annotations

import numpy as np
import pytest

from feature_repo.features import NUMERIC_NAMES
from tests.planted import PAIRS, SMALL, Planted, PlantedSource
from training.baselines import last_category, neighbours, popular, recent_popularity, recently_seen
from training.dataset import DAY_MS, DataError
from training.evaluate import LEARNED, Report, evaluate
from training.ranking import Task, ranking_task


@pytest.fixture(scope="module")
def report(fitted: Planted) -> Report:
    return evaluate(
        fitted.dataset,
        fitted.text_vectors,
        held_out_days=8,
        settings=SMALL,
        progress=lambda message: None,
    )


@pytest.fixture
def task(fitted: Planted) -> Task:
    dataset = fitted.dataset
    return ranking_task(dataset, fitted.occasions, dataset.last_ms - 8 * DAY_MS, dataset.last_ms + 1, limit=50)


def test_learned_list_beats_popularity_on_a_planted_pattern(report: Report) -> None:
    every = {row.method: row.every_ndcg_10 for row in report.ranking}
    assert every[LEARNED] > every["popularity"] + 0.2


def test_learned_propensity_beats_recency_on_a_planted_pattern(report: Report) -> None:
    auc = {row.method: row.auc for row in report.propensity}
    assert auc[LEARNED] > 0.95
    assert auc[LEARNED] > auc["recency of the last purchase"]
    assert auc["base rate"] == 0.5


def test_each_user_has_one_next_moment(report: Report, fitted: Planted) -> None:
    assert report.next_moments <= len(fitted.dataset.interactions.user_ids) < report.every_moments


def test_nothing_left_to_train_on_is_an_error(fitted: Planted) -> None:
    with pytest.raises(DataError, match="holding out 100 days leaves nothing to train on"):
        evaluate(
            fitted.dataset,
            fitted.text_vectors,
            held_out_days=100,
            settings=SMALL,
            progress=lambda message: None,
        )


def test_lists_hold_nothing_bought_looked_at_or_unknown(task: Task, fitted: Planted) -> None:
    everything = np.ones((1, len(task.published_ms)), dtype=np.float32)
    lists = task.lists(lambda moments: np.repeat(everything, len(moments), axis=0))
    log, table = fitted.dataset.interactions, fitted.dataset.table
    charm = table.row("charm")
    for rows, moment in zip(lists, task.moments, strict=True):
        end = fitted.occasions.end[moment]
        seen = log.rows[log.starts[fitted.occasions.user[moment]] : end]
        assert 0 not in rows
        assert log.rows[end - 1] not in rows
        assert charm not in rows or charm not in seen


def test_unpublished_items_are_not_listed(task: Task) -> None:
    task.published_ms[5] = np.iinfo(np.int64).max
    scores = np.zeros((1, len(task.published_ms)), dtype=np.float32)
    scores[0, 5] = 1.0
    assert 5 not in task.lists(lambda moments: np.repeat(scores, len(moments), axis=0))


def test_moments_are_drawn_up_to_the_limit(task: Task) -> None:
    assert len(task.moments) == 50
    assert (np.diff(task.moments) > 0).all()


def test_span_without_moments_is_an_error(fitted: Planted) -> None:
    after = fitted.dataset.last_ms + 1
    with pytest.raises(DataError, match="no user has both a history and a new item"):
        ranking_task(fitted.dataset, fitted.occasions, after, after + DAY_MS, limit=10)


def test_popularity_counts_what_came_before(fitted: Planted, task: Task) -> None:
    dataset = fitted.dataset
    log = dataset.interactions
    cut_ms = dataset.last_ms - 8 * DAY_MS
    scores = popular(dataset, cut_ms)(task.moments[:1])[0]
    counts = np.bincount(log.rows[log.ms < cut_ms], minlength=len(scores))
    np.testing.assert_allclose(scores, counts / counts.sum(), rtol=1e-6)


def test_recent_popularity_forgets_what_is_older(fitted: Planted, task: Task) -> None:
    scores = recent_popularity(fitted.dataset, fitted.occasions, days=1e-3)(task.moments)
    assert scores.shape == (50, 2 * PAIRS + 3)
    assert scores.sum() < 50


def test_last_category_puts_the_categorys_items_first(fitted: Planted, task: Task) -> None:
    dataset = fitted.dataset
    scores = last_category(dataset, fitted.occasions, dataset.last_ms)(task.moments)
    last = dataset.interactions.rows[fitted.occasions.end[task.moments] - 1]
    for row, best in zip(last, scores.argmax(axis=1), strict=True):
        name, found = dataset.table.item_ids[row], dataset.table.item_ids[best]
        assert name is not None
        assert found is not None
        assert name == "charm" or name[1:] == found[1:]


def test_recently_seen_puts_the_newest_first(fitted: Planted, task: Task) -> None:
    scores = recently_seen(fitted.dataset, fitted.occasions, fitted.dataset.last_ms)(task.moments)
    last = fitted.dataset.interactions.rows[fitted.occasions.end[task.moments] - 1]
    np.testing.assert_array_equal(scores.argmax(axis=1), last)


def test_neighbours_are_items_of_the_same_users(fitted: Planted, task: Task) -> None:
    scores = neighbours(fitted.dataset, fitted.occasions, fitted.dataset.last_ms, history=1)(task.moments)
    unsold = fitted.dataset.table.row("unsold")
    assert not scores[:, unsold].any()
    assert scores.max(axis=1).min() > 0


def test_planted_source_counts_its_events() -> None:
    source = PlantedSource(users=2, visits=3)
    assert source.count() == len(list(source.events()))
    assert "log_hours_since_purchase" in NUMERIC_NAMES
