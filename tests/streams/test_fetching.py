"""How long the consumer waits for an agent that has a fetch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams import fetching
from streams.fetching import FetchConsumer
from tests.streams.test_batches import fetch


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
        waiting = asyncio.create_task(consumer._until_back(taken))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        taken.agent_is_back.set()
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())


def test_agent_is_waited_for_no_longer_than_until_partitions_change(consumer: Any) -> None:
    """Faust drops what waits in line then, and its agent never sees it."""

    async def scenario() -> None:
        waiting = asyncio.create_task(consumer._until_back(fetch(1)))
        await asyncio.sleep(0.05)
        consumer.app.consumer_generation_id = 2
        await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())
