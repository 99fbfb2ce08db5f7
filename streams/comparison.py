"""Users of a running system in; each feature that Feast serves of them, beside a recompute from the topics, out.

The users' events are read back and run through the same `update` and `features`. It is exact while workers run, because
the state, written together with the features, carries the offsets it has taken in. A difference counts once it was seen
twice with nothing written in between.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from cassandra.concurrent import execute_concurrent_with_args
from kafka import TopicPartition

from feature_repo.events import Review
from feature_repo.features import FEATURES, GROUPS
from feature_repo.online import FeatureValues, OnlineFeatures
from feature_repo.state import Position, UserState, decode_state, update
from streams.lag import GroupLag
from streams.lists import SCENE
from streams.readback import Pasts, Progress, Shelf
from streams.runtime import online_config
from streams.settings import Settings
from streams.store import Store
from streams.topics import USER_TOPICS

ROUNDS = 5
PAUSE_S = 1.0
"""Seconds between two looks at users that differ: longer than a micro-batch takes to write all it writes."""

SETTLED_MS = 10_000
"""An item is taken for changed in this time before a list was written too: the worker may have seen it or not."""

FEATURES_A_READ = 200
MOVING = "moving"

Difference = tuple[float | str | None, float | str]
"""What is served, and what the recompute gives."""

Outcome = str | dict[str, Difference]
"""Why a user cannot be compared, or every feature of theirs."""


class FeatureParity(msgspec.Struct):
    """One feature over all users compared; ``largest_difference`` of numbers, ``example`` the user who has it."""

    feature: str
    compared: int = 0
    differing: int = 0
    largest_difference: float | None = None
    example: str | None = None
    served: float | str | None = None
    recomputed: float | str | None = None

    def note(self, user_id: str, served: float | str | None, recomputed: float | str) -> None:
        """Count a user whose value differs."""
        self.differing += 1
        numbers = isinstance(served, float) and isinstance(recomputed, float)
        distance = abs(served - recomputed) if numbers else None  # type: ignore[operator]  # both are, says `numbers`
        if self.example is None or (distance is not None and distance > (self.largest_difference or 0)):
            self.largest_difference, self.example = distance, user_id
            self.served, self.recomputed = served, recomputed


@dataclass(frozen=True)
class Served:
    """What is stored of a user, as of one look: state, list and features."""

    state: UserState
    state_us: int
    listed_at_ms: int | None
    features: FeatureValues


class Comparison:
    """Users looked at again and again until each is equal, cannot be compared, or surely differs."""

    def __init__(self, settings: Settings, store: Store, online: OnlineFeatures, user_ids: Sequence[str]) -> None:
        self._settings, self._store, self._online, self._user_ids = settings, store, online, user_ids
        select = f"SELECT epoch_us FROM {settings.keyspace}.stream_epochs"
        self._epoch_us = int(store.session.execute(select).one().epoch_us)
        self._committed: dict[TopicPartition, int] = {}
        partitions = {
            int(source.rpartition("-")[2])
            for stored in store.read_states(user_ids).values()
            for source in decode_state(stored.state).offsets
        }
        self.pasts = Pasts(settings, user_ids, partitions)
        self._shelf = Shelf(settings)
        self.users: Counter[str] = Counter()
        self.features = {feature.name: FeatureParity(feature.name) for feature in FEATURES}

    def run(self, progress: Progress) -> None:
        """Compare the users; what comes of it is in ``users`` and ``features``."""
        waiting = set(self._user_ids)
        seen: dict[str, Served] = {}
        for look in range(ROUNDS):
            if not waiting:
                break
            if look:
                time.sleep(PAUSE_S)
            with GroupLag(self._settings) as group:
                # Before the states: what was committed then must be in them.
                self._committed = group.committed(USER_TOPICS)
            served = self._look(sorted(waiting))
            self.pasts.read_on(progress)
            self._shelf.read_on(progress)
            for user_id, now in served.items():
                outcome = self._compare(user_id, now)
                if isinstance(outcome, dict) and _differing(outcome) and seen.get(user_id) != now:
                    seen[user_id] = now
                elif outcome != MOVING:
                    waiting.remove(user_id)
                    self._note(user_id, outcome)
        if waiting:
            self.users[MOVING] = len(waiting)

    def close(self) -> None:
        """Close the connections to the broker."""
        self._shelf.close()
        self.pasts.close()

    def _look(self, user_ids: Sequence[str]) -> dict[str, Served]:
        """Read what is stored of these users; whoever has no state is left out."""
        session = self._store.session
        select = session.prepare(
            f"SELECT written_at_ms FROM {self._settings.keyspace}.recommendations WHERE user_id = ? AND scene = ?"
        )
        rows = execute_concurrent_with_args(session, select, [(user_id, SCENE) for user_id in user_ids])
        lists = {user_id: result.one() for user_id, (_, result) in zip(user_ids, rows, strict=True)}
        features: dict[str, FeatureValues] = {}
        for start in range(0, len(user_ids), FEATURES_A_READ):
            part = user_ids[start : start + FEATURES_A_READ]
            features |= zip(part, self._online.read_users(part), strict=True)
        return {
            user_id: Served(
                decode_state(stored.state),
                stored.write_us,
                lists[user_id].written_at_ms if lists[user_id] else None,
                features[user_id],
            )
            for user_id, stored in self._store.read_states(user_ids).items()
        }

    def _compare(self, user_id: str, served: Served) -> Outcome:
        """Say why this user cannot be compared (now), or what is served and recomputed by feature."""
        if served.listed_at_ms is None:
            return "without a list yet"
        if served.state_us < self._epoch_us:
            return "of topics that were made again"
        if all(value is None for value in served.features.values()) and self._expired(served.listed_at_ms):
            return "expired"
        past = self.pasts.users[user_id]
        then = UserState()
        for event, position in past.events:
            if self._taken_in(position, served.state):
                sentiment = past.sentiments.get(event.event_id)
                if isinstance(event, Review) and sentiment is None:
                    return "with deleted scores"
                update(then, event, position, sentiment)
        if self._lacks_events(served, then):
            return "with deleted events"
        self._shelf.as_of_ms = served.listed_at_ms - SETTLED_MS
        return {name: (served.features[name], value) for name, value in recompute(then, self._shelf).items()}

    def _taken_in(self, position: Position, state: UserState) -> bool:
        """Whether the features must know a record."""
        if position in self.pasts.refused:
            return False
        taken = position.offset <= state.offsets.get(f"{position.topic}-{position.partition}", -1)
        # What was committed and is in no state has been lost: then the features differ, as they should.
        return taken or position.offset < self._committed.get(TopicPartition(position.topic, position.partition), 0)

    def _lacks_events(self, served: Served, then: UserState) -> bool:
        """Whether the state knows events that the topics have deleted."""
        if served.state.first_ms < then.first_ms or not then.first_ms:
            return True
        gone = any(f"{topic}-{partition}" in served.state.offsets for topic, partition in self.pasts.deleted)
        return gone and served.state.totals != then.totals

    def _expired(self, listed_at_ms: int) -> bool:
        return time.time() - listed_at_ms / 1000 > online_config(self._settings).ttl_s

    def _note(self, user_id: str, outcome: Outcome) -> None:
        if isinstance(outcome, str):
            self.users[outcome] += 1
            return
        self.users["compared"] += 1
        for name, (served, recomputed) in outcome.items():
            self.features[name].compared += 1
            if served != recomputed:
                self.features[name].note(user_id, served, recomputed)


def recompute(state: UserState, shelf: Shelf) -> dict[str, float | str]:
    """Features of a state at its newest event; those of a group that asked for an item that has moved are left out."""
    values: dict[str, float | str] = {}
    for group in GROUPS:
        shelf.moved = False
        computed = group.compute(state, state.newest_ms, shelf)
        if not shelf.moved:
            values |= {name: v if isinstance(v, str) else float(np.float32(v)) for name, v in computed.items()}
    return values


def _differing(outcome: Mapping[str, Difference]) -> bool:
    return any(served != recomputed for served, recomputed in outcome.values())
