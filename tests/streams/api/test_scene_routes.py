"""Scenes of a user and explanations over HTTP, with fakes for the stores."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.api.explanations import MOST_AT_ONCE, Explanations
from streams.api.rows import StoredList
from streams.api.users import Known
from streams.rules import Rule, encode_rule
from streams.scenes import SCENES
from streams.settings import Settings
from tests.streams.api.fakes import FakeRows, as_shelf
from tests.streams.api.test_routes import AWAY, Client, problem
from tests.streams.fakes import consumed, item
from tests.streams.test_lists import cart, click, state_of


@pytest.fixture
def api() -> Client:
    """Ann has looked at a red lamp and has a chair in her cart."""
    api = Client()
    api.rows.keep_state("ann", state_of(click("a"), cart("c", "add", 1_700_000_000_500)), caused_by="event-9")
    return api


def page(api: Client, path: str) -> dict[str, Any]:
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def ids(document: dict[str, Any]) -> list[str]:
    return [each["item_id"] for each in document["items"]]


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_is_answered_by_the_contract(scene: str, api: Client) -> None:
    document = page(api, f"/v1/users/ann/lists/{scene}?category=lamps&brand=acme")

    assert (document["user_id"], document["scene"]) == ("ann", scene)
    assert (document["caused_by"], document["model_version"]) == ("event-9", "recommender-1")
    assert document["served"]["source"] == "user"
    assert document["stale"] is False


def test_category_is_paged_by_its_list_id(api: Client) -> None:
    first = page(api, "/v1/users/ann/lists/category?category=lamps&limit=1")
    second = page(api, first["next"])

    assert sorted(ids(first) + ids(second)) == ["a", "b"]
    assert first["list_id"] == second["list_id"]
    assert (first["total"], second["next"]) == (2, None)


def test_filters_cut_a_scene(api: Client) -> None:
    assert ids(page(api, "/v1/users/ann/lists/category?category=lamps&price_max=15")) == ["a"]
    assert ids(page(api, "/v1/users/ann/lists/category?category=lamps&exclude=a")) == ["b"]


def test_page_of_a_category_without_its_name_says_what_is_missing(api: Client) -> None:
    answer = api.get("/v1/users/ann/lists/category")

    assert answer.status_code == 400
    assert problem(answer)["errors"][0]["field"] == "category"


def test_cart_is_completed_by_other_kinds_and_an_empty_one_by_nothing(api: Client) -> None:
    completed = page(api, "/v1/users/ann/lists/cart")

    assert sorted(ids(completed)) == ["a", "b"]
    assert all(each["reason"].endswith("which is in your cart") for each in completed["items"])
    empty = page(api, "/v1/users/nobody/lists/cart")
    assert ids(empty) == []
    assert empty["served"] == {"source": "user", "reason": "the user's own list: nothing fits the scene now"}


def test_promotion_of_an_item_counts_at_the_next_read(api: Client) -> None:
    assert ids(page(api, "/v1/users/ann/lists/promotion")) == []

    api.shelf.put(item("b", "lamps", price=10.0, list_price=20.0))

    (offered,) = page(api, "/v1/users/ann/lists/promotion?hydrate=true")["items"]
    assert (offered["item_id"], offered["item"]["list_price"]) == ("b", 20.0)
    assert offered["reason"].startswith("50% off; because you")


def test_rule_of_the_shop_counts_at_the_next_read(api: Client) -> None:
    rule = Rule(rule_id="r", kind="block", item_id="b")

    api.shelf.rules.apply(consumed(b"r", encode_rule(rule)))

    assert ids(page(api, "/v1/users/ann/lists/category?category=lamps")) == ["a"]
    explained = page(api, "/v1/users/ann/items/b/explanation")
    assert [hurdle["name"] for hurdle in explained["hurdles"]] == ["blocked"]


def test_explanation_names_events_rank_and_place(api: Client) -> None:
    found = page(api, "/v1/users/ann/items/b/explanation")

    assert (found["in_list"], found["stored_list"]["position"], found["stored_list"]["list_id"]) == (True, 2, "list-1")
    assert {cause["item_id"] for cause in found["causes"]} == {"a", "c"}
    # The API reads no topics for this: only the newest event's id is in the state itself.
    assert {cause["item_id"]: cause["event_id"] for cause in found["causes"]} == {
        "a": None,
        "c": "add-c-1700000000500",
    }
    assert found["answer"][0] == "Blue lamp stands at place 2 of 3 in the list of ann."
    assert page(api, "/v1/users/ann/items/c/explanation")["hurdles"][0]["name"] == "in_cart"


def test_explanation_of_an_item_with_a_slash_in_its_id(api: Client) -> None:
    assert page(api, "/v1/users/ann/items/x%2Fy/explanation")["item_id"] == "x/y"


def test_unknown_user_and_item_have_no_explanation(api: Client) -> None:
    nobody, nothing = (api.get(f"/v1/users/{u}/items/{i}/explanation") for u, i in (("bob", "a"), ("ann", "z")))

    assert (nobody.status_code, nothing.status_code) == (404, 404)
    assert "nothing is known of the user 'bob'" in problem(nobody)["detail"]
    assert "check the id, or publish the item" in problem(nothing)["detail"]


def test_explanations_are_refused_politely_while_many_are_under_way(api: Client) -> None:
    class SlowRows(FakeRows):
        async def user_list(self, user_id: str, scene: str) -> StoredList | None:
            await asyncio.sleep(0)
            return await super().user_list(user_id, scene)

    rows, shelf, settings = SlowRows(), as_shelf(api.shelf), Settings()
    rows.states = api.rows.states
    explanations = Explanations(rows, Known(rows, shelf, settings), shelf, settings)

    async def ask(times: int) -> list[Any]:
        asked = (explanations.explain("ann", "b") for _ in range(times))
        return await asyncio.gather(*asked, return_exceptions=True)

    *answered, refused = asyncio.run(ask(MOST_AT_ONCE + 1))
    assert {each.item_id for each in answered} == {"b"}
    assert (refused.status, refused.headers) == (503, {"Retry-After": "1"})
    assert "8 explanations are under way, as many as may; try again" in refused.detail
    assert [each.item_id for each in asyncio.run(ask(1))] == ["b"]


def test_scenes_fall_back_and_explanations_wait_while_the_store_is_away(api: Client) -> None:
    before = page(api, "/v1/users/ann/lists/category?category=lamps")
    api.rows.away = AWAY

    after = page(api, "/v1/users/ann/lists/category?category=lamps")

    assert ids(after) == ids(before)
    assert AWAY in after["served"]["reason"]
    assert api.get("/v1/users/ann/items/b/explanation").status_code == 503


def test_scenes_and_explanations_are_documented(api: Client) -> None:
    document = page(api, "/openapi.json")

    assert "/v1/users/{user_id}/items/{item_id}/explanation" in document["paths"]
    assert {"Explanation", "Cause", "FeatureGroup", "Hurdle"} <= document["components"]["schemas"].keys()
    assert set(SCENES) <= set(page(api, "/v1/about")["scenes"]["users"])
