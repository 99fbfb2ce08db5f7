"""What an explanation is made of, as the running system has it: a user_id in; state, list, model, items, events out.

Only reads: workers do not notice. The catalogue is read whole, and the user's partitions from the oldest event on that
the state remembers.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from feature_repo.events import Cart, Click, DecodeError, Event, Impression, decode_event
from feature_repo.history import ACTIONS, CLICK, REVIEW, Entry
from feature_repo.ledger import hash_event_id
from feature_repo.state import UserState, decode_state
from scorer.recommender import Recommender
from streams.catalogue import Catalogue
from streams.explain import Known, explain
from streams.explanation import Explanation
from streams.item_lists import POPULAR_SCENE
from streams.lists import SCENE, ListRules
from streams.loading import load_models
from streams.occlusion import occlude
from streams.readback import Progress, TopicReader
from streams.release_topic import read_releases
from streams.rule_effects import RuleEffects
from streams.rules import Rules
from streams.settings import Settings
from streams.store import RecommendationList, RecommendedItem, Store
from streams.topics import CATALOGUE, RULES

CLOCKS_APART_MS = 300_000
"""How far an event's time may be ahead of the broker's when it was appended (`feature_repo.events`)."""


class UnknownUser(LookupError):
    """A user of whom no event was processed: says who, and what to do."""


def explain_item(settings: Settings, user_id: str, item_id: str, progress: Progress) -> Explanation:
    """Explain an item for a user, from what Kafka, Cassandra and the models hold.

    Parameters
    ----------
    progress
        Told records of topics read so far, and in all.

    Raises
    ------
    UnknownUser, streams.explain.UnknownItem
        With what was looked for and what to do.
    StoreError, ReadbackError, BundleError
        When something does not answer or cannot be loaded.
    """
    store = Store(settings)
    try:
        stored_state = store.read_states([user_id]).get(user_id)
        stored = store.read_list(user_id, SCENE)
        popular = store.read_item_list(POPULAR_SCENE)
    finally:
        store.close()
    if stored_state is None:
        raise UnknownUser(
            f"user {user_id!r}: saw no state in keyspace {settings.keyspace}, expected one: no event of theirs was "
            "processed yet; check the id, or send an event and see that a worker runs (`lastclick status`)"
        )
    state = decode_state(stored_state.state)
    loaded = load_models(settings, read_releases(settings))
    catalogue = read_catalogue(settings, loaded.recommender, loaded.text_encoder.weights_sha256, progress)
    known = known_of(user_id, state, stored, popular, catalogue, loaded.recommender, settings)
    if catalogue.item(item_id) is None:
        return explain(known, item_id)  # which says so, before long reading
    effects = RuleEffects(read_rules(settings, progress)).of(SCENE, catalogue, time.time_ns() // 1_000_000)
    event_ids = read_event_ids(settings, user_id, state, progress)
    return explain(replace(known, event_ids=event_ids, effects=effects), item_id)


def known_of(
    user_id: str,
    state: UserState,
    stored: RecommendationList | None,
    popular: tuple[RecommendedItem, ...],
    catalogue: Catalogue,
    recommender: Recommender,
    settings: Settings,
) -> Known:
    """Put together what an explanation needs, ids of events left out; scores the user."""
    scores = np.zeros(len(catalogue.in_stock), np.float32)
    scores[catalogue.table.rows(item.item_id for item in popular)] = [item.score for item in popular]
    return Known(
        user_id,
        state,
        occlude(state, catalogue, recommender),
        catalogue,
        stored,
        ListRules(settings.list_size, settings.category_share, settings.diversity),
        scores,
        {},
    )


def read_catalogue(settings: Settings, recommender: Recommender, encoder: str, progress: Progress) -> Catalogue:
    """Read the catalogue to its end; ``encoder`` is the sha256 of the text encoder's graph."""
    catalogue = Catalogue(recommender, encoder)
    reader = TopicReader(settings, [(CATALOGUE, None)])
    try:
        reader.read_on(catalogue.apply, progress)
    finally:
        reader.close()
    catalogue.refresh()
    return catalogue


def read_rules(settings: Settings, progress: Progress) -> Rules:
    """Read the shop's rules to their end."""
    rules = Rules()
    reader = TopicReader(settings, [(RULES, None)])
    try:
        reader.read_on(rules.apply, progress)
    finally:
        reader.close()
    return rules


def read_event_ids(settings: Settings, user_id: str, state: UserState, progress: Progress) -> dict[Entry, str]:
    """Find the ids of the events that a state's history was made of, as far as the topics still hold them."""
    wanted = {(entry.ms, entry.event_hash, entry.action, entry.item_id): entry for entry in state.history}
    found: dict[Entry, str] = {}
    if not wanted:
        return found
    key = user_id.encode()

    def take(record: Any) -> None:
        if record.key != key:
            return
        try:
            event = decode_event(record.topic, record.key, record.value, record.timestamp).event
        except DecodeError:
            return  # a dead letter is in no state
        key_of_entry = _entry_key(event)
        entry = None if key_of_entry is None else wanted.get(key_of_entry)
        if entry is not None:
            found.setdefault(entry, event.event_id)

    reader = TopicReader(settings, _sources(state), max(0, state.history[0].ms - CLOCKS_APART_MS))
    try:
        reader.read_on(take, progress)
    finally:
        reader.close()
    return found


def _sources(state: UserState) -> list[tuple[str, list[int]]]:
    """Topics and partitions that the state has taken events from."""
    partitions: dict[str, list[int]] = {}
    for source in state.offsets:
        topic, _, partition = source.rpartition("-")
        partitions.setdefault(topic, []).append(int(partition))
    return list(partitions.items())


def _entry_key(event: Event) -> tuple[int, int, int, str] | None:
    """What tells the entry that a state made of an event: time, hash, action and item; None of an event without one."""
    if isinstance(event, Impression):
        return None
    action = CLICK if isinstance(event, Click) else REVIEW
    if isinstance(event, Cart):
        action = ACTIONS.index(event.action)
    event_hash = hash_event_id(type(event).__name__, event.event_id)
    return event.occurred_at_ms, int.from_bytes(event_hash[-4:], "big"), action, event.item_id
