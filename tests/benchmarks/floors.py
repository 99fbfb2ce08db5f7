"""The least that could do the same work: what the flow reads in; a row an event, or nothing at all, out.

``python -m tests.benchmarks.floors KIND RECORDS`` with the settings of a worker in the environment; prints a
`Running` line when it takes records. ``row`` is a Faust agent that writes one Cassandra row an event, with the flow's
own partitions, consumer settings, fetches and micro-batches. ``nothing`` is an agent as in Faust's manual, which takes
one event after the other and does nothing with it. ``consumer`` is aiokafka, the client inside Faust, alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

import faust
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer
from cassandra.cluster import Session
from faust.types import StreamT
from mode import CrashingSupervisor

from feature_repo.cassandra_cluster import connect, split_addresses
from streams.batches import MicroBatches, acknowledge
from streams.consuming import consuming_options
from streams.fetching import FetchApp
from streams.settings import Settings
from streams.store import CONCURRENCY
from streams.topics import USER_TOPICS
from tests.benchmarks.child import answer

TABLE = """CREATE TABLE IF NOT EXISTS {keyspace}.bench_rows (user_id text PRIMARY KEY, caused_by text, at_ms bigint)
    WITH compaction = {{'class': 'UnifiedCompactionStrategy'}}"""
KEYSPACE = """CREATE KEYSPACE IF NOT EXISTS {keyspace}
    WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}}"""
INSERT = "INSERT INTO {keyspace}.bench_rows (user_id, caused_by, at_ms) VALUES (?, ?, ?)"
SELECT = "SELECT caused_by FROM {keyspace}.bench_rows WHERE user_id = ?"


class Running(msgspec.Struct, frozen=True):
    """The floor takes records now."""

    kind: str


class Done(msgspec.Struct, frozen=True):
    """As many records as were asked for were taken, in so many seconds from when it said `Running`."""

    count: int
    seconds: float


class Count:
    """Counts records, and answers once ``wanted`` were taken; never when it is 0."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._count, self._started_s = wanted, 0, 0.0

    def begin(self, kind: str) -> None:
        """Say that records are taken from now on."""
        self._started_s = time.monotonic()
        answer(Running(kind))

    def add(self, count: int) -> None:
        """So many records are done with."""
        before, self._count = self._count, self._count + count
        if before < self._wanted <= self._count:
            answer(Done(self._count, time.monotonic() - self._started_s))


class _Caused(msgspec.Struct):
    """As much of an event as the row holds."""

    event_id: str


def writing(settings: Settings, count: Count) -> faust.App:
    """A Faust app whose agent writes a row an event."""
    app = FetchApp(settings.group, **consuming_options(settings))
    batches, rows = MicroBatches(settings.batch_max), Rows(settings)

    async def write() -> None:
        while True:
            batch = await batches.next()
            taken = [(record.key, record.value) for record in batch.records]
            await asyncio.get_running_loop().run_in_executor(None, rows.write, taken)
            await acknowledge(batch)
            count.add(len(batch.records))

    async def events(stream: StreamT[Any]) -> None:
        await batches.gather(stream)

    app.task(write)
    return _counting(app, events, "row", count)


def idle(settings: Settings, count: Count) -> faust.App:
    """A Faust app whose agent does nothing."""

    async def events(stream: StreamT[Any]) -> None:
        async for _ in stream:
            count.add(1)

    return _counting(faust.App(settings.group, **consuming_options(settings)), events, "nothing", count)


def _counting(app: faust.App, events: Callable[[StreamT[Any]], Awaitable[None]], kind: str, count: Count) -> faust.App:
    """An app with an agent of the user topics that says when it takes records."""
    topic = app.topic(*USER_TOPICS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def say_running() -> None:
        while not app.consumer.assignment():
            await asyncio.sleep(0.05)
        count.begin(kind)

    app.agent(topic, supervisor_strategy=CrashingSupervisor)(events)
    app.task(say_running)
    return app


class Rows:
    """Writes one row an event, all of a batch side by side."""

    def __init__(self, settings: Settings) -> None:
        hosts, port = split_addresses([settings.cassandra])
        self._session: Session = connect(hosts, port or 9042, None, 10.0, 4)
        for statement in (KEYSPACE, TABLE):
            self._session.execute(statement.format(keyspace=settings.keyspace), timeout=60)
        self._insert = self._session.prepare(INSERT.format(keyspace=settings.keyspace))
        self._decode = msgspec.json.Decoder(_Caused).decode

    def write(self, records: Sequence[tuple[bytes | None, bytes | None]]) -> None:
        """Write a row for each key and value; returns when all are written."""
        now_ms = time.time_ns() // 1_000_000
        waiting = iter(records)
        while futures := [
            self._session.execute_async(
                self._insert, ((key or b"").decode(), self._decode(value or b"").event_id, now_ms)
            )
            for key, value in islice(waiting, CONCURRENCY)
        ]:
            for future in futures:
                future.result()


async def consume(settings: Settings, count: Count) -> None:
    """Read and commit with the client alone, as much a poll as the flow's."""
    consumer = AIOKafkaConsumer(
        *USER_TOPICS,
        bootstrap_servers=settings.kafka.split(","),
        group_id=settings.group,
        enable_auto_commit=True,
        auto_commit_interval_ms=500,
        auto_offset_reset="earliest",
        max_poll_records=2_000,
    )
    await consumer.start()
    try:
        count.begin("consumer")
        while True:
            taken = await consumer.getmany(timeout_ms=100)
            if taken:
                count.add(sum(map(len, taken.values())))
    finally:
        await consumer.stop()


def main(kind: str, records: int) -> None:
    """Run one floor until SIGTERM."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings, count = Settings.from_environment(), Count(records)
    if kind == "consumer":
        asyncio.run(consume(settings, count))
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    # Faust's own words go to stderr: stdout carries the answers.
    app = writing(settings, count) if kind == "row" else idle(settings, count)
    worker = faust.Worker(app, loglevel="WARN", redirect_stdouts=False, stdout=sys.stderr)
    # It would turn by every debug message of every library, and make them all for that.
    worker.spinner = None
    worker.execute_from_commandline()


def _end_with_parent() -> None:
    """End when the benchmark has, however it ended: it holds the other end of stdin."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
