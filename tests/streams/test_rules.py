"""Rules as the topic has them: what is no rule names the field, what is one holds in its scenes and its time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feature_repo.event_errors import EXPECTED
from feature_repo.events import DecodeError
from streams.rules import SCENES, Rule, Rules, decode_rule, encode_rule
from tests.streams.fakes import NOW_MS, consumed

BOOST = {"rule_id": "r", "kind": "boost", "brand": "Kiln", "factor": 2.0}
PIN = {"rule_id": "r", "kind": "pin", "item_id": "cup", "position": 0}
BLOCK = {"rule_id": "r", "kind": "block", "category": "cups"}


def decode(fields: dict[str, Any], key: bytes = b"r") -> Rule:
    return decode_rule(key, json.dumps(fields).encode())


@pytest.mark.parametrize("fields", [BOOST, PIN, BLOCK, BOOST | {"kind": "bury", "factor": 0.5}])
def test_rule_comes_back_as_it_was_sent(fields: dict[str, Any]) -> None:
    rule = decode(fields | {"scenes": ["home", "new"], "from_ms": 1, "until_ms": 2, "note": "summer"})

    assert decode_rule(b"r", encode_rule(rule)) == rule
    assert (rule.kind, rule.scenes, rule.note) == (fields["kind"], ("home", "new"), "summer")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (BOOST | {"kind": "hide"}, f'kind: saw "hide", expected {EXPECTED["kind"]}'),
        (BOOST | {"scenes": ["home", "nowhere"]}, f'scenes[1]: saw "nowhere", expected {EXPECTED["scenes"]}'),
        (BOOST | {"factor": 1}, "factor: saw 1.0, expected a number over 1 for a boost"),
        (BOOST | {"factor": 0}, f"factor: saw 0, expected {EXPECTED['factor']}"),
        (BOOST | {"kind": "bury", "factor": 1e-46}, f"factor: saw 1e-46, expected {EXPECTED['factor']}"),
        (BOOST | {"factor": 1e9}, f"factor: saw 1000000000.0, expected {EXPECTED['factor']}"),
        (BOOST | {"factor": None}, "factor: saw null, expected a number over 1 for a boost"),
        (BOOST | {"kind": "bury"}, "factor: saw 2.0, expected a number under 1 for a bury"),
        (BLOCK | {"factor": 2.0}, "factor: saw 2.0, expected nothing, for a block"),
        (BLOCK | {"position": 2}, "position: saw 2, expected nothing, for a block"),
        (PIN | {"position": None}, f"position: saw nothing, expected {EXPECTED['position']}, not null, for a pin"),
        (PIN | {"position": -1}, f"position: saw -1, expected {EXPECTED['position']}"),
        (
            BLOCK | {"kind": "pin", "position": 1},
            'category: saw "cups", expected item_id: only a single item can be pinned',
        ),
        (PIN | {"scenes": ["similar"]}, 'scenes: saw ["similar"], expected none of similar, bought_with for a pin'),
        (
            PIN | {"brand": "Kiln"},
            "item_id: saw item_id, brand, expected exactly one of item_id, category and brand",
        ),
        (
            {"rule_id": "r", "kind": "block"},
            "item_id: saw nothing, expected exactly one of item_id, category and brand",
        ),
        (BLOCK | {"category": "a\nb"}, f'category: saw "a\\nb", expected {EXPECTED["category"]}'),
        (BLOCK | {"note": "x" * 201}, 'note: saw "' + "x" * 78 + f"…, expected {EXPECTED['note']}"),
        (BLOCK | {"from_ms": 5, "until_ms": 5}, "until_ms: saw 5, expected a time after from_ms, 5"),
        (BLOCK | {"from_ms": "now"}, f'from_ms: saw "now", expected {EXPECTED["from_ms"]}'),
        ({"rule_id": "r"}, f"kind: saw nothing, expected {EXPECTED['kind']}"),
        (BLOCK | {"rule_id": "other"}, 'key: saw "r", expected the bytes of rule_id "other"'),
    ],
)
def test_what_is_no_rule_names_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode(fields)
    assert str(error.value) == said


@pytest.mark.parametrize("value", [b"", b"[]", b"\xff", b'{"rule_id"', b"[" * 5000, b" " * 10_001])
def test_any_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^value: saw"):
        decode_rule(b"r", value)


def test_rule_holds_in_its_scenes_and_its_time() -> None:
    rule = decode(BOOST | {"scenes": ["home"], "from_ms": NOW_MS, "until_ms": NOW_MS + 2})

    assert [rule.holds("home", NOW_MS + after) for after in (-1, 0, 1, 2)] == [False, True, True, False]
    assert not rule.holds("new", NOW_MS)


def test_rule_without_scenes_holds_in_all_and_a_pin_in_those_of_no_item() -> None:
    assert all(decode(BLOCK).holds(scene, NOW_MS) for scene in SCENES)
    assert [scene for scene in SCENES if not decode(PIN).holds(scene, NOW_MS)] == ["similar", "bought_with"]


def test_newest_value_of_a_rule_holds_and_null_removes_it() -> None:
    rules = Rules()
    rules.apply(consumed(b"r", json.dumps(BLOCK).encode()))
    rules.apply(consumed(b"r", json.dumps(BOOST).encode()))
    assert [rule.kind for rule in rules.holding("home", NOW_MS)] == ["boost"]

    rules.apply(consumed(b"r", None))

    assert rules.holding("home", NOW_MS) == ()


def test_bad_rule_is_refused_in_words_and_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    rules = Rules()
    rules.apply(consumed(b"good", json.dumps(BLOCK | {"rule_id": "good"}).encode()))

    rules.apply(consumed(b"bad", b'{"rule_id":"bad","kind":"hide"}'))
    rules.apply(consumed(b"\xff", b"{}"))

    assert [rule.rule_id for rule in rules.holding("home", NOW_MS)] == ["good"]
    assert 'kind: saw "hide", expected one of' in caplog.text
    assert "nothing of it is applied" in caplog.text


def test_bad_value_takes_the_former_rule_along_as_it_would_after_a_restart() -> None:
    rules = Rules()
    rules.apply(consumed(b"r", json.dumps(BLOCK).encode()))
    rules.apply(consumed(b"r", b"{}"))

    assert rules.holding("home", NOW_MS) == ()
