"""Records as Kafka holds them, and messages as the flow wants them appended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """A record of an input topic as Kafka holds it; ``appended_at_ms`` by the broker's clock.

    ``poison``: the process died on it, so it is refused unread (`streams.poison`).
    """

    topic: str
    partition: int
    offset: int
    appended_at_ms: int
    key: bytes | None
    value: bytes | None
    poison: bool = False


@dataclass(frozen=True)
class Message:
    """What the flow wants appended to an output topic, in a partition of its choice or in that of the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


Produce = Callable[[Sequence[Message]], Awaitable[None]]
"""Appends messages and returns when the broker has acknowledged all of them."""
