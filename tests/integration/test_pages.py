"""The shop and the operator's page in Chromium, on the real API, Kafka, Cassandra and a worker.

Screenshots are kept below the test run's folder, or in the folder named by LASTCLICK_SCREENSHOTS.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from feature_repo.events import Item
from tests.browser import LOOKS, SMALLEST, WAIT_MS, Pages, open_browser, screenshot_folder
from tests.chaos.proxy import Proxy
from tests.integration.api_process import ApiProcess
from tests.integration.clients import Sender, click, user
from tests.integration.running import START_TIMEOUT_S, Workers
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

log = logging.getLogger(__name__)

CLICKS = 5
LIMIT_MS = 1_000
"""From a click until its new list is on the screen: the middle one of `CLICKS`."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return screenshot_folder(tmp_path_factory.mktemp("screenshots"))


@pytest.fixture
def pages(browser: Any, screenshots: Path) -> Iterator[Pages]:
    pages = Pages(browser, screenshots)
    yield pages
    pages.close()
    assert not pages.faults


@pytest.fixture
def address(api: ApiProcess, workers: Workers) -> str:
    """Of an API whose workers are ready."""
    return str(api.client.base_url).rstrip("/")


@pytest.fixture
def shop(pages: Pages, address: str) -> Callable[..., Any]:
    """Opens the shop as a new shopper: ``shop(width=..., height=..., color_scheme=...)``."""

    def open_shop(**options: Any) -> Any:
        page = pages.open(**options)
        page.goto(address)
        page.wait_for_selector(".card")
        return page

    return open_shop


def settle(page: Any) -> str:
    """Wait until the shopper's own list is shown; its list_id."""
    page.wait_for_selector(".own[data-list]")
    list_id: str = page.get_attribute(".own", "data-list")
    return list_id


def wait_new_list(page: Any, before: str) -> None:
    page.wait_for_function("before => document.querySelector('.own').dataset.list !== before", arg=before)


def look_at(page: Any) -> None:
    """Open the first description that is not open yet, which is a click."""
    page.locator(".own .card button[aria-expanded=false]").first.click()


def wait_measured(page: Any) -> float:
    """Milliseconds from the last event until its list was on the screen, as the page has measured."""
    page.wait_for_selector(".timed:not([hidden])")
    ms: float = page.evaluate(
        """() => {
          const [, value, unit] = /([0-9.]+) (ms|s)/.exec(document.querySelector(".timed strong").textContent);
          return Number(value) * (unit === "s" ? 1000 : 1);
        }"""
    )
    page.evaluate("document.querySelector('.timed').hidden = true")
    return ms


def test_lists_change_within_a_second_of_a_click(shop: Callable[..., Any], pages: Pages) -> None:
    page = shop()
    assert "simulated" in page.inner_text(".banner")
    settle(page)
    took = []
    # The first click warms caches, and the shopper has no list before it.
    for _ in range(CLICKS + 1):
        look_at(page)
        took.append(wait_measured(page))
    log.info("click to new list on the screen, ms: %s", took)

    assert statistics.median(took[1:]) < LIMIT_MS
    assert "because you looked at" in page.inner_text(".own .card:first-child .reason")
    page.click("#behind")
    drawer = page.locator("#drawer")
    drawer.get_by_text("because you looked at").first.wait_for()
    drawer.locator(".events li").nth(CLICKS).wait_for()
    assert drawer.locator(".big").inner_text().endswith(("low", "medium", "high"))
    pages.keep(page, "shop-with-drawer")
    drawer.get_by_role("button", name="Why").first.click()
    drawer.locator(".explained .parts li", has_text="You looked at").first.wait_for()
    assert "no. 1" in drawer.locator(".explained .way li").last.inner_text()
    pages.keep(page, "why-this")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.id === 'behind'")
    assert not drawer.is_visible()


def test_shopper_adds_buys_reviews_and_becomes_somebody_new(
    shop: Callable[..., Any], pages: Pages, address: str, sender: Sender
) -> None:
    page = shop()
    settle(page)
    first, second = (page.locator(".own .card").nth(number).get_attribute("data-item") for number in (0, 1))
    for number in (0, 1):
        page.locator(".own .card").nth(number).get_by_role("button", name="to the cart").click()
    wait_measured(page)
    # What lies in the cart is not offered again.
    page.wait_for_function(
        "ids => !ids.some(id => document.querySelector(`.own [data-item='${id}']`))", arg=[first, second]
    )
    page.click("#cart")
    page.locator("ul.cart li").nth(1).wait_for()
    pages.keep(page, "cart")
    page.locator("ul.cart li").nth(1).get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Buy all of it").click()
    page.get_by_text("Your cart is empty.").wait_for()

    page.goto(f"{address}/#/item/{first}")
    page.get_by_text("Write a review").click()
    page.get_by_label("Your review").fill("Wonderful, it works perfectly and I love it.")
    page.get_by_role("button", name="Send the review").click()
    settle(page)
    page.click("#behind")
    drawer = page.locator("#drawer")
    for deed in ("Bought", "Reviewed"):
        drawer.locator(".events").get_by_text(deed).wait_for()
    drawer.get_by_text("positive").wait_for()
    pages.keep(page, "product")
    drawer.get_by_role("button", name="Close").click()

    page.click("#who")
    pages.keep(page, "switcher")
    page.get_by_role("button", name="Be a new shopper").click()
    page.click("#behind")
    drawer.locator(".events").get_by_text("Bought").wait_for(state="detached")

    other = user("pages-other")
    sender.send("clicks", click(other, first))
    page.locator("#ticker").get_by_role("button", name=other).click()
    page.wait_for_function("other => document.getElementById('who').textContent.endsWith(other)", arg=other)
    drawer.locator(".events").get_by_text("Looked at").wait_for()


def test_shop_is_walked_by_keyboard_alone(shop: Callable[..., Any], pages: Pages) -> None:
    page = shop()
    before = settle(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.own .card') !== null")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Why this?"
    page.keyboard.press("Tab")
    pages.keep(page, "keyboard-focus")
    page.keyboard.press("Enter")  # a quick look
    wait_new_list(page, before)
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    page.focus("#query")
    page.keyboard.type("lamp")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Search: lamp").wait_for()
    page.wait_for_function("() => document.activeElement.tagName === 'H1'")

    page.set_viewport_size(SMALLEST)
    page.focus("#behind")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer[open]")
    for _ in range(60):  # the sheet keeps the focus to itself
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#drawer')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.id === 'behind'")


def test_operator_sees_the_flow_move_and_replays_a_dead_letter(
    pages: Pages, address: str, sender: Sender, stock: list[Item]
) -> None:
    page = pages.open()
    page.goto(f"{address}/operate")
    records = "() => Number(document.querySelector('#topics tbody tr td').textContent.replaceAll(',', ''))"
    page.wait_for_selector("#topics table")
    before = page.evaluate(records)
    sender_of_it = user("pages-broken")
    broken = click(sender_of_it, stock[0].item_id)
    sender.send("clicks", {**broken, "occurred_at_ms": "yesterday"})
    for number in range(20):
        sender.send("clicks", click(user(f"pages-{number}"), stock[number].item_id))
    page.wait_for_function(f"before => ({records})() >= before + 21", arg=before)
    page.wait_for_selector(".histogram")

    # Other tests leave letters too, of which the newest are shown.
    letters = page.locator("#letters tbody tr", has_text=sender_of_it)
    letters.first.wait_for()
    letters.first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Replay 1").click()
    page.get_by_text("Sent again: 1.").wait_for()
    # It still breaks the contract, so it comes back as another letter.
    letters.nth(1).wait_for()
    pages.keep(page, "operate", whole=True)


@pytest.mark.parametrize("look", LOOKS)
def test_no_view_breaks_a_rule_of_axe(
    shop: Callable[..., Any], pages: Pages, address: str, stock: list[Item], look: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    page = shop(**LOOKS[look])
    settle(page)
    item = stock[0]
    views = {
        "front": "/#/",
        "item": f"/#/item/{item.item_id}",
        "category": f"/#/category/{item.category}",
        "cart": "/#/cart",
        "operate": "/operate",
    }
    found = {}
    for name, where in views.items():
        page.goto(address + where)
        page.wait_for_selector("#topics table" if name == "operate" else "main:not([aria-busy]) h1")
        page.wait_for_function("() => !document.getAnimations().length")
        pages.keep(page, f"{name}-{look}")
        for violation in axe.run(page).response["violations"]:
            found[f"{name}: {violation['id']}"] = [node["html"] for node in violation["nodes"]]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
    assert not found


def test_page_whose_server_is_gone_keeps_its_lists_and_sends_later(shop: Callable[..., Any], pages: Pages) -> None:
    page = shop()
    before = settle(page)
    page.context.set_offline(True)
    page.locator(".own .card").nth(0).get_by_role("button", name="to the cart").click()
    page.get_by_text("The server has not answered since").wait_for()
    assert page.locator(".own .card").count() > 0
    pages.keep(page, "unreached")
    page.context.set_offline(False)
    wait_new_list(page, before)
    page.wait_for_function("() => document.getElementById('lost').textContent === ''")


def test_lists_stay_and_say_that_they_are_behind_while_no_worker_runs(
    shop: Callable[..., Any], pages: Pages, workers: Workers
) -> None:
    page = shop()
    settle(page)
    look_at(page)
    wait_measured(page)
    before = settle(page)
    running = [psutil.Process(worker.pid) for worker in workers.ready()]
    for worker in running:
        worker.suspend()
    try:
        look_at(page)
        page.get_by_text("No new list has come since").wait_for()
        assert page.locator(".own[data-behind] .age").inner_text().startswith("List written")
        assert settle(page) == before
        assert page.locator(".own .card").count() > 0
        assert page.inner_text("#lost") == ""  # clicks are taken
        page.locator("#categories a").nth(1).click()
        page.wait_for_selector("main:not([aria-busy]) .card")
        page.click("#categories a[href='#/']")
        page.wait_for_selector(".own[data-behind] .card")
        pages.keep(page, "without-worker")
    finally:
        for worker in running:
            worker.kill()
    # Others are started in their place.
    page.wait_for_selector(".own[data-behind]", state="detached", timeout=START_TIMEOUT_S * 1000)
    assert settle(page) != before
    wait_until(workers.all_ready, START_TIMEOUT_S, "workers in place of those that were killed")


def test_clicks_wait_in_the_page_while_kafka_is_stopped_and_count_once(
    shop: Callable[..., Any], pages: Pages, api: ApiProcess, workers: Workers, broker: psutil.Process
) -> None:
    page = shop()
    settle(page)
    look_at(page)
    wait_measured(page)
    before = settle(page)
    shopper = page.evaluate("localStorage.getItem('lastclick.shopper')")
    broker.suspend()
    try:
        look_at(page)
        look_at(page)
        page.get_by_text("The shop can't take your clicks since").wait_for()
        page.locator("#categories a").nth(1).click()
        page.wait_for_selector("main:not([aria-busy]) .card")
        page.click("#categories a[href='#/']")
        page.wait_for_selector(".own .card")
        assert settle(page) == before
        assert len(page.evaluate("JSON.parse(localStorage.getItem('lastclick.events'))")) >= 2
        pages.keep(page, "without-kafka")
    finally:
        broker.resume()
    wait_new_list(page, before)
    page.wait_for_function("() => document.getElementById('lost').textContent === ''")
    # What the broker took without saying so was sent again.
    workers.wait_drained()
    assert api.get(f"/v1/users/{shopper}/profile").json()["behaviour"]["clicks"] == 3


def test_shop_stays_usable_without_cassandra_and_says_so(shop: Callable[..., Any], pages: Pages, proxy: Proxy) -> None:
    page = shop()
    settle(page)
    proxy.refuse()
    try:
        page.locator(".own .card").nth(0).get_by_role("button", name="Quick look").click()
        page.locator("#categories a").nth(1).click()
        page.wait_for_selector("main:not([aria-busy]) .card")
        page.click("#who")
        page.get_by_role("button", name="Be a new shopper").click()
        page.click("#categories a[href='#/']")
        page.wait_for_selector(".own .card")
        page.wait_for_function("() => document.querySelector('.own .note').textContent !== ''", timeout=WAIT_MS)
        assert page.inner_text("#lost") == ""  # the API answers: what is missing is behind it
        pages.keep(page, "without-cassandra")
    finally:
        proxy.accept()
    page.locator(".own .card").nth(0).get_by_role("button", name="Quick look").click()
    wait_measured(page)
