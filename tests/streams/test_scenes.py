"""All scenes of a user: shelves in the user's order, and what holds of every scene, catalogue and shopper."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.buckets import DAY_MS
from feature_repo.events import Click, Event, Item
from feature_repo.state import bought, in_cart
from streams.catalogue import Catalogue
from streams.lists import ListRules
from streams.scenes import SCENES, SHELVES, SceneError, scene_list
from streams.shopper import Filters, Shopper
from tests.streams.fakes import NOW_MS, item, stocked
from tests.streams.scene_shoppers import WIDE, cart, shopper
from tests.streams.test_lists import click, ids


def listed(scene: str, who: Shopper, **filters: object) -> list[str]:
    return ids(scene_list(scene, who, WIDE, Filters(**filters), {}))  # type: ignore[arg-type]  # by name


def shop() -> Catalogue:
    return stocked(
        item("tent", "tents", brand="acme", price=200.0),
        item("tarp", "tents", brand="zelt", price=50.0),
        item("cup", "cups", brand="acme", price=5.0),
        item("mug", "cups", price=8.0),
        vectors=[[0.4, 0, 0], [0.6, 0, 0], [0.1, 0, 0], [0.9, 0, 0]],
    )


def test_category_is_in_the_users_order() -> None:
    assert listed("category", shopper(shop(), click("cup")), category="tents") == ["tarp", "tent"]
    assert listed("category", shopper(shop(), click("cup"), likes=(-1, 0, 0)), category="tents") == ["tent", "tarp"]


def test_brand_is_in_the_users_order() -> None:
    assert listed("brand", shopper(shop(), click("mug")), brand="acme") == ["tent", "cup"]


def test_what_was_bought_stays_on_its_shelf() -> None:
    who = shopper(shop(), cart("tarp", "purchase"), cart("tent", "add"))

    assert listed("category", who, category="tents") == ["tarp", "tent"]


def test_shelf_of_an_unknown_shopper_is_in_the_order_of_popularity() -> None:
    items = scene_list("category", shopper(shop(), popular=(2.0, 1.0)), WIDE, Filters(category="tents"), {})

    assert [(each.item_id, each.reason) for each in items] == [("tent", "popular now"), ("tarp", "popular now")]


def test_filters_hold_on_shelves() -> None:
    who = shopper(shop(), click("cup"))

    assert listed("brand", who, brand="acme", category="cups") == ["cup"]
    assert listed("category", who, category="tents", price_max=100.0) == ["tarp"]
    assert listed("category", who, category="cups", exclude=frozenset({"mug", "unknown"})) == ["cup"]
    assert listed("category", who, category="nothing") == []


@pytest.mark.parametrize("scene", SHELVES)
def test_shelf_without_a_name_says_what_to_add(scene: str) -> None:
    with pytest.raises(SceneError, match=re.escape(f"add {scene}=NAME")):
        listed(scene, shopper(shop(), click("cup")))


def test_unknown_scene_names_the_ones_there_are() -> None:
    with pytest.raises(SceneError, match="saw 'hme', expected one of category, brand, cart, promotion, again"):
        listed("hme", shopper(shop(), click("cup")))


def make_case(count: int, seed: int) -> tuple[Shopper, Filters, ListRules, dict[str, list[tuple[str, float]]]]:
    """Make a shop, a shopper, filters, rules and pairs by chance."""
    chance = random.Random(seed)
    items: list[Item] = []
    for place in range(count):
        price = chance.choice((None, 1.0, 4.0, 20.0))
        items.append(
            item(
                f"i{place}",
                chance.choice((None, "a", "a", "b", "c")),
                brand=chance.choice((None, "x", "y")),
                price=price,
                list_price=chance.choice((None, 10.0)),
                promotion_id=chance.choice((None, "p")),
                promotion_from_ms=chance.choice((None, NOW_MS - 5, NOW_MS + 5)),
                in_stock=chance.random() < 0.8,
                published_at_ms=NOW_MS + chance.choice((-9, -9, 0, 9)),
            )
        )
    events: list[Event] = []
    for _ in range(chance.randint(0, 25)):
        item_id, days = f"i{chance.randint(0, count)}", chance.uniform(0, 60)  # the last id is in no catalogue
        action = chance.choice(("click", "add", "remove", "purchase", "purchase", "return"))
        if action == "click":
            ms = NOW_MS - round(days * DAY_MS)
            events.append(Click(f"click-{ms}", "anna", item_id, ms))
        elif action == "return":
            events.append(cart(item_id, "purchase", days, quantity=-1))
        else:
            events.append(cart(item_id, action, days, price=chance.choice((1.0, 10.0))))
    catalogue = stocked(*items, vectors=[[chance.uniform(-1, 1) for _ in range(3)] for _ in items])
    who = shopper(
        catalogue,
        *events,
        likes=[chance.uniform(-1, 1) for _ in range(3)],
        popular=[float(chance.randint(0, 2)) for _ in items],
    )
    filters = Filters(
        category=chance.choice((None, None, "a", "b")),
        brand=chance.choice((None, None, "x")),
        price_min=chance.choice((None, None, 2.0)),
        price_max=chance.choice((None, None, 10.0)),
        exclude=frozenset(f"i{chance.randint(0, count)}" for _ in range(chance.randint(0, 3))),
    )
    pairs = {f"i{n}": [(f"i{chance.randint(0, count)}", chance.uniform(0.1, 1))] for n in range(0, count, 2)}
    return who, filters, ListRules(chance.randint(1, 8), chance.choice((0.3, 0.5, 1.0))), pairs


@pytest.mark.parametrize("scene", SCENES)
@given(count=st.integers(1, 40), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_scene_obeys_stock_publication_filters_and_its_own_rules(scene: str, count: int, seed: int) -> None:
    who, filters, rules, pairs = make_case(count, seed)
    if scene in SHELVES and getattr(filters, scene) is None:
        filters = Filters(**{**vars(filters), scene: {"category": "a", "brand": "x"}[scene]})

    items = scene_list(scene, who, rules, filters, pairs)

    assert items == scene_list(scene, who, rules, filters, pairs)
    assert len(set(ids(items))) == len(items) <= rules.size
    assert [each.score for each in items] == sorted((each.score for each in items), reverse=True) or scene in (
        "cart",
        "promotion",
    ), "only a category's share may let a lower score stand earlier"
    assert all(np.isfinite(each.score) and each.reason for each in items)
    for each in items:
        shown = who.catalogue.item(each.item_id)
        assert shown is not None
        assert shown.in_stock
        assert shown.published_at_ms <= NOW_MS
        assert filters.category in (None, shown.category)
        assert filters.brand in (None, shown.brand)
        assert filters.price_min is None or (shown.price is not None and shown.price >= filters.price_min)
        assert filters.price_max is None or (shown.price is not None and shown.price <= filters.price_max)
        assert each.item_id not in filters.exclude
        if scene == "promotion":
            assert shown.promotion_id or (shown.price or 10.0) < (shown.list_price or 0.0)
            assert shown.promotion_from_ms is None or shown.promotion_from_ms <= NOW_MS
        if scene in ("cart", "promotion"):
            assert each.item_id not in bought(who.state) | in_cart(who.state)
        if scene == "cart":
            held = {getattr(who.catalogue.item(item_id), "category", None) for item_id in in_cart(who.state)} - {None}
            paired = {partner for item_id in in_cart(who.state) for partner, _ in pairs.get(item_id, [])}
            assert shown.category not in held or each.item_id in paired
        if scene == "again":
            assert each.item_id in bought(who.state) - in_cart(who.state)
