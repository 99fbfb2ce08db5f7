"""What visitors of the shop's page did during the demo: the topics in; records and shoppers of theirs out.

The demo's books hold its own events alone. Whoever clicked on the page added to what the workers counted, and to the
shoppers they acted as.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition

from streams.api.collector import HEADERS
from streams.settings import Settings
from streams.topics import USER_TOPICS

POLL_MS = 1_000

Place = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass(frozen=True)
class Visits:
    """Places of the visitors' records, and the user_ids under which they acted."""

    places: frozenset[Place] = frozenset()
    shoppers: frozenset[str] = frozenset()


def read_visits(settings: Settings) -> Visits:
    """Look through the topics of users for what came through the API."""
    partitions = [TopicPartition(topic, number) for topic in USER_TOPICS for number in range(settings.partitions)]
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=None, enable_auto_commit=False)
    places: set[Place] = set()
    shoppers: set[str] = set()
    try:
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                for record in records:
                    if HEADERS[0] in record.headers:
                        places.add((record.topic, record.partition, record.offset))
                        shoppers.add((record.key or b"").decode("utf-8", "replace"))
    finally:
        consumer.close()
    return Visits(frozenset(places), frozenset(shoppers))
