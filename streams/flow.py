"""One micro-batch, from events to lists: records in; scores, features, lists and states written out.

Read `Flow.process` from top to bottom: decode, sentiment, state, features, scores, lists, writes. Its order makes a
crash at any point repeat work, and never lose or double an effect: everything others read is written before the state
that remembers having done so, and the caller acknowledges the records only when `process` has returned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from feature_repo.events import DecodeError, Event, Review, decode_event
from feature_repo.features import FeatureRow, features
from feature_repo.online import OnlineFeatures, UserFeatureRow
from feature_repo.state import Outcome, Position, UserState, decode_state, encode_state, update
from scorer.recommender import Recommender
from scorer.sentiment import Sentiment
from streams import topics
from streams.cache import CachedUser, StateCache
from streams.catalogue import Catalogue
from streams.lists import SCENE, ListRules, build_lists, list_id
from streams.messages import ListNotice, for_user, propensity_score, refused, sentiment_score
from streams.metrics import Metrics
from streams.popularity import Popularity
from streams.records import Message, Produce, Record
from streams.settings import Settings
from streams.store import RecommendationList, RecommendedItem, Store, StoredState
from streams.triggers import PropensityRule, Trigger, TriggerMemory, decode_memory, encode_memory
from streams.waiting import Patience


@dataclass(frozen=True)
class Models:
    """The models that a worker serves."""

    recommender: Recommender
    sentiment: Sentiment


@dataclass
class _Decoded:
    """An event of the batch with where it came from, and the sentiment of its text if it is a review."""

    event: Event
    record: Record
    sentiment: float | None = None


@dataclass
class _User:
    """A user touched by the batch: state and trigger memory, the last event, and what comes of it.

    ``moved``: the state took in a new offset; ``listed``: by an event that refreshes the list.
    """

    user_id: str
    cached: CachedUser
    caused_by: str = ""
    moved: bool = False
    listed: bool = False
    features: FeatureRow | None = None
    propensity: float = 0.0
    items: tuple[RecommendedItem, ...] = ()
    trigger: Trigger | None = None

    @property
    def state(self) -> UserState:
        return self.cached.state


@dataclass
class _Batch:
    """What is being done with one micro-batch."""

    decoded: list[_Decoded] = field(default_factory=list)
    users: dict[str, _User] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)


class Flow:
    """The main job of a worker, for one micro-batch at a time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        online: OnlineFeatures,
        models: Models,
        catalogue: Catalogue,
        popularity: Popularity,
        produce: Produce,
        metrics: Metrics,
        epoch_us: int,
    ) -> None:
        self._store, self._online, self._models = store, online, models
        self._catalogue, self._popularity = catalogue, popularity
        self._produce, self._metrics = produce, metrics
        self._epoch_us = epoch_us
        self.rules = ListRules(settings.list_size, settings.category_share)
        self._rule = PropensityRule(
            settings.propensity_threshold, settings.propensity_rearm, settings.trigger_cooldown_s
        )
        self._high, self._medium = settings.propensity_threshold, settings.propensity_rearm
        self.cache = StateCache(settings.cached_users)
        self.patience = Patience()
        # Models and ranking in one thread keep the event loop free for heartbeats; stores wait in others.
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._writers = ThreadPoolExecutor(2, thread_name_prefix="write")

    async def process(self, records: Sequence[Record]) -> None:
        """Bring a micro-batch to its end: when this returns, every effect of it is written."""
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        self._metrics.batch.observe(len(records))
        batch = _Batch()

        with self._stage("decode"):
            self._decode(records, batch)
        with self._stage("sentiment"):
            await loop.run_in_executor(self._compute, self._score_reviews, batch)
        with self._stage("read states"):
            await loop.run_in_executor(self._writers, self._read_states, batch)
        with self._stage("update"):
            self._update(batch)
        with self._stage("score and rank"):
            await loop.run_in_executor(self._compute, self._score_and_rank, batch)
        with self._stage("write outputs"):
            self._compose_messages(batch)
            await asyncio.gather(
                self._produce(batch.messages),
                loop.run_in_executor(self._writers, self._write_lists, batch),
                loop.run_in_executor(self._writers, self._write_features, batch),
            )
        with self._stage("write states"):
            await loop.run_in_executor(self._writers, self._write_states, batch)
        self._metrics.stage.labels("whole batch").observe(time.perf_counter() - started)

    async def refresh_catalogue(self) -> None:
        """Put newly read items to use, for a worker whose users are silent."""
        await asyncio.get_running_loop().run_in_executor(self._compute, self._catalogue.refresh)

    def close(self) -> None:
        """Let go of the threads; a wait for Cassandra ends with `streams.waiting.Stopped`."""
        self.patience.stop()
        self._compute.shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(wait=False, cancel_futures=True)

    def _decode(self, records: Sequence[Record], batch: _Batch) -> None:
        for record in records:
            try:
                decoded = decode_event(record.topic, record.key, record.value, record.appended_at_ms)
            except DecodeError as error:
                batch.messages.append(refused(record, error))
                self._metrics.events.labels(record.topic, "dead_letter").inc()
                self._metrics.dead_letters.labels(record.topic, error.field).inc()
                continue
            if decoded.clamped:
                self._metrics.clamped.inc()
            batch.decoded.append(_Decoded(decoded.event, record))

    def _score_reviews(self, batch: _Batch) -> None:
        reviews = [(d, d.event) for d in batch.decoded if isinstance(d.event, Review)]
        if not reviews:
            return
        sentiment = self._models.sentiment
        scored = sentiment.score([event.text for _, event in reviews])
        for (decoded, event), value, label in zip(reviews, scored.score.tolist(), scored.labels, strict=True):
            decoded.sentiment = value
            score = sentiment_score(event, value, label, sentiment.version)
            batch.messages.append(for_user(topics.SCORES, event.user_id, score))

    def _read_states(self, batch: _Batch) -> None:
        partitions = {d.event.user_id: d.record.partition for d in batch.decoded}
        missing = []
        for user_id in partitions:
            cached = self.cache.get(user_id)
            if cached is None:
                missing.append(user_id)
            else:
                batch.users[user_id] = _User(user_id, cached)
        tenures = {user_id: self.cache.tenure(partitions[user_id]) for user_id in missing}
        stored = self.patience.until_available(partial(self._store.read_states, missing)) if missing else {}
        for user_id in missing:
            state, memory = UserState(), TriggerMemory()
            row = stored.get(user_id)
            if row is not None:
                state, memory = decode_state(row.state), decode_memory(row.triggers)
                if row.write_us < self._epoch_us:
                    # Offsets of topics that were deleted and made again mean nothing here.
                    state.offsets.clear()
            batch.users[user_id] = _User(user_id, CachedUser(state, memory, partitions[user_id], tenures[user_id]))

    def _update(self, batch: _Batch) -> None:
        for decoded in batch.decoded:
            event, record = decoded.event, decoded.record
            user = batch.users[event.user_id]
            position = Position(record.topic, record.partition, record.offset)
            clock = user.state.logical_clock()
            outcome = update(user.state, event, position, decoded.sentiment)
            if outcome is Outcome.APPLIED:
                self._popularity.count(event, position)
            self._metrics.events.labels(record.topic, outcome.name.lower()).inc()
            if user.state.logical_clock() == clock:
                # Delivered again: the state that knows this offset was written after the outputs it caused.
                continue
            user.moved = True
            if record.topic != "impressions":
                # What was shown is remembered, but doesn't make a new list: lists would chase their own display.
                user.caused_by = event.event_id
                user.listed = True

    def _score_and_rank(self, batch: _Batch) -> None:
        users = [user for user in batch.users.values() if user.listed]
        if not users:
            return
        self._catalogue.refresh()
        for user in users:
            user.features = features(user.state, user.state.newest_ms, self._catalogue)
        numbers = np.stack([user.features.numbers for user in users if user.features])  # [B, F]
        recommender = self._models.recommender
        scores = recommender.score(
            recommender.encode([user.state.history for user in users], numbers, self._catalogue.table)
        )
        lists = build_lists(
            [user.state for user in users],
            scores.user_vectors,
            self._catalogue,
            partial(self._popularity.scores, self._catalogue),
            self.rules,
        )
        for user, items, propensity in zip(users, lists, scores.propensity, strict=True):
            user.items, user.propensity = items, float(propensity)
            user.cached.memory, user.trigger = self._rule.apply(
                user.cached.memory, user.user_id, user.propensity, user.state.newest_ms, user.caused_by
            )

    def _compose_messages(self, batch: _Batch) -> None:
        version = self._models.recommender.version
        for user in batch.users.values():
            if user.features is None:
                continue
            label = self._label(user.propensity)
            score = propensity_score(
                user.user_id, user.propensity, label, version, user.caused_by, user.state.newest_ms, user.features
            )
            notice = ListNotice(user.user_id, SCENE, self._list_id(user), user.caused_by)
            batch.messages.append(for_user(topics.SCORES, user.user_id, score))
            batch.messages.append(for_user(topics.RECOMMENDATIONS, user.user_id, notice))
            if user.trigger is not None:
                batch.messages.append(for_user(topics.TRIGGERS, user.user_id, user.trigger))
                self._metrics.triggers.labels(user.trigger.rule).inc()
        batch.messages.extend(Message(topics.ITEM_COUNTS, key, value) for key, value in self._popularity.unpublished())

    def _write_lists(self, batch: _Batch) -> None:
        now_ms = time.time_ns() // 1_000_000
        lists = [
            (
                RecommendationList(
                    user_id=user.user_id,
                    scene=SCENE,
                    list_id=self._list_id(user),
                    items=user.items,
                    caused_by=user.caused_by,
                    event_at_ms=user.state.newest_ms,
                    written_at_ms=now_ms,
                    model_version=self._models.recommender.version,
                ),
                self._write_us(user),
            )
            for user in batch.users.values()
            if user.listed
        ]
        self.patience.until_available(partial(self._store.write_lists, lists))
        self._metrics.lists.inc(len(lists))
        self._observe_freshness(batch)

    def _write_features(self, batch: _Batch) -> None:
        rows = [
            UserFeatureRow(user.user_id, user.features, user.state.newest_ms, self._write_us(user))
            for user in batch.users.values()
            if user.features is not None
        ]
        if rows:
            self.patience.until_available(partial(self._online.write_users, rows))

    def _write_states(self, batch: _Batch) -> None:
        states = [
            StoredState(
                user.user_id,
                encode_state(user.state),
                encode_memory(user.cached.memory),
                self._write_us(user),
            )
            for user in batch.users.values()
            if user.moved
        ]
        self.patience.until_available(partial(self._store.write_states, states))
        for user in batch.users.values():
            self.cache.put(user.user_id, user.cached)
        self._metrics.cached_users.set(len(self.cache))

    def _observe_freshness(self, batch: _Batch) -> None:
        now_ms = time.time_ns() / 1_000_000
        for decoded in batch.decoded:
            if batch.users[decoded.event.user_id].listed:
                self._metrics.freshness.observe(max(0.0, now_ms - decoded.record.appended_at_ms) / 1000)

    def _label(self, propensity: float) -> str:
        if propensity >= self._high:
            return "high"
        return "medium" if propensity >= self._medium else "low"

    def _list_id(self, user: _User) -> str:
        return list_id(user.user_id, SCENE, self._write_us(user))

    def _write_us(self, user: _User) -> int:
        return self._epoch_us + user.state.logical_clock()

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._metrics.stage.labels(name).observe(time.perf_counter() - started)
