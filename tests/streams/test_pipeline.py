"""Batches through the pipeline: what is under way, in which order it is written, and when it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from streams.batches import MicroBatches
from streams.durability import DurabilityError
from streams.fence import FenceError
from streams.pipeline import Pipeline
from tests.streams.test_batches import fetch


class FakeStream:
    """Remembers what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []

    async def ack(self, event: Any) -> None:
        self.acknowledged.append(event.message.records[0].offset)


class FakeBatch(list[int]):
    """Offsets, and the fence under which they are written."""

    fences: dict[int, int]


class FakeFlow:
    """Prepares at once, and writes when it is let."""

    def __init__(self) -> None:
        self.fence_us = 1_000
        self.prepared: list[FakeBatch] = []
        self.announced: list[FakeBatch] = []
        self.written: list[FakeBatch] = []
        self.settled_: list[FakeBatch] = []
        self.may_write = asyncio.Semaphore(0)

    async def prepare(self, records: Sequence[Any]) -> FakeBatch:
        batch = FakeBatch(record.offset for record in records)
        batch.fences = {0: self.fence_us}
        self.prepared.append(batch)
        return batch

    async def announce(self, batch: FakeBatch) -> None:
        self.announced.append(batch)

    async def write(self, batch: FakeBatch) -> None:
        await self.may_write.acquire()
        self.written.append(batch)

    def settled(self, batch: FakeBatch) -> None:
        self.settled_.append(batch)

    async def ask(self, call: Callable[[], Any]) -> Any:
        return call()


class FakeRuntime:
    """A flow, and a Cassandra whose disk is behind and whose nodes may be started anew."""

    def __init__(self, lag_s: float) -> None:
        self.flow = FakeFlow()
        self.durability = SimpleNamespace(lag_s=lag_s)
        self.caution = SimpleNamespace(next=lambda batches: batches.next(), touching=self._touching)
        self.catalogue_flow = SimpleNamespace(publish_everything=self._publish_everything)
        self.started_anew = False
        self.stopped = False
        self.newest_us = 1_000
        self.published = 0

    async def ready(self) -> None:
        pass

    async def started(self) -> None:
        pass

    def settled_fences(self) -> dict[int, int]:
        anew, self.started_anew = self.started_anew, False
        if anew:
            raise DurabilityError("started anew")
        return {0: self.newest_us}

    def _publish_everything(self) -> None:
        self.published += 1

    @asynccontextmanager
    async def _touching(self, part: Any) -> AsyncIterator[Any]:
        yield part


class Worker:
    """A pipeline under way, with batches of one event."""

    def __init__(self, lag_s: float) -> None:
        self.runtime = FakeRuntime(lag_s)
        self.flow = self.runtime.flow
        self.stream = FakeStream()
        self._batches = MicroBatches(1)
        self.pipeline = Pipeline(self._batches, self.runtime)  # type: ignore[arg-type]
        pipeline = self.pipeline
        loops = (pipeline.prepare, pipeline.announce, pipeline.write, pipeline.settle)
        self.tasks = [asyncio.create_task(loop()) for loop in loops]

    async def arrive(self, *offsets: int) -> None:
        for offset in offsets:
            await self._batches._events.put((self.stream, SimpleNamespace(message=fetch(offset))))  # type: ignore[arg-type]
            await rest()

    async def write(self, count: int) -> None:
        for _ in range(count):
            self.flow.may_write.release()
        await rest()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def rest() -> None:
    """Let every task do what it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def run(scenario: Callable[[Worker], Coroutine[Any, Any, None]], lag_s: float) -> None:
    async def through() -> None:
        worker = Worker(lag_s)
        try:
            await scenario(worker)
        finally:
            await worker.end()

    asyncio.run(through())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_batches_are_prepared_and_announced_while_one_is_written_and_no_more() -> None:
    async def scenario(worker: Worker) -> None:
        await worker.arrive(1, 2, 3)
        assert worker.flow.prepared == worker.flow.announced == [[1], [2], [3]]
        assert worker.flow.written == []
        waiting = asyncio.create_task(worker.arrive(4))
        await rest()
        assert worker.flow.prepared == [[1], [2], [3]]

        await worker.write(1)
        await waiting
        assert worker.flow.prepared == [[1], [2], [3], [4]]
        assert worker.flow.written == [[1]]

    run(scenario, lag_s=0)


def test_written_is_acknowledged_once_it_is_safe() -> None:
    async def scenario(worker: Worker) -> None:
        started = asyncio.get_running_loop().time()
        await worker.arrive(1, 2)
        await worker.write(2)
        assert worker.flow.written == [[1], [2]]
        assert worker.stream.acknowledged == worker.flow.settled_ == []

        await until(lambda: worker.stream.acknowledged == [1, 2])
        assert asyncio.get_running_loop().time() - started >= 0.3
        assert worker.flow.settled_ == [[1], [2]]
        assert worker.pipeline.taken == {("clicks", 0): 3}

    run(scenario, lag_s=0.3)


def test_rows_that_cassandra_may_have_lost_end_the_work_unacknowledged() -> None:
    async def scenario(worker: Worker) -> None:
        await worker.arrive(1)
        await worker.write(1)
        worker.runtime.started_anew = True

        with pytest.raises(DurabilityError):
            await worker.tasks[3]
        assert worker.stream.acknowledged == []

    run(scenario, lag_s=0.3)


def test_node_started_anew_while_a_batch_is_written_ends_the_work() -> None:
    """The node that was may have taken the rows, and its answer not yet be heard."""

    async def scenario(worker: Worker) -> None:
        await worker.arrive(1)
        worker.runtime.started_anew = True

        with pytest.raises(DurabilityError):
            await worker.tasks[3]
        assert worker.stream.acknowledged == []

    run(scenario, lag_s=0)


def test_node_started_anew_while_nothing_waits_is_no_reason_to_end() -> None:
    async def scenario(worker: Worker) -> None:
        worker.runtime.started_anew = True
        await until(lambda: worker.runtime.published == 1)

        await worker.arrive(1)
        await worker.write(1)
        await until(lambda: worker.stream.acknowledged == [1])

    run(scenario, lag_s=0)


def test_batch_of_a_partition_that_was_given_away_is_never_acknowledged() -> None:
    """Its rows may have lost against the new owner's."""

    async def scenario(worker: Worker) -> None:
        await worker.arrive(1)
        worker.runtime.newest_us = 2_000
        await worker.write(1)

        with pytest.raises(FenceError, match=r"partitions \[0\] were given to another worker"):
            await worker.tasks[3]
        assert worker.stream.acknowledged == []

    run(scenario, lag_s=0)


def test_batch_written_under_a_former_fence_of_our_own_is_never_acknowledged() -> None:
    """Its records are delivered again, and those rows win."""

    async def scenario(worker: Worker) -> None:
        await worker.arrive(1)
        worker.flow.fence_us = worker.runtime.newest_us = 2_000
        await worker.write(1)

        with pytest.raises(FenceError):
            await worker.tasks[3]
        assert worker.stream.acknowledged == []

    run(scenario, lag_s=0)


def test_nothing_is_written_before_its_messages_are_on_kafka() -> None:
    """The rows remember that they were sent."""

    async def scenario(worker: Worker) -> None:
        async def fail(batch: FakeBatch) -> None:
            raise ValueError("cannot")

        worker.flow.announce = fail  # type: ignore[method-assign]
        await worker.arrive(1)
        await worker.write(1)
        with pytest.raises(ValueError, match="cannot"):
            await worker.tasks[1]
        assert worker.flow.written == []

    run(scenario, lag_s=0)


def test_failed_write_ends_the_work_and_acknowledges_nothing() -> None:
    async def scenario(worker: Worker) -> None:
        async def fail(batch: list[int]) -> None:
            raise ValueError("cannot")

        worker.flow.write = fail  # type: ignore[method-assign]
        await worker.arrive(1)
        with pytest.raises(ValueError, match="cannot"):
            await worker.tasks[2]
        assert worker.stream.acknowledged == []

    run(scenario, lag_s=0)
