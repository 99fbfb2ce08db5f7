"""The dead letters for people: the topic in; the newest of them, readable, out; and their original bytes sent again."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from feature_repo.event_errors import NOT_TEXT
from streams.messages import DeadLetter
from streams.topics import DEAD_LETTERS, ITEMS, USER_TOPICS

VALUE_MAX = 2_000
"""Characters of a refused value that are shown."""

POLL_MS = 1_000
PATIENCE_POLLS = 10


class LettersUnread(RuntimeError):
    """The dead letters could not be read to where they were asked for: says which and what was seen."""


class ReadableLetter(msgspec.Struct, frozen=True):
    """A dead letter.

    ``partition`` and ``offset`` are its own place; the record it holds stood in ``topic`` at ``original_partition`` and
    ``original_offset``. ``value`` is cut at 2,000 characters.
    """

    partition: int
    offset: int
    refused_at_ms: int
    topic: str
    original_partition: int
    original_offset: int
    field: str
    reason: str
    key: str | None
    value: str | None
    value_bytes: int | None


class Place(msgspec.Struct, frozen=True):
    """Where a dead letter stands on its topic."""

    partition: int
    offset: int


class DeadLetters:
    """Reads the topic, without a group and without leaving a trace; each call has a connection of its own."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka

    async def newest(self, limit: int) -> list[ReadableLetter]:
        """The newest letters, newest first.

        Raises
        ------
        aiokafka.errors.KafkaError, LettersUnread
            When the broker does not give them.
        """
        async with _reader(self._kafka) as consumer:
            partitions = await _partitions(consumer)
            begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            starts = {each: max(begins[each], end - limit) for each, end in ends.items()}
            records = await _read(consumer, {each: (starts[each], end) for each, end in ends.items()})
        records.sort(key=lambda record: (record.timestamp, record.partition, record.offset), reverse=True)
        return [readable(record) for record in records[:limit]]

    async def originals(self, places: Sequence[Place]) -> dict[Place, DeadLetter]:
        """Letters at these places; what is not there is left out. Errors as in `newest`."""
        found: dict[Place, DeadLetter] = {}
        async with _reader(self._kafka) as consumer:
            partitions = await _partitions(consumer)
            begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            for place in dict.fromkeys(places):
                partition = TopicPartition(DEAD_LETTERS, place.partition)
                if partition in ends and begins[partition] <= place.offset < ends[partition]:
                    records = await _read(consumer, {partition: (place.offset, place.offset + 1)})
                    found[place] = msgspec.json.decode(records[0].value, type=DeadLetter)
        return found


def readable(record: ConsumerRecord) -> ReadableLetter:
    """A dead letter for people to read."""
    letter = msgspec.json.decode(record.value, type=DeadLetter)
    value = _bytes(letter.value_base64)
    return ReadableLetter(
        partition=record.partition,
        offset=record.offset,
        refused_at_ms=record.timestamp,
        topic=letter.topic,
        original_partition=letter.partition,
        original_offset=letter.offset,
        field=letter.field,
        reason=letter.reason,
        key=_text(_bytes(letter.key_base64)),
        value=_text(value),
        value_bytes=None if value is None else len(value),
    )


def original(letter: DeadLetter) -> tuple[str, bytes | None, bytes | None]:
    """Topic, key and value of the record that was refused, to the byte.

    Raises
    ------
    LettersUnread
        When the topic is none that takes events or items.
    """
    if letter.topic not in (*USER_TOPICS, ITEMS):
        raise LettersUnread(f"topic: saw {letter.topic!r}, expected one of {', '.join((*USER_TOPICS, ITEMS))}")
    return letter.topic, _bytes(letter.key_base64), _bytes(letter.value_base64)


def _reader(kafka: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=kafka, client_id="lastclick-api-letters", group_id=None, enable_auto_commit=False
    )


async def _partitions(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    metadata = await consumer._client.fetch_all_metadata()
    found = metadata.partitions_for_topic(DEAD_LETTERS) or ()
    partitions = [TopicPartition(DEAD_LETTERS, partition) for partition in sorted(found)]
    consumer.assign(partitions)
    return partitions


async def _read(consumer: AIOKafkaConsumer, ranges: dict[TopicPartition, tuple[int, int]]) -> list[ConsumerRecord]:
    """Records from a first offset up to, and without, an end, of each partition."""
    wanted = {partition: span for partition, span in ranges.items() if span[0] < span[1]}
    records: list[ConsumerRecord] = []
    for partition, (start, end) in wanted.items():
        consumer.seek(partition, start)
        position, polls = start, 0
        while position < end:
            found = (await consumer.getmany(partition, timeout_ms=POLL_MS)).get(partition, [])
            polls = 0 if found else polls + 1
            if polls > PATIENCE_POLLS:
                raise LettersUnread(f"{partition.topic}-{partition.partition}: saw nothing at offset {position}")
            records.extend(record for record in found if record.offset < end)
            position = await consumer.position(partition)
    return records


def _bytes(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)


def _text(value: bytes | None) -> str | None:
    """Text of bytes, what is no text replaced, and no longer than can be shown."""
    if value is None:
        return None
    return NOT_TEXT.sub("\ufffd", value[: 4 * VALUE_MAX].decode("utf-8", "replace"))[:VALUE_MAX]
