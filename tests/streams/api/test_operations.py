"""The operator's figures and dead letters, without a broker."""

from __future__ import annotations

import base64

import msgspec
import pytest
from aiokafka import ConsumerRecord

from streams.api.gauges import Bucket, freshness, quantile_ms
from streams.api.letters import VALUE_MAX, LettersUnread, original, readable
from streams.messages import DeadLetter

INFINITE = float("inf")


def test_freshness_is_that_of_the_events_between_two_looks() -> None:
    before = {0.01: 100.0, 0.1: 100.0, INFINITE: 100.0}
    now = {0.01: 100.0, 0.1: 190.0, INFINITE: 200.0}

    seen = freshness(before, now)

    assert seen.buckets == [Bucket(10.0, 0), Bucket(100.0, 90), Bucket(None, 10)]
    assert seen.p50_ms == pytest.approx(60.0)
    assert seen.p99_ms == 100.0


def test_without_events_there_is_no_freshness() -> None:
    assert freshness({0.1: 5.0, INFINITE: 5.0}, {0.1: 5.0, INFINITE: 5.0}).p50_ms is None
    assert quantile_ms({}, 0.5) is None


def test_worker_that_counts_from_the_start_again_makes_nothing_negative() -> None:
    seen = freshness({0.1: 50.0, INFINITE: 60.0}, {0.1: 3.0, INFINITE: 4.0})

    assert [bucket.count for bucket in seen.buckets] == [0, 0]


def letter(value: bytes | None, topic: str = "clicks") -> DeadLetter:
    encoded = None if value is None else base64.b64encode(value).decode()
    return DeadLetter(
        topic, 3, 14, "item_id", "item_id: saw 3, expected text", base64.b64encode(b"ann").decode(), encoded
    )


def record(value: DeadLetter) -> ConsumerRecord:
    encoded = msgspec.json.encode(value)
    return ConsumerRecord("dead-letters", 1, 7, 1_700, 0, b"ann", encoded, None, 3, len(encoded), ())


def test_letter_is_readable_with_its_own_place_and_that_of_the_original() -> None:
    shown = readable(record(letter(b'{"item_id": 3}\x00\xff')))

    assert (shown.partition, shown.offset, shown.original_partition, shown.original_offset) == (1, 7, 3, 14)
    assert (shown.topic, shown.field, shown.key) == ("clicks", "item_id", "ann")
    assert shown.value == '{"item_id": 3}\ufffd\ufffd'
    assert shown.value_bytes == 16


def test_long_and_absent_values_can_be_shown() -> None:
    assert len(readable(record(letter(b"x" * 100_000))).value or "") == VALUE_MAX
    assert readable(record(letter(None))).value is None


def test_original_is_what_was_refused_to_the_byte() -> None:
    assert original(letter(b"\x00\xff{")) == ("clicks", b"ann", b"\x00\xff{")
    with pytest.raises(LettersUnread, match="releases"):
        original(letter(b"", topic="releases"))
