"""A seed in; records out, most of which break the contract in one of many ways, among sound events of their users."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Document = dict[str, Any]

SOUND_SHARE = 0.05
HUGE_SHARE = 0.0005
"""Of values over a megabyte: they cost most of the time, and one is like the other."""

USER_TOPICS = ("clicks", "carts", "reviews", "impressions")
REQUIRED: dict[str, tuple[str, ...]] = {
    "clicks": ("event_id", "user_id", "item_id", "occurred_at_ms"),
    "carts": ("event_id", "user_id", "item_id", "action", "quantity", "unit_price", "occurred_at_ms"),
    "reviews": ("event_id", "user_id", "item_id", "text", "occurred_at_ms"),
    "impressions": ("event_id", "user_id", "list_id", "item_ids", "occurred_at_ms"),
    "items": ("item_id", "title", "in_stock", "published_at_ms"),
}
NEVER_RIGHT: tuple[Any, ...] = (None, {}, {"a": 1}, [[]], [1, "a"], [{}])
"""Not one field of the contract may hold one of these, where it is required."""

NUMBERS = {
    "occurred_at_ms": (0, -1, 1.5, "1700000000000", True, -(10**300)),
    "published_at_ms": (0, -5, 1.5, "now", False, 253_402_300_800_000),
    "quantity": (0, 10**7, -(10**7), 0.5, "1"),
    "unit_price": (-0.01, 1e10, "9.5", True),
    "position": (-1, 10**7, 2.5, "3"),
    "stars": (0, 6, 4.5, "5", True),
    "price": (-1, 1e12, "free"),
}
NOT_FINITE = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999")
NOT_UTF8 = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xc0\xaf")
IDS = ("event_id", "user_id", "item_id", "list_id")


class Sent(NamedTuple):
    """A record to send; ``event`` is what it says where it keeps the contract, and ``kind`` how it breaks it."""

    topic: str
    key: bytes | None
    value: bytes | None
    kind: str
    event: Document | None = None


class Malformed:
    """Makes records by chance, the same for the same seed.

    Parameters
    ----------
    count
        Records that break the contract; sound ones come on top.
    users, item_ids
        Whose records they are, and of which items.
    now_ms
        Times lie in the hour before.
    """

    def __init__(self, seed: int, count: int, users: list[str], item_ids: list[str], now_ms: int) -> None:
        self._chance = random.Random(seed)
        self._seed, self._count, self._now_ms = seed, count, now_ms
        self._users, self._item_ids = users, item_ids
        self._made = 0

    def records(self) -> Iterator[Sent]:
        """Yield sound and malformed records, until there are enough of the latter."""
        kinds: list[Callable[[str], Sent]] = [
            self.cut_short,
            self.wrong_type,
            self.out_of_range,
            self.not_finite,
            self.not_utf8,
            self.missing_field,
            self.wrong_key,
            self.deep,
            self.wrong_topic,
            self.binary,
            self.no_object,
            self.bad_id,
            self.oversized_field,
        ]
        bad = 0
        while bad < self._count:
            topic = self._chance.choice((*USER_TOPICS, *USER_TOPICS, "items"))
            if self._chance.random() < SOUND_SHARE and topic != "items":
                document = self.sound(topic)
                yield Sent(topic, document["user_id"].encode(), encode(document), "sound", document)
                continue
            huge = self._chance.random() < HUGE_SHARE
            yield self.huge(topic) if huge else self._chance.choice(kinds)(topic)
            bad += 1

    def sound(self, topic: str) -> Document:
        """A document that keeps the contract."""
        chance = self._chance
        self._made += 1
        if topic == "items":
            # Under an id that nothing else has: a sound item of this id is never sent.
            item_id = f"malformed-{self._seed}-{self._made}"
            return {"item_id": item_id, "title": "A thing", "in_stock": True, "published_at_ms": self._now_ms}
        document: Document = {
            "event_id": f"{self._seed}-{self._made}",
            "user_id": chance.choice(self._users),
            "occurred_at_ms": self._now_ms - chance.randrange(3_600_000),
        }
        if topic == "impressions":
            return document | {"list_id": "shown", "item_ids": chance.sample(self._item_ids, 3)}
        document["item_id"] = chance.choice(self._item_ids)
        if topic == "carts":
            document |= {"action": chance.choice(("add", "purchase")), "quantity": 1, "unit_price": 2.5}
        if topic == "reviews":
            document["text"] = chance.choice(("lovely", "it broke at once", "fine, I suppose"))
        return document

    def cut_short(self, topic: str) -> Sent:
        document = self.sound(topic)
        value = encode(document)
        return self._bad(topic, document, value[: self._chance.randrange(1, len(value))], "cut short")

    def wrong_type(self, topic: str) -> Sent:
        document = self.sound(topic)
        field = self._chance.choice(REQUIRED[topic])
        return self._bad(topic, document, encode(document | {field: self._chance.choice(NEVER_RIGHT)}), "wrong type")

    def out_of_range(self, topic: str) -> Sent:
        document = self.sound(topic)
        optional = {"clicks": ("position",), "reviews": ("stars",), "items": ("price",)}.get(topic, ())
        field = self._chance.choice([name for name in (*REQUIRED[topic], *optional) if name in NUMBERS])
        return self._bad(topic, document, encode(document | {field: self._chance.choice(NUMBERS[field])}), "range")

    def not_finite(self, topic: str) -> Sent:
        document = self.sound(topic)
        field = self._chance.choice([name for name in REQUIRED[topic] if name in NUMBERS])
        value = encode(document | {field: "HERE"}).replace(b'"HERE"', self._chance.choice(NOT_FINITE))
        return self._bad(topic, document, value, "not finite")

    def not_utf8(self, topic: str) -> Sent:
        document = self.sound(topic)
        value = encode(document)
        # Inside a text: between the quotes of the first field's value.
        place = value.index(b'": "') + 4
        return self._bad(topic, document, value[:place] + self._chance.choice(NOT_UTF8) + value[place:], "not UTF-8")

    def missing_field(self, topic: str) -> Sent:
        document = self.sound(topic)
        field = self._chance.choice(REQUIRED[topic])
        value = encode({name: content for name, content in document.items() if name != field})
        return self._bad(topic, document, value, "missing field")

    def wrong_key(self, topic: str) -> Sent:
        document = self.sound(topic)
        right = key_of(topic, document)
        keys: list[bytes | None] = [b"", b"somebody else", b"\xff\xfe", right + b" ", right[:-1]]
        if topic != "items":
            keys.append(None)  # which the broker refuses on a compacted topic
        return Sent(topic, self._chance.choice(keys), encode(document), "wrong key")

    def deep(self, topic: str) -> Sent:
        document = self.sound(topic)
        nest = self._chance.choice((b"[", b'{"a":', b"[[1],")) * self._chance.choice((50, 2_000, 50_000))
        value = nest
        if self._chance.random() < 0.5:
            value = encode(document | {self._chance.choice(REQUIRED[topic]): "HERE"}).replace(b'"HERE"', nest)
        return self._bad(topic, document, value, "deep")

    def wrong_topic(self, topic: str) -> Sent:
        # An event that lacks what this topic requires: a cart event would pass for a click.
        other = {"clicks": "impressions", "carts": "clicks", "reviews": "carts", "impressions": "reviews"}
        document = self.sound(other.get(topic, "clicks"))
        return self._bad(topic, document, encode(document), "wrong topic")

    def binary(self, topic: str) -> Sent:
        document = self.sound(topic)
        values: list[bytes | None] = [b"", self._chance.randbytes(self._chance.randrange(1, 200)), b"\0" * 64]
        if topic != "items":
            values.append(None)  # on items, that removes the item
        return self._bad(topic, document, self._chance.choice(values), "binary")

    def no_object(self, topic: str) -> Sent:
        value = self._chance.choice((b"[]", b"7", b'"text"', b"null", b"true", b"[{}]", b'{"a": 1}{"b": 2}', b"{}"))
        return self._bad(topic, self.sound(topic), value, "no object")

    def bad_id(self, topic: str) -> Sent:
        document = self.sound(topic)
        field = self._chance.choice([name for name in REQUIRED[topic] if name in IDS])
        text = self._chance.choice(("", "a\nb", "\u0000", "x" * 10_000, "\u009f", "ü" * 200))
        document = document | {field: text}
        return self._bad(topic, document, encode(document), "bad id")

    def oversized_field(self, topic: str) -> Sent:
        field, content = {
            "impressions": ("item_ids", ["i"] * 1_001),
            "reviews": ("text", "x" * 20_001),
            "items": ("title", "x" * 1_001),
        }.get(topic, ("event_id", "x" * 257))
        document = self.sound(topic) | {field: content}
        return self._bad(topic, document, encode(document), "oversized field")

    def huge(self, topic: str) -> Sent:
        document = self.sound(topic)
        return self._bad(topic, document, encode(document | {"filling": "x" * 1_100_000}), "huge")

    def _bad(self, topic: str, document: Document, value: bytes | None, kind: str) -> Sent:
        return Sent(topic, key_of(topic, document), value, kind)


def encode(document: Document) -> bytes:
    return json.dumps(document).encode()


def key_of(topic: str, document: Document) -> bytes:
    """The key that the contract asks for."""
    return str(document["item_id" if topic == "items" else "user_id"]).encode()
