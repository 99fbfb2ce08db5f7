"""Which list a reader gets, with every store in every condition."""

from __future__ import annotations

import asyncio

from feature_repo.events import Click
from feature_repo.state import UserState, update
from streams.api.fallback import Lists, ServedList, Wanted
from streams.api.kept import KeptLists
from streams.api.rows import StoredList
from tests.streams.api.fakes import FakeRows, FakeShelf, as_shelf, listed
from tests.streams.api.rows_contract import check_rows
from tests.streams.fakes import NOW_MS, item

AWAY = "Cassandra did not answer within 50 ms"


class Shop:
    """Lists over fakes, asked without an event loop."""

    def __init__(self) -> None:
        self.rows = FakeRows()
        self.shelf = FakeShelf(item("old", "lamps", published_at_ms=1_000), item("new", "chairs"))
        self.lists = Lists(self.rows, as_shelf(self.shelf), KeptLists(10, 60.0))

    def home(self, user_id: str = "ann", wanted: Wanted = Wanted()) -> ServedList:  # noqa: B008  # a value
        return asyncio.run(self.lists.of_user(user_id, "home", wanted))

    def shared(self, scene: str, key: str = "") -> ServedList:
        return asyncio.run(self.lists.of_items(scene, key))

    def clicked(self, user_id: str, item_id: str) -> None:
        state = UserState()
        update(state, Click("event-1", user_id, item_id, NOW_MS), None)
        self.rows.keep_state(user_id, state)


def ids(served: ServedList) -> list[str]:
    return [item_id for item_id, _, _ in served.stored.items]


def test_fake_rows_keep_the_contract() -> None:
    shop = Shop()
    home, popular = listed("list-1", "a", "b"), StoredList("popular-1", listed("", "c").items)
    shop.rows.lists["ann", "home"] = home
    shop.rows.item_lists["popular", ""] = popular

    asyncio.run(check_rows(shop.rows, "ann", home, popular))


def test_own_list_is_served_as_the_users() -> None:
    shop = Shop()
    shop.rows.lists["ann", "home"] = listed("list-1", "a", "b")

    served = shop.home()

    assert ids(served) == ["a", "b"]
    assert served.served.source == "user"


def test_user_without_a_list_gets_what_is_popular_in_their_favourite_category() -> None:
    shop = Shop()
    shop.clicked("ann", "old")
    shop.rows.item_lists["popular", "lamps"] = listed("lamps-1", "a")
    shop.rows.item_lists["popular", ""] = listed("popular-1", "b")

    served = shop.home()

    assert ids(served) == ["a"]
    assert served.served.source == "segment"
    assert "popular in lamps" in served.served.reason


def test_list_without_items_is_no_list() -> None:
    shop = Shop()
    shop.rows.lists["ann", "home"] = listed("list-1")
    shop.rows.item_lists["popular", ""] = listed("popular-1")

    for served in (shop.home(), shop.shared("popular"), shop.shared("trending")):
        assert ids(served) == ["new", "old"]
        assert served.served.source == "catalogue"


def test_category_of_the_page_is_the_segment_of_a_stranger() -> None:
    shop = Shop()
    shop.rows.item_lists["popular", "chairs"] = listed("chairs-1", "c")

    served = shop.home("nobody", Wanted(category="chairs"))

    assert (ids(served), served.served.source) == (["c"], "segment")


def test_stranger_gets_what_is_popular() -> None:
    shop = Shop()
    shop.rows.item_lists["popular", ""] = listed("popular-1", "b")

    served = shop.home("nobody")

    assert (ids(served), served.served.source) == (["b"], "popular")
    assert "no list" in served.served.reason


def test_while_cassandra_is_away_the_users_last_list_is_served_with_the_reason() -> None:
    shop = Shop()
    shop.rows.lists["ann", "home"] = listed("list-1", "a")
    shop.home()
    shop.rows.away = AWAY

    served = shop.home()

    assert (ids(served), served.served.source) == (["a"], "user")
    assert AWAY in served.served.reason
    assert "s ago" in served.served.reason


def test_while_cassandra_is_away_a_user_never_read_before_gets_what_was_popular_last() -> None:
    shop = Shop()
    shop.rows.item_lists["popular", ""] = listed("popular-1", "b")
    shop.home("nobody")
    shop.rows.away = AWAY

    served = shop.home("ann")

    assert (ids(served), served.served.source) == (["b"], "popular")
    assert AWAY in served.served.reason


def test_with_nothing_at_all_the_newest_items_of_the_catalogue_are_served() -> None:
    shop = Shop()
    shop.rows.away = AWAY

    served = shop.home()

    assert (ids(served), served.served.source) == (["new", "old"], "catalogue")
    assert AWAY in served.served.reason
    assert served.stored.list_id == shop.home("ben").stored.list_id


def test_list_of_a_segment_is_kept_for_its_next_page() -> None:
    shop = Shop()
    shop.clicked("ann", "old")
    shop.rows.item_lists["popular", "lamps"] = listed("lamps-1", "a", "b")
    shop.home()
    shop.rows.item_lists["popular", "lamps"] = listed("lamps-2", "b", "a")

    kept = shop.lists.kept_of_user("ann", "home", "lamps-1", Wanted())

    assert kept is not None
    assert (ids(kept), kept.served.source) == (["a", "b"], "segment")


def test_list_of_a_category_falls_back_to_what_is_popular_in_it() -> None:
    shop = Shop()
    shop.rows.item_lists["popular", "lamps"] = listed("lamps-1", "a")
    shop.rows.item_lists["popular", ""] = listed("popular-1", "b")

    served = shop.shared("trending", "lamps")

    assert (ids(served), served.served.source) == (["a"], "segment")


def test_list_of_a_category_falls_back_to_what_is_popular_in_all() -> None:
    shop = Shop()
    shop.rows.item_lists["popular", ""] = listed("popular-1", "b")

    served = shop.shared("trending", "lamps")

    assert (ids(served), served.served.source) == (["b"], "popular")
    assert "'trending' of 'lamps'" in served.served.reason


def test_shared_list_outlives_an_outage() -> None:
    shop = Shop()
    shop.rows.item_lists["trending", ""] = listed("trending-1", "t")
    assert shop.shared("trending").served.source == "items"
    shop.rows.away = AWAY

    served = shop.shared("trending")

    assert (ids(served), served.served.source) == (["t"], "items")
    assert AWAY in served.served.reason


def test_unknown_related_items_are_an_empty_list_with_the_reason() -> None:
    shop = Shop()
    shop.rows.item_lists["similar", "old"] = listed("similar-1", "new")

    known, unknown = (asyncio.run(shop.lists.related("old", kind)) for kind in ("similar", "bought_with"))

    assert (ids(known), known.served.source) == (["new"], "items")
    assert (ids(unknown), unknown.served.source) == ([], "catalogue")


def test_scene_of_another_module_is_served_and_falls_back_as_home_does() -> None:
    shop = Shop()
    shop.rows.item_lists["popular", ""] = listed("popular-1", "b")

    async def of_brand(user_id: str, wanted: Wanted) -> StoredList | None:
        return listed(f"{user_id}-{wanted.brand}", "x") if wanted.brand == "acme" else None

    lists = Lists(shop.rows, as_shelf(shop.shelf), KeptLists(10, 60.0), {"brand": of_brand})

    assert lists.user_scenes == ("home", "brand")
    own = asyncio.run(lists.of_user("ann", "brand", Wanted(brand="acme")))
    other = asyncio.run(lists.of_user("ann", "brand", Wanted(brand="zeta")))
    assert (own.stored.list_id, own.served.source) == ("ann-acme", "user")
    assert other.served.source == "popular"
    assert lists.kept_of_user("ann", "brand", "ann-acme", Wanted(brand="acme")) is not None
    assert lists.kept_of_user("ann", "brand", "ann-acme", Wanted(brand="zeta")) is None
    assert lists.kept_of_user("ben", "brand", "ann-acme", Wanted(brand="acme")) is None
