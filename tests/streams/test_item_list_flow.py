"""What was touched in; just the lists that this alters written, by their owner, in shares."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from feature_repo.events import Click, Item
from feature_repo.state import Position
from streams.catalogue import encode_record
from streams.fence import Stamps
from streams.item_list_flow import LISTS_A_ROUND, SHARE, ItemListFlow
from streams.lists import ListRules
from streams.metrics import Metrics
from streams.pairs import Pairs
from streams.popularity import Popularity
from streams.rule_effects import RuleEffects
from streams.rules import Rules
from streams.waiting import Patience
from tests.streams.fakes import ENCODER, NOW_MS, Done, FakeStore, consumed, item, stocked
from tests.streams.test_pairs import Shoppers

HOUR_MS = 3_600_000
Key = tuple[str, str]


class Lists:
    """The flow of item lists, with what the catalogue's flow would tell it."""

    def __init__(self) -> None:
        self.done = Done()
        self.store = FakeStore(self.done)
        stamps = Stamps()
        stamps.renew(range(8), 1)
        self.catalogue = stocked()
        self.popularity = Popularity()
        self.pairs = Pairs()
        self.rules = Rules()
        self.metrics = Metrics()
        self.flow = ItemListFlow(
            self.catalogue,
            self.popularity,
            self.pairs,
            RuleEffects(self.rules),
            self.store,  # type: ignore[arg-type]
            Patience(),
            stamps,
            self.metrics,
            ListRules(10, 1.0),
        )
        self._offset = 0

    def put(self, *items: Item, partition: int = 0) -> None:
        for each in items:
            record = encode_record(each, np.array([1.0, 0.0, 0.0], np.float32), ENCODER)
            self.catalogue.apply(consumed(each.item_id.encode(), record, partition))
        self.catalogue.refresh()

    def click(self, item_id: str, times: int = 1, ms: int = NOW_MS) -> None:
        for _ in range(times):
            self._offset += 1
            self.popularity.count(Click("e", "anna", item_id, ms), Position("clicks", 5, self._offset))

    def rule(self, rule_id: str, **fields: Any) -> None:
        value = json.dumps({"rule_id": rule_id, **fields}).encode() if fields else None
        self.rules.apply(consumed(rule_id.encode(), value))

    def publish(self, *owned: int) -> set[Key]:
        """One round for the owned partitions; the lists that were written."""
        self.done.steps.clear()
        self.flow.note(self.popularity.touched(), self.catalogue.changed())
        asyncio.run(self.flow.publish(set(owned)))
        return {(each.scene, each.key) for each in self.done.of("item lists")}

    def list(self, scene: str, key: str = "") -> list[str]:
        return [place.item_id for place in self.store.item_lists[scene, key].items]


@pytest.fixture
def lists() -> Iterator[Lists]:
    lists = Lists()
    yield lists
    lists.flow.close()


def of_shop(*keys: str) -> set[Key]:
    return {(scene, key) for scene in ("popular", "trending", "new") for key in keys}


def test_first_round_writes_every_list_there_is(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))

    written = lists.publish(0)

    assert written == of_shop("", "tents", "cups") | {("similar", "tent"), ("similar", "cup")}
    assert lists.list("similar", "tent") == ["cup"]
    assert lists.publish(0) == set()


def test_event_alters_what_is_popular_and_rising_in_shop_and_category_and_nothing_else(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))
    lists.click("cup")
    lists.publish(0)

    lists.click("tent", 3)

    assert lists.publish(0) == {
        ("popular", ""),
        ("popular", "tents"),
        ("trending", ""),
        ("trending", "tents"),
    }
    assert lists.list("popular") == ["tent", "cup"]
    assert lists.list("trending", "tents") == ["tent"]


def test_item_that_changes_its_category_leaves_the_lists_of_the_former_one(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))
    lists.publish(0)

    lists.put(item("tent", "sale"))

    assert of_shop("", "tents", "sale") <= lists.publish(0)
    assert lists.list("new", "tents") == []
    assert lists.list("new", "sale") == ["tent"]


def test_removed_item_leaves_all_lists(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))
    lists.publish(0)

    lists.catalogue.apply(consumed(b"tent", None))
    lists.catalogue.refresh()
    lists.publish(0)

    assert lists.list("popular") == lists.list("new") == ["cup"]
    assert lists.list("new", "tents") == lists.list("similar", "tent") == lists.list("similar", "cup") == []


def test_item_whose_time_comes_enters_the_lists(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("hat", "hats", published_at_ms=NOW_MS + 5))
    lists.click("tent")
    lists.publish(0)
    assert lists.list("new") == ["tent"]

    lists.click("tent", ms=NOW_MS + 5)
    lists.publish(0)

    assert lists.list("new") == ["hat", "tent"]
    assert lists.list("similar", "tent") == ["hat"]


def test_trends_of_all_categories_are_made_anew_with_every_hour(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))
    lists.click("tent", 2)
    lists.publish(0)
    assert lists.list("trending", "tents") == ["tent"]

    lists.click("cup", ms=NOW_MS + 24 * HOUR_MS)

    assert {("trending", "tents"), ("trending", ""), ("trending", "cups")} <= lists.publish(0)
    assert lists.list("trending", "tents") == []


def test_each_list_has_one_writer(lists: Lists) -> None:
    lists.put(item("tent", "tents"), partition=1)
    lists.put(item("cup", "cups"), partition=2)

    assert lists.publish(1) == {("similar", "tent")}
    lists.flow.publish_everything()
    assert lists.publish(0, 2) == of_shop("", "tents", "cups") | {("similar", "cup")}


def test_later_write_has_the_later_timestamp_and_another_name(lists: Lists) -> None:
    lists.put(item("tent"))
    lists.publish(0)
    first = lists.store.item_lists["popular", ""]
    lists.click("tent")
    lists.publish(0)
    second = lists.store.item_lists["popular", ""]

    assert second.write_us > first.write_us
    assert second.list_id != first.list_id


def test_a_round_is_bounded_and_what_is_popular_never_waits_behind_items(lists: Lists) -> None:
    names = [f"item-{number:03}" for number in range(LISTS_A_ROUND)]
    lists.put(*(item(name) for name in names))

    first = lists.publish(0)

    assert len(first) == LISTS_A_ROUND
    assert of_shop("") <= first
    assert max(len(share) for kind, share in lists.done.steps if kind == "item lists") == SHARE
    waiting = lists.metrics.registry.get_sample_value("lastclick_item_lists_waiting")
    assert waiting == 3
    assert {("similar", name) for name in names} == (first | lists.publish(0)) - of_shop("")


def test_lists_about_items_are_made_though_a_whole_round_of_categories_waits_each_time(lists: Lists) -> None:
    names = [f"item-{number:03}" for number in range(LISTS_A_ROUND)]
    lists.put(*(item(name, f"category {name}") for name in names))
    made: set[tuple[str, str]] = set()
    for _ in range(4):
        # Each category's lists are due again before any round is over.
        for name in names:
            lists.click(name)
        made |= lists.publish(0)

    assert len([key for key in made if key[0] == "similar"]) > LISTS_A_ROUND // 2
    assert len([key for key in made if key[0] in ("popular", "trending")]) > LISTS_A_ROUND // 4


def test_new_owner_writes_what_changed_last_first_and_what_an_event_touches_before_the_rest(lists: Lists) -> None:
    names = [f"item-{number:03}" for number in range(LISTS_A_ROUND * 2)]
    lists.put(*(item(name) for name in names))
    shoppers = Shoppers(lists.pairs)
    shoppers.take("item-100", "item-101", times=2, ms=NOW_MS - HOUR_MS)
    shoppers.take("item-200", "item-201", times=2)
    lists.publish(1)
    lists.flow.publish_everything()

    first = lists.publish(0)

    # All items are newer than the pair that is left for later.
    assert {key for key in first if key[0] == "bought_with"} == {
        ("bought_with", "item-200"),
        ("bought_with", "item-201"),
    }
    shoppers.take("item-300", "item-301", times=2)
    assert {("bought_with", "item-300"), ("bought_with", "item-301")} < lists.publish(0)


def test_blocked_item_leaves_every_list_in_the_next_round_and_comes_back(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))
    lists.click("tent", 3)
    lists.publish(0)

    lists.rule("no tents", kind="block", category="tents")
    lists.publish(0)

    for scene in ("popular", "trending", "new"):
        assert "tent" not in lists.list(scene)
        assert lists.list(scene, "tents") == []
    assert lists.list("similar", "cup") == []
    lists.rule("no tents")
    lists.publish(0)
    assert lists.list("popular") == ["tent", "cup"]
    assert lists.list("similar", "cup") == ["tent"]


def test_pinned_item_stands_at_its_place_where_its_kind_of_list_is_about_it(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"), item("mug", "cups"))
    lists.click("tent", 9)
    lists.click("mug", 3)
    lists.publish(0)

    lists.rule("p", kind="pin", item_id="cup", position=0, note="summer")
    lists.publish(0)

    assert lists.list("popular") == ["cup", "tent", "mug"]
    assert lists.store.item_lists["popular", ""].items[0].reason == "pinned: summer"
    assert lists.list("popular", "cups") == ["cup", "mug"]
    assert lists.list("popular", "tents") == ["tent"]
    assert lists.list("trending")[0] == "cup"


def test_what_is_taken_together_is_listed_while_it_may_be_shown(lists: Lists) -> None:
    lists.put(item("tent", "tents"), item("cup", "cups"))
    shoppers = Shoppers(lists.pairs)
    shoppers.take("tent", "cup", times=2)
    lists.publish(0)

    assert lists.list("bought_with", "tent") == ["cup"]
    assert lists.store.item_lists["bought_with", "cup"].items[0].reason == "often in one cart with Cup"
    shoppers.take("tent", "cup")
    assert lists.publish(0) == {("bought_with", "tent"), ("bought_with", "cup")}

    lists.put(item("cup", "cups", in_stock=False))
    lists.publish(0)
    assert lists.list("bought_with", "tent") == []
    assert lists.list("bought_with", "cup") == ["tent"]

    lists.put(item("cup", "cups"))
    lists.rule("no cups", kind="block", category="cups", scenes=["bought_with"])
    lists.publish(0)
    assert lists.list("bought_with", "tent") == []
    lists.rule("no cups")
    lists.publish(0)
    assert lists.list("bought_with", "tent") == ["cup"]

    lists.catalogue.apply(consumed(b"tent", None))
    lists.catalogue.refresh()
    lists.publish(0)
    assert lists.list("bought_with", "tent") == lists.list("bought_with", "cup") == []


def test_lists_are_made_while_items_arrive(lists: Lists) -> None:
    """Items are put to use in the flow's thread, lists are made in another."""
    names = [f"item-{number:03}" for number in range(150)]
    lists.put(item(names[0], "tents"))

    def arrive() -> None:
        for place, name in enumerate(names):
            lists.put(item(name, f"category-{place % 5}"))
            if place % 3 == 2:
                lists.catalogue.apply(consumed(names[place - 1].encode(), None))
                lists.catalogue.refresh()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            arriving = pool.submit(arrive)
            while not arriving.done():
                lists.click(names[0])
                lists.publish(0)
            arriving.result()
    finally:
        sys.setswitchinterval(interval)
    while lists.publish(0):
        pass
    left = {each.item_id for each in lists.catalogue.items()}
    assert {key for (scene, key), each in lists.store.item_lists.items() if scene == "similar" and each.items} == left
    for each in lists.store.item_lists.values():
        assert {place.item_id for place in each.items} <= left
