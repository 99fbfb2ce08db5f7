"""An independent look at Kafka: a broker in; records of the topics, and how far the group has committed, out."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from streams.settings import Settings
from streams.topics import USER_TOPICS
from tests.chaos.traffic import PLANTED

PATIENCE_S = 120.0
"""Seconds for which a question is asked again while the broker is away."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Sighting:
    """A record of a user topic: where it is, and the ids in it unless it is one of the planted broken ones."""

    topic: str
    partition: int
    offset: int
    user_id: str
    event_id: str
    repeated: bool
    """Whether the same event stands earlier on the topic: this copy has no effect."""


class Group:
    """How far the workers' group has committed, asked again until the broker answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partitions = [TopicPartition(topic, n) for topic in USER_TOPICS for n in range(settings.partitions)]
        self._admin: KafkaAdminClient | None = None

    def committed(self) -> dict[TopicPartition, int]:
        """Committed offset of each partition of the user topics; 0 where there is none."""
        return _patiently(self._committed)

    def _committed(self) -> dict[TopicPartition, int]:
        if self._admin is None:
            self._admin = KafkaAdminClient(bootstrap_servers=self._settings.kafka, request_timeout_ms=10_000)
        try:
            found = self._admin.list_group_offsets({self._settings.group: self._partitions})[self._settings.group]
        except (KafkaError, OSError):
            self.close()
            raise
        return {each: max(0, found[each].offset) if each in found else 0 for each in self._partitions}

    def close(self) -> None:
        """Close the connection."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None


@dataclass
class InputLog:
    """Everything that is on the user topics, read on from where the last reading ended."""

    kafka: str
    partitions: int
    sightings: dict[TopicPartition, list[Sighting]] = field(default_factory=lambda: defaultdict(list))
    planted: set[tuple[str, int, int]] = field(default_factory=set)
    """Places of the records that break the contract."""

    def __post_init__(self) -> None:
        self._known: set[tuple[str, str]] = set()
        self._assigned = [TopicPartition(topic, n) for topic in USER_TOPICS for n in range(self.partitions)]
        self._consumer = _reader(self.kafka, self._assigned)

    def read_to(self, ends: dict[TopicPartition, int]) -> None:
        """Read on until each partition's position has reached its end."""
        _patiently(lambda: self._read_to(ends))

    def read_all(self) -> None:
        """Read on to where the topics end now."""
        self.read_to(_patiently(lambda: dict(self._consumer.end_offsets(self._assigned))))

    def _read_to(self, ends: dict[TopicPartition, int]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            assert time.monotonic() < deadline, f"the user topics: not read to {ends} within {PATIENCE_S} s"
            for partition, records in self._consumer.poll(timeout_ms=200).items():
                for record in records:
                    if PLANTED in dict(record.headers):
                        self.planted.add((partition.topic, partition.partition, record.offset))
                        continue
                    event = json.loads(record.value)
                    topic, known = partition.topic, (partition.topic, event["event_id"])
                    self.sightings[partition].append(
                        Sighting(
                            topic,
                            partition.partition,
                            record.offset,
                            event["user_id"],
                            event["event_id"],
                            repeated=known in self._known,
                        )
                    )
                    self._known.add(known)

    def all(self) -> Iterable[Sighting]:
        """Yield every valid record, each partition in its order."""
        for records in self.sightings.values():
            yield from records

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def read_topic(kafka: str, topic: str, partitions: int) -> list[Any]:
    """All records of a topic, each partition in its order."""
    assigned = [TopicPartition(topic, n) for n in range(partitions)]
    consumer = _reader(kafka, assigned)
    try:
        ends = _patiently(lambda: dict(consumer.end_offsets(assigned)))
        found: list[Any] = []
        deadline = time.monotonic() + PATIENCE_S
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            assert time.monotonic() < deadline, f"topic {topic}: not read to its end within {PATIENCE_S} s"
            for records in consumer.poll(timeout_ms=200).values():
                found.extend(records)
        return found
    finally:
        consumer.close()


def _reader(kafka: str, assigned: list[TopicPartition]) -> KafkaConsumer:
    consumer = _patiently(
        lambda: KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    )
    consumer.assign(assigned)
    consumer.seek_to_beginning()
    return consumer


def _patiently(ask: Callable[[], Answer]) -> Answer:
    """Answer of a question that is asked again while the broker is away or starting."""
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while True:
        try:
            return ask()
        except (KafkaError, OSError):
            if time.monotonic() > deadline:
                raise
            pause.wait(0.3)
