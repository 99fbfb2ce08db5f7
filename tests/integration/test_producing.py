"""Messages through Faust's producer onto a real Kafka: all of them, in order, in their partitions."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import faust
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from streams.producing import BatchProducer
from streams.records import Message
from streams.topics import MAX_OUTPUT_BYTES

pytestmark = pytest.mark.integration

PARTITIONS = 4


@pytest.fixture
def topic(servers: Any) -> Iterator[str]:
    name = f"producing-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdminClient(bootstrap_servers=servers.kafka)
    configs = {"max.message.bytes": str(MAX_OUTPUT_BYTES)}
    admin.create_topics([NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, topic_configs=configs)])
    admin.wait_for_topics([name])
    yield name
    admin.delete_topics([name])
    admin.close()


@pytest.fixture
def read(servers: Any, topic: str) -> Iterator[Any]:
    """Read all of the topic: records by partition, as a plain client sees them."""
    consumer = KafkaConsumer(bootstrap_servers=servers.kafka, enable_auto_commit=False)
    partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer.assign(partitions)

    def read() -> dict[int, list[Any]]:
        ends = consumer.end_offsets(partitions)
        found: dict[int, list[Any]] = {partition: [] for partition in range(PARTITIONS)}
        for each in partitions:
            consumer.seek(each, 0)
            while consumer.position(each) < ends[each]:
                for record in consumer.poll(timeout_ms=1000).get(each, []):
                    found[each.partition].append(record)
                    consumer.seek(each, record.offset + 1)
        return found

    yield read
    consumer.close()


def send(servers: Any, *batches: Sequence[Message]) -> None:
    """Send one micro-batch after the other through a Faust app's producer."""

    async def through() -> None:
        app = faust.App(
            f"producing-{uuid.uuid4().hex}",
            broker=f"kafka://{servers.kafka}",
            store="memory://",
            producer_max_request_size=MAX_OUTPUT_BYTES,
        )
        produce = BatchProducer(app)
        try:
            for batch in batches:
                await produce(batch)
        finally:
            await app.producer.stop()

    asyncio.run(through())


def test_messages_keep_their_order_in_the_partition_they_name(servers: Any, topic: str, read: Any) -> None:
    messages = [Message(topic, b"anna", f"{number}".encode() + b"x" * 900, number % 2) for number in range(200)]

    send(servers, messages[:120], messages[120:])

    found = read()
    for partition in (0, 1):
        numbers = [int(record.value.rstrip(b"x")) for record in found[partition]]
        assert numbers == list(range(partition, 200, 2))
    assert found[2] == found[3] == []


def test_message_without_a_partition_goes_where_any_client_would_send_its_key(
    servers: Any, topic: str, read: Any
) -> None:
    from kafka import KafkaProducer

    keys = [f"item-{number}".encode() for number in range(50)]
    send(servers, [Message(topic, key, b"ours") for key in keys], [Message(topic, key, None) for key in keys[:5]])
    producer = KafkaProducer(bootstrap_servers=servers.kafka)
    for key in keys:
        producer.send(topic, key=key, value=b"theirs")
    producer.close()

    partitions_of: dict[bytes, set[int]] = {}
    for partition, records in read().items():
        for record in records:
            partitions_of.setdefault(record.key, set()).add(partition)
    assert partitions_of.keys() == set(keys)
    assert all(len(partitions) == 1 for partitions in partitions_of.values())


def test_message_far_larger_than_a_batch_arrives_whole(servers: Any, topic: str, read: Any) -> None:
    large = b"z" * 3_000_000
    send(
        servers, [Message(topic, b"a", b"before", 0), Message(topic, b"a", large, 0), Message(topic, b"a", b"after", 0)]
    )

    assert [record.value for record in read()[0]] == [b"before", large, b"after"]


def test_nothing_to_send_is_no_work(servers: Any, topic: str, read: Any) -> None:
    send(servers, [])

    assert not any(read().values())
