from __future__ import annotations

import pytest

from streams.promotion_scene import discount_fondness, promotion_list
from tests.streams.fakes import NOW_MS, item, stocked
from tests.streams.scene_shoppers import ALL, WIDE, cart, shopper
from tests.streams.test_lists import click, ids


def test_only_what_is_on_offer_now_is_listed() -> None:
    catalogue = stocked(
        item("plain", price=5.0),
        item("low", price=8.0, list_price=10.0),
        item("over", price=8.0, list_price=10.0, promotion_until_ms=NOW_MS),
        item("soon", promotion_id="p", promotion_from_ms=NOW_MS + 1),
        item("gone", price=8.0, list_price=10.0, in_stock=False),
    )

    assert ids(promotion_list(shopper(catalogue, click("plain")), WIDE, ALL)) == ["low"]


def test_bought_and_in_the_cart_are_not_offered() -> None:
    catalogue = stocked(*(item(name, price=8.0, list_price=10.0) for name in "abc"))

    assert ids(promotion_list(shopper(catalogue, cart("a", "purchase"), cart("b", "add")), WIDE, ALL)) == ["c"]


def test_reason_has_the_discount_and_the_history() -> None:
    catalogue = stocked(item("tent", price=15.0, list_price=20.0), item("cup", title="Cup", promotion_id="3 for 2"))

    items = promotion_list(shopper(catalogue, click("cup")), WIDE, ALL)

    assert {each.item_id: each.reason for each in items} == {
        "tent": "25% off; because you looked at Cup",
        "cup": "on offer; because you looked at Cup",
    }


def test_who_buys_on_offer_sees_larger_discounts_first() -> None:
    """The small discount is liked a little more."""
    catalogue = stocked(
        item("small", price=9.0, list_price=10.0),
        item("large", price=9.0, list_price=30.0),
        item("own", price=9.0, list_price=20.0, in_stock=False),
        item("full", price=20.0, list_price=20.0, in_stock=False),
        vectors=[[0.9, 0, 0], [0.2, 0, 0], [0.5, 0, 0], [0.5, 0, 0]],
    )
    thrifty = [cart("own", "purchase", day, price=9.0) for day in range(1, 9)]
    careless = [cart("full", "purchase", day, price=20.0) for day in range(1, 9)]

    assert ids(promotion_list(shopper(catalogue, *thrifty), WIDE, ALL)) == ["large", "small"]
    assert "you often buy on offer" in promotion_list(shopper(catalogue, *thrifty), WIDE, ALL)[0].reason
    assert ids(promotion_list(shopper(catalogue, *careless), WIDE, ALL)) == ["small", "large"]
    assert "you often buy on offer" not in promotion_list(shopper(catalogue, *careless), WIDE, ALL)[0].reason
    # One is no habit.
    assert "you often buy on offer" not in promotion_list(shopper(catalogue, thrifty[0]), WIDE, ALL)[0].reason


def test_prices_that_the_user_looks_at_come_first() -> None:
    """All are liked alike and equally reduced."""
    catalogue = stocked(
        item("dear", price=800.0, list_price=1000.0),
        item("usual", price=8.0, list_price=10.0),
        item("seen", price=9.0),
    )

    assert ids(promotion_list(shopper(catalogue, click("seen")), WIDE, ALL)) == ["usual", "dear"]


@pytest.mark.parametrize(
    ("paid", "expected"), [([5.0, 5.0], 0.75), ([10.0, 10.0], 0.25), ([5.0, 10.0], 0.5), ([], 0.5)]
)
def test_fondness_of_offers_is_the_share_bought_below_the_list_price(paid: list[float], expected: float) -> None:
    catalogue = stocked(item("a", price=5.0, list_price=10.0), item("unpriced"))
    events = [cart("a", "purchase", day + 1, price=price) for day, price in enumerate(paid)]

    state = shopper(catalogue, *events, cart("unpriced", "add", price=3.0), click("a")).state

    assert discount_fondness(state, catalogue) == expected


def test_unknown_shopper_sees_what_is_popular_among_the_offers() -> None:
    catalogue = stocked(*(item(name, price=8.0, list_price=10.0) for name in ("a", "b", "c")))

    items = promotion_list(shopper(catalogue, popular=(0.0, 3.0, 0.0)), WIDE, ALL)

    assert [(each.item_id, each.reason) for each in items[:2]] == [
        ("b", "20% off; popular now"),
        ("a", "20% off; newest first"),
    ]
