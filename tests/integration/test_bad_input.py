"""Bad input of every kind on real topics: each becomes a dead letter that names the field, and the flow goes on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from feature_repo.events import Item
from feature_repo.online import open_feature_store
from streams.runtime import online_config
from streams.settings import Settings
from tests.integration.clients import Document, Sender, Storefront, Tail, cart, click, new_item_id, now_ms, review, user
from tests.integration.running import Workers
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

OpenTail = Callable[[str], Tail]
FIVE_MEGABYTES = 5_000_000


class Bad(NamedTuple):
    """A record that breaks the contract, and what its dead letter must say."""

    topic: str
    value: bytes | None
    field: str
    seen: str
    key: bytes | None = user("bad").encode()


def raw(event: Document, **changes: Any) -> bytes:
    """The event's JSON; a field changed to ``...`` is left out."""
    return json.dumps({name: value for name, value in (event | changes).items() if value is not ...}).encode()


A_CLICK = click(user("bad"), "some-item")
A_CART = cart(user("bad"), "some-item", "add")
A_REVIEW = review(user("bad"), "some-item", "fine")
AN_ITEM = {"item_id": "bad-item", "title": "A thing", "in_stock": True, "published_at_ms": now_ms()}
ITEM_KEY = b"bad-item"

BAD = {
    "not JSON": Bad("clicks", b"\x00\xff not JSON", "value", "byte 0xff"),
    "JSON cut short": Bad("clicks", raw(A_CLICK)[:-9], "value", "{"),
    "not an object": Bad("clicks", b"[1, 2]", "value", "[1, 2]"),
    "wrong type": Bad("clicks", raw(A_CLICK, occurred_at_ms="now"), "occurred_at_ms", '"now"'),
    "unknown action": Bad("carts", raw(A_CART, action="steal"), "action", '"steal"'),
    "missing field": Bad("carts", raw(A_CART, unit_price=...), "unit_price", "nothing"),
    "empty user_id": Bad("clicks", raw(A_CLICK, user_id=""), "user_id", '""', b""),
    "empty item_id": Bad("reviews", raw(A_REVIEW, item_id=""), "item_id", '""'),
    "huge event_id": Bad("clicks", raw(A_CLICK, event_id="e" * 10_000), "event_id", '"eeee'),
    "NaN": Bad("carts", raw(A_CART, unit_price=float("nan")), "unit_price", "NaN"),
    "infinite": Bad("carts", raw(A_CART, unit_price=float("inf")), "unit_price", "Infinity"),
    "negative time": Bad("clicks", raw(A_CLICK, occurred_at_ms=-1), "occurred_at_ms", "-1"),
    "five megabytes": Bad("reviews", raw(A_REVIEW, text="x" * FIVE_MEGABYTES), "value", "bytes"),
    "wrong key": Bad("clicks", raw(A_CLICK), "key", '"somebody else"', b"somebody else"),
    "no key": Bad("clicks", raw(A_CLICK), "key", "null", None),
    "null value": Bad("clicks", None, "value", "null"),
    "item that is not JSON": Bad("items", b"{", "value", "{", ITEM_KEY),
    "item with a wrong type": Bad("items", raw(AN_ITEM, in_stock="yes"), "in_stock", '"yes"', ITEM_KEY),
    "item without a title": Bad("items", raw(AN_ITEM, title=...), "title", "nothing", ITEM_KEY),
    "item with an empty id": Bad("items", raw(AN_ITEM, item_id=""), "item_id", '""', b""),
    "item with a huge id": Bad("items", raw(AN_ITEM, item_id="i" * 10_000), "item_id", '"iiii', b"i" * 10_000),
    "item with NaN": Bad("items", raw(AN_ITEM, price=float("nan")), "price", "NaN", ITEM_KEY),
    "item of negative time": Bad("items", raw(AN_ITEM, published_at_ms=-5), "published_at_ms", "-5", ITEM_KEY),
    "item of five megabytes": Bad("items", raw(AN_ITEM, description="x" * FIVE_MEGABYTES), "value", "bytes", ITEM_KEY),
    "item under a wrong key": Bad("items", raw(AN_ITEM), "key", '"another"', b"another"),
}


@pytest.fixture(scope="module")
def letters(settings: Settings) -> Any:
    tail = Tail(settings.kafka, "dead-letters")
    yield tail
    tail.close()


@pytest.mark.parametrize("kind", BAD)
def test_bad_record_becomes_a_dead_letter_and_a_good_one_still_works(
    kind: str, letters: Tail, workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    bad = BAD[kind]

    partition, offset = sender.send_bytes(bad.topic, bad.key, bad.value)
    letter = letters.first(
        lambda letter: (letter["topic"], letter["partition"], letter["offset"]) == (bad.topic, partition, offset)
    )

    assert letter["field"] == bad.field
    assert letter["reason"].startswith(f"{bad.field}: saw ")
    assert bad.seen in letter["reason"]
    assert ", expected " in letter["reason"]
    assert _original(letter["value_base64"]) == bad.value
    assert _original(letter["key_base64"]) == bad.key
    assert letter["key"] == bad.key
    storefront.row_caused_by(sender.send("clicks", click(user("bad"), stock[0].item_id)))


def _original(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)


def test_dead_letters_are_counted_by_topic_and_field(letters: Tail, workers: Workers, sender: Sender) -> None:
    before = workers.counters()

    for _ in range(3):
        sender.send_bytes("carts", user("bad").encode(), raw(A_CART, quantity=0))
    workers.wait_drained()

    after = workers.counters()
    # Labels in the order of their names: field, topic; outcome, topic.
    assert after["lastclick_dead_letters_total", "quantity", "carts"] == 3
    assert after["lastclick_events_total", "dead_letter", "carts"] == (
        before["lastclick_events_total", "dead_letter", "carts"] + 3
    )


def test_item_is_still_published_after_bad_ones(workers: Workers, sender: Sender, settings: Settings) -> None:
    item_id = new_item_id()
    sender.send_bytes("items", item_id.encode(), b"{")

    sender.send_item(item_id, AN_ITEM | {"item_id": item_id, "title": "Published after all", "price": 3.5})

    with open_feature_store(online_config(settings)) as online:
        features = wait_until(
            lambda: (found := online.read_item(item_id))["title"] and found, 20, "features of the item"
        )
    assert features["title"] == "Published after all"
    assert features["price"] == 3.5
    sender.send_item(item_id, None)


def test_time_from_the_far_future_is_clamped_and_counted(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    clamped = workers.counters()["lastclick_clamped_times_total",]
    before_ms = now_ms()
    ahead = click(user("future"), stock[0].item_id, occurred_at_ms=now_ms() + 10 * 365 * 86_400_000)

    row = storefront.row_caused_by(sender.send("clicks", ahead))
    workers.wait_drained()
    later = storefront.row_caused_by(sender.send("clicks", click(user("future"), stock[1].item_id)))

    assert before_ms <= row.event_at_ms <= row.written_at_ms
    assert workers.counters()["lastclick_clamped_times_total",] == clamped + 1
    # The wrong clock has not frozen the user in the future.
    assert later.event_at_ms < now_ms()


def test_time_within_the_tolerance_is_kept(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    ahead = click(user("ahead"), stock[0].item_id, occurred_at_ms=now_ms() + 60_000)

    row = storefront.row_caused_by(sender.send("clicks", ahead))

    assert row.event_at_ms == ahead["occurred_at_ms"]


def test_event_of_an_unknown_item_is_applied(
    workers: Workers, sender: Sender, storefront: Storefront, settings: Settings, stock: list[Item]
) -> None:
    before = workers.outcomes()

    row = storefront.row_caused_by(sender.send("clicks", click(user("stranger"), "never published")))
    workers.wait_drained()

    assert workers.outcomes() - before == {"applied": 1}
    assert len(row.items) == 10
    assert "never published" not in [item.item_id for item in row.items]
    with open_feature_store(online_config(settings)) as online:
        assert online.read_user(user("stranger"))["clicks_24h"] == 1


def test_unknown_fields_are_ignored(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    event = click(user("extra"), stock[0].item_id, campaign="spring", nested={"a": [1, 2]})

    storefront.row_caused_by(sender.send("clicks", event))


def test_null_on_items_removes_and_is_no_dead_letter(letters: Tail, workers: Workers, sender: Sender) -> None:
    _, offset = sender.send_bytes("items", b"never published", None)
    workers.wait_drained()

    assert not letters.all_of(
        lambda letter: letter["topic"] == "items" and _original(letter["key_base64"]) == b"never published"
    ), f"offset {offset}"
