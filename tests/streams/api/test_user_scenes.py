"""Scenes of a user as the API serves them: state, popular and pairs from the store, the rest from the shelf."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from feature_repo.state import UserState
from streams.api.fallback import Wanted
from streams.api.rows import StoreAway, StoredList
from streams.api.scenes import KEPT_VECTORS, UserScenes
from streams.scenes import SCENES
from streams.settings import Settings
from streams.store import RecommendedItem
from tests.streams.api.fakes import FakeRows, FakeShelf, as_shelf, listed
from tests.streams.fakes import NOW_MS, item
from tests.streams.test_lists import cart, click, state_of

ITEMS = (
    item("tent", "tents", title="Tent", brand="acme", price=15.0, list_price=20.0),
    item("tarp", "tents", title="Tarp"),
    item("cup", "cups", title="Cup", brand="acme"),
    item("mug", "cups", title="Mug", promotion_id="spring"),
)


class Case:
    """Scenes over a shelf of four items and empty tables."""

    def __init__(self) -> None:
        self.rows, self.shelf = FakeRows(), FakeShelf(*ITEMS)
        self.scenes = UserScenes(self.rows, as_shelf(self.shelf), Settings())

    def read(self, scene: str, category: str | None = None, brand: str | None = None) -> StoredList:
        return asyncio.run(self.scenes.list_of(scene, "anna", Wanted(category, brand)))

    def ids(self, *asked: Any) -> list[str]:
        return [each.item_id for each in self.read(*asked).items]


@pytest.fixture
def case() -> Case:
    return Case()


def test_every_scene_has_a_maker(case: Case) -> None:
    made = case.scenes.by_name()

    assert set(made) == set(SCENES)
    assert asyncio.run(made["category"]("anna", Wanted("cups"))).items


def test_list_tells_what_caused_it_and_which_model_made_it(case: Case) -> None:
    state = state_of(click("cup"))
    case.rows.keep_state("anna", state, caused_by="event-7")

    seen = case.read("category", "tents")

    assert (seen.caused_by, seen.event_at_ms) == ("event-7", state.newest_ms)
    assert seen.model_version == "recommender-1"
    assert seen.written_at_ms is not None


def test_list_keeps_its_id_until_what_it_holds_changes(case: Case) -> None:
    case.rows.keep_state("anna", state_of(click("cup")))
    before = case.read("category", "tents").list_id

    assert case.read("category", "tents").list_id == before
    assert case.read("category", "cups").list_id != before
    case.shelf.put(item("tarp", "tents", in_stock=False))
    assert case.read("category", "tents").list_id != before


def test_price_and_promotion_count_at_once(case: Case) -> None:
    case.rows.keep_state("anna", state_of(click("cup")))
    assert set(case.ids("promotion")) == {"tent", "mug"}

    case.shelf.put(item("tent", "tents", price=20.0, list_price=20.0), item("tarp", promotion_id="spring"))

    assert set(case.ids("promotion")) == {"tarp", "mug"}


def test_offer_of_a_replayed_shop_runs_at_its_time(case: Case) -> None:
    case.shelf.put(item("kettle", "cups", price=15.0, list_price=20.0, promotion_id="p", promotion_until_ms=NOW_MS + 1))

    def offered(shop_ms: int | None) -> bool:
        scenes = UserScenes(case.rows, as_shelf(case.shelf), Settings(), lambda: shop_ms)
        made = asyncio.run(scenes.list_of("promotion", "anna", Wanted()))
        return "kettle" in [each.item_id for each in made.items]

    assert [offered(None), offered(NOW_MS + 2), offered(NOW_MS)] == [False, False, True]


def test_cart_is_completed_by_what_the_store_says_is_bought_together(case: Case) -> None:
    case.rows.keep_state("anna", state_of(cart("tent", "add")))
    case.rows.item_lists["bought_with", "tent"] = StoredList("pairs", [RecommendedItem("tarp", 0.5, "")])

    seen = case.read("cart")

    assert seen.items[0].item_id == "tarp"
    assert seen.items[0].reason == "often bought with Tent, which is in your cart"


def test_visitor_of_whom_nothing_is_known_sees_what_is_popular_in_the_category(case: Case) -> None:
    case.rows.item_lists["popular", "cups"] = listed("popular-cups", "mug")

    items = case.read("category", "cups").items

    assert [(each.item_id, each.reason) for each in items] == [("mug", "popular now"), ("cup", "newest first")]


def test_brand_of_a_visitor_is_ranked_by_what_is_popular_in_all(case: Case) -> None:
    case.rows.item_lists["popular", ""] = listed("popular", "unknown", "cup")

    assert case.ids("brand", None, "acme") == ["cup", "tent"]


def test_cart_and_repeats_of_a_visitor_are_empty(case: Case) -> None:
    assert case.ids("cart") == case.ids("again") == []


def test_user_is_scored_once_until_their_next_event(case: Case) -> None:
    case.rows.keep_state("anna", state_of(click("cup")))
    for scene in ("promotion", "cart", "again"):
        case.read(scene)
    assert case.shelf.recommender.scored == [1]

    case.rows.keep_state("anna", state_of(click("cup"), click("tent", 1_800_000_000_000)))
    case.read("promotion")

    assert case.shelf.recommender.scored == [1, 1]


def test_vectors_that_are_kept_are_bounded(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT_VECTORS > 0
    monkeypatch.setattr("streams.api.scenes.KEPT_VECTORS", 2)
    for event in range(5):
        case.rows.keep_state("anna", state_of(click("cup", 1_700_000_000_000 + event)))
        case.read("promotion")

    assert len(case.scenes._vectors) == 2


def test_store_that_is_away_is_told_as_such(case: Case) -> None:
    case.rows.away = "Cassandra did not answer"

    with pytest.raises(StoreAway, match="Cassandra did not answer"):
        case.read("promotion")


def test_empty_state_is_no_error(case: Case) -> None:
    case.rows.keep_state("anna", UserState(), caused_by="")

    assert case.read("category", "cups").caused_by is None
