"""The user topics' way through a worker: micro-batches in; prepared, announced, written and acknowledged batches out.

Four endless tasks. One batch is prepared while another is announced on Kafka and a third written to Cassandra, so the
processor works while the servers answer; a written batch is acknowledged to Kafka once its rows are safe on
Cassandra's disk. An exception in any of the four ends the worker: nothing that was not settled has been acknowledged,
so it is delivered again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from faust.types import TP

from streams.batches import Arrived, MicroBatches, acknowledge, offsets_after
from streams.durability import DurabilityError
from streams.fence import FenceError, lost
from streams.flow import Batch
from streams.runtime import Runtime

UNDER_WAY = 3
"""Batches that are prepared, announced or written at a time."""

SETTLE_INTERVAL_S = 0.1

MOST_UNSETTLED = 20_000
"""Events that may wait for Cassandra's disk before no more are taken."""


@dataclass
class _Written:
    """A batch whose rows Cassandra has acknowledged, and when by the monotonic clock."""

    arrived: Arrived
    batch: Batch
    at_s: float


class Pipeline:
    """Takes batches through the flow; ``taken`` is the offset after the last written record, by partition."""

    def __init__(self, batches: MicroBatches, runtime: Runtime) -> None:
        self._batches, self._runtime = batches, runtime
        self._room = asyncio.Semaphore(UNDER_WAY)
        self._prepared: asyncio.Queue[tuple[Arrived, Batch]] = asyncio.Queue()
        self._announced: asyncio.Queue[tuple[Arrived, Batch]] = asyncio.Queue()
        self._unsettled: deque[_Written] = deque()
        self._open = 0
        self._few_unsettled = asyncio.Event()
        self._few_unsettled.set()
        self.taken: dict[TP, int] = {}

    async def prepare(self) -> None:
        """Prepare batch after batch."""
        while True:
            await self._room.acquire()
            await self._few_unsettled.wait()
            arrived = await self._runtime.caution.next(self._batches)
            self._open += 1
            await self._runtime.ready()
            async with self._runtime.caution.touching(arrived.records) as part:
                batch = await self._runtime.flow.prepare(part)
            self._prepared.put_nowait((arrived, batch))

    async def announce(self) -> None:
        """Append the messages of the prepared batches in their order."""
        while True:
            arrived, batch = await self._prepared.get()
            await self._runtime.flow.announce(batch)
            self._announced.put_nowait((arrived, batch))

    async def write(self) -> None:
        """Write the rows of the announced batches in their order."""
        while True:
            arrived, batch = await self._announced.get()
            await self._runtime.flow.write(batch)
            self._room.release()
            self.taken.update(offsets_after(arrived))
            self._unsettled.append(_Written(arrived, batch, time.monotonic()))
            if self._waiting() > MOST_UNSETTLED:
                self._few_unsettled.clear()

    async def settle(self) -> None:
        """Acknowledge what is safe on Cassandra's disk, as long as this worker is the last that was given it.

        Raises
        ------
        DurabilityError
            When Cassandra may have lost rows of batches not yet acknowledged.
        FenceError
            When another worker was given a partition of such a batch: its rows may have lost against that worker's.
        """
        await self._runtime.started()
        flow, durability = self._runtime.flow, self._runtime.durability
        while True:
            await asyncio.sleep(SETTLE_INTERVAL_S)
            if self._runtime.stopped:
                # Faust has waited for the last acknowledgement before.
                return
            asked_s = time.monotonic()
            try:
                newest = await flow.ask(self._runtime.settled_fences)
            except DurabilityError:
                if self._open:
                    # Not only the written ones: a write may have been acknowledged, and its answer not yet be heard.
                    raise
                # Nothing of the flow is lost; what the catalogue writes without an acknowledgement may be.
                self._runtime.catalogue_flow.publish_everything()
                continue
            await self._settle(asked_s - durability.lag_s, newest)

    async def _settle(self, until_s: float, newest: Mapping[int, int]) -> None:
        """Acknowledge the batches that were written by a moment of the monotonic clock."""
        while self._unsettled and self._unsettled[0].at_s <= until_s:
            written = self._unsettled.popleft()
            if gone := lost(written.batch.fences, newest):
                raise FenceError(
                    f"partitions {gone} were given to another worker; starting again from what is committed"
                )
            self._runtime.flow.settled(written.batch)
            await acknowledge(written.arrived)
            self._open -= 1
        if self._waiting() <= MOST_UNSETTLED:
            self._few_unsettled.set()

    def _waiting(self) -> int:
        return sum(len(written.arrived.records) for written in self._unsettled)
