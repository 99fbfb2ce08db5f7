"""What the topics still hold: user_ids in; their events, review scores, dead letters and the catalogue out.

Read without a group, so workers and their offsets don't notice.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from feature_repo.archive.outputs import ReviewScore
from feature_repo.events import DecodeError, Event, Item, decode_event
from feature_repo.features import ItemAttributes
from feature_repo.state import Position
from streams.messages import DeadLetter
from streams.settings import Settings
from streams.topics import CATALOGUE, DEAD_LETTERS, SCORES, USER_TOPICS

STALLED_AFTER_S = 60.0
RECORDS_A_POLL = 5_000

Progress = Callable[[int, int], None]
"""Told records read so far, and in all."""


class ReadbackError(RuntimeError):
    """A topic could not be read to its end: says which, how far, and what to do."""


class CatalogueItem(msgspec.Struct):
    """A record of the catalogue without its vector."""

    item: Item


class PastEvent(NamedTuple):
    """An event on its topic, as its user's state would take it in."""

    event: Event
    position: Position


@dataclass
class Past:
    """What the topics hold of one user: events in the order of each topic, scores of reviews by event_id."""

    events: list[PastEvent] = field(default_factory=list)
    sentiments: dict[str, float] = field(default_factory=dict)


class TopicReader:
    """Partitions read as far as they go at each call, from their beginnings or from a time on.

    Parameters
    ----------
    settings
        Address of the broker.
    wanted
        Topics, each with the numbers of its partitions, or None for all of them.
    since_ms
        Leave out what was appended before.
    """

    def __init__(
        self, settings: Settings, wanted: Collection[tuple[str, Collection[int] | None]], since_ms: int | None = None
    ) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            client_id="lastclick-readback",
            enable_auto_commit=False,
            max_poll_records=RECORDS_A_POLL,
        )
        try:
            self._seek(wanted, since_ms)
        except BaseException:
            self._consumer.close()
            raise

    def _seek(self, wanted: Collection[tuple[str, Collection[int] | None]], since_ms: int | None) -> None:
        partitions = [
            TopicPartition(topic, partition)
            for topic, numbers in wanted
            for partition in (self.partitions(topic) if numbers is None else numbers)
        ]
        self._consumer.assign(partitions)
        first = self._consumer.beginning_offsets(partitions)
        self.deleted = {(each.topic, each.partition) for each, offset in first.items() if offset}
        """Topics and partitions whose oldest records are gone."""
        if since_ms is not None:
            ends = self._consumer.end_offsets(partitions)
            found = self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            first = {each: found[each].offset if found.get(each) else ends[each] for each in partitions}
        for partition, offset in first.items():
            self._consumer.seek(partition, offset)

    def read_on(self, take: Callable[[Any], None], progress: Progress) -> int:
        """Hand on every record up to the ends as they are now; returns how many there were."""
        ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        left = {each: end for each, end in ends.items() if self._consumer.position(each) < end}
        total = sum(end - self._consumer.position(each) for each, end in left.items())
        read, moved_at = 0, time.monotonic()
        while left:
            for records in self._consumer.poll(timeout_ms=500).values():
                moved_at = time.monotonic()
                read += len(records)
                for record in records:
                    take(record)
            progress(min(read, total), total)
            left = {each: end for each, end in left.items() if self._consumer.position(each) < end}
            if time.monotonic() - moved_at > STALLED_AFTER_S:
                partition, end = next(iter(left.items()))
                raise ReadbackError(
                    f"{partition.topic}-{partition.partition}: saw nothing after offset "
                    f"{self._consumer.position(partition)} for {STALLED_AFTER_S:.0f} s, expected records up to {end}; "
                    "is the broker well?"
                )
        return read

    def partitions(self, topic: str) -> list[int]:
        """Numbers of a topic's partitions."""
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise ReadbackError(
                f"topic {topic}: saw no partitions, expected it to exist; start a worker, which makes it"
            )
        return sorted(numbers)

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def newest_values(settings: Settings, topic: str) -> dict[str, bytes]:
    """Read the newest value of each key of a compacted topic, as it is; nothing where the topic does not exist yet."""
    values: dict[str, bytes | None] = {}

    def take(record: Any) -> None:
        values[record.key.decode("utf-8", "replace")] = record.value

    try:
        reader = TopicReader(settings, [(topic, None)])
    except ReadbackError:
        # No worker was ever started on this broker.
        return {}
    try:
        reader.read_on(take, lambda done, total: None)
    finally:
        reader.close()
    return {name: value for name, value in values.items() if value is not None}


class Pasts:
    """The pasts of some users, read on whenever asked.

    Parameters
    ----------
    settings
        Address of the broker.
    user_ids
        Whose events to keep.
    partitions
        Numbers of the partitions that hold them: the same on all user topics.
    """

    def __init__(self, settings: Settings, user_ids: Iterable[str], partitions: Collection[int]) -> None:
        self._settings = settings
        self._partitions = set(partitions)
        self._user_of = {user_id.encode(): user_id for user_id in user_ids}
        self._events = TopicReader(settings, [(topic, partitions) for topic in USER_TOPICS])
        self._outputs: TopicReader | None = None
        self._oldest_ms: int | None = None
        self.deleted = self._events.deleted
        self.refused: set[Position] = set()
        """Where records stood that ended as dead letters."""
        self.users: defaultdict[str, Past] = defaultdict(Past)
        self.records = 0
        """Records read, those of other users included."""

    def read_on(self, progress: Progress) -> None:
        """Read events, then the scores of reviews and the dead letters since the oldest of them, to their ends."""
        self.records += self._events.read_on(self._take_event, progress)
        if self._oldest_ms is None:
            return
        if self._outputs is None:
            self._outputs = TopicReader(self._settings, self._output_partitions(), self._oldest_ms)
        self.records += self._outputs.read_on(self._take_output, progress)

    def close(self) -> None:
        """Close the connections."""
        self._events.close()
        if self._outputs is not None:
            self._outputs.close()

    def _take_event(self, record: Any) -> None:
        user_id = self._user_of.get(record.key)
        if user_id is None:
            return
        try:
            decoded = decode_event(record.topic, record.key, record.value, record.timestamp)
        except DecodeError:
            return
        self._oldest_ms = min(record.timestamp, self._oldest_ms or record.timestamp)
        position = Position(record.topic, record.partition, record.offset)
        self.users[user_id].events.append(PastEvent(decoded.event, position))

    def _take_output(self, record: Any) -> None:
        user_id = self._user_of.get(record.key)
        if user_id is None:
            return
        if record.topic == DEAD_LETTERS:
            letter = msgspec.json.decode(record.value, type=DeadLetter)
            self.refused.add(Position(letter.topic, letter.partition, letter.offset))
        elif b'"sentiment"' in record.value:
            score = msgspec.json.decode(record.value, type=ReviewScore)
            if score.kind == "sentiment":
                # A score that was sent again has the same value; a review that was sent again is not taken in.
                self.users[user_id].sentiments.setdefault(score.caused_by, score.value)

    def _output_partitions(self) -> list[tuple[str, set[int]]]:
        """Where workers put what is about these users: scores beside their events, dead letters by the key's hash."""
        count = len(self._events.partitions(DEAD_LETTERS))
        return [
            (SCORES, self._partitions),
            (DEAD_LETTERS, {(murmur2(key) & 0x7FFFFFFF) % count for key in self._user_of}),
        ]


class Shelf:
    """The catalogue as its topic has it, as `features` asks for it.

    Features are served as of a moment. ``moved`` says whether an item asked for has changed since, or is not known (any
    more): what a worker saw then cannot be told.
    """

    def __init__(self, settings: Settings) -> None:
        self._items: dict[str, tuple[ItemAttributes, int] | None] = {}
        self._reader = TopicReader(settings, [(CATALOGUE, None)])
        self.as_of_ms = 0
        self.moved = False

    def read_on(self, progress: Progress) -> int:
        """Read what has been published to the end; returns how many records that were."""
        return self._reader.read_on(self._take, progress)

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """Category, brand, price and title of an item, as they are now."""
        known = self._items.get(item_id)
        if known is None or known[1] > self.as_of_ms:
            self.moved = True
        return known[0] if known is not None else None

    def _take(self, record: Any) -> None:
        item_id = record.key.decode()
        if record.value is None:
            self._items[item_id] = None
            return
        item = msgspec.json.decode(record.value, type=CatalogueItem).item
        attributes = ItemAttributes(item.category, item.brand, item.price, item.title)
        before = self._items.get(item_id)
        if before is None or before[0] != attributes:
            self._items[item_id] = attributes, record.timestamp
