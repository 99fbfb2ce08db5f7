"""Batches through the pipeline: what is under way, in which order it is written, and when it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.batches import MicroBatches
from streams.pipeline import Pipeline
from streams.poison import Caution


class FakeStream:
    """Remembers what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []

    async def ack(self, event: Any) -> None:
        self.acknowledged.append(event.message.offset)


class FakeFlow:
    """Prepares at once, and writes when it is let."""

    def __init__(self) -> None:
        self.prepared: list[list[int]] = []
        self.written: list[list[int]] = []
        self.rewritten: list[list[int]] = []
        self.settled_: list[list[int]] = []
        self.may_write = asyncio.Semaphore(0)

    async def prepare(self, records: Sequence[Any]) -> list[int]:
        self.prepared.append([record.offset for record in records])
        return self.prepared[-1]

    async def write(self, batch: list[int]) -> None:
        await self.may_write.acquire()
        self.written.append(batch)

    async def write_rows(self, batch: list[int]) -> None:
        self.rewritten.append(batch)

    def settled(self, batch: list[int]) -> None:
        self.settled_.append(batch)

    async def ask(self, call: Callable[[], Any]) -> Any:
        return call()


class FakeRuntime:
    """A flow, and a Cassandra that is durable after a while and may be started anew."""

    def __init__(self, after_s: float) -> None:
        self.flow = FakeFlow()
        self.caution = Caution(Path("no-such-folder", "attempt-0.json"), "")
        self.durability = SimpleNamespace(after_s=after_s, unbroken=self._unbroken)
        self.started_anew = False
        self.stopped = False
        self.lost = 0

    async def ready(self) -> None:
        pass

    async def started(self) -> None:
        pass

    def cassandra_lost_rows(self) -> None:
        self.lost += 1

    def _unbroken(self) -> bool:
        anew, self.started_anew = self.started_anew, False
        return not anew


class Worker:
    """A pipeline under way, with batches of one event."""

    def __init__(self, after_s: float) -> None:
        self.runtime = FakeRuntime(after_s)
        self.flow = self.runtime.flow
        self.stream = FakeStream()
        self._batches = MicroBatches(1)
        self.pipeline = Pipeline(self._batches, self.runtime)  # type: ignore[arg-type]
        loops = (self.pipeline.prepare, self.pipeline.write, self.pipeline.settle)
        self.tasks = [asyncio.create_task(loop()) for loop in loops]

    async def arrive(self, *offsets: int) -> None:
        for offset in offsets:
            message = SimpleNamespace(
                topic="clicks", partition=0, offset=offset, timestamp=1.0, key=b"anna", value=b"", tp=("clicks", 0)
            )
            await self._batches._queue.put((self.stream, SimpleNamespace(message=message)))  # type: ignore[arg-type]
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


def run(scenario: Callable[[Worker], Coroutine[Any, Any, None]], after_s: float) -> None:
    async def through() -> None:
        worker = Worker(after_s)
        try:
            await scenario(worker)
        finally:
            await worker.end()

    asyncio.run(through())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_next_batch_is_prepared_while_one_is_written_and_no_more() -> None:
    async def scenario(worker: Worker) -> None:
        await worker.arrive(1, 2)
        assert worker.flow.prepared == [[1], [2]]
        assert worker.flow.written == []
        waiting = asyncio.create_task(worker.arrive(3))
        await rest()
        assert worker.flow.prepared == [[1], [2]]

        await worker.write(1)
        await waiting
        assert worker.flow.prepared == [[1], [2], [3]]
        assert worker.flow.written == [[1]]

    run(scenario, after_s=0)


def test_written_is_acknowledged_at_once_where_it_is_durable_at_once() -> None:
    async def scenario(worker: Worker) -> None:
        await worker.arrive(1, 2)
        assert worker.stream.acknowledged == []
        await worker.write(2)
        assert worker.stream.acknowledged == [1, 2]
        assert worker.flow.settled_ == [[1], [2]]
        assert worker.pipeline.taken == {("clicks", 0): 3}

    run(scenario, after_s=0)


def test_written_is_acknowledged_once_it_is_durable() -> None:
    async def scenario(worker: Worker) -> None:
        started = asyncio.get_running_loop().time()
        await worker.arrive(1)
        await worker.write(1)
        assert worker.flow.written == [[1]]
        assert worker.stream.acknowledged == worker.flow.settled_ == []

        await until(lambda: worker.stream.acknowledged == [1])
        assert asyncio.get_running_loop().time() - started >= 0.2

    run(scenario, after_s=0.2)


def test_rows_that_cassandra_may_have_lost_are_written_again_before_they_are_acknowledged() -> None:
    async def scenario(worker: Worker) -> None:
        await worker.arrive(1, 2)
        await worker.write(2)
        worker.runtime.started_anew = True

        await until(lambda: worker.stream.acknowledged == [1, 2])
        assert worker.flow.rewritten == [[1], [2]]
        assert worker.runtime.lost == 1

    run(scenario, after_s=0.2)


def test_failed_write_ends_the_work_and_acknowledges_nothing() -> None:
    async def scenario(worker: Worker) -> None:
        async def fail(batch: list[int]) -> None:
            raise ValueError("cannot")

        worker.flow.write = fail  # type: ignore[method-assign]
        await worker.arrive(1)
        with pytest.raises(ValueError, match="cannot"):
            await worker.tasks[1]
        assert worker.stream.acknowledged == []

    run(scenario, after_s=0)
