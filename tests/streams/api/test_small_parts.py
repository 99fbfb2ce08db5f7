"""Kept lists, token buckets, keys, pages and settings of the API, each alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.api.access import Access
from streams.api.addresses import is_loopback
from streams.api.kept import KeptLists
from streams.api.keys import KeyFileError, Keys, new_key
from streams.api.limits import TokenBuckets
from streams.api.offers import PriceNow, price_at
from streams.api.paging import NO_FILTERS, Filters, PageQuery, View, card, cut, next_url
from streams.api.problems import Problem
from streams.api.settings import ApiSettings
from streams.settings import SettingsError
from tests.streams.api.fakes import listed
from tests.streams.fakes import NOW_MS, item

ANN = ("home", "ann")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_former_list_is_kept_by_its_id_for_a_while() -> None:
    clock = Clock()
    kept = KeptLists(10, 60.0, clock)
    kept.put(ANN, listed("list-1", "a"))
    kept.put(ANN, listed("list-2", "b"))

    clock.now_s += 59
    former = kept.by_id(ANN, "list-1")
    assert former is not None
    assert former.list_id == "list-1"
    clock.now_s += 2
    assert kept.by_id(ANN, "list-1") is None


def test_last_list_is_kept_whatever_its_age_with_the_age() -> None:
    clock = Clock()
    kept = KeptLists(10, 60.0, clock)
    kept.put(ANN, listed("list-1", "a"))
    kept.put(ANN, listed("list-2", "b"))
    clock.now_s += 500

    last = kept.last(ANN)

    assert last is not None
    assert (last[0].list_id, last[1]) == ("list-2", 500)


def test_no_more_lists_are_kept_than_may_be() -> None:
    kept = KeptLists(2, 60.0)
    for name in ("ann", "ben", "cat"):
        kept.put(("home", name), listed(f"list of {name}", "a"))

    assert kept.last(("home", "ann")) is None
    assert kept.by_id(("home", "ann"), "list of ann") is None
    assert kept.last(("home", "ben")) is not None
    assert kept.last(("home", "cat")) is not None


def test_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(rate=10, burst=3, clock=clock)

    assert [buckets.take("ann") for _ in range(4)] == [0, 0, 0, pytest.approx(0.1)]
    assert buckets.take("ben") == 0
    clock.now_s += 0.11
    assert buckets.take("ann") == 0
    assert buckets.take("ann") > 0
    clock.now_s += 1_000
    assert [buckets.take("ann") > 0 for _ in range(4)] == [False, False, False, True]


def test_key_opens_what_its_line_says_and_only_its_hash_is_in_the_file(tmp_path: Path) -> None:
    key, line = new_key("shop", frozenset({"read", "write"}))
    path = tmp_path / "keys"
    path.write_text(f"# keys of the shop\n\n{line}\n")

    found = Keys(path).find(key)

    assert key not in line
    assert found is not None
    assert found.name == "shop"
    assert [found.allows(scope) for scope in ("read", "write", "admin")] == [True, True, False]
    assert Keys(path).find(f"{key}x") is None


def test_admin_may_do_everything(tmp_path: Path) -> None:
    key, line = new_key("me", frozenset({"admin"}))
    path = tmp_path / "keys"
    path.write_text(line)

    found = Keys(path).find(key)

    assert found is not None
    assert found.allows("read")
    assert found.allows("write")


def test_revoked_key_no_longer_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.api.keys.LOOK_S", -1.0)
    key, line = new_key("shop", frozenset({"read"}))
    path = tmp_path / "keys"
    path.write_text(line)
    keys = Keys(path)
    assert keys.find(key) is not None

    path.write_text("broken line\n")
    assert keys.find(key) is not None, "a file that cannot be read changes nothing"
    path.write_text("")

    assert keys.find(key) is None


def test_keys_of_a_file_that_has_vanished_open_nothing_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.api.keys.LOOK_S", -1.0)
    key, line = new_key("shop", frozenset({"read"}))
    path = tmp_path / "keys"
    path.write_text(line)
    access = Access(Keys(path), None)
    headers = {"authorization": f"Bearer {key}"}
    access.check(headers, "read")

    path.rename(tmp_path / "elsewhere")
    with pytest.raises(Problem, match="file cannot be read") as refused:
        access.check(headers, "read")
    assert refused.value.status == 503
    assert not access.keys_readable
    assert not access.still_admits(headers, "read")

    (tmp_path / "elsewhere").rename(path)
    access.check(headers, "read")
    assert access.keys_readable
    assert access.still_admits(headers, "read")
    assert not access.still_admits(headers, "write")


@pytest.mark.parametrize("line", ["one-word", "shop all " + "0" * 64, "shop read abc", f"shop read,read {'0' * 64}"])
def test_line_that_is_no_key_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"\n{line}\n")

    with pytest.raises(KeyFileError, match="line 2"):
        Keys(path)


def test_file_of_keys_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="api-key new"):
        Keys(tmp_path / "none")


CATALOGUE = {
    each.item_id: each
    for each in (
        item("a", "lamps", brand="acme", price=10.0),
        item("b", "lamps", brand="zeta", price=20.0),
        item("c", "chairs", price=30.0),
        item("d", "chairs", in_stock=False, price=1.0),
        item("e", "chairs"),
    )
}
STORED = listed("list-1", "a", "b", "gone", "c", "d", "e")
VIEW = View(CATALOGUE.get, frozenset(), complete=False, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (Filters(), ["a", "b", "gone", "c", "e"]),
        (Filters(category="lamps"), ["a", "b"]),
        (Filters(brand="acme"), ["a"]),
        (Filters(price_min=20.0), ["b", "c"]),
        (Filters(price_max=20.0), ["a", "b"]),
        (Filters(excluded=frozenset({"a", "gone"})), ["b", "c", "e"]),
    ],
)
def test_page_holds_what_filters_and_stock_leave(filters: Filters, left: list[str]) -> None:
    page = cut(STORED, filters, PageQuery(), VIEW)

    assert [each.item_id for each in page.items] == left
    assert (page.total, page.next_position) == (len(left), None)


def test_pages_put_together_are_the_list() -> None:
    pages = [cut(STORED, NO_FILTERS, PageQuery(limit=2, offset=offset), VIEW) for offset in (0, 2, 4, 6)]

    assert [[each.item_id for each in page.items] for page in pages] == [["a", "b"], ["gone", "c"], ["e"], []]
    assert {page.total for page in pages} == {5}
    assert [page.next_position for page in pages] == [2, 5, None, None]


def test_page_after_another_begins_where_that_ended_though_stock_has_changed() -> None:
    first = cut(STORED, NO_FILTERS, PageQuery(limit=2), VIEW)
    sold_out = VIEW._replace(look_up={**CATALOGUE, "a": item("a", in_stock=False)}.get)
    query = PageQuery(limit=2, offset=2, position=first.next_position)

    assert [each.item_id for each in cut(STORED, NO_FILTERS, query, sold_out).items] == ["gone", "c"]
    back = VIEW._replace(look_up={**CATALOGUE, "d": item("d")}.get)
    rest = cut(STORED, NO_FILTERS, PageQuery(limit=5, offset=4, position=4), back)
    assert [each.item_id for each in rest.items] == ["d", "e"], "what is back in stock is shown where the list has it"


def test_page_leaves_out_what_is_hidden_and_what_the_whole_catalogue_lacks() -> None:
    view = VIEW._replace(hidden=frozenset({"b"}), complete=True)

    page = cut(STORED, NO_FILTERS, PageQuery(), view)

    assert [each.item_id for each in page.items] == ["a", "c", "e"]
    assert page.total == 3


OFFER = item(
    "o", price=6.0, list_price=10.0, promotion_id="spring", promotion_from_ms=NOW_MS, promotion_until_ms=NOW_MS + 10
)


@pytest.mark.parametrize(
    ("at_ms", "price"),
    [
        (NOW_MS - 1, PriceNow(10.0, None, None)),
        (NOW_MS, PriceNow(6.0, 10.0, "spring")),
        (NOW_MS + 9, PriceNow(6.0, 10.0, "spring")),
        (NOW_MS + 10, PriceNow(10.0, None, None)),
    ],
)
def test_card_shows_an_offer_while_it_holds_and_the_list_price_else(at_ms: int, price: PriceNow) -> None:
    shown = card(OFFER, at_ms)

    assert (shown.price, shown.list_price, shown.promotion_id) == price
    assert Filters(price_max=6.0).keeps("o", OFFER, at_ms) is (price.price == 6.0)


def test_price_without_a_time_or_a_list_price_is_as_it_was_published() -> None:
    assert price_at(item("o", price=6.0, list_price=10.0), NOW_MS) == PriceNow(6.0, 10.0, None)
    assert price_at(item("o", price=6.0, promotion_id="p", promotion_until_ms=5), NOW_MS) == PriceNow(6.0, None, None)


def test_hydrated_item_is_as_the_catalogue_has_it() -> None:
    page = cut(STORED, NO_FILTERS, PageQuery(limit=3, hydrate=True), VIEW).items

    assert page[0].item is not None
    assert (page[0].item.title, page[0].item.brand, page[0].item.price) == ("A", "acme", 10.0)
    assert page[2].item is None


def test_next_page_is_of_the_same_list_with_the_same_filters() -> None:
    query = "limit=2&category=a%26b&exclude=x&exclude=y"
    url = next_url("/v1/users/a%2Fb/lists/home", query, {"limit": 2, "offset": 2, "list_id": "list-1"})

    assert url == "/v1/users/a%2Fb/lists/home?category=a%26b&exclude=x&exclude=y&limit=2&offset=2&list_id=list-1"


def test_settings_are_read_and_checked() -> None:
    settings = ApiSettings.from_environment({"LASTCLICK_API_RATE": "5", "LASTCLICK_API_ORIGINS": "https://shop.test"})

    assert (settings.rate, settings.origins) == (5.0, "https://shop.test")
    with pytest.raises(SettingsError, match=r"LASTCLICK_API_BURST: saw 0, expected at least 1"):
        ApiSettings.from_environment({"LASTCLICK_API_BURST": "0"})
    with pytest.raises(SettingsError, match="LASTCLICK_API_RATE"):
        ApiSettings.from_environment({"LASTCLICK_API_RATE": "many"})


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("shop.test", False)),
    ],
)
def test_only_loopback_is_taken_for_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
