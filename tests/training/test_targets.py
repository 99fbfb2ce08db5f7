from __future__ import annotations

import numpy as np

from feature_repo.state import ACTIONS
from training.dataset import Interactions
from training.targets import Occasions, draw_targets, find_occasions

CLICK, REVIEW, PURCHASE = (ACTIONS.index(action) + 1 for action in ("click", "review", "purchase"))


def interactions(*users: list[tuple[int, int, int]]) -> Interactions:
    """Users' interactions from (ms, row, action)."""
    flat = np.array([entry for user in users for entry in user], dtype=np.int64).reshape(-1, 3)
    starts = np.cumsum([0, *(len(user) for user in users)])
    nothing = np.zeros(len(flat), dtype=np.float32)
    return Interactions(
        [f"u{place}" for place in range(len(users))],
        starts.astype(np.int64),
        flat[:, 1],
        flat[:, 2],
        nothing,
        nothing,
        flat[:, 0],
    )


def targets(occasions: Occasions) -> list[list[int]]:
    return [occasions.targets_of(place).tolist() for place in range(len(occasions.ms))]


def test_target_is_the_next_other_item() -> None:
    found = find_occasions(interactions([(1, 5, CLICK), (2, 5, CLICK), (3, 6, CLICK)]))
    assert targets(found) == [[6], [6], []]
    assert found.target_ms.tolist() == [3, 3, -1]


def test_lines_of_one_moment_are_one_occasion_and_all_are_targets() -> None:
    found = find_occasions(interactions([(1, 5, PURCHASE), (2, 6, PURCHASE), (2, 7, PURCHASE), (2, 5, PURCHASE)]))
    assert targets(found) == [[6, 7], []]


def test_bought_items_are_no_targets() -> None:
    found = find_occasions(interactions([(1, 5, PURCHASE), (2, 6, CLICK), (3, 5, CLICK), (4, 7, CLICK)]))
    assert targets(found) == [[6], [7], [7], []]


def test_reviews_and_unknown_items_are_no_targets() -> None:
    found = find_occasions(interactions([(1, 5, CLICK), (2, 6, REVIEW), (3, 0, CLICK), (4, 7, CLICK)]))
    assert targets(found) == [[7], [7], [7], []]


def test_targets_are_the_users_own() -> None:
    found = find_occasions(interactions([(1, 5, CLICK)], [(2, 6, CLICK), (3, 7, CLICK)]))
    assert targets(found) == [[], [7], []]
    assert found.user.tolist() == [0, 1, 1]


def test_drawn_targets_lie_before_the_end_of_training() -> None:
    log = interactions([(1, 5, CLICK), (2, 6, CLICK), (9, 7, CLICK)])
    place = np.array([[0, 1, -1]])
    rows, age_ms = draw_targets(place, log, find_occasions(log), 5, 0.0, np.random.default_rng(0))
    assert rows.tolist() == [[6, 0, 0]]
    assert age_ms.tolist() == [[3, 0, 0]]


def test_drawn_targets_are_spread_over_the_next_occasion() -> None:
    log = interactions([(1, 5, CLICK), *((2, row, PURCHASE) for row in (6, 7, 8))])
    place = np.zeros((1, 300), dtype=np.int64)
    rows, _ = draw_targets(place, log, find_occasions(log), 5, 0.0, np.random.default_rng(0))
    counts = np.bincount(rows[0])
    assert counts[:6].sum() == 0
    assert counts[6:].min() > 70


def test_targets_may_come_from_later_lines_of_the_same_occasion() -> None:
    log = interactions([(2, 6, PURCHASE), (2, 7, PURCHASE), (2, 8, PURCHASE)])
    place = np.tile([0, 1, 2], (1, 100))
    rows, _ = draw_targets(place, log, find_occasions(log), 5, 1.0, np.random.default_rng(0))
    assert set(rows[0, 0::3].tolist()) == {7, 8}
    assert set(rows[0, 1::3].tolist()) == {8}
    assert set(rows[0, 2::3].tolist()) == {0}
