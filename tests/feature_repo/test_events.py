"""Decoding: what the contract allows comes in as it was sent, anything else names the field to blame."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.event_errors import EXPECTED
from feature_repo.events import (
    MAX_VALUE_BYTES,
    TOPICS,
    Cart,
    Click,
    DecodeError,
    Event,
    Impression,
    Item,
    RemovedItem,
    Review,
    decode_event,
    decode_item,
    encode,
)

NOW_MS = 1_700_000_000_000
EVENTS: dict[str, Event] = {
    "clicks": Click("e1", "u1", "i1", NOW_MS, session_id="s1", list_id="l1", position=0),
    "carts": Cart("e1", "u1", "i1", "add", 2, 9.99, NOW_MS),
    "reviews": Review("e1", "u1", "i1", "Lovely, fits well.", NOW_MS, stars=5),
    "impressions": Impression("e1", "u1", "l1", ("i1", "i2"), NOW_MS),
}
ITEM = Item("i1", "Blue mug", True, NOW_MS, description="Holds tea.", category="mugs", brand="Kiln", price=4.5)


def fields_of(record: Event | Item) -> dict[str, Any]:
    return dict(msgspec.to_builtins(record))


def decode(topic: str, fields: object, key: bytes | None = b"u1", appended_at_ms: int = NOW_MS) -> Event:
    return decode_event(topic, key, json.dumps(fields).encode(), appended_at_ms).event


@pytest.mark.parametrize("topic", TOPICS)
def test_event_comes_back_as_it_was_sent(topic: str) -> None:
    event = EVENTS[topic]
    decoded = decode_event(topic, b"u1", encode(event), NOW_MS)
    assert decoded.event == event
    assert not decoded.clamped


def test_item_comes_back_as_it_was_sent() -> None:
    assert decode_item(b"i1", encode(ITEM)) == ITEM


def test_optional_fields_may_be_absent_or_null() -> None:
    bare = Click("e1", "u1", "i1", NOW_MS)
    assert json.loads(encode(bare)) == {
        "event_id": "e1",
        "user_id": "u1",
        "item_id": "i1",
        "occurred_at_ms": NOW_MS,
    }
    assert decode("clicks", fields_of(bare) | {"session_id": None, "list_id": None, "position": None}) == bare


def test_unknown_fields_are_ignored() -> None:
    assert decode("clicks", fields_of(EVENTS["clicks"]) | {"new": {"deep": [1, None]}}) == EVENTS["clicks"]


def test_ids_may_hold_any_script() -> None:
    fields = fields_of(EVENTS["clicks"]) | {"user_id": "買い物客", "item_id": "naïve/№ 5\u200d"}
    assert decode("clicks", fields, key="買い物客".encode()).user_id == "買い物客"


def test_null_item_is_removed() -> None:
    assert decode_item("tasse-é".encode(), None) == RemovedItem("tasse-é")


@pytest.mark.parametrize(
    ("ahead_ms", "clamped"), [(0, False), (300_000, False), (300_001, True), (10**30, True), (-(10**12), False)]
)
def test_time_from_the_future_becomes_the_time_it_was_appended(ahead_ms: int, clamped: bool) -> None:
    fields = fields_of(EVENTS["reviews"]) | {"occurred_at_ms": NOW_MS + ahead_ms}
    decoded = decode_event("reviews", b"u1", json.dumps(fields).encode(), NOW_MS)
    assert decoded.clamped is clamped
    assert decoded.event.occurred_at_ms == (NOW_MS if clamped else NOW_MS + ahead_ms)


def test_time_beyond_any_calendar_is_refused_even_when_the_broker_has_it_too() -> None:
    fields = fields_of(EVENTS["clicks"]) | {"occurred_at_ms": 2**62}
    with pytest.raises(DecodeError, match=r"^occurred_at_ms: saw 4611686018427387904, expected"):
        decode("clicks", fields, appended_at_ms=2**62)


@pytest.mark.parametrize(("action", "quantity"), [("add", 1), ("remove", 1_000_000), ("purchase", -1_000_000)])
def test_quantities_at_the_limits_are_taken(action: str, quantity: int) -> None:
    event = decode("carts", fields_of(EVENTS["carts"]) | {"action": action, "quantity": quantity})
    assert isinstance(event, Cart)
    assert event.quantity == quantity


LONG_ID = "é" * 129
WRONG_FIELDS = [
    # topic, field, value, what the reason says was seen
    ("clicks", "event_id", "", '""'),
    ("clicks", "event_id", 7, "7"),
    ("clicks", "event_id", None, "null"),
    ("clicks", "event_id", "x" * 257, '"' + "x" * 78 + "…"),
    ("clicks", "user_id", True, "true"),
    ("clicks", "user_id", ["u1"], '["u1"]'),
    ("clicks", "item_id", "", '""'),
    ("clicks", "item_id", "a\tb", '"a\\tb"'),
    ("clicks", "item_id", "a\x85b", '"a\\u0085b"'),
    ("clicks", "item_id", "\ud800", '"\\ud800"'),
    ("clicks", "item_id", LONG_ID, ('"' + "\\u00e9" * 20)[:79] + "…"),
    ("clicks", "session_id", "", '""'),
    ("clicks", "session_id", "a\nb", '"a\\nb"'),
    ("clicks", "list_id", 1.5, "1.5"),
    ("clicks", "list_id", "a\x7fb", '"a\\u007fb"'),
    ("clicks", "position", -1, "-1"),
    ("clicks", "position", 1.0, "1.0"),
    ("clicks", "position", True, "true"),
    ("clicks", "occurred_at_ms", 0, "0"),
    ("clicks", "occurred_at_ms", -5, "-5"),
    ("clicks", "occurred_at_ms", 1.5, "1.5"),
    ("clicks", "occurred_at_ms", "2023-11-14", '"2023-11-14"'),
    ("clicks", "occurred_at_ms", True, "true"),
    ("clicks", "occurred_at_ms", float("nan"), "NaN"),
    ("carts", "action", "buy", '"buy"'),
    ("carts", "action", 1, "1"),
    ("carts", "quantity", 0, "0"),
    ("carts", "quantity", -1, "-1"),
    ("carts", "quantity", 1_000_001, "1000001"),
    ("carts", "quantity", "two", '"two"'),
    ("carts", "quantity", 2.5, "2.5"),
    ("carts", "quantity", False, "false"),
    ("carts", "unit_price", float("nan"), "NaN"),
    ("carts", "unit_price", float("inf"), "Infinity"),
    ("carts", "unit_price", float("-inf"), "-Infinity"),
    ("carts", "unit_price", -0.01, "-0.01"),
    ("carts", "unit_price", 1e9 + 1, "1000000001.0"),
    ("carts", "unit_price", "9.99", '"9.99"'),
    ("carts", "unit_price", True, "true"),
    ("reviews", "stars", 0, "0"),
    ("reviews", "stars", 6, "6"),
    ("reviews", "stars", 4.5, "4.5"),
    ("reviews", "stars", "5", '"5"'),
    ("reviews", "text", None, "null"),
    ("reviews", "text", "x" * 20_001, '"' + "x" * 78 + "…"),
    ("impressions", "list_id", "", '""'),
    ("impressions", "item_ids", "i1", '"i1"'),
    ("impressions", "item_ids", ["i"] * 1001, ("[" + '"i", ' * 20)[:79] + "…"),
]


@pytest.mark.parametrize(("topic", "field", "value", "seen"), WRONG_FIELDS)
def test_wrong_field_is_named_with_what_was_seen(topic: str, field: str, value: object, seen: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode(topic, fields_of(EVENTS[topic]) | {field: value})
    assert (error.value.field, error.value.seen) == (field, seen)
    assert str(error.value) == f"{field}: saw {seen}, expected {EXPECTED[field]}"


@pytest.mark.parametrize("topic", TOPICS)
def test_missing_field_is_named(topic: str) -> None:
    fields = fields_of(EVENTS[topic])
    optional = {"session_id", "list_id", "position"} if topic == "clicks" else {"stars"}
    for field in fields.keys() - optional:
        with pytest.raises(DecodeError, match=rf"^{field}: saw nothing, expected"):
            decode(topic, {name: value for name, value in fields.items() if name != field})


@pytest.mark.parametrize(
    ("entry", "seen"), [(3, "3"), ("", '""'), ("a\x00b", '"a\\u0000b"'), (None, "null"), ("é" * 200, None)]
)
def test_wrong_entry_of_a_list_is_named_by_its_place(entry: object, seen: str | None) -> None:
    with pytest.raises(DecodeError) as error:
        decode("impressions", fields_of(EVENTS["impressions"]) | {"item_ids": ["i1", entry]})
    assert error.value.field == "item_ids[1]"
    assert seen is None or error.value.seen == seen


@pytest.mark.parametrize("action", ["add", "remove"])
def test_only_a_purchase_can_be_negative(action: str) -> None:
    fields = fields_of(EVENTS["carts"]) | {"action": action, "quantity": -1}
    with pytest.raises(DecodeError, match=r"^quantity: saw -1, expected .* for a purchase"):
        decode("carts", fields)
    decode("carts", fields | {"action": "purchase"})
    with pytest.raises(DecodeError, match=r"^quantity: saw 0"):
        decode("carts", fields | {"action": "purchase", "quantity": 0})


CLICK_JSON = encode(EVENTS["clicks"])
CART_JSON = encode(EVENTS["carts"])
WRONG_VALUES = [
    ("clicks", None, "value: saw null, expected a JSON object"),
    ("clicks", b"", "value: saw '', expected a JSON object"),
    ("clicks", b"click!", "value: saw 'click!', expected a JSON object"),
    ("clicks", b"{'event_id': 1}", "value: saw \"{'event_id': 1}\", expected a JSON object"),
    ("clicks", CLICK_JSON[:-1], 'value: saw \'{"event_id":'),
    ("clicks", CLICK_JSON + b"}", 'value: saw \'{"event_id":'),
    ("clicks", b"\xef\xbb\xbf" + CLICK_JSON, "value: saw '\\\\xef\\\\xbb\\\\xbf{"),
    ("clicks", CLICK_JSON.decode().encode("utf-16"), "value: saw byte 0xff at 0, expected a JSON object in UTF-8"),
    ("clicks", CLICK_JSON.replace(b'"i1"', b'"i\xff"'), "value: saw byte 0xff at "),
    ("clicks", b"[]", "value: saw [], expected a JSON object"),
    ("clicks", b"null", "value: saw null, expected a JSON object"),
    ("clicks", b"17", "value: saw 17, expected a JSON object"),
    ("clicks", b'"text"', 'value: saw "text", expected a JSON object'),
    ("clicks", b"[" * 100_000, "value: saw "),
    ("clicks", CLICK_JSON[:-1] + b',"new":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "value: saw "),
    ("clicks", CLICK_JSON[:-1] + b',"new":NaN}', "value: saw "),
    ("clicks", CLICK_JSON.replace(b'"i1"', b'"i\n1"'), 'item_id: saw "i\\\\n1", expected 1 to 256 bytes'),
    ("clicks", b'{"event_id":1,"event_id":"e1"}', 'event_id: saw "e1", expected'),
    ("carts", CART_JSON.replace(b"9.99", b"1e999"), "unit_price: saw Infinity, expected a finite number"),
    ("carts", CART_JSON.replace(b"9.99", b"NaN"), "unit_price: saw NaN, expected a finite number"),
    ("carts", CART_JSON.replace(b":2,", b":" + b"9" * 5000 + b","), 'quantity: saw "99999'),
    ("carts", CART_JSON.replace(b":2,", b":1e2,"), "quantity: saw 100.0, expected a whole number"),
    ("reviews", b" " * 5_000_000, "value: saw 5000000 bytes, expected at most 1000000 bytes"),
    (
        "impressions",
        b'{"event_id":"e","user_id":"u1","list_id":"l","item_ids":[3],"item_ids":[],"occurred_at_ms":1}',
        "item_ids: saw [], expected a list",
    ),
]


@pytest.mark.parametrize(("topic", "value", "reason"), WRONG_VALUES)
def test_value_that_is_no_record_says_what_it_was(topic: str, value: bytes | None, reason: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode_event(topic, b"u1", value, NOW_MS)
    assert str(error.value).startswith(reason.replace("\\\\", "\\"))
    assert len(error.value.seen) <= 80


def test_value_of_exactly_the_largest_size_is_taken() -> None:
    padded = CLICK_JSON[:-1] + b',"new":"'
    padded += b"x" * (MAX_VALUE_BYTES - len(padded) - 2) + b'"}'
    assert len(padded) == MAX_VALUE_BYTES
    assert decode_event("clicks", b"u1", padded, NOW_MS).event == EVENTS["clicks"]
    with pytest.raises(DecodeError, match=r"^value: saw 1000001 bytes"):
        decode_event("clicks", b"u1", padded + b" ", NOW_MS)


@pytest.mark.parametrize(
    ("key", "seen"), [(None, "null"), (b"", '""'), (b"u2", '"u2"'), (b"u1\xff", '"u1\\\\xff"'), (b'"u1"', '"\\"u1\\""')]
)
def test_key_must_be_the_bytes_of_the_user_id(key: bytes | None, seen: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode_event("clicks", key, CLICK_JSON, NOW_MS)
    assert str(error.value) == f'key: saw {seen}, expected the bytes of user_id "u1"'


@pytest.mark.parametrize(
    ("field", "value", "seen"),
    [
        ("item_id", "", '""'),
        ("title", "", '""'),
        ("title", "x" * 1001, '"' + "x" * 78 + "…"),
        ("title", "Blue\x00mug", '"Blue\\u0000mug"'),
        ("title", None, "null"),
        ("category", "", '""'),
        ("category", "mugs\n", '"mugs\\n"'),
        ("brand", 3, "3"),
        ("price", -1, "-1"),
        ("price", float("nan"), "NaN"),
        ("price", "4.50", '"4.50"'),
        ("in_stock", 1, "1"),
        ("in_stock", "yes", '"yes"'),
        ("published_at_ms", 0, "0"),
        ("published_at_ms", 2**60, str(2**60)),
        ("description", "x" * 20_001, '"' + "x" * 78 + "…"),
        ("list_price", -0.5, "-0.5"),
        ("promotion_id", "", '""'),
        ("promotion_id", "a\nb", '"a\\nb"'),
        ("promotion_from_ms", 0, "0"),
        ("promotion_until_ms", 1.5, "1.5"),
    ],
)
def test_wrong_field_of_an_item_is_named(field: str, value: object, seen: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode_item(b"i1", json.dumps(fields_of(ITEM) | {field: value}).encode())
    assert str(error.value) == f"{field}: saw {seen}, expected {EXPECTED[field]}"


@pytest.mark.parametrize(("from_ms", "until_ms"), [(NOW_MS, None), (None, NOW_MS), (NOW_MS, NOW_MS + 1)])
def test_item_on_offer_comes_back_as_it_was_sent(from_ms: int | None, until_ms: int | None) -> None:
    offered = msgspec.structs.replace(
        ITEM, list_price=6.0, promotion_id="spring", promotion_from_ms=from_ms, promotion_until_ms=until_ms
    )
    assert decode_item(b"i1", encode(offered)) == offered


def test_item_published_before_promotions_were_known_has_none() -> None:
    old = b'{"item_id":"i1","title":"Blue mug","in_stock":true,"published_at_ms":1700000000000,"price":4.5}'
    item = decode_item(b"i1", old)
    assert isinstance(item, Item)
    assert (item.list_price, item.promotion_id, item.promotion_from_ms, item.promotion_until_ms) == (None,) * 4


@pytest.mark.parametrize("until_ms", [NOW_MS, NOW_MS - 1])
def test_promotion_must_end_after_it_begins(until_ms: int) -> None:
    fields = fields_of(ITEM) | {"promotion_id": "p", "promotion_from_ms": NOW_MS, "promotion_until_ms": until_ms}
    with pytest.raises(DecodeError) as error:
        decode_item(b"i1", json.dumps(fields).encode())
    assert str(error.value) == (
        f"promotion_until_ms: saw {until_ms}, expected a time after promotion_from_ms, {NOW_MS}"
    )


@pytest.mark.parametrize("key", [None, b"", b"x" * 257, b"\xff", b"a\x00"])
def test_item_cannot_be_removed_without_a_valid_key(key: bytes | None) -> None:
    with pytest.raises(DecodeError, match=r"^key: saw .*, expected the item_id's bytes"):
        decode_item(key, None)


def test_key_of_an_item_must_be_its_id() -> None:
    with pytest.raises(DecodeError, match=r'^key: saw "i2", expected the bytes of item_id "i1"'):
        decode_item(b"i2", encode(ITEM))


def test_every_field_of_the_contract_says_what_it_expects() -> None:
    fields = {field for kind in (*TOPICS.values(), Item) for field in kind.__struct_fields__}
    assert fields < EXPECTED.keys()


def outcome_of(topic: str, payload: bytes) -> Event | DecodeError:
    try:
        return decode_event(topic, b"u1", payload, NOW_MS).event
    except DecodeError as error:
        return error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(value=st.binary() | JSON.map(lambda made: json.dumps(made).encode()), key=st.none() | st.binary())
def test_any_bytes_are_an_event_or_a_reason(value: bytes, key: bytes | None) -> None:
    for topic in TOPICS:
        with pytest.raises(DecodeError):
            decode_event(topic, key, value, NOW_MS)


@given(data=st.data(), topic=st.sampled_from(sorted(TOPICS)))
def test_any_change_of_one_field_is_an_event_or_a_reason_that_names_it(data: st.DataObject, topic: str) -> None:
    fields = fields_of(EVENTS[topic])
    field = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(JSON)
    payload = json.dumps(fields | {field: value}).encode()
    outcome = outcome_of(topic, payload)
    if isinstance(outcome, DecodeError):
        assert outcome.field.partition("[")[0] in {field, "key"}
        assert len(outcome.seen) <= 80
        assert str(outcome).isascii() or "…" in str(outcome)
    else:
        assert outcome_of(topic, encode(outcome)) == outcome
