"""Answers for people: a user_id in; the list as it stands, with titles, or the features, out."""

from __future__ import annotations

import msgspec

from feature_repo.online import OnlineFeatures, open_feature_store
from streams.item_lists import POPULAR_SCENE
from streams.runtime import online_config
from streams.settings import Settings
from streams.store import RecommendedItem, Store


class NoAnswer(LookupError):
    """Nothing is known that would answer the question: says what was looked for and what to do."""


class Place(msgspec.Struct, frozen=True):
    """One place of a list, as a person reads it."""

    item_id: str
    title: str
    score: float
    reason: str


class Recommendation(msgspec.Struct, frozen=True):
    """A user's list, or what is popular when they have none (then without a cause)."""

    user_id: str
    scene: str
    list_id: str | None
    caused_by: str | None
    event_at_ms: int | None
    written_at_ms: int | None
    model_version: str | None
    items: list[Place]


def recommendation(settings: Settings, user_id: str, scene: str = "home") -> Recommendation:
    """Read a user's list, or what is popular when there is none.

    Raises
    ------
    NoAnswer
        When there is no popular list either.
    """
    store = Store(settings)
    online = open_feature_store(online_config(settings), store.session)
    try:
        found = store.read_list(user_id, scene)
        if found is not None:
            return Recommendation(
                user_id,
                scene,
                found.list_id,
                found.caused_by,
                found.event_at_ms,
                found.written_at_ms,
                found.model_version,
                _places(found.items, online),
            )
        popular = store.read_item_list(POPULAR_SCENE)
        if not popular:
            raise NoAnswer(
                f"user {user_id!r} has no list and nothing is popular yet: run a worker (`lastclick worker`) and "
                "send events (`lastclick replay shop`)"
            )
        return Recommendation(user_id, POPULAR_SCENE, None, None, None, None, None, _places(popular, online))
    finally:
        online.close()
        store.close()


def features(settings: Settings, user_id: str) -> dict[str, float | str | None]:
    """Read a user's features through Feast.

    Raises
    ------
    NoAnswer
        When none are stored.
    """
    online = open_feature_store(online_config(settings))
    try:
        values = online.read_user(user_id)
    finally:
        online.close()
    if all(value is None for value in values.values()):
        raise NoAnswer(
            f"user {user_id!r} has no features in {settings.keyspace}: no event of theirs was processed yet; "
            "is a worker running (`lastclick status`)?"
        )
    return values


def _places(items: tuple[RecommendedItem, ...], online: OnlineFeatures) -> list[Place]:
    titles = [str(card.get("title") or "") for card in online.read_items([item.item_id for item in items])]
    return [Place(i.item_id, title, i.score, i.reason) for i, title in zip(items, titles, strict=True)]
