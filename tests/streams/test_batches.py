"""Fetches through micro-batches: how much is worked on at a time, when more is asked for, what is acknowledged when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from faust.types import TP

from streams.batches import Arrived, MicroBatches, acknowledge, offsets_after
from streams.fetching import Fetch
from tests.streams.fakes import NOW_MS


def record(tp: TP, offset: int) -> ConsumerRecord:
    """A record as the client hands it on."""
    return ConsumerRecord(tp.topic, tp.partition, offset, NOW_MS, 0, b"anna", b"{}", None, 4, 2, ())


def fetch(*offsets: int, partition: int = 0) -> Fetch:
    """Records of one partition."""
    tp = TP("clicks", partition)
    return Fetch({tp: [record(tp, offset) for offset in offsets]}, generation_id=1)


class FakeStream:
    """Hands fetches out when they are given to it, and remembers which were acknowledged."""

    def __init__(self, *fetches: Fetch) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self.acknowledged: list[Fetch] = []
        self.give(*fetches)

    def give(self, *fetches: Fetch) -> None:
        for each in fetches:
            self._events.put_nowait(SimpleNamespace(message=each))

    def noack(self) -> FakeStream:
        return self

    async def events(self) -> AsyncIterator[Any]:
        while True:
            yield await self._events.get()

    async def ack(self, event: Any) -> None:
        self.acknowledged.append(event.message)


class Work:
    """Takes batch after batch, each when it is let; raises at an offset it cannot take."""

    def __init__(self, most: int, *streams: FakeStream, cannot: int | None = None) -> None:
        self.taken: list[list[int]] = []
        self._cannot = cannot
        self._batches, self._go = MicroBatches(most), asyncio.Semaphore(0)
        self.run = asyncio.create_task(self._run())
        self._tasks = [self.run, *(asyncio.create_task(self._batches.gather(s)) for s in streams)]  # type: ignore[arg-type]

    async def _run(self) -> None:
        while True:
            arrived = await self._batches.next()
            self.taken.append([record.offset for record in arrived.records])
            if self._cannot in self.taken[-1]:
                raise ValueError("cannot")
            await self._go.acquire()
            await acknowledge(arrived)

    async def go_on(self) -> None:
        self._go.release()
        await rest()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def rest() -> None:
    """Let every task do what it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_lone_record_is_worked_on_at_once() -> None:
    async def scenario() -> None:
        work = Work(10, FakeStream(fetch(5)))
        await rest()
        assert work.taken == [[5]]
        await work.end()

    run(scenario())


def test_more_is_asked_for_when_the_last_of_a_fetch_is_done() -> None:
    async def scenario() -> None:
        first = fetch(1, 2, 3)
        work = Work(2, FakeStream(first))
        await rest()
        assert work.taken == [[1, 2]]
        assert not first.agent_is_back.is_set()
        await work.go_on()
        assert work.taken == [[1, 2], [3]]
        assert not first.agent_is_back.is_set()
        await work.go_on()
        assert first.agent_is_back.is_set()
        await work.end()

    run(scenario())


def test_batch_holds_no_more_than_the_most() -> None:
    async def scenario() -> None:
        work = Work(3, FakeStream(fetch(*range(7)), fetch(7)))
        for _ in range(6):
            await work.go_on()
        assert work.taken == [[0, 1, 2], [3, 4, 5], [6], [7]]
        await work.end()

    run(scenario())


def test_fetch_is_acknowledged_when_all_of_it_is_done() -> None:
    async def scenario() -> None:
        first, second = fetch(1, 2, 3), fetch(4)
        stream = FakeStream(first, second)
        work = Work(2, stream)
        await work.go_on()
        assert stream.acknowledged == []
        await work.go_on()
        assert stream.acknowledged == [first]
        await work.go_on()
        assert stream.acknowledged == [first, second]
        await work.end()

    run(scenario())


def test_failure_ends_the_work_and_acknowledges_nothing_of_the_fetch() -> None:
    async def scenario() -> None:
        stream = FakeStream(fetch(1, 2))
        work = Work(1, stream, cannot=2)
        await work.go_on()
        with pytest.raises(ValueError, match="cannot"):
            await work.run
        assert stream.acknowledged == []
        await work.end()

    run(scenario())


def test_fetch_is_acknowledged_on_the_stream_it_came_from() -> None:
    async def scenario() -> None:
        one, other = fetch(1), fetch(2, partition=1)
        first, second = FakeStream(one), FakeStream(other)
        work = Work(10, first, second)
        for _ in range(3):
            await work.go_on()
        assert (first.acknowledged, second.acknowledged) == ([one], [other])
        await work.end()

    run(scenario())


def test_fetch_knows_where_each_partition_goes_on() -> None:
    async def scenario() -> None:
        of_two = {**fetch(3, 4).ends, **fetch(8, partition=1).ends}
        assert of_two == {TP("clicks", 0): 5, TP("clicks", 1): 9}
        assert offsets_after(Arrived(fetch(3, 4).records, None)) == {TP("clicks", 0): 5}

    run(scenario())


def test_only_the_last_part_of_a_batch_ends_its_fetch() -> None:
    async def scenario() -> None:
        ended_by: Any = (FakeStream(), SimpleNamespace(message=fetch(1, 2, 3)))
        parts = Arrived(fetch(1, 2, 3).records, ended_by).cut([slice(0, 2), slice(2, 3)])
        assert [[record.offset for record in part.records] for part in parts] == [[1, 2], [3]]
        assert [part.last_of for part in parts] == [None, ended_by]

    run(scenario())
