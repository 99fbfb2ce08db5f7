"""A user's features: declared once, finite for every state, the same for every order of arrival, and what they say."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.features import FEATURES, GROUPS, NUMERIC_NAMES, TEXT_NAMES, features
from feature_repo.state import UserState, decode_state, encode_state, update
from tests.feature_repo.shoppers import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    Arrival,
    Shelf,
    arrivals,
    cart,
    click,
    impression,
    review,
    state_of,
)

SHELF = Shelf()
MIDNIGHT_MS = NOW_MS // DAY_MS * DAY_MS


def user_with(*events: object) -> UserState:
    user = UserState()
    for event in events:
        update(user, event, None)  # type: ignore[arg-type]
    return user


def values(user: UserState, now_ms: int = NOW_MS) -> dict[str, float | str]:
    return features(user, now_ms, SHELF).as_dict()


def test_every_group_computes_what_it_declares() -> None:
    for group in GROUPS:
        computed = group.compute(user_with(click("1", NOW_MS)), NOW_MS, SHELF)
        assert list(computed) == [feature.name for feature in group.features]


def test_declarations_are_complete_and_unique() -> None:
    names = [feature.name for feature in FEATURES]
    assert len(set(names)) == len(names) == len(NUMERIC_NAMES) + len(TEXT_NAMES)
    assert all(feature.description.endswith(".") and feature.unit for feature in FEATURES)


def test_row_holds_numbers_in_declared_order_and_texts_by_name() -> None:
    row = features(user_with(click("1", NOW_MS)), NOW_MS, SHELF)
    assert row.names == NUMERIC_NAMES
    assert row.numbers.dtype == np.float32
    assert row.numbers.shape == (len(NUMERIC_NAMES),)
    assert row.texts == {"top_category": "drinking", "top_brand": "Kiln"}
    assert row.as_dict()["clicks_1h"] == row.numbers[NUMERIC_NAMES.index("clicks_1h")] == 1.0


@pytest.mark.parametrize("now_ms", [0, NOW_MS])
def test_new_user_has_finite_features(now_ms: int) -> None:
    row = features(UserState(), now_ms, SHELF)
    assert np.isfinite(row.numbers).all()
    assert row.texts == {"top_category": "", "top_brand": ""}


@given(drawn=arrivals(), seed=st.integers(0, 2**32), later_ms=st.integers(-DAY_MS, 10**12))
def test_features_are_finite_and_the_same_for_every_order(drawn: list[Arrival], seed: int, later_ms: int) -> None:
    user = state_of(drawn)
    now_ms = max(1, user.newest_ms + later_ms)
    row = features(user, now_ms, SHELF)
    assert np.isfinite(row.numbers).all()
    shuffled = list(drawn)
    random.Random(seed).shuffle(shuffled)
    for same in (state_of(shuffled), decode_state(encode_state(user))):
        again = features(same, now_ms, SHELF)
        assert again.numbers.tobytes() == row.numbers.tobytes()
        assert again.texts == row.texts


def test_features_leave_the_state_alone() -> None:
    user = user_with(click("1", NOW_MS - DAY_MS), cart("2", NOW_MS, "add"))
    before = encode_state(user)
    features(user, NOW_MS + 100 * DAY_MS, SHELF)
    assert encode_state(user) == before


def test_windows_count_what_fell_in_them() -> None:
    ages_ms = (0, 30 * 60_000, 23 * HOUR_MS, 6 * DAY_MS, 29 * DAY_MS, 89 * DAY_MS, 95 * DAY_MS)
    user = user_with(*(click(str(age), NOW_MS - age) for age in reversed(ages_ms)))
    seen = values(user)
    windows = [seen[f"clicks_{window}"] for window in ("1h", "24h", "7d", "30d", "90d")]
    assert windows == [2, 3, 4, 5, 6]


def test_windows_empty_as_time_passes() -> None:
    user = user_with(click("1", NOW_MS), cart("2", NOW_MS, "purchase"), impression("3", NOW_MS))
    assert values(user)["impressions_24h"] == 1
    assert values(user, NOW_MS + DAY_MS)["impressions_24h"] == 0
    assert values(user, NOW_MS + DAY_MS)["impressions_7d"] == 1
    assert values(user, NOW_MS + 91 * DAY_MS)["purchases_90d"] == 0
    assert values(user, NOW_MS + 91 * DAY_MS)["purchases_decayed_30d"] == 0
    assert values(user, NOW_MS + 91 * DAY_MS)["active_days_90d"] == 0


def test_decays_halve() -> None:
    user = user_with(click("1", MIDNIGHT_MS), cart("2", MIDNIGHT_MS, "add"))
    assert values(user, MIDNIGHT_MS + DAY_MS)["clicks_decayed_1d"] == pytest.approx(0.5)
    assert values(user, MIDNIGHT_MS + 7 * DAY_MS)["adds_decayed_7d"] == pytest.approx(0.5)
    assert values(user, MIDNIGHT_MS + 60 * DAY_MS)["clicks_decayed_30d"] == pytest.approx(0.25)


def test_recency_is_log_hours_and_a_year_when_never() -> None:
    user = user_with(click("1", NOW_MS - 3 * HOUR_MS), cart("2", NOW_MS - 50 * DAY_MS, "purchase"))
    seen = values(user)
    assert seen["log_hours_since_click"] == pytest.approx(math.log1p(3))
    assert seen["log_hours_since_purchase"] == pytest.approx(math.log1p(50 * 24))
    assert seen["log_hours_since_add"] == pytest.approx(math.log1p(365 * 24))
    assert seen["log_days_known"] == pytest.approx(math.log1p(50))


def test_session_ends_after_half_an_hour_of_nothing() -> None:
    minute = 60_000
    user = user_with(
        click("1", NOW_MS - 65 * minute),
        cart("2", NOW_MS - 30 * minute, "add"),
        click("3", NOW_MS - 10 * minute),
        click("4", NOW_MS),
    )
    seen = values(user)
    assert (seen["session_events"], seen["session_seconds"]) == (3, 1800)
    assert (seen["clicks_since_add"], seen["cart_items"], seen["cart_units"]) == (2, 1, 1)
    seen = values(user, NOW_MS + 31 * minute)
    assert (seen["session_events"], seen["session_seconds"]) == (0, 0)


def test_money_is_net_of_returns() -> None:
    user = user_with(
        cart("1", NOW_MS - 95 * DAY_MS, "purchase", 2, unit_price=10.0),
        cart("2", NOW_MS - DAY_MS, "purchase", 1, unit_price=2.5),
        cart("3", NOW_MS, "purchase", -1, unit_price=10.0),
    )
    seen = values(user)
    assert (seen["spend_total"], seen["spend_90d"]) == (12.5, -7.5)
    assert (seen["mean_line_value"], seen["return_rate"]) == (6.25, 0.5)
    assert (seen["purchase_days_90d"], seen["active_days_90d"]) == (1, 2)


def test_prices_are_the_events_own_or_the_catalogues() -> None:
    user = user_with(cart("1", NOW_MS - 1, "add", unit_price=9.0), click("2", NOW_MS, "bowl"))
    logs = [math.log(10), math.log(13)]
    seen = values(user)
    assert seen["log_price_mean"] == pytest.approx(np.mean(logs))
    assert seen["log_price_spread"] == pytest.approx(np.std(logs), rel=1e-5)
    assert seen["log_price_last"] == pytest.approx(logs[1] - np.mean(logs), rel=1e-5)


def test_items_without_any_price_leave_prices_at_zero() -> None:
    seen = values(user_with(click("1", NOW_MS, "plate"), click("2", NOW_MS, "jug")))
    assert seen["log_price_mean"] == seen["log_price_spread"] == seen["log_price_last"] == 0


def test_tastes_weigh_purchases_over_clicks_and_new_over_old() -> None:
    liked = user_with(click("1", NOW_MS), click("2", NOW_MS, "cup"), cart("3", NOW_MS, "purchase", 1, "plate"))
    seen = values(liked)
    assert (seen["top_category"], seen["top_category_share"]) == ("dining", pytest.approx(5 / 7))
    assert (seen["top_brand"], seen["top_brand_share"], seen["brand_entropy"]) == ("Kiln", 1, 0)
    assert seen["category_entropy"] == pytest.approx(-(5 / 7 * math.log(5 / 7) + 2 / 7 * math.log(2 / 7)))
    faded = user_with(cart("1", NOW_MS - 28 * DAY_MS, "purchase", 1, "plate"), click("2", NOW_MS))
    assert values(faded)["top_category"] == "drinking"


def test_equal_tastes_go_by_name() -> None:
    for order in (("mug", "plate"), ("plate", "mug")):
        user = user_with(*(click(item_id, NOW_MS, item_id) for item_id in order))
        assert values(user)["top_category"] == "dining"


def test_tastes_of_years_ago_do_not_vanish() -> None:
    seen = values(user_with(click("1", NOW_MS)), NOW_MS + 10**12)
    assert (seen["top_category"], seen["top_category_share"]) == ("drinking", 1)


def test_repeats_and_distinct_items() -> None:
    seen = values(user_with(*(click(str(n), NOW_MS + n, "mug" if n else "cup") for n in range(4))))
    assert (seen["history_items"], seen["repeat_share"]) == (2, 0.5)


def test_mood_is_of_the_last_reviews() -> None:
    stars = [1, 1, *[5] * 7, 3]
    seen = values(user_with(*(review(str(n), NOW_MS + n, star) for n, star in enumerate(stars))))
    assert (seen["reviews_total"], seen["mood_last"], seen["mood_mean"]) == (10, 0, pytest.approx(7 / 8))
