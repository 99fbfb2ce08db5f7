"""An item's counts: each record once, partitions add up, and the features and popularity made of them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.events import Cart, Click, Event, Item
from feature_repo.item_state import (
    ITEM_FEATURES,
    ITEM_NUMERIC_NAMES,
    ItemState,
    decode_item_state,
    encode_item_state,
    item_features,
    merge,
    popularity,
    update_item,
)
from feature_repo.state import Outcome, Position, StateDamagedError, StateVersionError
from tests.feature_repo.shoppers import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    Arrival,
    arrivals,
    cart,
    click,
    impression,
    review,
)

MIDNIGHT_MS = NOW_MS // DAY_MS * DAY_MS


def count(arrived: list[Arrival], partition: int = 0) -> ItemState:
    state, offsets = ItemState(), dict.fromkeys(("clicks", "carts", "reviews", "impressions"), 0)
    for arrival in arrived:
        update_item(state, arrival.event, Position(arrival.topic, partition, offsets[arrival.topic]))
        offsets[arrival.topic] += 1
    return state


def counted(*events: Event) -> ItemState:
    return count([Arrival("carts" if isinstance(event, Cart) else "clicks", event, None) for event in events])


def values(state: ItemState, item: Item | None = None, now_ms: int = NOW_MS) -> dict[str, float | str]:
    return item_features(state, item, now_ms).as_dict()


@given(drawn=arrivals(), seed=st.integers(0, 2**32))
def test_counts_are_the_same_bytes_for_every_order(drawn: list[Arrival], seed: int) -> None:
    shuffled = list(drawn)
    random.Random(seed).shuffle(shuffled)
    assert encode_item_state(count(shuffled)) == encode_item_state(count(drawn))


@given(drawn=arrivals(), cut=st.integers(0, 40))
def test_partitions_add_up_to_what_one_would_have_counted(drawn: list[Arrival], cut: int) -> None:
    parts = [count(drawn[:cut], partition=0), count(drawn[cut:], partition=1)]
    before = [encode_item_state(part) for part in parts]
    merged, whole = merge(parts), count(drawn)
    merged.offsets, whole.offsets = {}, {}
    assert encode_item_state(merged) == encode_item_state(whole)
    assert [encode_item_state(part) for part in parts] == before


@given(drawn=arrivals(), later_ms=st.integers(-DAY_MS, 10**12))
def test_item_features_are_finite(drawn: list[Arrival], later_ms: int) -> None:
    state = count(drawn)
    row = item_features(state, None, max(1, state.newest_ms + later_ms))
    assert row.numbers.dtype == np.float32
    assert row.names == ITEM_NUMERIC_NAMES
    assert {*row.names, *row.texts} == {feature.name for feature in ITEM_FEATURES}
    assert np.isfinite(row.numbers).all()


def test_replayed_record_counts_once() -> None:
    state = ItemState()
    assert update_item(state, click("1", NOW_MS), Position("clicks", 0, 4)) is Outcome.APPLIED
    assert update_item(state, click("1", NOW_MS), Position("clicks", 0, 4)) is Outcome.DUPLICATE
    assert update_item(state, click("1", NOW_MS), Position("clicks", 0, 3)) is Outcome.DUPLICATE
    assert state.totals.clicks == 1
    assert state.logical_clock() == 5


def test_reviews_and_impressions_only_move_the_offset() -> None:
    state = ItemState()
    assert update_item(state, review("1", NOW_MS), Position("reviews", 0, 0)) is Outcome.APPLIED
    assert update_item(state, impression("2", NOW_MS), Position("impressions", 0, 0)) is Outcome.APPLIED
    state.offsets.clear()
    assert state == ItemState()


def test_merge_of_nothing_is_an_item_that_nothing_happened_to() -> None:
    assert merge([]) == ItemState()
    assert popularity(merge([]), NOW_MS) == 0


def test_state_comes_back_as_it_was_encoded() -> None:
    state = counted(click("1", NOW_MS), cart("2", NOW_MS, "purchase", 3))
    assert decode_item_state(encode_item_state(state)) == state
    with pytest.raises(StateVersionError, match=r"^item state: saw version 9, expected 1"):
        decode_item_state(b"\x09" + encode_item_state(state)[1:])
    with pytest.raises(StateDamagedError, match=r"^item state: saw 5 bytes"):
        decode_item_state(encode_item_state(state)[:5])


def test_popularity_weighs_purchases_over_adds_over_clicks_and_halves_in_a_week() -> None:
    assert popularity(counted(click("1", MIDNIGHT_MS)), MIDNIGHT_MS) == 1
    assert popularity(counted(cart("1", MIDNIGHT_MS, "add", 9)), MIDNIGHT_MS) == 2
    assert popularity(counted(cart("1", MIDNIGHT_MS, "purchase", 9)), MIDNIGHT_MS) == 3
    assert popularity(counted(cart("1", MIDNIGHT_MS, "remove", 1)), MIDNIGHT_MS) == 0
    state = counted(cart("1", MIDNIGHT_MS, "purchase"))
    assert popularity(state, MIDNIGHT_MS + 7 * DAY_MS) == pytest.approx(1.5)
    assert popularity(state, MIDNIGHT_MS + 30 * DAY_MS) == 0


def test_windows_count_what_fell_in_them() -> None:
    ages_ms = (0, 23 * HOUR_MS, 6 * DAY_MS, 29 * DAY_MS, 31 * DAY_MS)
    state = counted(
        *(click(str(age), NOW_MS - age) for age in ages_ms),
        cart("bought", NOW_MS - DAY_MS, "purchase", 5),
        cart("returned", NOW_MS, "purchase", -2),
    )
    seen = values(state)
    assert [seen[f"clicks_{window}"] for window in ("24h", "7d", "30d")] == [2, 3, 4]
    assert (seen["purchases_24h"], seen["purchases_7d"], seen["units_7d"]) == (0, 1, 3)
    assert seen["conversion_30d"] == pytest.approx(1 / 5)


def test_trend_is_above_one_for_what_rises() -> None:
    rising = counted(*(click(str(n), NOW_MS) for n in range(20)))
    steady = counted(*(click(str(n), NOW_MS - n * DAY_MS) for n in range(7)))
    assert values(rising)["trend"] == pytest.approx(21 / (20 / 7 + 1))
    assert values(steady)["trend"] == 1
    assert values(ItemState())["trend"] == 1


def test_catalogue_gives_price_age_stock_and_texts() -> None:
    item = Item("mug", "Blue mug", True, NOW_MS - 3 * DAY_MS, price=4.5, category="drinking")
    seen = values(ItemState(), item)
    assert (seen["title"], seen["category"], seen["brand"]) == ("Blue mug", "drinking", "")
    assert (seen["price"], seen["age_days"], seen["in_stock"]) == (4.5, 3, 1)
    seen = values(ItemState(), Item("mug", "Blue mug", False, NOW_MS + DAY_MS))
    assert (seen["price"], seen["age_days"], seen["in_stock"]) == (0, 0, 0)


def test_busy_item_counts_every_click() -> None:
    state = ItemState()
    for number in range(3000):
        update_item(state, Click(str(number), "u", "mug", NOW_MS + number * 60_000), Position("clicks", 2, number))
    assert state.totals.clicks == 3000
    assert sum(counts.clicks for counts in state.daily) == 3000
    assert len(state.hourly) == 48
