"""The time of a shop that is replayed: its events in; the newest one's time out.

In a recorded or simulated shop it is another day than here. Whoever acts in it through the API acts at its time, or
their events would be years ahead of all others.
"""

from __future__ import annotations

import logging

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from feature_repo.events import MAX_AHEAD_MS
from streams.topics import USER_TOPICS

log = logging.getLogger(__name__)


class _Timed(msgspec.Struct):
    occurred_at_ms: int


class StreamTime:
    """Follows the events of users; ``kafka`` is the bootstrap addresses."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._decoder = msgspec.json.Decoder(_Timed)
        self.now_ms: int | None = None
        """Time of the newest event so far, ms since the epoch; None before the first."""

    async def run(self) -> None:
        """Read from the last event of each partition on, until cancelled; raises what ends the reading."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka, client_id="lastclick-api-time", group_id=None, enable_auto_commit=False
        )
        await consumer.start()
        try:
            metadata = await consumer._client.fetch_all_metadata()
            partitions = [
                TopicPartition(topic, partition)
                for topic in USER_TOPICS
                for partition in sorted(metadata.partitions_for_topic(topic) or ())
            ]
            if not partitions:
                raise ConnectionError(f"topics {', '.join(USER_TOPICS)} do not exist yet; a worker makes them")
            consumer.assign(partitions)
            for partition, end in (await consumer.end_offsets(partitions)).items():
                consumer.seek(partition, max(0, end - 1))
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000)).values():
                    for record in records:
                        self.take(record.value, record.timestamp)
        finally:
            await consumer.stop()

    def take(self, value: bytes | None, appended_at_ms: int) -> None:
        """Take in one event; a time that the workers clamp is clamped, what breaks the contract is theirs to refuse."""
        try:
            at_ms = self._decoder.decode(value or b"").occurred_at_ms
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            log.debug("not an event: %r", value)
            return
        at_ms = appended_at_ms if at_ms > appended_at_ms + MAX_AHEAD_MS else at_ms
        self.now_ms = max(at_ms, self.now_ms or 0)
