"""One micro-batch, from events to lists: records in; messages for Kafka and rows for Cassandra out, then written.

Read `Flow.prepare` from top to bottom: decode, sentiment, state, features, scores, lists, outputs. `Flow.announce` and
`Flow.write` then make a crash at any point repeat work, and never lose or double an effect: messages are acknowledged
by Kafka before the rows that remember having sent them are written, and a user's rows (state, list, features) are
written together or not at all. The caller acknowledges the records only when those rows are durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np

from feature_repo.events import DecodeError, Event, Review, decode_event
from feature_repo.features import features
from feature_repo.online import OnlineFeatures
from feature_repo.state import Outcome, Position, UserState, decode_state, update
from streams import topics
from streams.cache import CachedUser, StateCache
from streams.catalogue import Catalogue
from streams.fence import Stamps
from streams.lists import SCENE, ListRules, build_lists, list_id
from streams.messages import aspects_score, for_user, refused, sentiment_score
from streams.metrics import Metrics
from streams.outputs import User, UserRows, feature_row, messages, recommendation_list, stored_state
from streams.pairs import Pairs
from streams.poison import refuse_poison
from streams.popularity import Popularity
from streams.records import Message, Produce, Record
from streams.rule_effects import RuleEffects
from streams.serving import Serving
from streams.settings import Settings
from streams.store import RecommendationList, Store, StoredState, UserWrite
from streams.triggers import PropensityRule, TriggerMemory, decode_memory
from streams.waiting import Patience

Result = TypeVar("Result")


@dataclass
class _Decoded:
    """An event of the batch with where it came from, and the sentiment of its text if it is a review."""

    event: Event
    record: Record
    sentiment: float | None = None


@dataclass(frozen=True)
class _Reading:
    """States on their way: partition of each user of a batch; tenure of those whose state is read; their rows."""

    partitions: dict[str, int]
    tenures: dict[str, int]
    stored: Future[dict[str, StoredState]] | None


@dataclass
class Batch:
    """One micro-batch: what it touches while it is prepared, and then what is to be written.

    ``fences``: of its partitions, under which it is written.
    """

    fences: dict[int, int]
    decoded: list[_Decoded] = field(default_factory=list)
    users: dict[str, User] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    rows: list[UserRows] = field(default_factory=list)


class Flow:
    """The main job of a worker, for one micro-batch at a time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        online: OnlineFeatures,
        serving: Serving,
        catalogue: Catalogue,
        popularity: Popularity,
        pairs: Pairs,
        effects: RuleEffects,
        produce: Produce,
        metrics: Metrics,
        patience: Patience,
        stamps: Stamps,
        epoch_us: int,
    ) -> None:
        self._store, self._online, self._serving = store, online, serving
        self._catalogue, self._popularity, self._pairs, self._effects = catalogue, popularity, pairs, effects
        self._produce, self._metrics = produce, metrics
        self._patience, self._stamps = patience, stamps
        self._epoch_us = epoch_us
        self.rules = ListRules(settings.list_size, settings.category_share, settings.diversity)
        self._rule = PropensityRule(
            settings.propensity_threshold, settings.propensity_rearm, settings.trigger_cooldown_s
        )
        self._high, self._medium = settings.propensity_threshold, settings.propensity_rearm
        self.cache = StateCache(settings.cached_users)
        # Models and ranking in one thread keep the event loop free for heartbeats; stores wait in others.
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
        # A batch that is written, one whose states are read, and the question of what is safe on the disk.
        self._stores = ThreadPoolExecutor(3, thread_name_prefix="stores")

    async def prepare(self, records: Sequence[Record]) -> Batch:
        """Bring a micro-batch to the point where nothing is left but to write."""
        return await asyncio.get_running_loop().run_in_executor(self._compute, self._prepare, records)

    async def announce(self, batch: Batch) -> None:
        """Append the messages that `prepare` has made; to be done before `write`, whose rows remember it."""
        with self._stage("produce"):
            await self._produce(batch.messages)

    async def write(self, batch: Batch) -> None:
        """Write the rows that `prepare` has made; when this returns, everyone can read them."""
        with self._stage("write rows"):
            await self.ask(partial(self._write, batch.rows))
        self._observe_freshness(batch)
        self._metrics.lists.inc(sum(user.listed for user in batch.users.values()))

    def settled(self, batch: Batch) -> None:
        """Let the cache know that a batch's rows are durable, so that its users may be forgotten."""
        self.cache.settle([user.cached for user in batch.users.values()])

    async def ask(self, call: Callable[[], Result]) -> Result:
        """Call Cassandra in a thread, again and again until it answers."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._stores, self._patience.until_available, call)

    async def between_batches(self, call: Callable[[], None]) -> None:
        """Call what must not happen within a batch, in the thread that prepares them."""
        await asyncio.get_running_loop().run_in_executor(self._compute, call)

    def close(self) -> None:
        """Let go of the threads; a wait for Cassandra ends with `streams.waiting.Stopped`."""
        self._patience.stop()
        self._compute.shutdown(wait=False, cancel_futures=True)
        self._stores.shutdown(wait=False, cancel_futures=True)

    def _prepare(self, records: Sequence[Record]) -> Batch:
        self._metrics.batch.observe(len(records))
        self._serving.judge()
        batch = Batch(self._stamps.fences({record.partition for record in records}))
        with self._stage("decode"):
            self._decode(records, batch)
        reading = self._begin_reading(batch)
        with self._stage("sentiment"):
            self._score_reviews(batch)
        with self._stage("read states"):
            self._take_states(batch, reading)
        with self._stage("update"):
            self._update(batch)
        with self._stage("score and rank"):
            self._score_and_rank(batch)
        with self._stage("compose"):
            self._compose(batch)
        return batch

    def _decode(self, records: Sequence[Record], batch: Batch) -> None:
        for record in records:
            try:
                refuse_poison(record)
                decoded = decode_event(record.topic, record.key, record.value, record.appended_at_ms)
            except DecodeError as error:
                batch.messages.append(refused(record, error))
                self._metrics.events.labels(record.topic, "dead_letter").inc()
                # Without the place in a list, of which a sender could make any number.
                self._metrics.dead_letters.labels(record.topic, error.field.partition("[")[0]).inc()
                continue
            if decoded.clamped:
                self._metrics.clamped.inc()
            batch.decoded.append(_Decoded(decoded.event, record))

    def _score_reviews(self, batch: Batch) -> None:
        reviews = [(d, d.event) for d in batch.decoded if isinstance(d.event, Review)]
        if not reviews:
            return
        scored, version = self._serving.score_texts([event.text for _, event in reviews])
        for (decoded, event), value, label in zip(reviews, scored.score.tolist(), scored.labels, strict=True):
            decoded.sentiment = value
            score = sentiment_score(event, value, label, version)
            batch.messages.append(for_user(topics.SCORES, event.user_id, decoded.record.partition, score))
        aspects = self._serving.models.aspects
        if aspects is None:
            return
        about = aspects.score([event.text for _, event in reviews])
        for (decoded, event), mentions in zip(reviews, about.mentions, strict=True):
            score = aspects_score(event, mentions, aspects.version)
            batch.messages.append(for_user(topics.SCORES, event.user_id, decoded.record.partition, score))

    def _begin_reading(self, batch: Batch) -> _Reading:
        """Ask for the states that the cache lacks; the reviews are scored meanwhile."""
        partitions = {d.event.user_id: d.record.partition for d in batch.decoded}
        missing = []
        for user_id in partitions:
            cached = self.cache.get(user_id)
            if cached is None:
                missing.append(user_id)
            else:
                batch.users[user_id] = User(user_id, cached)
        tenures = {user_id: self.cache.tenure(partitions[user_id]) for user_id in missing}
        read = partial(self._store.read_states, missing)
        stored = self._stores.submit(self._patience.until_available, read) if missing else None
        return _Reading(partitions, tenures, stored)

    def _take_states(self, batch: Batch, reading: _Reading) -> None:
        stored = reading.stored.result() if reading.stored is not None else {}
        for user_id, tenure in reading.tenures.items():
            state, memory, caused_by = UserState(), TriggerMemory(), ""
            row = stored.get(user_id)
            if row is not None:
                state, memory, caused_by = decode_state(row.state), decode_memory(row.triggers), row.caused_by
                if row.write_us < self._epoch_us:
                    # Offsets of topics that were deleted and made again mean nothing here.
                    state.offsets.clear()
            cached = CachedUser(state, memory, reading.partitions[user_id], tenure, caused_by)
            batch.users[user_id] = User(user_id, cached)

    def _update(self, batch: Batch) -> None:
        for decoded in batch.decoded:
            event, record = decoded.event, decoded.record
            user = batch.users[event.user_id]
            position = Position(record.topic, record.partition, record.offset)
            clock = user.state.logical_clock()
            outcome = update(user.state, event, position, decoded.sentiment)
            if outcome is Outcome.APPLIED:
                self._popularity.count(event, position)
                self._pairs.count(user.state, event, position)
            self._metrics.events.labels(record.topic, outcome.name.lower()).inc()
            # Delivered again, an event moves nothing: the state that knows its offset was written after the messages.
            # Sent again by the shop, it moves the offset alone.
            if user.state.logical_clock() > clock:
                user.moved = True
            else:
                user.delivered_again = True
            if outcome is Outcome.APPLIED and record.topic != "impressions":
                # What was shown is remembered, but doesn't make a new list: lists would chase their own display.
                user.caused_by = user.cached.caused_by = event.event_id
                user.listed = True
        self._renew_lost_lists(batch)
        for user in batch.users.values():
            self.cache.put(user.user_id, user.cached)
        self._metrics.cached_users.set(len(self.cache))

    def _renew_lost_lists(self, batch: Batch) -> None:
        """Make the lists again that a killed Cassandra has lost although it has the states that caused them.

        State and list of an event are one mutation; but a later one that moved the state alone (a list was shown, an
        event sent twice) may have been written after the restart, by a worker that remembered the lost one. The event
        itself was not acknowledged then, so it is delivered again, and the user's list is looked at.
        """
        doubtful = [
            user
            for user in batch.users.values()
            # What this worker itself has not settled is in its own pipeline, list and all.
            if user.delivered_again and not user.listed and user.cached.caused_by and not user.cached.unsettled
        ]
        if not doubtful:
            return
        read = partial(self._store.read_causes, [user.user_id for user in doubtful], SCENE)
        causes = self._patience.until_available(read)
        for user in doubtful:
            if causes.get(user.user_id) != user.cached.caused_by:
                user.caused_by = user.cached.caused_by
                user.moved = user.listed = True

    def _score_and_rank(self, batch: Batch) -> None:
        moved = [user for user in batch.users.values() if user.moved]
        if not moved:
            return
        self._catalogue.refresh()
        for user in moved:
            user.features = features(user.state, user.state.newest_ms, self._catalogue)
        listed = [(user, user.features) for user in moved if user.listed and user.features is not None]
        if not listed:
            return
        users = [user for user, _ in listed]
        numbers = np.stack([row.numbers for _, row in listed])  # [B, F]
        scores = self._serving.score([user.state.history for user in users], numbers)
        lists = build_lists(
            [user.state for user in users],
            scores.user_vectors,
            self._catalogue,
            partial(self._popularity.scores, self._catalogue),
            self.rules,
            self._effects.of(SCENE, self._catalogue, time.time_ns() // 1_000_000),
        )
        self._serving.observe(scores, lists)
        for user, items, propensity in zip(users, lists, scores.propensity, strict=True):
            user.items, user.propensity = items, float(propensity)
            user.cached.memory, user.trigger = self._rule.apply(
                user.cached.memory, user.user_id, user.propensity, user.state.newest_ms, user.caused_by
            )

    def _compose(self, batch: Batch) -> None:
        """Make messages and rows now: later batches move the states on that these are made from."""
        version = self._serving.models.recommender.version
        now_ms, count = time.time_ns() // 1_000_000, self._stamps.next_count()
        stamps = {partition: fence_us + count for partition, fence_us in batch.fences.items()}
        moved = [(user, user.features) for user in batch.users.values() if user.features is not None]
        lists: dict[str, RecommendationList] = {}
        for user, row in moved:
            if user.listed:
                name = list_id(user.user_id, SCENE, self._epoch_us, user.state.offsets)
                lists[user.user_id] = recommendation_list(user, name, version, now_ms)
                batch.messages.extend(messages(user, row, name, version, self._label(user.propensity)))
                if user.trigger is not None:
                    self._metrics.triggers.labels(user.trigger.rule).inc()
        batch.messages.extend(Message(topics.ITEM_COUNTS, key, value) for key, value in self._popularity.unpublished())
        batch.messages.extend(Message(topics.PAIR_COUNTS, key, value) for key, value in self._pairs.unpublished())
        for user, row in moved:
            stamp_us = stamps[user.cached.partition]
            state, features = stored_state(user, stamp_us), feature_row(user, row, stamp_us)
            batch.rows.append(UserRows(state, features, lists.get(user.user_id)))

    def _write(self, rows: Sequence[UserRows]) -> None:
        statements = self._online.bind_users([row.features for row in rows])
        self._store.write(
            [UserWrite(row.state, features, row.recommended) for row, features in zip(rows, statements, strict=True)]
        )

    def _observe_freshness(self, batch: Batch) -> None:
        now_ms = time.time_ns() / 1_000_000
        for decoded in batch.decoded:
            if batch.users[decoded.event.user_id].listed:
                self._metrics.freshness.observe(max(0.0, now_ms - decoded.record.appended_at_ms) / 1000)

    def _label(self, propensity: float) -> str:
        if propensity >= self._high:
            return "high"
        return "medium" if propensity >= self._medium else "low"

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._metrics.stage.labels(name).observe(time.perf_counter() - started)
