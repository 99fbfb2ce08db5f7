from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.next_item.chains import SMALL, sequences
from training.next_item.neighbours import find_neighbours

LOG = sequences([[1, 2, 3], [1, 2], [4]])
PLAIN = replace(
    SMALL, reach=2, distance_decay=0.5, backward=0.1, from_power=0.0, to_power=0.0, age_decay=0.5, neighbours=3
)


def test_pairs_count_less_apart_and_backward() -> None:
    nearness = find_neighbours(LOG, 5, PLAIN).matrix.toarray()
    assert nearness[1].tolist() == pytest.approx([0, 0, 2, 0.5, 0])
    assert nearness[3].tolist() == pytest.approx([0, 0.05, 0.1, 0, 0])


def test_sequences_do_not_run_into_each_other() -> None:
    nearness = find_neighbours(LOG, 5, PLAIN).matrix.toarray()
    assert not nearness[4].any()
    assert not nearness[:, 4].any()


def test_pairs_out_of_reach_do_not_count() -> None:
    assert find_neighbours(LOG, 5, replace(PLAIN, reach=1)).matrix[1, 3] == 0.0


def test_counts_are_divided_by_powers_of_both_items() -> None:
    found = find_neighbours(LOG, 5, replace(PLAIN, from_power=1.0, to_power=0.5, damping=1.0))
    assert found.matrix[1, 3] == pytest.approx(0.5 / ((2 + 1) * (1 + 1) ** 0.5))


def test_nearest_are_kept_first() -> None:
    found = find_neighbours(LOG, 5, replace(PLAIN, neighbours=1))
    assert found.rows[1].tolist() == [2]
    assert found.matrix[1].toarray().tolist() == [[0, 0, 2, 0, 0]]


def test_newer_entries_of_a_history_weigh_more() -> None:
    found = find_neighbours(LOG, 5, PLAIN)
    near = found.near(sequences([[1, 3], []]), np.array([0, 1]))
    assert near[0].tolist() == pytest.approx([0, 0.05, 0.5 * 2 + 0.1, 0.5 * 0.5, 0])
    assert not near[1].any()
