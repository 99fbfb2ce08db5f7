"""Popular, trending and new lists, of the shop and of a category, from counts in memory."""

from __future__ import annotations

from feature_repo.events import Cart, Click
from feature_repo.state import Position
from streams.catalogue import Catalogue
from streams.item_lists import NEW_SCENE, POPULAR_SCENE, TRENDING_SCENE, shop_list
from streams.lists import ListRules
from streams.popularity import Popularity
from tests.streams.fakes import NOW_MS, item, stocked

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RULES = ListRules(size=4, category_share=0.5)


class Counted:
    """Counts of a few items, an event at a time."""

    def __init__(self) -> None:
        self.popularity = Popularity()
        self._offset = 0

    def clicks(self, item_id: str, times: int, ms: int = NOW_MS) -> Counted:
        for _ in range(times):
            self._offset += 1
            self.popularity.count(Click("e", "anna", item_id, ms), Position("clicks", 0, self._offset))
        return self

    def purchase(self, item_id: str, ms: int = NOW_MS) -> Counted:
        self._offset += 1
        event = Cart("e", "anna", item_id, "purchase", 1, 1.0, ms)
        self.popularity.count(event, Position("carts", 0, self._offset))
        return self

    def list(self, scene: str, catalogue: Catalogue, category: str = "", now_ms: int = NOW_MS) -> list[tuple[str, str]]:
        levels = self.popularity.levels(catalogue)
        items = shop_list(scene, category, catalogue, levels, now_ms, RULES, None)
        return [(each.item_id, each.reason) for each in items]


def test_popular_list_obeys_stock_time_and_share() -> None:
    catalogue = stocked(
        *(item(f"tent-{n}", "tents") for n in range(4)),
        item("cup", "cups"),
        item("rug", "rugs", in_stock=False),
        item("hat", "hats", published_at_ms=NOW_MS + 1),
    )
    counted = Counted()
    for place, item_id in enumerate(("hat", "rug", "tent-0", "tent-1", "tent-2", "tent-3", "cup")):
        counted.clicks(item_id, 9 - place)

    assert [name for name, _ in counted.list(POPULAR_SCENE, catalogue)] == ["tent-0", "tent-1", "cup", "tent-2"]


def test_popular_list_of_a_category_holds_nothing_else_and_says_so() -> None:
    catalogue = stocked(*(item(f"tent-{n}", "tents") for n in range(3)), item("cup", "cups"))
    counted = Counted().clicks("cup", 5).clicks("tent-2", 2).clicks("tent-1", 1)

    assert counted.list(POPULAR_SCENE, catalogue, "tents") == [
        ("tent-2", "popular in tents"),
        ("tent-1", "popular in tents"),
        ("tent-0", "new in the shop"),
    ]
    assert counted.list(POPULAR_SCENE, catalogue, "boats") == []


def test_trending_is_what_is_above_its_own_usual_level() -> None:
    """The bestseller has more clicks in the last hour than the newcomer, as in every hour."""
    catalogue = stocked(item("bestseller"), item("newcomer"), item("quiet"))
    counted = Counted()
    for hour in range(14 * 24):
        counted.clicks("bestseller", 10, NOW_MS - hour * HOUR_MS)
    counted.clicks("newcomer", 8)

    assert counted.list(TRENDING_SCENE, catalogue) == [("newcomer", "rising now")]
    assert counted.list(POPULAR_SCENE, catalogue)[0] == ("bestseller", "popular now")


def test_a_single_click_is_no_trend_and_a_purchase_is() -> None:
    catalogue = stocked(item("clicked"), item("bought"))

    seen = Counted().clicks("clicked", 1).purchase("bought").list(TRENDING_SCENE, catalogue)

    assert seen == [("bought", "rising now")]


def test_trend_is_over_a_day_later() -> None:
    catalogue = stocked(item("tent"), item("cup"))
    counted = Counted().clicks("tent", 6)
    assert counted.list(TRENDING_SCENE, catalogue) == [("tent", "rising now")]

    counted.clicks("cup", 4, NOW_MS + DAY_MS)

    assert counted.list(TRENDING_SCENE, catalogue, now_ms=NOW_MS + DAY_MS) == [("cup", "rising now")]


def test_level_of_an_item_left_alone_falls_as_if_it_were_reckoned_anew() -> None:
    catalogue = stocked(item("tent"), item("cup"))
    kept, fresh = Counted().clicks("tent", 6), Counted().clicks("tent", 6)
    kept.popularity.levels(catalogue)
    for counted in (kept, fresh):
        counted.clicks("cup", 1, NOW_MS + 7 * HOUR_MS)

    assert kept.popularity.levels(catalogue).rise.tolist() == fresh.popularity.levels(catalogue).rise.tolist()


def test_new_list_begins_with_the_newest_in_stock() -> None:
    catalogue = stocked(
        item("old", "tents", published_at_ms=NOW_MS - 60 * DAY_MS),
        item("newer", "tents", published_at_ms=NOW_MS - 2 * DAY_MS),
        item("newest", "cups", published_at_ms=NOW_MS - DAY_MS),
        item("sold out", "cups", in_stock=False),
        item("to come", "cups", published_at_ms=NOW_MS + 1),
    )

    assert Counted().list(NEW_SCENE, catalogue) == [
        ("newest", "new in the shop"),
        ("newer", "new in the shop"),
        ("old", "one of the newest"),
    ]
    assert Counted().list(NEW_SCENE, catalogue, "tents") == [
        ("newer", "new in the shop"),
        ("old", "one of the newest"),
    ]
