"""What the consumer hands on around a change of partitions, and how long it waits for an agent that has a fetch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams import fetching
from streams.fetching import FetchConsumer, Fetched
from tests.streams.test_batches import fetch, record

RUNNING: Any = SimpleNamespace(should_stop=False)
CLICKS = TP("clicks", 0)


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A consumer of the group's first generation, without a broker."""
    monkeypatch.setattr(fetching, "PATIENCE_S", 0.01)
    consumer: Any = object.__new__(FetchConsumer)
    consumer.app = SimpleNamespace(consumer_generation_id=1)
    return consumer


def test_agent_that_works_is_waited_for(consumer: Any) -> None:
    async def scenario() -> None:
        taken = fetch(1)
        waiting = asyncio.create_task(consumer._until_back(taken, RUNNING))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        taken.agent_is_back.set()
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())


def test_agent_is_waited_for_no_longer_than_until_partitions_change(consumer: Any) -> None:
    """Faust drops what waits in line then, and its agent never sees it."""

    async def scenario() -> None:
        waiting = asyncio.create_task(consumer._until_back(fetch(1), RUNNING))
        await asyncio.sleep(0.05)
        consumer.app.consumer_generation_id = 2
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())


def draining(consumer: Any, *answers: Fetched) -> asyncio.Queue[Any]:
    """The queue of an agent, and a drain into it from a client that answers so; partitions change meanwhile."""
    consumer._stopped, consumer._crashed, consumer.can_resume_flow = asyncio.Event(), asyncio.Event(), asyncio.Event()
    consumer.can_resume_flow.set()
    consumer._active_partitions = {CLICKS}
    answer = iter(answers)

    async def fetch(partitions: set[TP]) -> Fetched:
        consumer.app.consumer_generation_id += 1
        consumer.can_resume_flow.clear()
        asyncio.get_running_loop().call_later(0.05, consumer.can_resume_flow.set)
        return next(answer)

    consumer._thread = SimpleNamespace(fetch=fetch)
    channel: Any = SimpleNamespace(topics=["clicks"], queue=asyncio.Queue())
    consumer.task = asyncio.create_task(consumer._drain(channel, RUNNING))
    return cast("asyncio.Queue[Any]", channel.queue)


def test_records_of_the_new_assignment_are_handed_on_once_partitions_have_changed(consumer: Any) -> None:
    """The client's position is behind them: left out, they would be lost once later ones are committed."""

    async def scenario() -> None:
        queue = draining(consumer, Fetched({CLICKS: [record(CLICKS, 7)]}, SimpleNamespace(active=True)))
        await asyncio.sleep(0.02)
        assert queue.empty()
        taken = (await asyncio.wait_for(queue.get(), 10)).message
        assert taken.ends == {CLICKS: 8}
        assert taken.generation_id == consumer.app.consumer_generation_id == 2
        consumer.task.cancel()

    asyncio.run(scenario())


def test_records_of_an_assignment_that_was_replaced_are_left_to_the_next(consumer: Any) -> None:
    async def scenario() -> None:
        old, new = SimpleNamespace(active=False), SimpleNamespace(active=True)
        queue = draining(
            consumer, Fetched({CLICKS: [record(CLICKS, 7)]}, old), Fetched({CLICKS: [record(CLICKS, 5)]}, new)
        )
        taken = (await asyncio.wait_for(queue.get(), 10)).message
        assert taken.ends == {CLICKS: 6}
        consumer.task.cancel()

    asyncio.run(scenario())


def test_stop_for_a_rebalance_is_no_crash(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust cancels what is left of a fetcher that it stops; outside a stop, a cancellation is passed on."""

    async def cancelled(fetcher: Any) -> asyncio.Task[None]:
        consumer._stopped, consumer._crashed = asyncio.Event(), asyncio.Event()
        consumer.can_resume_flow = asyncio.Event()
        consumer.app = SimpleNamespace(topics=[SimpleNamespace(topics=["clicks"])])
        draining = asyncio.create_task(consumer._drain_messages(fetcher))
        await asyncio.sleep(0.02)
        draining.cancel()
        await asyncio.wait([draining])
        return draining

    async def scenario() -> None:
        monkeypatch.setattr(fetching, "PATIENCE_S", 10)
        fetcher = SimpleNamespace(should_stop=False)
        asyncio.get_running_loop().call_later(0.005, setattr, fetcher, "should_stop", True)
        assert not (await cancelled(fetcher)).cancelled()
        assert (await cancelled(RUNNING)).cancelled()

    asyncio.run(scenario())
