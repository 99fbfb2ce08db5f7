"""The Python client against scripted answers: what is tried again, and what errors say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from streams.api import client as client_module
from streams.api.client import ApiAway, ApiError, Client

PAGE = {
    "user_id": "anna", "scene": "home", "list_id": "l1", "items": [{"item_id": "i1", "score": 0.5, "reason": "new"}],
    "total": 1, "next": None, "caused_by": "e1", "event_at_ms": 1, "written_at_ms": 2, "age_ms": 3, "stale": False,
    "model_version": "m", "experiment_arm": "default", "served": {"source": "user", "reason": "their own"},
}  # fmt: skip
PROBLEM = {
    "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "quantity: saw 0, expected 1 or more",
    "instance": "/v1/events:batch", "request_id": "r1",
    "errors": [{"field": "events[0].quantity", "seen": "0", "expected": "1 or more"}],
}  # fmt: skip
ACCEPTED = {"accepted": 1, "events": [{"event_id": "e", "topic": "clicks", "partition": 0, "offset": 7}]}

Answer = Callable[[], httpx.Response]


@dataclass
class Script(httpx.BaseTransport):
    """Answers in turn, and keeps what was asked."""

    answers: list[Answer]
    asked: list[httpx.Request] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        return self.answers.pop(0)()


def says(status: int, document: Any) -> Answer:
    return lambda: httpx.Response(status, content=json.dumps(document).encode())


def breaks() -> httpx.Response:
    raise httpx.ReadError("connection reset")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSE_S", 0.0)


@pytest.fixture
def scripted() -> Iterator[Callable[..., tuple[Client, Script]]]:
    clients: list[Client] = []

    def make(*answers: Answer, key: str | None = None) -> tuple[Client, Script]:
        script = Script(list(answers))
        clients.append(Client("http://shop.test", key, transport=script))
        return clients[-1], script

    yield make
    for each in clients:
        each.close()


def test_a_list_is_asked_for_with_what_was_wanted(scripted: Callable[..., tuple[Client, Script]]) -> None:
    client, script = scripted(says(200, PAGE), key="secret")

    page = client.user_list("an/na", "home", category="tea & coffee", exclude=["i2", "i3"], hydrate=True)

    (request,) = script.asked
    assert page.items[0].item_id == "i1"
    assert page.served.source == "user"
    assert request.url.raw_path.startswith(b"/v1/users/an%2Fna/lists/home?")
    assert request.url.params.get_list("exclude") == ["i2", "i3"]
    assert request.url.params["category"] == "tea & coffee"
    assert "brand" not in request.url.params
    assert request.headers["authorization"] == "Bearer secret"


def test_pages_follow_the_links_of_one_list(scripted: Callable[..., tuple[Client, Script]]) -> None:
    link = "/v1/users/anna/lists/home?limit=1&offset=1&list_id=l1"
    client, script = scripted(says(200, {**PAGE, "next": link}), says(200, PAGE))

    pages = list(client.pages("anna", limit=1))

    assert len(pages) == 2
    assert script.asked[1].url.raw_path.decode() == link


def test_a_broken_connection_is_tried_again(scripted: Callable[..., tuple[Client, Script]]) -> None:
    client, script = scripted(breaks, says(503, {**PROBLEM, "status": 503}), says(200, PAGE))

    assert client.user_list("anna").list_id == "l1"
    assert len(script.asked) == 3


def test_an_event_that_is_tried_again_keeps_its_id(scripted: Callable[..., tuple[Client, Script]]) -> None:
    client, script = scripted(breaks, says(202, ACCEPTED))

    done = client.send("clicks", user_id="anna", item_id="i1")

    first, second = (json.loads(request.content)["events"][0] for request in script.asked)
    assert done.events[0].offset == 7
    assert first == second
    assert first["event"]["event_id"]
    assert first["event"]["occurred_at_ms"] > 0


def test_events_that_were_not_taken_can_be_sent_again_under_their_ids(
    scripted: Callable[..., tuple[Client, Script]],
) -> None:
    client, script = scripted(breaks, breaks, breaks, says(202, ACCEPTED))

    with pytest.raises(ApiAway) as away:
        client.send("clicks", user_id="anna", item_id="i1")
    client.send_all(away.value.events)

    assert script.asked[0].content == script.asked[3].content


def test_a_server_behind_the_api_that_stays_away_is_away_too(scripted: Callable[..., tuple[Client, Script]]) -> None:
    unavailable = says(503, {**PROBLEM, "status": 503, "detail": "Kafka did not acknowledge"})
    client, script = scripted(*[unavailable] * 3)

    with pytest.raises(ApiAway, match=r"3 tries: 503 .*Kafka did not acknowledge"):
        client.send("clicks", user_id="anna", item_id="i1")
    assert len(script.asked) == 3

    client, script = scripted(*[unavailable] * 3)
    with pytest.raises(ApiAway, match="Kafka did not acknowledge"):
        next(client.changes("anna"))
    assert len(script.asked) == 3


def test_an_api_that_stays_away_is_said_with_its_address(scripted: Callable[..., tuple[Client, Script]]) -> None:
    client, script = scripted(breaks, breaks, breaks)

    with pytest.raises(ApiAway, match=r"http://shop\.test did not answer, 3 tries: connection reset"):
        client.user_list("anna")
    assert len(script.asked) == 3


def test_a_refusal_names_the_fields_and_is_not_tried_again(scripted: Callable[..., tuple[Client, Script]]) -> None:
    client, script = scripted(says(400, PROBLEM))

    with pytest.raises(ApiError, match=r"400 Bad Request: quantity: saw 0.*request r1") as refused:
        client.send("carts", user_id="anna", quantity=0)

    assert refused.value.fields[0].field == "events[0].quantity"
    assert len(script.asked) == 1


def test_an_answer_of_something_between_is_told_as_it_is(scripted: Callable[..., tuple[Client, Script]]) -> None:
    client, _ = scripted(lambda: httpx.Response(404, text="<h1>no such host</h1>"))

    with pytest.raises(ApiError, match="no such host") as refused:
        client.categories()

    assert refused.value.problem.status == 404


def test_changes_go_on_after_the_stream_was_lost(scripted: Callable[..., tuple[Client, Script]]) -> None:
    def stream(list_id: str) -> Answer:
        notice = json.dumps({"user_id": "anna", "scene": "home", "list_id": list_id, "caused_by": "e"})
        body = f": heartbeat\r\n\r\nevent: list\r\ndata: {notice}\r\n\r\n".encode()
        return lambda: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    client, script = scripted(stream("l1"), breaks, stream("l2"), breaks, breaks, breaks)
    changes = client.changes("anna")

    assert [next(changes).list_id, next(changes).list_id] == ["l1", "l2"]
    with pytest.raises(ApiAway, match="3 tries"):
        next(changes)
    assert len(script.asked) == 5
