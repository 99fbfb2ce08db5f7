"""When and how a shopper buys: hours and days of purchases, runs of days, and quantities."""

from __future__ import annotations

import math

import pytest

from feature_repo.habits import habits
from feature_repo.state import UserState, update
from tests.feature_repo.shoppers import DAY_MS, HOUR_MS, NOW_MS, Shelf, cart, click

SHELF = Shelf()
NOON_MS = NOW_MS // DAY_MS * DAY_MS + 12 * HOUR_MS


def seen_of(*events: object, now_ms: int = NOON_MS) -> dict[str, float]:
    user = UserState()
    for event in events:
        update(user, event, None)  # type: ignore[arg-type]
    return habits(user, now_ms, SHELF)


def test_hour_of_the_day_is_that_of_the_moment() -> None:
    assert seen_of(now_ms=NOON_MS)["hour_of_day"] == 12
    assert seen_of(now_ms=NOON_MS + 90 * 60_000)["hour_of_day"] == 13.5


def test_days_of_purchases_count_once_and_clicks_not_at_all() -> None:
    bought_days_ago = (40, 5, 4, 4, 0)
    seen = seen_of(
        *(cart(str(n), NOON_MS - ago * DAY_MS, "purchase") for n, ago in enumerate(bought_days_ago)),
        click("c", NOON_MS - 3 * DAY_MS),
    )
    assert seen["purchase_days_7d"] == 3
    assert seen["purchase_run_share"] == pytest.approx(1 / 4)  # of days 40, 5, 4 and 0 only one follows another


def test_run_breaks_where_the_older_day_is_beyond_the_horizon() -> None:
    pair = (cart("1", NOON_MS - DAY_MS, "purchase"), cart("2", NOON_MS, "purchase"))
    assert seen_of(*pair)["purchase_run_share"] == 0.5
    assert seen_of(*pair, now_ms=NOON_MS + 89 * DAY_MS)["purchase_run_share"] == 0
    assert seen_of(*pair, now_ms=NOON_MS + 200 * DAY_MS)["purchase_run_share"] == 0


def test_hours_of_purchases_leave_after_two_days() -> None:
    events = (
        cart("1", NOON_MS - 30 * HOUR_MS, "purchase"),
        cart("2", NOON_MS - HOUR_MS, "purchase"),
        cart("3", NOON_MS - HOUR_MS + 1, "purchase"),
        cart("4", NOON_MS, "add"),
    )
    assert seen_of(*events)["purchase_hours_48h"] == 2
    assert seen_of(*events, now_ms=NOON_MS + 20 * HOUR_MS)["purchase_hours_48h"] == 1


def test_spend_is_that_of_the_day_under_way_and_returns_are_ever() -> None:
    events = (
        cart("1", NOON_MS - DAY_MS, "purchase", quantity=9),
        cart("2", NOON_MS - DAY_MS, "purchase", quantity=-1),
        cart("3", NOON_MS, "purchase", quantity=3, unit_price=2.0),
        cart("4", NOON_MS, "purchase", quantity=-1, unit_price=2.0),
    )
    seen = seen_of(*events)
    assert seen["spend_today"] == 4.0
    assert seen["returns_total"] == 2
    assert seen_of(*events, now_ms=NOON_MS + DAY_MS)["spend_today"] == 0


def test_quantities_are_those_of_the_interactions() -> None:
    seen = seen_of(click("1", NOON_MS - 1), cart("2", NOON_MS, "purchase", quantity=7))
    assert seen["log_quantity_last"] == pytest.approx(math.log(8))
    assert seen["log_quantity_mean"] == pytest.approx((math.log(2) + math.log(8)) / 2)
