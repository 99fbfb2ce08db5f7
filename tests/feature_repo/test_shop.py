from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from feature_repo.events import Cart, Click, Event, Review, decode_event, decode_item, encode
from feature_repo.sources.shop import START_MS, Shop
from feature_repo.sources.shop.reviews import label_of, labelled_reviews
from feature_repo.sources.shop.summary import summarise

DAY_MS = 86_400_000


def digest(events: Iterator[tuple[str, Event]]) -> str:
    whole = hashlib.sha256()
    for topic, event in events:
        whole.update(topic.encode() + encode(event))
    return whole.hexdigest()


def small(seed: int = 7, days: int | None = 6) -> Shop:
    return Shop(seed=seed, shoppers=150, products=200, days=days)


@pytest.fixture(scope="module")
def month() -> tuple[Shop, list[tuple[str, Event]]]:
    shop = Shop(shoppers=400, days=28)
    return shop, list(shop.events())


def test_same_seed_gives_the_same_bytes_in_every_run() -> None:
    shop = small()
    assert digest(shop.events()) == digest(shop.events()) == digest(small().events())
    assert list(shop.items()) == list(small().items())


def test_other_seed_gives_another_shop() -> None:
    assert digest(small().events()) != digest(small(seed=8).events())
    assert list(small().items()) != list(small(seed=8).items())


def test_short_shop_is_the_beginning_of_an_endless_one() -> None:
    short = list(small(days=3).events())
    assert list(islice(small(days=None).events(), len(short))) == short


def test_shop_from_a_later_day_begins_there_with_people_under_way() -> None:
    shop = Shop(shoppers=150, products=200, days=2, first_day=28)
    events = [event for _, event in shop.events()]
    begin_ms = shop.start_ms + 28 * DAY_MS
    assert begin_ms <= events[0].occurred_at_ms < begin_ms + DAY_MS // 4
    assert events[-1].occurred_at_ms < begin_ms + 2 * DAY_MS
    assert any(isinstance(event, Review) for event in events)
    assert [event for _, event in shop.events()] == events


def test_shop_from_a_later_day_shares_items_and_no_event_with_one_from_the_first() -> None:
    first, later = small(days=30), Shop(seed=7, shoppers=150, products=200, days=2, first_day=28)
    assert list(first.items()) == list(later.items())
    assert not {e.event_id for _, e in first.events()} & {e.event_id for _, e in later.events()}


def test_endless_shop_goes_on() -> None:
    (*_, (_, last)) = islice(small(days=None).events(), 40_000)
    assert last.occurred_at_ms > START_MS + 40 * DAY_MS


def test_events_come_in_order_of_time_with_unique_ids(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    _, events = month
    times = [event.occurred_at_ms for _, event in events]
    assert times == sorted(times)
    assert times[0] >= START_MS
    assert times[-1] < START_MS + 28 * DAY_MS
    assert len({event.event_id for _, event in events}) == len(events)


def test_events_and_items_keep_the_contract(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    shop, events = month
    for item in shop.items():
        assert decode_item(item.item_id.encode(), encode(item)) == item
    for topic, event in events[::10]:
        decoded = decode_event(topic, event.user_id.encode(), encode(event), event.occurred_at_ms)
        assert decoded.event == event


def test_catalogue_has_distinct_titles_and_new_items(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    items = list(month[0].items())
    assert len({item.title for item in items}) == len(items) == 600
    assert len({item.category for item in items}) == 12
    assert sum(item.published_at_ms > START_MS for item in items) == 90


def test_nobody_meets_an_item_before_it_is_published(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    shop, events = month
    published_ms = {item.item_id: item.published_at_ms for item in shop.items()}
    new = {item_id for item_id, at_ms in published_ms.items() if at_ms > START_MS}
    met = set()
    for _, event in events:
        if isinstance(event, Click | Cart | Review):
            assert event.occurred_at_ms >= published_ms[event.item_id]
            met.add(event.item_id)
    assert len(met & new) > len(new) / 2


def test_only_what_is_in_the_cart_is_removed_or_bought(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    cart: defaultdict[str, dict[str, int]] = defaultdict(dict)
    bought: Counter[tuple[str, str]] = Counter()
    for _, event in month[1]:
        if isinstance(event, Review):
            assert bought[event.user_id, event.item_id] > 0
        if not isinstance(event, Cart):
            continue
        if event.action == "add":
            assert event.item_id not in cart[event.user_id]
            cart[event.user_id][event.item_id] = event.quantity
        elif event.quantity > 0:
            assert cart[event.user_id].pop(event.item_id) == event.quantity
            bought[event.user_id, event.item_id] += event.action == "purchase"
        else:
            assert bought[event.user_id, event.item_id] > 0


def test_shoppers_keep_arriving(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    first_day: dict[str, int] = {}
    for _, event in month[1]:
        first_day.setdefault(event.user_id, (event.occurred_at_ms - START_MS) // DAY_MS)
    arrivals = Counter(day // 7 for day in first_day.values())
    assert arrivals[0] > 200
    assert min(arrivals[week] for week in (1, 2, 3)) >= 10


def test_consumables_are_bought_again(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    days: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for _, event in month[1]:
        if isinstance(event, Cart) and event.action == "purchase" and event.quantity > 0:
            days[event.user_id, event.item_id].add(event.occurred_at_ms // DAY_MS)
    again = [max(seen) - min(seen) for seen in days.values() if len(seen) > 1]
    assert len(again) >= 10
    assert np.median(again) >= 5


def test_mood_is_known_for_reviews_only_and_stars_follow_it(month: tuple[Shop, list[tuple[str, Event]]]) -> None:
    shop, events = month
    reviews = [event for _, event in events if isinstance(event, Review)]
    moods = [shop.true_mood(event.event_id) for event in reviews]
    stars = [event.stars or 0 for event in reviews]
    assert np.corrcoef(moods, stars)[0, 1] > 0.85
    labels = Counter(label_of(mood) for mood in moods)
    assert min(labels.values()) > 0.1 * len(reviews)
    click = next(event for _, event in events if isinstance(event, Click))
    with pytest.raises(KeyError):
        shop.true_mood(click.event_id)


def test_reviews_are_varied_and_their_words_follow_the_mood() -> None:
    reviews = list(labelled_reviews(seed=1, count=2000))
    assert reviews == list(labelled_reviews(seed=1, count=2000))
    assert len({text for text, _ in reviews}) > 1900
    assert min(Counter(label_of(mood) for _, mood in reviews).values()) > 500
    assert not any("{" in text or "}" in text for text, _ in reviews)
    praise = [mood for text, mood in reviews if "absolutely love" in text.lower() or "thrilled" in text.lower()]
    blame = [mood for text, mood in reviews if "awful" in text.lower()]
    assert np.mean(praise) > 0.6
    assert np.mean(blame) < -0.6


def test_prefix_stands_before_every_id() -> None:
    plain = next(small().events())[1]
    prefixed = next(Shop(shoppers=150, products=200, days=6, id_prefix="t1-").events())[1]
    assert isinstance(plain, Click)
    assert isinstance(prefixed, Click)
    assert prefixed.event_id == "t1-" + plain.event_id
    assert (prefixed.user_id, prefixed.item_id) == ("t1-" + plain.user_id, "t1-" + plain.item_id)


@pytest.mark.parametrize("wrong", [{"products": 83}, {"shoppers": 0}, {"days": 0}, {"seed": -1}, {"start_ms": 0}])
def test_argument_out_of_range_is_named(wrong: dict[str, int]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value}: expected at least"):
        Shop(**wrong)  # type: ignore[arg-type]


def test_next_product_can_be_learned_in_part_and_only_in_part() -> None:
    summary = summarise(Shop(shoppers=400, days=16))
    rates = summary.hit_rates
    assert 0.02 < rates["popularity"] < 0.09
    assert rates["last category"] > 2 * rates["popularity"]
    assert 2 * rates["last category"] < rates["oracle"] < 0.75
    assert 0.15 < summary.purchase_rate < 0.4
    assert 0.6 < summary.purchase_auc["products in cart"] < 0.85
    assert summary.purchase_auc["recency"] < 0.6
