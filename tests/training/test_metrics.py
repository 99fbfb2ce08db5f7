from __future__ import annotations

import numpy as np
import pytest

from training.metrics import (
    ReliabilityBin,
    calibration_error,
    calibration_noise,
    hit_rate,
    ndcg,
    reliability,
    top_rows,
)


def test_best_rows_come_first_and_ties_by_row() -> None:
    scores = np.array([[0.0, 3.0, 1.0, 3.0]], dtype=np.float32)
    assert top_rows(scores, 3).tolist() == [[1, 3, 2]]


def test_hit_rate_counts_lists_with_any_target() -> None:
    lists = np.array([[1, 2], [3, 4], [5, 6]])
    targets = [np.array([2, 9]), np.array([9]), np.array([5, 6])]
    assert hit_rate(lists, targets).tolist() == [1.0, 0.0, 1.0]


def test_ndcg_of_a_single_target_is_its_discount() -> None:
    lists = np.array([[7, 8, 9]] * 4)
    values = ndcg(lists, [np.array([7]), np.array([8]), np.array([9]), np.array([1])])
    np.testing.assert_allclose(values, [1.0, 1 / np.log2(3), 0.5, 0.0])


def test_ndcg_of_several_targets_is_a_share_of_the_best_list() -> None:
    # Gains at places 1 and 3 of 3, with 2 targets: (1 + 0.5) / (1 + 1 / log2(3)).
    value = ndcg(np.array([[4, 1, 5]]), [np.array([4, 5])])
    assert value[0] == pytest.approx(1.5 / (1 + 1 / np.log2(3)))


def test_ndcg_is_one_when_targets_fill_the_list() -> None:
    assert ndcg(np.array([[1, 2]]), [np.array([1, 2, 3, 4])])[0] == pytest.approx(1.0)


def test_calibration_error_weighs_bins_by_their_forecasts() -> None:
    # Bin 0.2: forecast 0.25, one of four happened. Bin 0.9: forecast 0.95, none of one happened.
    forecasts = np.array([0.25, 0.25, 0.25, 0.25, 0.95], dtype=np.float32)
    happened = np.array([True, False, False, False, False])
    assert calibration_error(forecasts, happened) == pytest.approx(0.95 / 5, abs=1e-6)


def test_certain_forecasts_fall_into_the_last_bin() -> None:
    assert calibration_error(np.array([1.0], dtype=np.float32), np.array([True])) == 0.0


def test_reliability_leaves_out_bins_without_forecasts() -> None:
    forecasts = np.array([0.25, 0.25, 0.75, 1.0], dtype=np.float32)
    found = reliability(forecasts, np.array([True, False, True, True]), bins=4)
    assert found == [ReliabilityBin(0.25, 0.5, 0.5), ReliabilityBin(0.875, 1.0, 0.5)]


def test_noise_of_calibration_is_what_perfectly_calibrated_forecasts_show() -> None:
    random = np.random.default_rng(1)
    forecasts = random.beta(1, 9, size=2000).astype(np.float32)
    shown = [calibration_error(forecasts, random.uniform(size=2000) < forecasts) for _ in range(200)]
    bins = reliability(forecasts, random.uniform(size=2000) < forecasts)
    assert calibration_noise(bins, 2000) == pytest.approx((np.mean(shown), np.quantile(shown, 0.95)), rel=0.15)
    assert calibration_noise(bins, 200_000)[1] < calibration_noise(bins, 2000)[0] / 5
