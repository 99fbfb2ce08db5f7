from __future__ import annotations

import numpy as np
import pytest

from training.next_item.figures import DivergedError, list_figures, ranks, session_figures
from training.next_item.sequences import Moments, chain

SCORES = np.array([9.0, 5.0, 4.0, 3.0, 2.0, 2.0], dtype=np.float32)  # row 0 is no item's


def moments(*pairs: tuple[list[int], int]) -> Moments:
    return Moments(chain(np.array(history) for history, _ in pairs), np.array([target for _, target in pairs]))


def same_for_all(histories: object, numbers: np.ndarray) -> np.ndarray:
    return np.tile(SCORES, (len(numbers), 1))


def test_rank_counts_the_items_before_the_target() -> None:
    asked = moments(([5], 1), ([5], 3), ([5], 2))
    assert ranks(asked, same_for_all, mask_seen=False).tolist() == [0, 2, 1]


def test_seen_items_are_left_out_of_the_ranking() -> None:
    asked = moments(([1, 2], 3), ([2], 3), ([], 3))
    assert ranks(asked, same_for_all, mask_seen=True).tolist() == [0, 1, 2]
    assert ranks(asked, same_for_all, mask_seen=False).tolist() == [2, 2, 2]


def test_target_that_was_seen_or_is_not_known_cannot_be_hit() -> None:
    assert ranks(moments(([1], 1), ([2], 0)), same_for_all, mask_seen=True).tolist() == [6, 6]


def test_ties_come_before_the_target_unless_they_are_won() -> None:
    asked = moments(([1], 4))
    assert ranks(asked, same_for_all, mask_seen=False).tolist() == [4]
    assert ranks(asked, same_for_all, mask_seen=False, ties_won=True).tolist() == [3]


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DivergedError, match="lower peak_rate"):
        ranks(moments(([1], 2)), lambda _, numbers: np.full((1, 6), np.nan, dtype=np.float32), mask_seen=True)


def test_ranks_stay_with_their_moments_over_several_batches() -> None:
    random = np.random.default_rng(0)
    histories = [random.integers(1, 6, random.integers(1, 9)).tolist() for _ in range(700)]
    asked = moments(*((history, int(random.integers(1, 6))) for history in histories))
    pairs = zip(histories, asked.targets.tolist(), strict=True)
    alone = [ranks(moments(pair), same_for_all, mask_seen=True)[0] for pair in pairs]
    assert ranks(asked, same_for_all, mask_seen=True).tolist() == alone


def test_list_figures_are_those_computed_by_hand() -> None:
    figures = list_figures(np.array([0, 2, 7, 30]))
    assert figures["hr_5"] == 0.5
    assert figures["hr_10"] == figures["hr_20"] == 0.75
    assert figures["ndcg_5"] == pytest.approx((1.0 + 0.5) / 4)
    assert figures["ndcg_10"] == pytest.approx((1.0 + 0.5 + 1 / np.log2(9)) / 4)


def test_session_figures_are_those_computed_by_hand() -> None:
    figures = session_figures(np.array([0, 3, 19, 20]))
    assert figures["p_20"] == 0.75
    assert figures["mrr_20"] == pytest.approx((1 + 1 / 4 + 1 / 20) / 4)
    assert figures["mrr_5"] == pytest.approx((1 + 1 / 4) / 4)
