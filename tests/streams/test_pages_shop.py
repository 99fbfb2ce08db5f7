"""The shop page in Chromium, on a host that answers what each test gives: states that a running shop seldom shows.

Screenshots are kept in the folder named by LASTCLICK_SCREENSHOTS, or below the test run's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import LOOKS, Pages, open_browser, screenshot_folder
from tests.streams.page_host import PageHost

ANN = "/v1/users/ann"
HOME = f"{ANN}/lists/home"
WHY = f"{ANN}/items/tent/explanation"

EXPLANATION = {
    "user_id": "ann",
    "item_id": "tent",
    "title": "Tent, green",
    "scene": "home",
    "in_list": True,
    "answer": [],
    "score": 3.412,
    "rank": 7,
    "rank_among": 600,
    "rank_showable": 3,
    "propensity": 0.123,
    "causes": [
        {
            "event_id": "e1",
            "topic": "clicks",
            "occurred_at_ms": 1_760_000_000_000,
            "action": "click",
            "item_id": "lamp",
            "title": "Lamp",
            "score_part": 0.8,
        },
        {
            "event_id": None,
            "topic": "carts",
            "occurred_at_ms": 1_760_000_000_000,
            "action": "add",
            "item_id": "cup",
            "title": "Cup",
            "score_part": -1.25,
        },
        {
            "event_id": None,
            "topic": "clicks",
            "occurred_at_ms": 1_760_000_000_000,
            "action": "click",
            "item_id": "rug",
            "title": "Rug",
            "score_part": 0.001,
        },
    ],
    "features": [{"name": "activity", "values": {"clicks_1h": 2.0, "clicks_24h": 0}, "propensity_part": 0.031}],
    "hurdles": [{"name": "in_cart", "words": "it is in the user's cart"}],
    "rules": ["boosted by the shop"],
    "stored_list": {
        "scene": "home",
        "list_id": "list-1",
        "items": 2,
        "position": 1,
        "score": 3.4,
        "reason": "because you looked at Lamp",
        "caused_by": "e1",
        "event_at_ms": 1_760_000_000_000,
        "written_at_ms": 1_760_000_000_500,
        "model_version": "model-1",
        "experiment_arm": "",
    },
    "state_at_ms": 1_760_000_000_000,
    "state_event_id": "e1",
    "model_version": "model-2",
}


def listed(list_id: str, tent: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A home list of Ann's: a tent as given, and a lamp."""
    lamp = {"title": "Lamp", "category": "Home", "brand": "Birch", "price": 20.0, "in_stock": True}
    tent = {"title": "Tent, green", "category": "Camping", "brand": "Aspen", "in_stock": True, **tent}
    items = [
        {"item_id": "tent", "score": 2.0, "reason": "because you looked at Lamp", "item": tent},
        {"item_id": "lamp", "score": 1.0, "reason": "popular now", "item": lamp},
    ]
    return {
        "user_id": "ann",
        "scene": "home",
        "list_id": list_id,
        "items": items,
        "total": 2,
        "next": None,
        "caused_by": "e1",
        "event_at_ms": 1,
        "written_at_ms": 2,
        "age_ms": 3_000,
        "stale": False,
        "model_version": "model-1",
        "experiment_arm": "",
        "served": {"source": "user", "reason": "their own"},
    } | fields


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def host() -> Iterator[PageHost]:
    host = PageHost()
    host.answers |= {HOME: listed("list-1", {"price": 100.0}), "/v1/categories": {"categories": []}, WHY: EXPLANATION}
    yield host
    host.close()


@pytest.fixture
def pages(browser: Any, tmp_path: Path) -> Iterator[Pages]:
    pages = Pages(browser, screenshot_folder(tmp_path))
    yield pages
    pages.close()
    assert not pages.faults


def open_shop(pages: Pages, host: PageHost, **options: Any) -> Any:
    """The shop, as Ann sees it."""
    page = pages.open(**options)
    page.add_init_script("localStorage.setItem('lastclick.shopper', 'ann')")
    page.goto(host.address)
    page.wait_for_selector(".own[data-list]")
    return page


@pytest.fixture
def page(pages: Pages, host: PageHost) -> Any:
    return open_shop(pages, host)


def tell_of_list(host: PageHost, list_id: str) -> None:
    host.tell(f"{ANN}/changes", "list", {"user_id": "ann", "scene": "home", "list_id": list_id, "caused_by": "e2"})


def test_card_shows_the_price_offer_and_stock_of_now(page: Any, host: PageHost) -> None:
    tent = page.locator(".own [data-item=tent]")
    assert tent.locator(".price").inner_text() == "$100.00"
    assert tent.locator(".badge").count() == 0

    host.answers[HOME] = listed("list-2", {"price": 75.0, "list_price": 100.0})
    tell_of_list(host, "list-2")
    tent.get_by_text("25% off").wait_for()
    assert "$75.00" in tent.locator(".price").inner_text()

    # The same list: what it holds is as it was, what the items are is not.
    host.answers[HOME] = listed("list-2", {"price": 110.0, "in_stock": False})
    tell_of_list(host, "list-2")
    tent.get_by_text("sold out").wait_for()
    assert "$110.00" in tent.locator(".price").inner_text()
    assert tent.locator(".badge").count() == 0
    assert tent.get_by_role("button", name="to the cart").is_disabled()


def test_list_grows_older_though_it_is_read_again(page: Any, host: PageHost) -> None:
    age = "() => Number(/written ([0-9]+) s ago/.exec(document.querySelector('.own .age').textContent)[1])"
    page.wait_for_function(f"() => ({age})() >= 6")

    # Unchanged but for a price: the browser may give the list that it has, with the age of then, which is 3 s.
    host.answers[HOME] = listed("list-1", {"price": 99.0})
    tell_of_list(host, "list-1")
    page.locator(".own").get_by_text("$99.00").wait_for()
    assert page.evaluate(age) >= 6


def test_item_is_explained_by_keyboard_with_what_moved_it(page: Any) -> None:
    page.locator(".own [data-item=tent]").get_by_role("button", name="Why Tent").focus()
    page.keyboard.press("Enter")
    panel = page.locator(".explained")
    panel.get_by_text("What moved its score").wait_for()

    assert page.evaluate("document.activeElement.id") == "why-title"
    first, second = panel.locator(".parts").first.locator("li").all_inner_texts()
    assert "put in the cart Cup" in first
    assert "\N{MINUS SIGN}1.25" in first
    assert "looked at Lamp" in second
    assert "+0.80" in second
    assert "and 1 more, each of less weight" in panel.inner_text()
    way = panel.locator(".way").inner_text()
    for words in ("3.41", "no. 7", "no. 3", "boosted by the shop", "it is in the user's cart", "no. 1"):
        assert words in way
    panel.locator("summary").click()
    assert "+3.1 points" in panel.inner_text()
    assert "clicks 1h 2" in panel.inner_text()
    assert "model-1" in panel.locator(".facts").inner_text(), "the model that wrote the list, which is not the one here"

    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.getAttribute('aria-label') === 'Why Tent, green?'")
    assert not panel.is_visible()


@pytest.mark.parametrize("look", LOOKS)
def test_offer_and_explanation_break_no_rule_of_axe(pages: Pages, host: PageHost, look: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    host.answers[HOME] = listed("list-1", {"price": 75.0, "list_price": 100.0})
    page = open_shop(pages, host, **LOOKS[look])
    page.locator(".own [data-item=tent]").get_by_role("button", name="Why Tent").click()
    page.locator(".explained summary").click()
    page.wait_for_function("() => !document.getAnimations().length")
    pages.keep(page, f"why-{look}")

    found = Axe().run(page).response["violations"]
    assert not [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_explanation_says_that_it_is_read_then_that_it_failed_and_can_be_asked_again(page: Any, host: PageHost) -> None:
    answered, answers = threading.Event(), [(503, {"detail": "8 explanations are under way"}), (200, EXPLANATION)]

    def answer() -> tuple[int, dict[str, Any]]:
        assert answered.wait(60)
        return answers.pop(0)

    host.answers[WHY] = answer
    page.locator(".own [data-item=tent]").get_by_role("button", name="Why Tent").click()
    panel = page.locator(".explained")
    panel.get_by_text("Scoring your list").wait_for()
    assert panel.get_attribute("aria-busy") == "true"
    answered.set()
    panel.get_by_text("Too many ask at once").wait_for()
    panel.get_by_role("button", name="Ask again").click()
    panel.get_by_text("What moved its score").wait_for()
    assert panel.get_attribute("aria-busy") is None


def test_explanation_for_a_shopper_of_whom_nothing_is_known_says_so(page: Any, host: PageHost) -> None:
    host.answers[WHY] = (404, {"detail": "nothing is known of the user 'ann': no event of theirs was taken in yet"})
    page.locator(".own [data-item=tent]").get_by_role("button", name="Why Tent").click()
    page.locator(".explained").get_by_text("You have done nothing here yet").wait_for()
    assert page.locator(".explained").get_by_role("button").count() == 0


def test_explanation_follows_the_list(page: Any, host: PageHost) -> None:
    page.locator(".own [data-item=tent]").get_by_role("button", name="Why Tent").click()
    panel = page.locator(".explained")
    panel.get_by_text("no. 7").wait_for()

    host.answers[WHY] = EXPLANATION | {"rank": 4}
    host.answers[HOME] = listed("list-2", {"price": 100.0})
    tell_of_list(host, "list-2")
    panel.get_by_text("no. 4").wait_for()


def test_list_that_does_not_follow_a_click_is_marked_until_it_does(page: Any, host: PageHost) -> None:
    page.locator(".own [data-item=lamp]").get_by_role("button", name="Quick look").click()
    page.get_by_text("No new list has come since").wait_for()
    assert page.locator(".own[data-behind] .age").inner_text().startswith("List written")
    assert page.inner_text("#lost") == ""

    (click,) = (each["event"] for each in host.posted if each["topic"] == "clicks")
    host.answers[HOME] = listed("list-2", {"price": 100.0}, caused_by=click["event_id"])
    tell_of_list(host, "list-2")
    page.wait_for_function("() => !document.querySelector('.own').hasAttribute('data-behind')")
    assert page.inner_text(".own .behind") == ""


def test_shopper_is_told_that_clicks_wait_in_memory_where_the_storage_is_full(page: Any, host: PageHost) -> None:
    page.evaluate(
        """() => {
          const setItem = Storage.prototype.setItem;
          Storage.prototype.setItem = function (name, value) {
            const full = this === localStorage && name === "lastclick.events";
            if (full) throw new DOMException("full", "QuotaExceededError");
            setItem.call(this, name, value);
          };
        }"""
    )
    host.answers["/v1/events:batch"] = (503, {"detail": "the broker is away"})
    page.locator(".own [data-item=lamp]").get_by_role("button", name="Quick look").click()
    page.get_by_text("kept for as long as this page is open").wait_for()

    del host.answers["/v1/events:batch"]
    page.wait_for_function("() => document.getElementById('lost').textContent === ''")
    assert [each["topic"] for each in host.posted].count("clicks") == 1
