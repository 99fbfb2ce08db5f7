"""The API's answers over HTTP, with fakes for its stores and no broker."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from feature_repo.events import Cart, Click, Review
from feature_repo.state import UserState, update
from streams.api import paging
from streams.api.app import Api
from streams.api.keys import new_key
from streams.api.paging import etag
from streams.api.rows import CassandraRows
from streams.api.settings import ApiSettings
from streams.rules import Rule, encode_rule
from streams.settings import Settings
from tests.streams.api.fakes import FakeRows, FakeShelf, as_shelf, listed
from tests.streams.fakes import NOW_MS, consumed, item

AWAY = "Cassandra did not answer within 50 ms"
NOWHERE = "127.0.0.1:1"


class Client:
    """An API over fakes, asked without a network."""

    def __init__(self, **settings: Any) -> None:
        self.rows = FakeRows()
        self.shelf = FakeShelf(
            item("a", "lamps", brand="acme", price=10.0, title="Red lamp"),
            item("b", "lamps", price=20.0, title="Blue lamp"),
            item("c", "chairs", price=30.0, title="Chair"),
            item("x/y", "chairs", title="Slashed"),
        )
        self.rows.lists["ann", "home"] = listed("list-1", "a", "b", "c", written_at_ms=time.time_ns() // 1_000_000)
        servers = Settings(kafka=NOWHERE, cassandra=NOWHERE)
        rows = cast("CassandraRows", self.rows)
        self.parts = Api(servers, ApiSettings(**settings), as_shelf(self.shelf), rows)
        self.app = self.parts.app()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8800") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, headers=headers)


@pytest.fixture(scope="module")
def api() -> Client:
    """One for the tests that change nothing: an app takes a while to make."""
    return Client()


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer, held against RFC 9457."""
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= document.keys()
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


def test_list_is_answered_by_the_contract(api: Client) -> None:
    answer = api.get("/v1/users/ann/lists/home?limit=2&hydrate=true")
    page = answer.json()

    assert answer.status_code == 200
    assert [each["item_id"] for each in page["items"]] == ["a", "b"]
    assert page["items"][0]["item"] == {
        "title": "Red lamp",
        "category": "lamps",
        "brand": "acme",
        "price": 10.0,
        "in_stock": True,
    }
    assert page["next"] == "/v1/users/ann/lists/home?hydrate=true&limit=2&offset=2&list_id=list-1&position=2"
    assert (page["user_id"], page["scene"], page["list_id"], page["total"]) == ("ann", "home", "list-1", 3)
    assert (page["caused_by"], page["model_version"], page["stale"]) == ("event-1", "recommender-1", False)
    assert page["served"]["source"] == "user"
    assert 0 <= page["age_ms"] < 600_000
    assert "private" in answer.headers["cache-control"]


def test_pages_are_cut_from_the_list_they_began_with() -> None:
    api = Client()
    first = api.get("/v1/users/ann/lists/home?limit=2").json()
    api.rows.lists["ann", "home"] = listed("list-2", "c", "b", "a")

    second = api.get(first["next"]).json()

    assert [each["item_id"] for each in second["items"]] == ["c"]
    assert (second["list_id"], second["next"]) == ("list-1", None)
    assert api.get("/v1/users/ann/lists/home").json()["list_id"] == "list-2"
    gone = api.get("/v1/users/ann/lists/home?list_id=list-0")
    assert (gone.status_code, "without list_id" in problem(gone)["detail"]) == (410, True)
    assert api.get("/v1/users/ben/lists/home?list_id=list-1").status_code == 410


def test_page_after_another_misses_nothing_when_stock_changes_between_them() -> None:
    api = Client()
    first = api.get("/v1/users/ann/lists/home?limit=1").json()
    api.shelf.put(item("a", "lamps", in_stock=False))

    second = api.get(first["next"]).json()

    assert [each["item_id"] for each in first["items"] + second["items"]] == ["a", "b"]
    assert [each["item_id"] for each in api.get(second["next"]).json()["items"]] == ["c"]


def test_stored_list_shows_nothing_that_was_removed_blocked_or_is_not_published_yet() -> None:
    api, path = Client(), "/v1/users/ann/lists/home"
    tag = api.get(path).headers["etag"]

    def shown() -> list[str]:
        return [each["item_id"] for each in api.get(path).json()["items"]]

    api.shelf.remove("a")
    assert shown() == ["b", "c"]
    assert api.get(path, **{"If-None-Match": tag}).status_code == 200, "the page has changed though the list has not"
    block = Rule(rule_id="r1", kind="block", category="chairs", scenes=("home",))
    api.shelf.rules.apply(consumed(b"r1", encode_rule(block)))
    api.shelf.renew()
    assert shown() == ["b"]
    assert api.get("/v1/users/nobody/lists/home").json()["total"] > 0
    api.shelf.put(item("b", "lamps", published_at_ms=time.time_ns() // 1_000_000 + 3_600_000))
    assert shown() == []
    api.shelf.rules.apply(consumed(b"r1", None))
    api.shelf.renew()
    assert shown() == ["c"]


def test_offers_of_all_and_of_a_category_are_listed_deepest_discount_first() -> None:
    api = Client()
    now_ms = time.time_ns() // 1_000_000
    offer: dict[str, Any] = {"list_price": 10.0, "promotion_id": "spring"}
    api.shelf.put(
        item("a", "lamps", price=8.0, **offer),
        item("b", "lamps", price=5.0, **offer),
        item("c", "chairs", price=2.0, **offer),
        item("later", "chairs", price=1.0, promotion_from_ms=now_ms + 3_600_000, **offer),
        item("over", "chairs", price=1.0, promotion_until_ms=now_ms - 1, **offer),
        item("sold", "chairs", price=1.0, in_stock=False, **offer),
    )

    page = api.get("/v1/lists/promotion?hydrate=true").json()
    assert [(each["item_id"], each["reason"]) for each in page["items"]] == [
        ("c", "80% off"),
        ("b", "50% off"),
        ("a", "20% off"),
    ]
    assert page["items"][0]["item"]["list_price"] == 10.0
    assert page["served"]["source"] == "items"
    lamps = api.get("/v1/lists/promotion?category=lamps&limit=1").json()
    assert [each["item_id"] for each in lamps["items"]] == ["b"]
    assert [each["item_id"] for each in api.get(lamps["next"]).json()["items"]] == ["a"]
    assert api.get("/v1/lists/promotion?category=none").json()["items"] == []
    api.shelf.put(item("c", "chairs", price=2.0))
    assert [each["item_id"] for each in api.get("/v1/lists/promotion").json()["items"]] == ["b", "a"]


@pytest.mark.parametrize("path", ["/schema", "/schema/swagger", "/schema/redoc", "/schema/elements", "/schema/rapidoc"])
def test_no_page_loads_what_other_sites_have(api: Client, path: str) -> None:
    answer = api.get(path)

    assert answer.status_code == (200 if path == "/schema" else 404)
    assert not {"<script", "<link", "src="} & set(re.findall(r"<script|<link|src=", answer.text))


def test_unchanged_list_is_not_sent_again_but_a_changed_price_is() -> None:
    api = Client()
    path = "/v1/users/ann/lists/home?hydrate=true"
    tag = api.get(path).headers["etag"]

    again = api.get(path, **{"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert api.get(f"{path}&limit=1", **{"If-None-Match": tag}).status_code == 200
    api.shelf.put(item("a", "lamps", price=1.0))
    changed = api.get(path, **{"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["items"][0]["item"]["price"] == 1.0


def test_old_list_is_marked_as_stale_with_its_age() -> None:
    api = Client(stale_after_s=60.0)
    api.rows.lists["ann", "home"] = listed("list-1", "a", written_at_ms=time.time_ns() // 1_000_000 - 90_000)

    page = api.get("/v1/users/ann/lists/home").json()

    assert page["stale"] is True
    assert page["age_ms"] >= 90_000


def test_store_that_is_away_is_no_error_of_a_list() -> None:
    api = Client()
    api.get("/v1/users/ann/lists/home")
    api.rows.away = AWAY

    for path in ("/v1/users/ann/lists/home", "/v1/users/ben/lists/home", "/v1/lists/trending", "/v1/items/a/related"):
        answer = api.get(path)
        assert answer.status_code == 200, path
        assert AWAY in answer.json()["served"]["reason"]
    assert problem(api.get("/v1/users/ann/profile"))["status"] == 503
    assert api.get("/v1/users/ann/profile").headers["retry-after"] == "1"


def test_scene_that_is_not_served_is_refused_with_those_that_are(api: Client) -> None:
    for path in ("/v1/users/ann/lists/nope", "/v1/lists/nope"):
        assert problem(api.get(path))["status"] == 404
    assert "home" in problem(api.get("/v1/users/ann/lists/nope"))["detail"]


@pytest.mark.parametrize(
    ("path", "field", "seen"),
    [
        ("/v1/users/ann/lists/home?limit=0", "limit", '"0"'),
        ("/v1/users/ann/lists/home?limit=many", "limit", '"many"'),
        ("/v1/users/ann/lists/home?price_min=-1", "price_min", '"-1"'),
        ("/v1/users/ann/lists/home?hydrate=perhaps", "hydrate", '"perhaps"'),
        ("/v1/users/a%00b/lists/home", "user_id", '"a\\u0000b"'),
        (f"/v1/users/{'é' * 200}/profile", "user_id", None),
        ("/v1/users/ann/lists/home?exclude=a%07", "exclude", '"a\\u0007"'),
        ("/v1/items/a/related?kind=worse", "kind", '"worse"'),
    ],
)
def test_input_at_fault_is_named(path: str, field: str, seen: str | None, api: Client) -> None:
    answer = api.get(path)

    document = problem(answer)
    assert document["status"] == 400
    assert document["errors"][0]["field"] == field
    assert document["errors"][0]["expected"]
    if seen is not None:
        assert document["errors"][0]["seen"] == seen


def test_unknown_path_and_method_are_problems_too(api: Client) -> None:
    assert problem(api.get("/v2/nothing"))["status"] == 404
    assert problem(api.request("PUT", "/v1/events"))["status"] == 405


def test_defect_is_told_without_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Client()

    def fail(item_id: str) -> None:
        raise ZeroDivisionError("a secret of the code")

    monkeypatch.setattr(api.shelf, "item", fail)
    answer = api.get("/v1/items/a")

    assert problem(answer)["status"] == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_request_id_of_the_caller_comes_back_if_it_can_stand_in_a_log(api: Client) -> None:
    assert api.get("/health", **{"X-Request-Id": "page-7.b"}).headers["x-request-id"] == "page-7.b"
    made = api.get("/health", **{"X-Request-Id": "two words"}).headers["x-request-id"]
    assert len(made) == 32


def test_id_with_a_slash_is_one_id(api: Client) -> None:
    found = api.get("/v1/items/x%2Fy").json()

    assert (found["item_id"], found["title"]) == ("x/y", "Slashed")
    assert problem(api.get("/v1/items/no%2Fsuch"))["instance"] == "/v1/items/no%2Fsuch"


def test_catalogue_is_searched_and_counted(api: Client) -> None:
    found = api.get("/v1/items?query=LAMP&limit=1").json()

    assert found["total"] == 2
    assert found["next"] == "/v1/items?query=LAMP&limit=1&offset=1"
    assert found["items"][0]["item"]["category"] == "lamps"
    assert api.get("/v1/categories").json()["categories"] == [
        {"category": "chairs", "items": 2},
        {"category": "lamps", "items": 2},
    ]
    assert problem(api.get("/v1/items/nope"))["status"] == 404


def test_profile_tells_what_the_state_knows() -> None:
    api = Client()
    state = UserState()
    for event in (
        Click("e1", "ann", "a", NOW_MS),
        Cart("e2", "ann", "a", "purchase", 2, 10.0, NOW_MS + 1),
        Cart("e3", "ann", "c", "add", 3, 30.0, NOW_MS + 2),
        Review("e4", "ann", "a", "good", NOW_MS + 3, stars=5),
    ):
        update(state, event, None)
    api.rows.keep_state("ann", state)

    profile = api.get("/v1/users/ann/profile").json()

    assert [each["name"] for each in profile["interests"]["categories"]] == ["lamps", "chairs"]
    assert sum(each["weight"] for each in profile["interests"]["categories"]) == pytest.approx(1)
    assert (profile["behaviour"]["clicks"], profile["behaviour"]["purchases"]) == (1, 1)
    assert profile["behaviour"]["last_purchase_at_ms"] == NOW_MS + 1
    assert profile["cart"] == [{"item_id": "c", "title": "Chair", "quantity": 3}]
    assert (profile["mood"]["label"], profile["mood"]["reviews"]) == ("positive", 1)
    assert profile["value"]["spend_total"] == 20.0
    assert (profile["value"]["propensity"], profile["value"]["propensity_label"]) == (0.5, "medium")
    assert [each["action"] for each in profile["events"]] == ["review", "add", "purchase", "click"]
    assert profile["events"][3] == {
        "action": "click",
        "item_id": "a",
        "title": "Red lamp",
        "occurred_at_ms": NOW_MS,
        "quantity": 1,
        "unit_price": None,
    }
    scores = api.get("/v1/users/ann/scores").json()["scores"]
    assert [(each["kind"], each["value"]) for each in scores] == [("propensity", 0.5), ("sentiment", 1.0)]
    assert problem(api.get("/v1/users/nobody/profile"))["status"] == 404


def test_events_are_refused_while_the_broker_is_away_and_bad_ones_before_that(api: Client) -> None:
    click = {"topic": "clicks", "event": {"user_id": "ann", "item_id": "a"}}
    refused = api.request("POST", "/v1/events", json=click)
    assert (problem(refused)["status"], refused.headers["retry-after"]) == (503, "1")

    bad = api.request("POST", "/v1/events:batch", json={"events": [click, {"topic": "clicks", "event": {"stars": 1}}]})
    assert problem(bad)["errors"][0]["field"] == "events[1].event.user_id"
    for body in (b"", b"{", b"[]", b'{"topic": "scores", "event": {}}', b"\xff", b"[" * 2000):
        assert problem(api.request("POST", "/v1/events", content=body))["status"] == 400
    assert problem(api.request("POST", "/v1/events:batch", json={"events": [click] * 1001}))["status"] == 400


def test_body_that_is_too_large_is_refused() -> None:
    api = Client(body_max_bytes=2_000)

    assert problem(api.request("POST", "/v1/events", content=b" " * 3_000))["status"] == 413


def test_keys_open_what_their_scopes_say(tmp_path: Path) -> None:
    keys = {scope: new_key(scope, frozenset({scope})) for scope in ("read", "write", "admin")}
    path = tmp_path / "keys"
    path.write_text("\n".join(line for _, line in keys.values()))
    api = Client(keys=str(path))

    def status(method: str, route: str, scope: str | None) -> int:
        headers = {} if scope is None else {"Authorization": f"Bearer {keys[scope][0]}"}  # type: ignore[index]
        answer = api.request(method, route, headers=headers, json={} if method == "POST" else None)
        return answer.status_code

    home = "/v1/users/ann/lists/home"
    assert [status("GET", home, scope) for scope in (None, "read", "write", "admin")] == [401, 200, 403, 200]
    assert [status("POST", "/v1/events", scope) for scope in (None, "read", "write", "admin")] == [401, 403, 400, 400]
    assert [status("GET", "/v1/dead-letters?limit=0", scope) for scope in ("read", "write", "admin")] == [403, 403, 400]
    assert [status("GET", public, None) for public in ("/health", "/v1/about", "/openapi.json")] == [200, 200, 200]
    assert api.get("/v1/about").json()["access"] == "keys"
    refused = api.get(home, Authorization="Bearer guess")
    assert (problem(refused)["status"], refused.headers["www-authenticate"]) == (401, "Bearer")


def test_key_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    key, line = new_key("shop", frozenset({"read"}))
    path = tmp_path / "keys"
    path.write_text(line)
    api = Client(keys=str(path), rate=0.001, burst=2)

    answers = [api.get("/v1/categories", Authorization=f"Bearer {key}") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(problem(answers[2]) and answers[2].headers["retry-after"]) > 100


@pytest.mark.parametrize("vanishes", [False, True])
def test_stream_of_changes_ends_when_its_key_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vanishes: bool
) -> None:
    monkeypatch.setattr("streams.api.keys.LOOK_S", -1.0)
    monkeypatch.setattr("streams.api.changes.HEARTBEAT_S", 0.01)
    key, line = new_key("page", frozenset({"read"}))
    path = tmp_path / "keys"
    path.write_text(line)
    api = Client(keys=str(path))
    api.parts.notices._reading.set()

    async def listen() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=api.app), base_url="http://shop") as client:
            headers = {"Authorization": f"Bearer {key}"}
            listening = asyncio.ensure_future(client.get("/v1/users/ann/changes", headers=headers))
            while not api.parts.notices.listeners:
                await asyncio.sleep(0.001)
            await asyncio.wait([listening], timeout=0.1)
            assert not listening.done(), "it goes on while the key is good"
            if vanishes:
                path.unlink()
            else:
                path.write_text("")
            return await listening

    answer = asyncio.run(asyncio.wait_for(listen(), 60))

    assert answer.status_code == 200
    assert api.parts.notices.listeners == 0
    assert api.get("/v1/users/ann/changes", Authorization=f"Bearer {key}").status_code == (503 if vanishes else 401)


def test_readiness_names_what_is_missing(api: Client) -> None:
    answer = api.get("/ready")

    assert "Kafka and notices of lists missing" in problem(answer)["detail"]
    assert api.get("/health").json() == {"status": "alive"}


def test_metrics_count_requests_by_route_and_lists_by_source(api: Client) -> None:
    api.get("/v1/users/ann/lists/home")
    api.get("/v2/some/unknown/path")

    text = api.get("/metrics").text

    assert 'route="/v1/users/{user_id}/lists/{scene}",status="200"' in text
    assert 'lastclick_api_lists_served_total{scene="home",source="user"}' in text
    assert "lastclick_api_catalogue_items 4.0" in text
    assert "ann" not in text
    assert "unknown/path" not in text


def test_pages_of_other_origins_may_call_only_when_they_are_named() -> None:
    path, origin = "/v1/users/ann/lists/home", "https://shop.test"

    assert "access-control-allow-origin" not in Client().get(path, Origin=origin).headers
    named = Client(origins=origin)
    assert named.get(path, Origin=origin).headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in named.get(path, Origin="https://other.test").headers
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert named.request("OPTIONS", "/v1/events", headers=headers).status_code < 300


def test_document_describes_every_route_and_the_bodies_of_events(api: Client) -> None:
    document = api.get("/openapi.json").json()

    assert {
        "/v1/users/{user_id}/lists/{scene}",
        "/v1/lists/{scene}",
        "/v1/items",
        "/v1/events",
        "/v1/events:batch",
        "/v1/operations",
        "/v1/dead-letters:replay",
        "/v1/users/{user_id}/changes",
    } <= document["paths"].keys()
    posted = document["components"]["schemas"]["PostedEvent"]["oneOf"]
    assert {each["properties"]["topic"]["const"] for each in posted} == {"clicks", "carts", "reviews", "impressions"}
    assert "event_id" not in posted[0]["properties"]["event"]["required"]
    lists = document["paths"]["/v1/users/{user_id}/lists/{scene}"]["get"]
    scenes = next(each["schema"]["enum"] for each in lists["parameters"] if each["name"] == "scene")
    assert scenes == api.get("/v1/about").json()["scenes"]["users"]
    answers = lists["responses"]
    assert {"200", "304", "400", "401", "404", "410", "429"} <= answers.keys()
    assert list(answers["410"]["content"]) == ["application/problem+json"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8800", "origin": "http://localhost:8800"}, 200),
        ({"host": "[::1]:8800"}, 200),
        ({"host": "shop.example:8800"}, 403),
        ({"host": "["}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_without_keys_only_pages_of_this_machine_may_ask(api: Client, headers: dict[str, str], status: int) -> None:
    answer = api.get("/v1/users/ann/lists/home", **headers)

    assert answer.status_code == status
    if status == 403:
        assert "API keys" in problem(answer)["detail"]


def test_origin_that_is_allowed_may_ask_without_keys() -> None:
    api = Client(origins="https://shop.example")

    assert api.get("/v1/users/ann/lists/home", origin="https://shop.example").status_code == 200
    assert api.get("/v1/users/ann/lists/home", origin="https://elsewhere.example").status_code == 403


def test_list_that_could_not_be_read_again_is_no_unchanged_one() -> None:
    api = Client()
    tag = api.get("/v1/users/ann/lists/home").headers["etag"]
    assert api.get("/v1/users/ann/lists/home", **{"if-none-match": tag}).status_code == 304

    api.rows.away = AWAY

    answer = api.get("/v1/users/ann/lists/home", **{"if-none-match": tag})
    assert (answer.status_code, answer.json()["list_id"]) == (200, "list-1")
    assert AWAY in answer.json()["served"]["reason"]


def test_validator_of_another_process_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = etag(("list-1", 1))

    monkeypatch.setattr(paging, "_PROCESS", b"another")

    assert etag(("list-1", 1)) != before
