"""Kept lists, token buckets, keys, pages and settings of the API, each alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.api.addresses import is_loopback
from streams.api.kept import KeptLists
from streams.api.keys import KeyFileError, Keys, new_key
from streams.api.limits import TokenBuckets
from streams.api.paging import Filters, cut, next_url
from streams.api.settings import ApiSettings
from streams.settings import SettingsError
from tests.streams.api.fakes import listed
from tests.streams.fakes import item

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
    page, total = cut(STORED, filters, 10, 0, CATALOGUE.get, hydrate=False)

    assert [each.item_id for each in page] == left
    assert total == len(left)


def test_pages_put_together_are_the_list() -> None:
    pages = [cut(STORED, Filters(), 2, offset, CATALOGUE.get, hydrate=False) for offset in (0, 2, 4, 6)]

    assert [[each.item_id for each in page] for page, _ in pages] == [["a", "b"], ["gone", "c"], ["e"], []]
    assert {total for _, total in pages} == {5}


def test_hydrated_item_is_as_the_catalogue_has_it() -> None:
    page, _ = cut(STORED, Filters(), 3, 0, CATALOGUE.get, hydrate=True)

    assert page[0].item is not None
    assert (page[0].item.title, page[0].item.brand, page[0].item.price) == ("A", "acme", 10.0)
    assert page[2].item is None


def test_next_page_is_of_the_same_list_with_the_same_filters() -> None:
    url = next_url("/v1/users/a%2Fb/lists/home", "limit=2&category=a%26b&exclude=x&exclude=y", 2, 0, 5, "list-1")

    assert url == "/v1/users/a%2Fb/lists/home?category=a%26b&exclude=x&exclude=y&limit=2&offset=2&list_id=list-1"
    assert next_url("/v1/items", "", 2, 4, 6) is None


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
