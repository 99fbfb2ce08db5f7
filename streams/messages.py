"""Values of the output topics: what the flow knows in, the contract's JSON out."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from feature_repo.events import DecodeError, Review
from feature_repo.features import FeatureRow
from scorer.aspects import Mention
from streams.records import Message, Record
from streams.topics import DEAD_LETTERS


class AspectValue(msgspec.Struct, frozen=True):
    """One of the things that a review is about: ``label`` and ``value`` as in a score of kind ``sentiment``.

    ``probability``: that the review is about it, over one half.
    """

    aspect: str
    label: str
    value: float
    probability: float


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """Value of the ``scores`` topic: one per event that caused it and kind, so ``score_id`` repeats on a retry.

    ``value`` is a probability for ``propensity``, and in [-1, 1] for ``sentiment`` and ``aspects``. ``features`` are
    those it was computed from.
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
    aspects: tuple[AspectValue, ...] | None = None


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


def refused(record: Record, error: DecodeError) -> Message:
    """Dead letter of a record that breaks the contract."""
    letter = DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        field=error.field,
        reason=str(error),
        key_base64=_base64(record.key),
        value_base64=_base64(record.value),
    )
    return Message(DEAD_LETTERS, record.key, msgspec.json.encode(letter))


def for_user(topic: str, user_id: str, partition: int, value: msgspec.Struct) -> Message:
    """Message about a user, in the partition that the user's events came from."""
    return Message(topic, user_id.encode(), msgspec.json.encode(value), partition)


def sentiment_score(review: Review, value: float, label: str, model_version: str) -> Score:
    """Score of a review's text; ``value`` in [-1, 1]."""
    return Score(
        score_id=f"sentiment:{review.event_id}",
        user_id=review.user_id,
        kind="sentiment",
        value=value,
        label=label,
        model_version=model_version,
        caused_by=review.event_id,
        occurred_at_ms=review.occurred_at_ms,
        item_id=review.item_id,
    )


def aspects_score(review: Review, mentions: Sequence[Mention], model_version: str) -> Score:
    """Score of what a review is about: ``label`` names it, ``value`` is the mood of what it likes least.

    About nothing, ``label`` is ``none`` and ``value`` 0.
    """
    aspects = aspect_values(mentions)
    return Score(
        score_id=f"aspects:{review.event_id}",
        user_id=review.user_id,
        kind="aspects",
        value=min((each.value for each in aspects), default=0.0),
        label=", ".join(each.aspect for each in aspects) or "none",
        model_version=model_version,
        caused_by=review.event_id,
        occurred_at_ms=review.occurred_at_ms,
        item_id=review.item_id,
        aspects=aspects,
    )


def aspect_values(mentions: Sequence[Mention]) -> tuple[AspectValue, ...]:
    """What a text is about, as messages and answers say it."""
    return tuple(AspectValue(each.aspect, each.label, each.score, each.probability) for each in mentions)


def propensity_score(
    user_id: str, value: float, label: str, model_version: str, caused_by: str, now_ms: int, features: FeatureRow
) -> Score:
    """Score of a user as of their newest event; ``value`` is the probability of a purchase within 24 hours."""
    return Score(
        score_id=f"propensity:{caused_by}",
        user_id=user_id,
        kind="propensity",
        value=value,
        label=label,
        model_version=model_version,
        caused_by=caused_by,
        occurred_at_ms=now_ms,
        features=dict(zip(features.names, features.numbers.tolist(), strict=True)),
    )


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")
