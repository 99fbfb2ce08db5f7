"""The ledger of event ids: found by hash only, sorted, and cut from its oldest end."""

from __future__ import annotations

import random

import pytest

from feature_repo import ledger
from feature_repo.ledger import RECORD_BYTES, contains, hash_event_id, insert


def test_ids_are_found_in_any_order_of_insertion() -> None:
    records = [(1_000 + number % 7, hash_event_id("Click", str(number))) for number in range(200)]
    ledgers = []
    for seed in range(3):
        random.Random(seed).shuffle(records)
        filled = bytearray()
        for ms, event_hash in records:
            assert not contains(filled, event_hash)
            insert(filled, ms, event_hash)
            assert contains(filled, event_hash)
        ledgers.append(bytes(filled))
    assert ledgers[0] == ledgers[1] == ledgers[2]
    cut = [ledgers[0][at : at + RECORD_BYTES] for at in range(0, len(ledgers[0]), RECORD_BYTES)]
    assert cut == sorted(ms.to_bytes(6, "big") + event_hash for ms, event_hash in records)


def test_bytes_that_only_look_like_a_hash_are_not_one() -> None:
    filled = bytearray()
    insert(filled, 0x010203040506, b"ABCDEFGH")
    insert(filled, 0x010203040507, b"IJKLMNOP")
    across_fields, across_records = bytes(filled[4:12]), bytes(filled[10:18])
    assert not contains(filled, across_fields)
    assert not contains(filled, across_records)
    insert(filled, 0x010203040508, across_fields)
    assert contains(filled, across_fields)


def test_oldest_by_event_time_leaves_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LEDGER_LIMIT", 2)
    filled = bytearray()
    hashes = {ms: hash_event_id("Click", str(ms)) for ms in (30, 10, 20, 5)}
    for ms, event_hash in hashes.items():
        insert(filled, ms, event_hash)
    assert [contains(filled, hashes[ms]) for ms in (30, 20, 10, 5)] == [True, True, False, False]


def test_kinds_of_events_keep_equal_ids_apart() -> None:
    assert hash_event_id("Click", "1") != hash_event_id("Cart", "1")
