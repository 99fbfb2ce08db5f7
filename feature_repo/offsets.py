"""Positions of records in Kafka -> whether a record was already taken in, and a clock that never goes back.

What was taken in is the last offset of each topic and partition. A user's records of a topic come from one
partition; the partition is kept too, so that a topic given more partitions is not mistaken for a replay.
"""

from __future__ import annotations

from typing import NamedTuple

Offsets = dict[str, int]
"""Last offset taken in, by topic and partition, as in ``clicks-3``."""


class Position(NamedTuple):
    """Where a record stands in Kafka."""

    topic: str
    partition: int
    offset: int


def advance(offsets: Offsets, position: Position) -> bool:
    """Note `position` as taken in, in place; False when it, or a later one, had been already."""
    source = f"{position.topic}-{position.partition}"
    if position.offset <= offsets.get(source, -1):
        return False
    offsets[source] = position.offset
    return True


def logical_clock(offsets: Offsets) -> int:
    """Count the records that can have been taken in: the sum of (last offset + 1)."""
    return sum(offsets.values()) + len(offsets)
