from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import pytest

from streams.batches import MicroBatches, acknowledge


class FakeStream:
    """Hands events out when they are given to it, and remembers which were acknowledged."""

    def __init__(self, *events: str) -> None:
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self.acknowledged: list[str] = []
        self.taken: list[str] = []
        self.give(*events)

    def give(self, *events: str) -> None:
        for event in events:
            self._events.put_nowait(event)

    def noack(self) -> FakeStream:
        return self

    async def events(self) -> AsyncIterator[str]:
        while True:
            event = await self._events.get()
            self.taken.append(event)
            yield event

    async def ack(self, event: str) -> None:
        self.acknowledged.append(event)


class Steps:
    """A process that waits, batch by batch, until it is let go on."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._go = asyncio.Semaphore(0)

    async def __call__(self, batch: Sequence[Any]) -> None:
        self.batches.append(list(batch))
        await self._go.acquire()

    def go_on(self) -> None:
        self._go.release()


async def settle() -> None:
    """Let every task do what it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def start(most: int, process: Any, *streams: FakeStream) -> list[asyncio.Task[None]]:
    batches = MicroBatches(most)

    async def run() -> None:
        while True:
            arrived = await batches.next()
            await process([event for _, event in arrived])
            await acknowledge(arrived)

    gathering = [asyncio.create_task(batches.gather(stream)) for stream in streams]  # type: ignore[arg-type]
    return [asyncio.create_task(run()), *gathering]


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_lone_event_is_worked_on_at_once() -> None:
    async def scenario() -> None:
        steps, stream = Steps(), FakeStream("a")
        tasks = start(10, steps, stream)
        await settle()
        assert steps.batches == [["a"]]
        await end(tasks)

    run(scenario())


def test_events_that_come_meanwhile_make_the_next_batch() -> None:
    async def scenario() -> None:
        steps, stream = Steps(), FakeStream("a")
        tasks = start(10, steps, stream)
        await settle()
        stream.give("b", "c", "d")
        await settle()
        assert steps.batches == [["a"]]
        steps.go_on()
        await settle()
        assert steps.batches == [["a"], ["b", "c", "d"]]
        await end(tasks)

    run(scenario())


def test_batch_holds_no_more_than_the_most() -> None:
    async def scenario() -> None:
        steps, stream = Steps(), FakeStream(*"abcdefg")
        tasks = start(3, steps, stream)
        for _ in range(5):
            await settle()
            steps.go_on()
        await settle()
        assert max(map(len, steps.batches)) == 3
        assert [event for batch in steps.batches for event in batch] == list("abcdefg")
        await end(tasks)

    run(scenario())


def test_nothing_is_acknowledged_before_its_batch_is_done() -> None:
    async def scenario() -> None:
        steps, stream = Steps(), FakeStream("a", "b")
        tasks = start(10, steps, stream)
        await settle()
        assert stream.acknowledged == []
        steps.go_on()
        steps.go_on()
        await settle()
        assert stream.acknowledged == ["a", "b"]
        await end(tasks)

    run(scenario())


def test_failure_ends_the_work_and_acknowledges_nothing_of_the_batch() -> None:
    async def fail(batch: Sequence[Any]) -> None:
        if "c" in batch:
            raise ValueError("cannot")

    async def scenario() -> None:
        stream = FakeStream("a")
        tasks = start(10, fail, stream)
        await settle()
        stream.give("b", "c")
        with pytest.raises(ValueError, match="cannot"):
            await tasks[0]
        assert stream.acknowledged in (["a"], ["a", "b"])
        await end(tasks)

    run(scenario())


def test_full_queue_holds_the_stream_back() -> None:
    async def scenario() -> None:
        steps, stream = Steps(), FakeStream(*(str(number) for number in range(100)))
        tasks = start(5, steps, stream)
        await settle()
        # At most one batch under way, two in line, and one event that waits to get in.
        assert len(stream.taken) <= 5 + 10 + 1
        await end(tasks)

    run(scenario())


def test_events_are_acknowledged_on_the_stream_they_came_from() -> None:
    async def scenario() -> None:
        steps, first, second = Steps(), FakeStream("a"), FakeStream("b")
        tasks = start(10, steps, first, second)
        for _ in range(3):
            await settle()
            steps.go_on()
        await settle()
        assert (first.acknowledged, second.acknowledged) == (["a"], ["b"])
        await end(tasks)

    run(scenario())
