"""Fetches from a real Kafka through Faust's agents: all records, in order, committed when acknowledged, none ahead."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from streams.fetching import Fetch, FetchApp
from streams.records import Record

pytestmark = pytest.mark.integration

PARTITIONS = 4


class Topics:
    """Two topics of a broker, records appended to them, and a folder for what their readers keep."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.clicks, self.items = (f"{name}-{uuid.uuid4().hex[:12]}" for name in ("clicks", "items"))
        self._admin = KafkaAdminClient(bootstrap_servers=kafka)
        self._admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (self.clicks, self.items)])
        self._admin.wait_for_topics([self.clicks, self.items])
        self._producer = KafkaProducer(bootstrap_servers=kafka)

    def append(self, topic: str, *numbers: int) -> None:
        for number in numbers:
            self._producer.send(topic, str(number).encode(), partition=number % PARTITIONS)
        self._producer.flush()

    def committed(self, group: str, topic: str) -> int:
        """Records of a topic that the group has committed."""
        consumer = KafkaConsumer(bootstrap_servers=self.kafka, group_id=group, enable_auto_commit=False)
        try:
            return sum(consumer.committed(TopicPartition(topic, each)) or 0 for each in range(PARTITIONS))
        finally:
            consumer.close()

    def close(self) -> None:
        self._producer.close()
        self._admin.delete_topics([self.clicks, self.items])
        self._admin.close()


class Taking:
    """An app whose two agents keep what they get, and take the next fetch when they are let."""

    def __init__(self, topics: Topics, group: str) -> None:
        self.app = FetchApp(
            group,
            broker=f"kafka://{topics.kafka}",
            datadir=str(topics.folder),
            store="memory://",
            topic_partitions=PARTITIONS,
            topic_disable_leader=True,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
            broker_commit_interval=0.1,
            stream_wait_empty=False,
        )
        self.fetches: dict[str, list[list[Record]]] = {topics.clicks: [], topics.items: []}
        self.may_go_on = {name: asyncio.Semaphore(0) for name in self.fetches}
        self.acknowledges = True
        for name in self.fetches:
            topic = self.app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
            self.app.agent(topic, name=name)(self._agent(name))

    def _agent(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def take(stream: Any) -> None:
            async for event in stream.noack().events():
                fetch = cast(Fetch, event.message)
                self.fetches[name].append(fetch.records)
                await self.may_go_on[name].acquire()
                if self.acknowledges:
                    await stream.ack(event)
                fetch.agent_is_back.set()

        return take

    def numbers(self, name: str) -> list[int]:
        return [int(record.value or b"") for records in self.fetches[name] for record in records]

    def go_on(self, *names: str) -> None:
        for name in names:
            for _ in range(1_000):
                self.may_go_on[name].release()


@asynccontextmanager
async def running(topics: Topics, group: str) -> AsyncIterator[Taking]:
    taking = Taking(topics, group)
    try:
        await taking.app.start()
        yield taking
    finally:
        for name in taking.fetches:
            taking.go_on(name)
        await taking.app.stop()


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within 60 s") from None


@pytest.fixture
def topics(servers: Any, tmp_path: Path) -> Iterator[Topics]:
    made = Topics(servers.kafka, tmp_path)
    yield made
    made.close()


@pytest.fixture
def group() -> str:
    return f"fetching-{uuid.uuid4().hex[:12]}"


def test_all_records_come_in_the_order_of_their_partition(topics: Topics, group: str) -> None:
    async def scenario() -> None:
        topics.append(topics.clicks, *range(3_000))
        async with running(topics, group) as taking:
            taking.go_on(topics.clicks)
            await until(lambda: len(taking.numbers(topics.clicks)) == 3_000, "all records")
        numbers = taking.numbers(topics.clicks)
        for partition in range(PARTITIONS):
            of_one = [number for number in numbers if number % PARTITIONS == partition]
            assert of_one == list(range(partition, 3_000, PARTITIONS))
        assert topics.committed(group, topics.clicks) == 3_000

    asyncio.run(scenario())


def test_what_was_not_acknowledged_comes_again(topics: Topics, group: str) -> None:
    async def scenario() -> None:
        topics.append(topics.clicks, *range(10))
        async with running(topics, group) as taking:
            taking.go_on(topics.clicks)
            await until(lambda: topics.committed(group, topics.clicks) == 10, "the first ten committed")
            taking.acknowledges = False
            topics.append(topics.clicks, *range(10, 15))
            await until(lambda: len(taking.numbers(topics.clicks)) == 15, "five more")
        assert topics.committed(group, topics.clicks) == 10

        async with running(topics, group) as again:
            again.go_on(topics.clicks)
            await until(lambda: len(again.numbers(topics.clicks)) == 5, "the five again")
            assert sorted(again.numbers(topics.clicks)) == list(range(10, 15))
            await until(lambda: topics.committed(group, topics.clicks) == 15, "the five committed")

    asyncio.run(scenario())


def test_what_arrives_while_an_agent_works_is_one_fetch_then(topics: Topics, group: str) -> None:
    async def scenario() -> None:
        async with running(topics, group) as taking:
            topics.append(topics.clicks, 0)
            await until(lambda: taking.numbers(topics.clicks) == [0], "the first record")
            topics.append(topics.clicks, *range(1, 200))
            assert len(taking.fetches[topics.clicks]) == 1
            taking.go_on(topics.clicks)
            await until(lambda: len(taking.numbers(topics.clicks)) == 200, "the others")
            # Once, a tenth of a second after the first, the client has fetched ahead for the other agent's sake.
            assert len(taking.fetches[topics.clicks]) <= 3

    asyncio.run(scenario())


def test_agent_that_works_for_long_does_not_keep_the_other_waiting(topics: Topics, group: str) -> None:
    async def scenario() -> None:
        async with running(topics, group) as taking:
            topics.append(topics.items, 7)
            await until(lambda: taking.numbers(topics.items) == [7], "an item, whose agent now works")
            taking.go_on(topics.clicks)
            for number in range(5):
                topics.append(topics.clicks, number)
                await until(lambda: len(taking.numbers(topics.clicks)) == number + 1, "a click")  # noqa: B023

    asyncio.run(scenario())


def test_partitions_that_move_to_another_worker_and_back_lose_nothing(topics: Topics, group: str) -> None:
    async def scenario() -> None:
        async with running(topics, group) as first:
            first.go_on(topics.clicks)
            topics.append(topics.clicks, *range(40))
            await until(lambda: len(first.numbers(topics.clicks)) == 40, "all at the first")
            async with running(topics, group) as second:
                second.go_on(topics.clicks)
                await until(lambda: second.app.consumer.assignment(), "partitions of the second's own")
                topics.append(topics.clicks, *range(40, 80))
                both = (first, second)
                await until(lambda: {n for t in both for n in t.numbers(topics.clicks)} >= set(range(80)), "at both")
                assert second.numbers(topics.clicks)
            topics.append(topics.clicks, *range(80, 120))
            await until(lambda: set(first.numbers(topics.clicks)) >= set(range(80, 120)), "all at the first again")
            await until(lambda: topics.committed(group, topics.clicks) == 120, "everything committed")

    asyncio.run(scenario())


def test_records_fetched_while_partitions_change_are_not_lost_before_anything_is_committed(
    topics: Topics, group: str
) -> None:
    async def scenario() -> None:
        async with running(topics, group) as taking:
            taking.go_on(topics.clicks)
            await until(lambda: taking.app.consumer.assignment(), "partitions")
            taking.app.consumer.stop_flow()
            topics.append(topics.clicks, *range(40))
            await asyncio.sleep(2)
            assert not taking.numbers(topics.clicks)
            taking.app.consumer.resume_flow()
            await until(lambda: sorted(taking.numbers(topics.clicks)) == list(range(40)), "all records")

    asyncio.run(scenario())
