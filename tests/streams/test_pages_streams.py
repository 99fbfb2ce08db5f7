"""How the tabs of a browser follow streams of the API: in Chromium, on a host whose streams stay open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Pages, open_browser
from tests.streams.page_host import PageHost
from tests.waiting import wait_until

PATH = "/v1/users/user-1/changes"
WAIT_S = 60
FOLLOW = """async ([path, key]) => {
  const { Connection, follow } = await import("/static/scripts/client.js");
  window.seen = [];
  window.states = [];
  const connection = new Connection({ key });
  window.stop = follow(connection, path, { list: (data) => seen.push(data.list_id) }, (state) => states.push(state));
}"""
HIDE = """(state) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def host() -> Iterator[PageHost]:
    host = PageHost()
    host.answers["/v1/nothing"] = {}
    yield host
    host.close()


@pytest.fixture
def pages(browser: Any, tmp_path: Path) -> Iterator[Pages]:
    pages = Pages(browser, tmp_path)
    yield pages
    pages.close()
    assert not pages.faults


def follow(page: Any, host: PageHost, key: str | None = None) -> Any:
    page.goto(f"{host.address}/v1/nothing")
    page.evaluate(FOLLOW, [PATH, key])
    page.wait_for_function("() => states.includes('open')")
    return page


def test_tabs_share_one_stream_and_all_hear_of_a_change(pages: Pages, host: PageHost) -> None:
    first = follow(pages.open(), host)
    others = [follow(first.context.new_page(), host) for _ in range(3)]

    assert host.streams(PATH) == host.asked[PATH] == 1
    host.tell(PATH, "list", {"list_id": "a"})
    for page in (first, *others):
        page.wait_for_function("() => seen.length === 1")
        assert page.evaluate("[seen, states]") == [["a"], ["open"]]


@pytest.mark.parametrize("leave", ["close", "hide"])
def test_next_tab_reads_on_when_the_one_that_reads_leaves(pages: Pages, host: PageHost, leave: str) -> None:
    first = follow(pages.open(), host)
    second = follow(first.context.new_page(), host)
    first.close() if leave == "close" else first.evaluate(HIDE, "hidden")

    second.wait_for_function("() => states.length === 2")
    wait_until(lambda: host.streams(PATH) == 1, WAIT_S, "one stream")
    host.tell(PATH, "list", {"list_id": "b"})
    second.wait_for_function("() => seen.length === 1")
    assert second.evaluate("states") == ["open", "open"], "the list is to be read again: a change may have been missed"


def test_hidden_tab_follows_nothing_until_it_is_seen(pages: Pages, host: PageHost) -> None:
    page = follow(pages.open(), host)
    page.evaluate(HIDE, "hidden")
    wait_until(lambda: host.streams(PATH) == 0, WAIT_S, "no stream")
    page.evaluate(HIDE, "visible")

    page.wait_for_function("() => states.length === 2")
    host.tell(PATH, "list", {"list_id": "c"})
    page.wait_for_function("() => seen.length === 1")


def test_tabs_of_other_keys_share_nothing(pages: Pages, host: PageHost) -> None:
    first = follow(pages.open(), host, "key-1")
    follow(first.context.new_page(), host, "key-2")

    assert host.streams(PATH) == 2


def test_all_tabs_hear_that_the_stream_is_lost_and_found(pages: Pages, host: PageHost) -> None:
    first = follow(pages.open(), host)
    second = follow(first.context.new_page(), host)
    host.end_streams()

    for page in (first, second):
        page.wait_for_function("() => states.length === 3")
        assert page.evaluate("states") == ["open", "lost", "open"]
    assert host.asked[PATH] == 2


def test_who_stops_hears_no_more(pages: Pages, host: PageHost) -> None:
    first = follow(pages.open(), host)
    second = follow(first.context.new_page(), host)
    second.evaluate("stop()")
    host.tell(PATH, "list", {"list_id": "d"})

    first.wait_for_function("() => seen.length === 1")
    assert second.evaluate("seen") == []
