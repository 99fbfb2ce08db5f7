"""Fuzz the decoding of records: any key and value -> an event, or a `DecodeError` that makes a sound dead letter.

The first byte says which topic, the second how the rest is read: as the value, as changes to the fields of a sound
event, as the seed of damage to one, or as key and value.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec

from feature_repo.events import ITEMS_TOPIC, TOPICS, DecodeError, decode_event, decode_item, encode
from streams.messages import DeadLetter, refused
from streams.records import Record
from tests.fuzz.damage import damage

MAX_BYTES = 4096
APPENDED_AT_MS = 1_700_000_000_000
SOUND: dict[str, dict[str, Any]] = {
    "clicks": {"item_id": "i", "session_id": "s", "list_id": "l", "position": 3},
    "carts": {"item_id": "i", "action": "purchase", "quantity": -1, "unit_price": 9.5},
    "reviews": {"item_id": "i", "text": "Très bien 👍", "stars": 4},
    "impressions": {"list_id": "l", "item_ids": ["i", "j"]},
    ITEMS_TOPIC: {
        "item_id": "u",
        "title": "A thing",
        "in_stock": True,
        "published_at_ms": APPENDED_AT_MS,
        "description": "Blue",
        "category": "c",
        "brand": "b",
        "price": 1.5,
        "list_price": 2.0,
        "promotion_id": "p",
        "promotion_from_ms": APPENDED_AT_MS,
        "promotion_until_ms": APPENDED_AT_MS + 1,
    },
}
for _topic in TOPICS:
    SOUND[_topic] |= {"event_id": "e", "user_id": "u", "occurred_at_ms": APPENDED_AT_MS}
NAMES = (*TOPICS, ITEMS_TOPIC)
AWKWARD: tuple[bytes, ...] = (
    b"NaN", b"-Infinity", b"1e999", b"-1", b"0", b"9" * 400, b"1.5", b'"\\ud800"', b'"\\u0000"', b'"\xff"', b"null",
    b"true", b"[]", b"{}", b'""', b"[" * 900, b'{"a":' * 400, b'"' + b"x" * 300 + b'"', b'["i", 7]', b'["", "i"]',
    b"253402300799999", b"253402300800000", b"9223372036854775808", b"1e300", b'"\xed\xa0\x80"', b"1E-400", b"-0.0",
)  # fmt: skip
SEEDS = [bytes([number, mode]) + bytes(range(n)) for number in range(5) for mode in range(4) for n in (0, 3, 9)] + [
    bytes([number, 0]) + json.dumps(SOUND[topic]).encode() for number, topic in enumerate(NAMES)
]
FOUND: list[bytes] = []


def check(data: bytes) -> None:
    """Decode what the bytes stand for."""
    if len(data) < 2:
        return
    topic = NAMES[data[0] % len(NAMES)]
    key: bytes | None = b"u"
    value: bytes | None = data[2:]
    way = data[1] % 4
    if way == 1:
        value = changed(topic, data[2:])
    elif way == 2:
        value = damage(json.dumps(SOUND[topic]).encode(), data[2:])
    elif way == 3:
        key, _, value = data[2:].partition(b"\0")
        key, value = key or None, value or None
    record = Record(topic, 0, 0, APPENDED_AT_MS, key, value)
    refusal = _refusal(record)
    if refusal is not None:
        letter = msgspec.json.decode(refused(record, refusal).value or b"", type=DeadLetter)
        assert _original(letter.key_base64) == key
        assert _original(letter.value_base64) == value
        assert letter.reason.startswith(f"{refusal.field}: saw "), letter.reason
        assert len(letter.reason) < 600, letter.reason


def _refusal(record: Record) -> DecodeError | None:
    try:
        decode(record)
    except DecodeError as error:
        return error
    return None


def decode(record: Record) -> None:
    """Decode a record; what comes out must come out again of its own encoding."""
    if record.topic == ITEMS_TOPIC:
        item = decode_item(record.key, record.value)
        if record.value is not None:
            assert decode_item(record.key, encode(item)) == item  # type: ignore[arg-type]  # a value makes an item
        return
    decoded = decode_event(record.topic, record.key, record.value, record.appended_at_ms)
    encoded = encode(decoded.event)
    again = decode_event(record.topic, record.key, encoded, record.appended_at_ms)
    assert again.event == decoded.event
    assert not again.clamped
    assert encode(again.event) == encoded
    assert len(encoded) <= 16 * len(record.value or b"") + 1000


def changed(topic: str, changes: bytes) -> bytes:
    """JSON of a sound event whose fields are changed, two bytes each: which field, and what to put there."""
    fields = {name: json.dumps(value).encode() for name, value in SOUND[topic].items()}
    names = list(fields)
    for which, what in zip(changes[::2], changes[1::2], strict=False):
        name = names[which % len(names)]
        if what >= 250:
            fields.pop(name, None)
        elif what >= len(AWKWARD):
            # The rest of the input as the text of this field, whatever bytes it is made of.
            fields[name] = b'"' + changes[2:] + b'"'
        else:
            fields[name] = AWKWARD[what]
    return b"{" + b",".join(b'"' + name.encode() + b'":' + value for name, value in fields.items()) + b"}"


def _original(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)
