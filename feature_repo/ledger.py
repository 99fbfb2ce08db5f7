"""Ids of recent events -> whether an event was already taken in, for producers that send twice.

The ledger is one sorted run of 14-byte records: event time in ms (6 bytes), then a hash of the id (8
bytes), both big-endian, so that records sort as (ms, hash). It is stored, searched and cut as bytes and
never unpacked. The oldest records by event time leave first, so its content is the same for every order of
arrival; a repeat of an event older than that is no longer known by its id, only by its offset.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import blake2b

LEDGER_LIMIT = 16_384
TIME_BYTES = 6
HASH_BYTES = 8
RECORD_BYTES = TIME_BYTES + HASH_BYTES


def hash_event_id(kind: str, event_id: str) -> bytes:
    """Hash an event's id to 8 bytes; `kind` keeps equal ids of two topics apart."""
    return blake2b(f"{kind}:{event_id}".encode(), digest_size=HASH_BYTES).digest()


def contains(ledger: bytearray, event_hash: bytes) -> bool:
    """Whether an event with this 8-byte hash is in `ledger`, whatever its time."""
    at = ledger.find(event_hash)
    while at >= 0:
        if at % RECORD_BYTES == TIME_BYTES:
            return True
        at = ledger.find(event_hash, at + 1)
    return False


def insert(ledger: bytearray, occurred_at_ms: int, event_hash: bytes) -> None:
    """Put an event into `ledger` in place, and drop the oldest one when that makes it too long."""
    record = occurred_at_ms.to_bytes(TIME_BYTES, "big") + event_hash
    if record > ledger[-RECORD_BYTES:]:
        ledger += record
    else:
        place = RECORD_BYTES * bisect_left(
            range(len(ledger) // RECORD_BYTES),
            record,
            key=lambda index: bytes(ledger[RECORD_BYTES * index : RECORD_BYTES * (index + 1)]),
        )
        ledger[place:place] = record
    if len(ledger) > RECORD_BYTES * LEDGER_LIMIT:
        del ledger[:RECORD_BYTES]
