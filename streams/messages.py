"""Values of the output topics: what the flow knows in, the contract's JSON out."""

from __future__ import annotations

import base64

import msgspec


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """Value of the ``scores`` topic: one per event that caused it and kind, so ``score_id`` repeats on a retry.

    ``value`` is a probability for ``propensity``, and in [-1, 1] for ``sentiment``. ``features`` are those it was
    computed from.
    """

    score_id: str
    user_id: str
    kind: str
    value: float
    label: str
    model_version: str
    caused_by: str
    occurred_at_ms: int
    features: dict[str, float] | None = None
    item_id: str | None = None


class ListNotice(msgspec.Struct, frozen=True):
    """Value of the ``recommendations`` topic: a user's list changed."""

    user_id: str
    scene: str
    list_id: str
    caused_by: str


class DeadLetter(msgspec.Struct, frozen=True):
    """Value of the ``dead-letters`` topic: the original bytes in base64, where they were, and why they were refused."""

    topic: str
    partition: int
    offset: int
    field: str
    reason: str
    key_base64: str | None
    value_base64: str | None


def dead_letter(
    topic: str, partition: int, offset: int, field: str, reason: str, key: bytes | None, value: bytes | None
) -> DeadLetter:
    """Make a dead letter of a record's original bytes."""
    return DeadLetter(topic, partition, offset, field, reason, _base64(key), _base64(value))


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")
