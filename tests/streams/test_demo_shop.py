from __future__ import annotations

from collections import defaultdict
from itertools import islice

import msgspec
import pytest

from feature_repo.events import Cart, Click, DecodeError, Event, Review, decode_event, decode_item, encode
from feature_repo.sources.shop import Shop
from streams.demo.broken import broken_events
from streams.demo.casting import FEWEST_STEPS, cast
from streams.demo.sent import KEPT_SHOPPERS, Sent
from streams.demo.shop import FIRST_DAY, DemoShop
from streams.prices import Prices


def click(user_id: str, number: int) -> tuple[str, Event]:
    return "clicks", Click(f"{user_id}-{number}", user_id, "p1", number + 1)


def purchase(user_id: str, number: int, quantity: int = 1, item_id: str = "p1") -> tuple[str, Event]:
    return "carts", Cart(f"{user_id}-{number}", user_id, item_id, "purchase", quantity, 2.5, number + 1)


def review(user_id: str, number: int) -> tuple[str, Event]:
    return "reviews", Review(f"{user_id}-{number}", user_id, "p1", "fine", number + 1)


@pytest.fixture(scope="module")
def sent_in_order() -> tuple[DemoShop, list[tuple[str, Event]], list[str]]:
    """A demo's shop, its first events, and who was followed."""
    shop, followed = DemoShop(7, "demo-1-"), list[str]()
    shop.tell(followed.append, lambda topic, event: None)
    return shop, list(islice(shop.events(), 3_000)), followed


def test_shopper_with_a_purchase_and_a_review_is_chosen() -> None:
    ahead = [click("u1", number) for number in range(8)]
    ahead += [click("u2", number) for number in range(5)] + [purchase("u2", 5), review("u2", 6)]
    assert cast(ahead, seen=()) == "u2"
    assert cast(ahead, seen=("u2",)) == "u1"
    assert cast(ahead, seen=("u1", "u2")) is None


def test_shopper_with_little_to_show_is_not_chosen() -> None:
    assert cast([click("u1", number) for number in range(FEWEST_STEPS - 1)], seen=()) is None


def test_demo_sends_days_after_those_that_models_saw(
    sent_in_order: tuple[DemoShop, list[tuple[str, Event]], list[str]],
) -> None:
    begin_ms = Shop().start_ms + FIRST_DAY * 86_400_000
    assert all(event.occurred_at_ms >= begin_ms for _, event in sent_in_order[1])


def test_some_items_are_on_offer_when_the_demo_begins_and_cost_what_they_cost() -> None:
    begin_ms, plain, demo = Shop().start_ms + FIRST_DAY * 86_400_000, list(Shop().items()), list(DemoShop(7).items())
    prices = Prices()
    prices.grow(len(demo))
    for row, item in enumerate(demo):
        prices.put(row, item)
        assert decode_item(item.item_id.encode(), encode(item)) == item
    on_offer = prices.on_offer(begin_ms)

    assert 60 <= on_offer.sum() <= 110
    assert ((prices.discount > 0) == on_offer).all()
    assert prices.on_offer(begin_ms + 50 * 86_400_000).sum() == on_offer.sum()
    assert {demo[row].category for row in on_offer.nonzero()[0]} == {item.category for item in plain}
    # Whatever models and features read of an item is as in the shop that models are trained on.
    unmarked = {"list_price": None, "promotion_id": None, "promotion_from_ms": None, "promotion_until_ms": None}
    assert [msgspec.structs.replace(item, **unmarked) for item in demo] == plain
    assert list(DemoShop(7, "again-").items()) == demo
    assert list(DemoShop(8).items()) != demo


def test_events_of_each_shopper_stay_in_order_and_carry_the_prefix(
    sent_in_order: tuple[DemoShop, list[tuple[str, Event]], list[str]],
) -> None:
    by_user: defaultdict[str, list[int]] = defaultdict(list)
    for _, event in sent_in_order[1]:
        by_user[event.user_id].append(event.occurred_at_ms)
        assert event.event_id.startswith("demo-1-")
        assert event.user_id.startswith("demo-1-")
    assert all(times == sorted(times) for times in by_user.values())


def test_events_of_the_followed_shopper_are_held_back(
    sent_in_order: tuple[DemoShop, list[tuple[str, Event]], list[str]],
) -> None:
    _, events, followed = sent_in_order
    assert len(followed) == 1
    assert sum(event.user_id == followed[0] for _, event in events) <= 2


def test_event_that_was_taken_and_not_sent_is_not_in_the_books(
    sent_in_order: tuple[DemoShop, list[tuple[str, Event]], list[str]],
) -> None:
    shop, events, _ = sent_in_order
    assert shop.sent.total == len(events) - 1


def test_books_keep_truth_purchases_and_some_shoppers() -> None:
    sent = Sent()
    sent.note(*purchase("u1", 0, 3, "p1"), mood=None)
    sent.note(*purchase("u1", 1, -3, "p1"), mood=None)
    sent.note(*purchase("u1", 2, 1, "p2"), mood=None)
    sent.note(*review("u1", 3), mood=-0.8)
    assert sent.owned("u1") == {"p2"}
    assert sent.owned("u9") == set()
    assert sent.moods == {"u1-3": "negative"}
    for number in range(KEPT_SHOPPERS + 5):
        sent.note(*click(f"v{number}", 0), mood=None)
        sent.note(*click(f"v{number}", 1), mood=None)
    assert len(sent.kept) == KEPT_SHOPPERS
    assert all(len(events) == sent.shoppers[user_id] for user_id, events in sent.kept.items())


def test_broken_events_break_where_they_say() -> None:
    for event in broken_events("demo-1-", 1_700_000_000_000):
        with pytest.raises(DecodeError) as refused:
            decode_event(event.topic, event.key, event.value, 1_700_000_000_000)
        assert refused.value.field == event.field
    good = encode(click("u1", 0)[1])
    assert decode_event("clicks", b"u1", good, 1_700_000_000_000).event == click("u1", 0)[1]
