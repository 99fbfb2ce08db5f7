"""The JavaScript client in a real browser, against answers that each test gives."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import streams.pages
from feature_repo.events import decode_event
from tests.browser import Pages, open_browser

FILES = Path(streams.pages.__file__).parent
SHOP = "http://shop.test"
ACCEPTED = {"status": 202, "json": {"accepted": 1, "events": []}}
AWAY = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"detail": "the broker is away"}}

START = """async () => {
  const client = await import("/static/scripts/client.js");
  Object.assign(window, client);
  window.refused = [];
  window.unkept = [];
  const onRefused = (entry) => refused.push(entry.event.event_id);
  const onUnkept = (error) => unkept.push(error.name);
  window.tracker = new Tracker(new Connection(), "user-1", { onRefused, onUnkept });
}"""


class Host:
    """A host with the client's file, and an API that answers what it is told to."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.posted: list[list[dict[str, Any]]] = []
        self.answer: Callable[[list[dict[str, Any]]], dict[str, Any] | None] = lambda entries: ACCEPTED
        self.streams: list[str] = []
        page.route("**/*", self._route)

    def start(self) -> None:
        self.page.goto(f"{SHOP}/")
        self.page.evaluate(START)

    def events(self) -> list[dict[str, Any]]:
        """Events of all posts that were answered with 202."""
        return [entry["event"] for entries in self.posted if self.answer(entries) is ACCEPTED for entry in entries]

    def wait_posts(self, count: int) -> None:
        # Waiting in the page keeps the browser's messages coming.
        for _ in range(600):
            if len(self.posted) >= count:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"saw {len(self.posted)} posts, expected {count}")

    def _route(self, route: Any, request: Any) -> None:
        path = request.url.removeprefix(SHOP)
        if path == "/":
            route.fulfill(content_type="text/html", body="<!doctype html><title>A shop</title>")
        elif path.startswith("/static/"):
            file = FILES / path.removeprefix("/static/")
            route.fulfill(content_type=mimetypes.guess_type(file.name)[0], body=file.read_text())
        elif path == "/v1/events:batch":
            entries = request.post_data_json["events"]
            self.posted.append(entries)
            answer = self.answer(entries)
            route.abort() if answer is None else route.fulfill(**answer)
        elif path.endswith("/changes"):
            self.streams.append(request.headers.get("authorization", ""))
            body = ': open\n\nevent: list\ndata: {"list_id": "a",\ndata: "scene": "home"}\n\nevent: other\ndata: 1\n\n'
            route.fulfill(content_type="text/event-stream", body=body)
        elif path == "/v1/items/cut":
            route.fulfill(content_type="application/json", body='{"item_id": "c')
        else:
            route.fulfill(status=404, json={"title": "Not found"})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def host(browser: Any, tmp_path: Path) -> Iterator[Host]:
    pages = Pages(browser, tmp_path)
    host = Host(pages.open())
    host.start()
    yield host
    pages.close()
    assert not pages.faults


def test_every_kind_of_event_keeps_the_contract(host: Host) -> None:
    host.page.evaluate(
        """() => {
          tracker.click("item-1", { listId: "list-1", position: 0 });
          tracker.cart("purchase", "item-1", { quantity: 2, unitPrice: 9.5 });
          tracker.review("item-1", "Holds what it says.", { stars: 4 });
          tracker.impressions("list-1", ["item-1", "item-2"]);
        }"""
    )
    host.wait_posts(1)

    (entries,) = host.posted
    assert [entry["topic"] for entry in entries] == ["clicks", "carts", "reviews", "impressions"]
    for entry in entries:
        event, now = entry["event"], entry["event"]["occurred_at_ms"]
        decoded = decode_event(entry["topic"], b"user-1", json.dumps(event).encode(), now).event
        assert decoded.event_id == event["event_id"]
    assert len({entry["event"]["event_id"] for entry in entries}) == 4
    assert entries[0]["event"]["position"] == 0
    host.page.wait_for_function("tracker.waiting === 0")


def test_events_of_an_offline_shopper_outlive_the_page(host: Host) -> None:
    host.answer = lambda entries: None
    event_id = host.page.evaluate("tracker.click('item-1').event_id")
    host.wait_posts(1)
    assert host.page.evaluate("tracker.waiting") == 1

    host.answer = lambda entries: ACCEPTED
    tried = len(host.posted)
    host.start()
    host.wait_posts(tried + 1)

    assert host.posted[-1][0]["event"]["event_id"] == event_id
    host.page.wait_for_function("tracker.waiting === 0")


def test_an_event_is_sent_again_after_the_pause_that_the_server_asked_for(host: Host) -> None:
    host.answer = lambda entries: AWAY if len(host.posted) == 1 else ACCEPTED
    host.page.evaluate("() => { window.began = performance.now(); tracker.click('item-1'); }")
    host.wait_posts(2)

    assert host.posted[0] == host.posted[1]
    assert host.page.evaluate("performance.now() - began") >= 1000


def test_events_that_got_no_answer_are_sent_again_under_the_same_ids(host: Host) -> None:
    host.answer = lambda entries: None if len(host.posted) <= 2 else ACCEPTED
    first = host.page.evaluate("tracker.click('item-1').event_id")
    host.wait_posts(1)
    second = host.page.evaluate("tracker.click('item-2').event_id")
    host.wait_posts(3)

    host.page.wait_for_function("tracker.waiting === 0")
    sent = [[entry["event"]["event_id"] for entry in entries] for entries in host.posted]
    assert sent == [[first], [first, second], [first, second]]
    assert host.posted[1] == host.posted[2]


def test_events_of_a_failing_page_do_not_hurry_the_next_try(host: Host) -> None:
    host.answer = lambda entries: AWAY if len(host.posted) == 1 else ACCEPTED
    host.page.evaluate("() => { window.began = performance.now(); tracker.click('item-1'); }")
    host.wait_posts(1)
    host.page.evaluate("() => { for (const n of [2, 3, 4]) tracker.click(`item-${n}`); }")
    host.wait_posts(2)

    assert host.page.evaluate("performance.now() - began") >= 1000
    assert [entry["event"]["item_id"] for entry in host.posted[1]] == ["item-1", "item-2", "item-3", "item-4"]


def test_an_answer_that_is_cut_off_is_no_success(host: Host) -> None:
    cut = {"status": 202, "content_type": "application/json", "body": '{"accepted": 1, "ev'}
    host.answer = lambda entries: cut if len(host.posted) == 1 else ACCEPTED
    host.page.evaluate("tracker.click('item-1').event_id")
    host.wait_posts(1)
    assert host.page.evaluate("tracker.waiting") == 1
    host.wait_posts(2)

    assert host.posted[0] == host.posted[1]
    host.page.wait_for_function("tracker.waiting === 0")


def test_a_read_that_is_cut_off_fails(host: Host) -> None:
    said = host.page.evaluate(
        "new Lists(new Connection()).item('cut').catch((error) => [error.name, error.status, error.message])"
    )
    assert said[:2] == ["LastclickError", 0]
    assert "/v1/items/cut: 200, and an answer that is cut off" in said[2]


def test_a_refused_event_is_given_up_and_holds_no_other_back(host: Host) -> None:
    def answer(entries: list[dict[str, Any]]) -> dict[str, Any]:
        bad = any(entry["event"]["item_id"] == "" for entry in entries)
        return {"status": 400, "json": {"detail": "item_id"}} if bad else ACCEPTED

    host.answer = answer
    bad = host.page.evaluate("() => { tracker.click('item-1'); return tracker.click('').event_id; }")
    host.page.evaluate("tracker.click('item-2').event_id")
    host.page.wait_for_function("tracker.waiting === 0")

    assert host.page.evaluate("refused") == [bad]
    assert sorted(event["item_id"] for event in host.events() if event["item_id"]) == ["item-1", "item-2"]


def test_what_waits_is_beaconed_when_the_page_is_left(host: Host) -> None:
    host.answer = lambda entries: None
    event_id = host.page.evaluate(
        """() => {
          window.beacons = [];
          navigator.sendBeacon = (url, body) => body.text().then((text) => beacons.push([url, text])) && true;
          return tracker.click("item-1").event_id;
        }"""
    )
    host.page.evaluate("dispatchEvent(new Event('pagehide'))")
    host.page.wait_for_function("beacons.length === 1")

    url, body = host.page.evaluate("beacons[0]")
    assert url == "/v1/events:batch"
    assert [entry["event"]["event_id"] for entry in json.loads(body)["events"]] == [event_id]
    assert host.page.evaluate("tracker.waiting") == 1


def test_a_page_that_is_left_sends_what_a_beacon_takes_in_parts(host: Host) -> None:
    host.answer = lambda entries: None
    host.page.evaluate("() => { for (let n = 0; n < 40; n++) tracker.review(`item-${n}`, 'é'.repeat(900)); }")
    host.wait_posts(1)
    waiting = host.page.evaluate("tracker.waiting")
    host.posted.clear()
    host.page.evaluate("dispatchEvent(new Event('pagehide'))")
    host.wait_posts(4)

    sent = [entry["event"]["event_id"] for entries in host.posted for entry in entries]
    # 40 reviews of 2 kB each are more than the 64 KiB that the browser takes: the oldest of them go.
    assert 25 <= len(set(sent)) < waiting == 40
    assert all(len(json.dumps({"events": entries}, ensure_ascii=False).encode()) < 20_000 for entries in host.posted)
    assert host.page.evaluate("tracker.waiting") == 40


FULL = """() => {
  for (let size = 1 << 22; size >= 1; size >>= 1) {
    for (;;) {
      try {
        localStorage.setItem("other", (localStorage.getItem("other") ?? "") + "x".repeat(size));
      } catch (error) {
        if (error.name !== "QuotaExceededError") throw error;
        break;
      }
    }
  }
}"""


def test_events_wait_in_memory_where_the_storage_is_full(host: Host) -> None:
    host.answer = lambda entries: None
    kept = host.page.evaluate("tracker.click('item-1').event_id")
    host.page.evaluate(FULL)
    unkept = host.page.evaluate("[tracker.click('item-2').event_id, tracker.click('item-3').event_id]")

    assert host.page.evaluate("unkept") == ["QuotaExceededError"]
    assert host.page.evaluate("[tracker.waiting, tracker.unkept]") == [3, 2]

    host.answer = lambda entries: ACCEPTED
    host.page.evaluate("tracker.flush()")
    host.page.wait_for_function("tracker.waiting === 0")
    assert [event["event_id"] for event in host.events()][-3:] == [kept, *unkept]
    assert host.page.evaluate("[tracker.unkept, localStorage.getItem('lastclick.events')]") == [0, None]


def test_events_wait_in_memory_where_the_browser_keeps_nothing(host: Host) -> None:
    host.page.add_init_script(
        """for (const kind of ["localStorage", "sessionStorage"]) {
          Object.defineProperty(window, kind, { get() { throw new DOMException("blocked", "SecurityError"); } });
        }"""
    )
    host.start()
    host.answer = lambda entries: AWAY if len(host.posted) == 1 else ACCEPTED
    host.page.evaluate("() => [1, 2, 3].map((n) => ((tracker.most = 2), tracker.click(`item-${n}`)).event_id)")
    host.wait_posts(2)

    assert host.posted[0] == host.posted[1]
    assert [entry["event"]["item_id"] for entry in host.posted[0]] == ["item-2", "item-3"]
    assert host.page.evaluate("unkept") == ["SecurityError"]
    host.page.wait_for_function("tracker.waiting === 0")


def test_no_more_events_are_kept_than_agreed(host: Host) -> None:
    host.answer = lambda entries: None
    host.page.evaluate("() => { tracker.most = 3; for (const n of [1, 2, 3, 4, 5]) tracker.click(`item-${n}`); }")

    kept = json.loads(host.page.evaluate("localStorage.getItem('lastclick.events')"))
    assert [entry["event"]["item_id"] for entry in kept] == ["item-3", "item-4", "item-5"]
    assert host.page.evaluate("tracker.dropped") == 2


def test_a_stream_that_breaks_off_is_taken_up_again_with_the_key(host: Host) -> None:
    host.page.evaluate(
        """() => {
          window.changes = [];
          const lists = new Lists(new Connection({ key: "k1" }));
          window.stop = lists.changes("user-1", (change) => changes.push(change));
        }"""
    )
    host.page.wait_for_function("changes.length >= 2")
    host.page.evaluate("stop()")

    assert host.page.evaluate("changes[0]") == {"list_id": "a", "scene": "home"}
    assert len(host.streams) >= 2
    assert set(host.streams) == {"Bearer k1"}


def test_a_failed_read_says_what_was_seen(host: Host) -> None:
    said = host.page.evaluate(
        "new Lists(new Connection()).item('nothing').catch((error) => [error.name, error.status, error.message])"
    )
    assert said == ["LastclickError", 404, "/v1/items/nothing: 404 Not found"]
