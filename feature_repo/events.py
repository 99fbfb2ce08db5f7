"""Records of the five input topics -> typed events and items, or a `DecodeError` that names the field.

The contract: JSON objects in UTF-8, integer milliseconds since the epoch, keys are the id's bytes, unknown
fields are ignored. A purchase with a negative quantity is a return. A time more than five minutes after the
record was appended is taken to be a wrong clock and becomes the time it was appended.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from feature_repo.event_errors import NOT_TEXT, DecodeError, diagnose, quote, wrong

__all__ = [
    "ITEMS_TOPIC",
    "MAX_VALUE_BYTES",
    "TOPICS",
    "Cart",
    "Click",
    "DecodeError",
    "Decoded",
    "Event",
    "Impression",
    "Item",
    "RemovedItem",
    "Review",
    "decode_event",
    "decode_item",
    "encode",
]

MAX_VALUE_BYTES = 1_000_000
MAX_ID_BYTES = 256
MAX_AHEAD_MS = 300_000
"""How far a clock may run ahead of the broker's before its time is clamped (ms)."""
MAX_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=20_000)]
TimeMs = Annotated[int, Meta(gt=0)]  # no upper end: what is far ahead is clamped
Price = Annotated[float, Meta(ge=0, le=1e9)]


class Click(msgspec.Struct, frozen=True, omit_defaults=True):
    """A shopper opened an item's page, maybe from position `position` (0 is first) of list `list_id`."""

    event_id: Id
    user_id: Id
    item_id: Id
    occurred_at_ms: TimeMs
    session_id: Id | None = None
    list_id: Id | None = None
    position: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class Cart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of the cart, a purchase, or its return (a negative quantity); prices are in currency units."""

    event_id: Id
    user_id: Id
    item_id: Id
    action: Literal["add", "remove", "purchase"]
    quantity: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
    unit_price: Price
    occurred_at_ms: TimeMs


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a shopper wrote about an item, with one to five stars where they gave any."""

    event_id: Id
    user_id: Id
    item_id: Id
    text: Text
    occurred_at_ms: TimeMs
    stars: Annotated[int, Meta(ge=1, le=5)] | None = None


class Impression(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list was shown, with these items in this order."""

    event_id: Id
    user_id: Id
    list_id: Id
    item_ids: Annotated[tuple[Id, ...], Meta(max_length=1000)]
    occurred_at_ms: TimeMs


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A catalogue entry; prices are in currency units.

    `list_price` is what it costs when it is not on offer. The promotion of `promotion_id` runs from
    `promotion_from_ms` until just before `promotion_until_ms`; without one of them, it is open at that end.
    """

    item_id: Id
    title: Annotated[str, Meta(min_length=1, max_length=1000)]
    in_stock: bool
    published_at_ms: Annotated[int, Meta(gt=0, le=MAX_MS)]
    description: Text | None = None
    category: Name | None = None
    brand: Name | None = None
    price: Price | None = None
    list_price: Price | None = None
    promotion_id: Id | None = None
    promotion_from_ms: Annotated[int, Meta(gt=0, le=MAX_MS)] | None = None
    promotion_until_ms: Annotated[int, Meta(gt=0, le=MAX_MS)] | None = None


class RemovedItem(msgspec.Struct, frozen=True):
    """A null value on `items`: the item has left the catalogue."""

    item_id: str


Event = Click | Cart | Review | Impression


class Decoded(msgspec.Struct, frozen=True):
    """An event, and whether its time was ahead of the broker's and was clamped."""

    event: Event
    clamped: bool


TOPICS: dict[str, type[Click] | type[Cart] | type[Review] | type[Impression]] = {
    "clicks": Click,
    "carts": Cart,
    "reviews": Review,
    "impressions": Impression,
}
ITEMS_TOPIC = "items"
_DECODERS = {topic: msgspec.json.Decoder(kind) for topic, kind in TOPICS.items()}
_ITEM_DECODER = msgspec.json.Decoder(Item)
_ENCODER = msgspec.json.Encoder()


def decode_event(topic: str, key: bytes | None, value: bytes | None, appended_at_ms: int) -> Decoded:
    """Decode a record of a user topic.

    Parameters
    ----------
    topic : str
        One of `TOPICS`; a `KeyError` otherwise.
    key, value : bytes or None
        As they came from Kafka.
    appended_at_ms : int
        The record's Kafka timestamp, ms since the epoch.

    Raises
    ------
    DecodeError
        The record breaks the contract; the text names the field, what was seen and what was expected.
    """
    decoder = _DECODERS[topic]
    payload = _checked_size(value)
    try:
        event = decoder.decode(payload)
    except (ValueError, RecursionError) as error:
        raise diagnose(payload, error, TOPICS[topic].__struct_fields__) from error
    _check_id("event_id", event.event_id)
    _check_id("user_id", event.user_id)
    if isinstance(event, Impression):
        _check_id("list_id", event.list_id)
        for place, item_id in enumerate(event.item_ids):
            _check_id(f"item_ids[{place}]", item_id)
    else:
        _check_id("item_id", event.item_id)
        if type(event) is Cart and (event.quantity < 1 and (event.action != "purchase" or not event.quantity)):
            raise wrong("quantity", event.quantity)
        if type(event) is Click:
            _check_id("session_id", event.session_id)
            _check_id("list_id", event.list_id)
    _check_key(key, "user_id", event.user_id)
    ahead = event.occurred_at_ms > appended_at_ms + MAX_AHEAD_MS
    if ahead:
        event = msgspec.structs.replace(event, occurred_at_ms=appended_at_ms)
    if not 0 < event.occurred_at_ms <= MAX_MS:
        raise wrong("occurred_at_ms", event.occurred_at_ms)
    return Decoded(event, ahead)


def decode_item(key: bytes | None, value: bytes | None) -> Item | RemovedItem:
    """Decode a record of the `items` topic; a null value removes the item its key names.

    Raises
    ------
    DecodeError
        As `decode_event` does.
    """
    if value is None:
        return RemovedItem(_id_of_key(key))
    payload = _checked_size(value)
    try:
        item = _ITEM_DECODER.decode(payload)
    except (ValueError, RecursionError) as error:
        raise diagnose(payload, error, Item.__struct_fields__) from error
    _check_id("item_id", item.item_id)
    _check_id("promotion_id", item.promotion_id)
    starts_ms, ends_ms = item.promotion_from_ms, item.promotion_until_ms
    if starts_ms is not None and ends_ms is not None and ends_ms <= starts_ms:
        raise DecodeError("promotion_until_ms", str(ends_ms), f"a time after promotion_from_ms, {starts_ms}")
    for field, text in (("title", item.title), ("category", item.category), ("brand", item.brand)):
        if text is not None and not text.isprintable() and NOT_TEXT.search(text):
            raise wrong(field, text)
    _check_key(key, "item_id", item.item_id)
    return item


def encode(event: Event | Item) -> bytes:
    """Encode an event or item as the contract's JSON; optional fields that are absent are left out."""
    return _ENCODER.encode(event)


def _checked_size(value: bytes | None) -> bytes:
    if value is None:
        raise wrong("value", None)
    if len(value) > MAX_VALUE_BYTES:
        raise DecodeError("value", f"{len(value)} bytes", f"at most {MAX_VALUE_BYTES} bytes")
    return value


def _check_id(field: str, text: str | None) -> None:
    """Check what the struct's own limits don't: bytes rather than characters, and no control characters."""
    if text is None or (text.isascii() and text.isprintable()):
        return
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES or NOT_TEXT.search(text):
        raise wrong(field, text)


def _check_key(key: bytes | None, field: str, expected_id: str) -> None:
    if key is None or key != expected_id.encode():
        seen = "null" if key is None else quote(key.decode("utf-8", "backslashreplace"))
        raise DecodeError("key", seen, f"the bytes of {field} {quote(expected_id)}")


def _id_of_key(key: bytes | None) -> str:
    expected = "the item_id's bytes, 1 to 256 of UTF-8 without control characters"
    if key is None:
        raise DecodeError("key", "null", expected)
    text = key.decode("utf-8", "backslashreplace")
    try:
        valid = 1 <= len(key) <= MAX_ID_BYTES and not NOT_TEXT.search(key.decode())
    except UnicodeDecodeError as error:
        raise DecodeError("key", quote(text), expected) from error
    if not valid:
        raise DecodeError("key", quote(text), expected)
    return text
