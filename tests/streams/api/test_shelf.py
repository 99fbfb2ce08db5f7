"""The shelf: records in, items and models that are current out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from feature_repo.events import Item
from scorer.bundle import BundleError
from streams.api import shelf as module
from streams.api.shelf import Kept, Shelf
from streams.catalogue import encode_record
from streams.releases import Pointer, Release
from streams.rules import Rule, encode_rule
from streams.settings import Settings
from tests.streams.fakes import ENCODER, NOW_MS, FakeRecommender, FakeTextEncoder, consumed, item

FIRST = Pointer("v1", "recommender/v1", "0" * 64)


class Doubling(FakeRecommender):
    """Another version, whose item vectors are twice as long."""

    version = "recommender-2"

    def item_vectors(self, item_ids: Any, text_vectors: Any) -> Any:
        return 2 * super().item_vectors(item_ids, text_vectors)

    def warm_up(self, items: Any) -> None:
        """Nothing is cold here."""


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    kept = Kept(cast("Any", FakeRecommender()), cast("Any", FakeTextEncoder()), FIRST)
    shelf = Shelf(Settings(), kept)
    yield shelf
    shelf.close()


def arrive(shelf: Shelf, *items: Item) -> None:
    for each in items:
        value = encode_record(each, np.ones(3, np.float32), ENCODER)
        shelf.catalogue.apply(consumed(each.item_id.encode(), value))


def release(version: str) -> bytes:
    pointer = {"version": version, "location": f"recommender/{version}", "sha256": "1" * 64}
    return msgspec.json.encode({**pointer, "metrics": {}, "released_at_ms": 1, "by": "ann"})


def test_items_count_from_the_next_refresh_on(shelf: Shelf) -> None:
    arrive(shelf, item("a", "lamps", title="Red lamp", price=5.0), item("b", in_stock=False))
    assert shelf.item("a") is None

    shelf.refresh()

    assert shelf.revision == 1
    assert (shelf.item("a") or item("none")).price == 5.0
    assert shelf.newest == ("a",)
    assert shelf.titles.find("red", None, None, 10, 0, 2_000_000_000_000).item_ids == ("a",)
    shelf.refresh()
    assert shelf.revision == 1, "nothing has changed since"


def test_items_of_another_encoder_are_shown_though_they_cannot_be_ranked(shelf: Shelf) -> None:
    arrive(shelf, item("a", price=5.0))
    shelf.refresh()
    for each in (item("a", price=4.0, in_stock=False), item("b", title="Foreign lamp")):
        shelf.catalogue.apply(consumed(each.item_id.encode(), encode_record(each, np.ones(3, np.float32), "another")))
    shelf.refresh()

    known, new = shelf.item("a"), shelf.item("b")
    assert known is not None
    assert (known.price, known.in_stock) == (4.0, False)
    assert new is not None
    assert new.title == "Foreign lamp"
    assert shelf.titles.find("foreign", None, None, 10, 0, NOW_MS).item_ids == ("b",)


def test_passing_time_and_rules_change_what_may_be_shown(shelf: Shelf) -> None:
    clock = [NOW_MS]
    shelf.shop_ms = lambda: clock[0]
    offer = item("c", price=1.0, list_price=2.0, promotion_from_ms=NOW_MS + 20)
    arrive(shelf, item("a", "lamps"), item("b", published_at_ms=NOW_MS + 10), offer)
    shelf.refresh()
    assert shelf.view("home").hidden == {"b"}
    revision = shelf.revision
    shelf.refresh()
    assert shelf.revision == revision, "nothing has changed"

    clock[0] = NOW_MS + 10
    shelf.refresh()
    assert shelf.view("home").hidden == frozenset()
    assert shelf.revision == revision + 1
    clock[0] = NOW_MS + 20
    shelf.refresh()
    assert shelf.revision == revision + 2, "an offer has begun"

    rule = Rule(rule_id="r", kind="block", category="lamps", scenes=("home", "cart"))
    shelf._rules.apply(consumed(b"r", encode_rule(rule)))
    shelf.refresh()
    assert (shelf.view("home").hidden, shelf.view("popular").hidden) == ({"a"}, frozenset())
    assert shelf.revision == revision + 3


def test_changed_and_removed_items_are_so_in_search_too(shelf: Shelf) -> None:
    arrive(shelf, item("a", title="Red lamp"), item("b", title="Red chair"))
    shelf.refresh()
    arrive(shelf, item("a", title="Blue lamp"))
    shelf.catalogue.apply(consumed(b"b", None))

    shelf.refresh()

    assert shelf.revision == 2
    assert shelf.item("b") is None
    assert shelf.titles.find("red", None, None, 10, 0, 2_000_000_000_000).total == 0
    assert shelf.newest == ("a",)


def follow(shelf: Shelf, *values: bytes | None) -> None:
    """Take in releases, and return when the last one has been acted on."""

    async def scenario() -> None:
        # One thread makes models ready: what is asked of it afterwards comes later.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        work = asyncio.ensure_future(shelf._follow_releases())
        for value in values:
            shelf._take_release(consumed(b"recommender", value))
            for thread in (asyncio.to_thread, shelf.in_thread):
                for _ in range(10):
                    await asyncio.sleep(0)
                await thread(lambda: None)
            for _ in range(10):
                await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_released_recommender_is_served_with_vectors_of_its_own(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Pointer] = []

    def load(load: Any, settings: Settings, name: str, pointer: Pointer) -> Doubling:
        loaded.append(pointer)
        return Doubling()

    monkeypatch.setattr(module, "load_released", load)
    arrive(shelf, item("a"))
    shelf.refresh()

    follow(shelf, release("v2"), release("v2"))

    assert [pointer.version for pointer in loaded] == ["v2"]
    assert shelf.recommender.version == "recommender-2"
    assert shelf.catalogue.table.vectors[shelf.catalogue.table.row("a")].tolist() == [2.0, 2.0, 2.0]
    assert isinstance(shelf.releases["recommender"], Release)


def test_release_that_cannot_be_served_leaves_the_former_one(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(load: Any, settings: Settings, name: str, pointer: Pointer) -> Doubling:
        raise BundleError(settings.models, "manifest", seen="nothing", expected="a manifest", remedy="publish it")

    monkeypatch.setattr(module, "load_released", refuse)

    follow(shelf, b"no release", release("v2"))

    assert shelf.recommender.version == "recommender-1"
    assert shelf.releases["recommender"].version == "v2"


def test_release_that_could_not_be_served_is_tried_when_it_is_released_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(load: Any, settings: Settings, name: str, pointer: Pointer) -> Doubling:
        raise BundleError(settings.models, "manifest", seen="nothing", expected="a manifest", remedy="copy it")

    monkeypatch.setattr(module, "load_released", missing)
    follow(shelf, release("v2"))

    # It is copied to this machine, and released again.
    monkeypatch.setattr(module, "load_released", lambda *_: Doubling())
    follow(shelf, release("v2"))

    assert shelf.recommender.version == "recommender-2"


def test_release_that_was_taken_back_is_forgotten(shelf: Shelf) -> None:
    follow(shelf, release("v1"), None)

    assert shelf.releases == {}
