"""Micro-batches: a stream of single events in, groups of all that has arrived out, acknowledged when they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from faust.streams import Stream
from faust.types import TP, EventT, StreamT

from streams.records import Record

Arrived = Sequence[tuple[StreamT[bytes], EventT[bytes]]]
"""Events, each with the stream that it must be acknowledged to."""


class MicroBatches:
    """Takes events as they come and hands on whatever has gathered while the last batch was worked on.

    No timer: a lone event is worked on at once, and under load batches grow by themselves. (Faust's ``take`` waits
    for its timer whenever a batch isn't full, and acknowledges a batch even when its body raised; ``noack_take``
    waits as well.)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # Room for the next batch while one is worked on; a full queue holds Faust's stream back.
        self._queue: asyncio.Queue[tuple[StreamT[bytes], EventT[bytes]]] = asyncio.Queue(2 * most)

    async def gather(self, stream: StreamT[bytes]) -> None:
        """Put the events of a stream in line, unacknowledged; the body of an agent."""
        async for event in cast("Stream[bytes]", stream).noack().events():
            await self._queue.put((stream, event))

    async def next(self) -> Arrived:
        """Wait for an event, and take with it all that waits, up to the most of a batch."""
        batch = [await self._queue.get()]
        while len(batch) < self._most and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch


def records(batch: Arrived) -> list[Record]:
    """The events of a batch as the flow takes them."""
    return [
        Record(m.topic, m.partition, m.offset, round(m.timestamp * 1000), m.key, m.value)
        for m in (event.message for _, event in batch)
    ]


async def acknowledge(batch: Arrived) -> None:
    """Tell Faust that a batch is done, so that its offsets may be committed."""
    for stream, event in batch:
        await stream.ack(event)


def offsets_after(batch: Arrived) -> dict[TP, int]:
    """Where each partition goes on after a batch."""
    return {event.message.tp: event.message.offset + 1 for _, event in batch}
