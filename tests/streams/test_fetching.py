"""What the consumer hands on around a change of partitions, and how long it waits for an agent that has a fetch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams import fetching
from streams.fetching import FetchConsumer
from tests.streams.test_batches import fetch, record

RUNNING: Any = SimpleNamespace(should_stop=False)


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


def test_records_that_come_right_after_a_change_of_partitions_are_handed_on(consumer: Any) -> None:
    """The client's position is behind them: left out, they would be lost once later ones are committed."""
    mine, moved = TP("clicks", 0), TP("clicks", 1)

    async def scenario() -> None:
        stopped, queue = asyncio.Event(), asyncio.Queue[Any]()
        consumer._stopped, consumer._crashed, consumer.flow_active = stopped, asyncio.Event(), True
        consumer.can_resume_flow = asyncio.Event()
        consumer.can_resume_flow.set()
        consumer._active_partitions = {mine, moved}
        flow_control = SimpleNamespace(acquire=lambda: asyncio.sleep(0))
        consumer.app = SimpleNamespace(consumer_generation_id=1, flow_control=flow_control)

        async def getmany(partitions: set[TP], timeout: float) -> dict[TP, list[Any]]:
            # Asked in one generation of the group, answered in the next.
            consumer.app.consumer_generation_id += 1
            consumer._active_partitions = {mine}
            return {tp: [record(tp, 7)] for tp in partitions}

        consumer._getmany = getmany
        channel: Any = SimpleNamespace(topics=["clicks"], queue=queue)
        draining = asyncio.create_task(consumer._drain(channel, RUNNING))
        taken = (await asyncio.wait_for(queue.get(), 10)).message
        assert taken.ends == {mine: 8}
        assert taken.generation_id == consumer.app.consumer_generation_id == 2
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)

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
