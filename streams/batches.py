"""Micro-batches: a stream of single events in, groups of all that has arrived out, acknowledged when they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from faust.streams import Stream
from faust.types import EventT, StreamT

Process = Callable[[Sequence[EventT[bytes]]], Awaitable[None]]


class MicroBatches:
    """Takes events as they come and hands on whatever has gathered while the last batch was worked on.

    No timer: a lone event is worked on at once, and under load batches grow by themselves. (Faust's ``take`` waits
    for its timer whenever a batch isn't full, and acknowledges a batch even when its body raised; ``noack_take``
    waits as well.)
    """

    def __init__(self, most: int, process: Process) -> None:
        self._most = most
        self._process = process
        # Room for the next batch while one is worked on; a full queue holds Faust's stream back.
        self._queue: asyncio.Queue[tuple[StreamT[bytes], EventT[bytes]]] = asyncio.Queue(2 * most)

    async def gather(self, stream: StreamT[bytes]) -> None:
        """Put the events of a stream in line, unacknowledged; the body of an agent."""
        async for event in cast("Stream[bytes]", stream).noack().events():
            await self._queue.put((stream, event))

    async def run(self) -> None:
        """Work on batch after batch.

        An exception ends it and, as a task of the app, the worker: nothing of the batch has been acknowledged, so
        it is delivered again.
        """
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._process([event for _, event in batch])
            for stream, event in batch:
                await stream.ack(event)
