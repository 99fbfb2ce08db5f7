from __future__ import annotations

import numpy as np
import pytest

from training.dataset import DAY_MS
from training.drift import moved_by_outcomes
from training.metrics import calibration_error

COUNT = 8000
DAYS = 40


def drifted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give forecasts that are right for 20 days, and then twice as high as they should be."""
    random = np.random.default_rng(0)
    now_ms = np.sort(random.integers(DAYS * DAY_MS, size=COUNT))
    forecast = random.uniform(0.05, 0.6, size=COUNT).astype(np.float32)
    true = np.where(now_ms < 20 * DAY_MS, forecast, forecast / 2)
    return forecast, random.uniform(size=COUNT) < true, now_ms


def test_forecasts_follow_a_shop_whose_shoppers_buy_less() -> None:
    forecast, bought, now_ms = drifted()
    moved = moved_by_outcomes(forecast, bought, now_ms, 15 * DAY_MS)
    late = now_ms >= 36 * DAY_MS
    assert calibration_error(moved[late], bought[late]) < 0.4 * calibration_error(forecast[late], bought[late])


def test_forecasts_of_a_day_know_no_outcome_that_came_later() -> None:
    forecast, bought, now_ms = drifted()
    start_ms = 30 * DAY_MS
    unknown = now_ms + DAY_MS > start_ms
    before = moved_by_outcomes(forecast, bought, now_ms, 15 * DAY_MS)
    after = moved_by_outcomes(forecast, bought ^ unknown, now_ms, 15 * DAY_MS)
    until = now_ms < start_ms + DAY_MS
    np.testing.assert_array_equal(before[until], after[until])
    assert (before[~until] != after[~until]).all()


def test_what_was_made_before_and_what_has_no_outcomes_is_left_as_it_is() -> None:
    forecast, bought, now_ms = drifted()
    moved = moved_by_outcomes(forecast, bought, now_ms, 15 * DAY_MS)
    np.testing.assert_array_equal(moved[now_ms < 15 * DAY_MS], forecast[now_ms < 15 * DAY_MS])
    first = now_ms < DAY_MS
    np.testing.assert_allclose(moved_by_outcomes(forecast, bought, now_ms, 0)[first], forecast[first], rtol=1e-5)


@pytest.mark.parametrize("happened", [False, True])
def test_shift_of_many_outcomes_of_one_kind_is_limited(happened: bool) -> None:
    forecast, _, now_ms = drifted()
    moved = moved_by_outcomes(forecast, np.full(COUNT, happened), now_ms, 15 * DAY_MS)
    assert np.isfinite(moved).all()
    assert (moved[now_ms >= 15 * DAY_MS] > forecast[now_ms >= 15 * DAY_MS]).all() == happened
