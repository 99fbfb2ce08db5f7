from __future__ import annotations

import numpy as np
import pytest

from tests.planted import SMALL, Planted
from training.dataset import DataError
from training.diversity import diversified, evaluate_diversity


def silent(message: str) -> None:
    pass


def test_strength_makes_lists_diverse_at_a_cost_that_is_measured(fitted: Planted) -> None:
    report = evaluate_diversity(
        fitted.dataset,
        fitted.text_vectors,
        [0.0, 0.9],
        held_out_days=6.0,
        settings=SMALL,
        progress=silent,
    )

    plain, diverse = report.rows
    assert (plain.strength, diverse.strength) == (0.0, 0.9)
    assert diverse.intra_list_diversity > plain.intra_list_diversity
    assert 0.5 < plain.hit_rate_10 <= 1
    assert all(0 < row.coverage <= 1 and row.categories >= 1 for row in report.rows)
    assert report.lists > 0


def test_log_shorter_than_what_is_held_out_is_refused(fitted: Planted) -> None:
    with pytest.raises(DataError, match="holding out 900 days leaves nothing to train on"):
        evaluate_diversity(
            fitted.dataset, fitted.text_vectors, [0.0], held_out_days=900.0, settings=SMALL,
            progress=silent,
        )  # fmt: skip


def test_what_is_no_candidate_stays_behind() -> None:
    rows = np.array([[3, 1, 2, 4]])
    scores = np.array([[0.9, 0.8, 0.1, -np.inf]], np.float32)
    vectors = np.array([[0, 0], [1, 0], [0, 1], [1, 0], [0, -1]], np.float32)

    assert diversified(rows, scores, vectors, 0.0).tolist() == [[3, 1, 2, 4]]
    assert diversified(rows, scores, vectors, 0.5).tolist() == [[3, 2, 1, 4]]
