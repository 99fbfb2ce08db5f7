from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.next_item.chains import sequences
from training.next_item import floors
from training.next_item.figures import list_figures, ranks, session_figures
from training.next_item.sequences import split_sessions, split_users

LOG = sequences([[1, 2, 3], [1, 2], [4, 2, 5], [2, 1]])
HISTORIES = sequences([[4, 1], [], [3]])
ALL = np.array([0, 1, 2])


def test_popularity_counts_the_training_items() -> None:
    assert floors.popularity(LOG, 6)(HISTORIES, np.array([1])).tolist() == [[0, 3, 4, 1, 1, 1]]


def test_markov_follows_the_newest_item_and_then_the_counts() -> None:
    after_one, after_nothing, after_three = floors.markov(LOG, 6)(HISTORIES, ALL)
    assert after_one.argmax() == 2
    assert after_one[2] == pytest.approx(2.0, abs=0.51)
    assert after_nothing.argmax() == after_three.argmax() == 2  # never followed: the commonest
    assert after_one[1] > after_one[3] > 0


def test_similarity_is_a_damped_cosine_without_the_item_itself() -> None:
    alike = floors.alike(LOG, 6).toarray()
    assert alike[1, 2] == pytest.approx(3 / (np.sqrt(3 * 4) + floors.DAMPING))
    assert alike[1, 5] == 0.0
    assert not alike.diagonal().any()


def test_item_twice_in_a_sequence_counts_once() -> None:
    assert floors.alike(sequences([[1, 1, 2]]), 3)[1, 2] == pytest.approx(1 / (1 + floors.DAMPING))


@pytest.mark.data
def test_popularity_on_beauty_is_the_figure_known(shared_data: Path) -> None:
    split = split_users(shared_data / "amazon_sequences" / "Beauty.txt")
    assert (len(split.test), split.items - 1) == (22_363, 12_101)
    popular = floors.popularity(split.training, split.items)
    figures = list_figures(ranks(split.test, popular, mask_seen=True, ties_won=True))
    assert (round(figures["hr_10"], 4), round(figures["ndcg_10"], 4)) == (0.0120, 0.0056)


@pytest.mark.data
def test_item_knn_on_diginetica_is_the_figure_known(shared_data: Path) -> None:
    folder = shared_data / "diginetica"
    split = split_sessions(folder / "train_sessions.txt.gz", folder / "test_prefix_target.tsv.gz")
    assert len(split.test) == 60_858
    moments = split.test.drawn(10_000, seed=0)
    figures = session_figures(ranks(moments, floors.item_knn(split.known, split.items), mask_seen=False))
    assert figures["p_20"] == pytest.approx(0.3727, abs=0.01)
    assert figures["mrr_20"] == pytest.approx(0.1199, abs=0.005)
