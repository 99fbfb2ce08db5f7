"""Micro-batches: an agent's fetches in, batches of bounded size out, acknowledged when all of a fetch is done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from faust.streams import Stream
from faust.types import TP, EventT, StreamT

from streams.fetching import Fetch
from streams.records import Record


@dataclass(frozen=True)
class Arrived:
    """Records to be worked on together, in their order.

    ``last_of`` is the stream and its event that is done with these records; None while more of its fetch follow.
    """

    records: list[Record]
    last_of: tuple[StreamT[bytes], EventT[bytes]] | None

    def cut(self, slices: Iterable[slice]) -> list[Arrived]:
        """Cut into parts, by slices that cover all of it."""
        parts = [Arrived(self.records[each], None) for each in slices]
        parts[-1] = Arrived(parts[-1].records, self.last_of)
        return parts


class MicroBatches:
    """Hands on what has arrived since it was last asked, in batches of at most ``most`` records.

    No timer: a lone event is worked on at once, and under load batches grow by themselves. (Faust's ``take`` waits
    for its timer whenever a batch isn't full, and acknowledges a batch even when its body raised; ``noack_take``
    waits as well.)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: asyncio.Queue[tuple[StreamT[bytes], EventT[bytes]]] = asyncio.Queue(1)
        self._parts: deque[Arrived] = deque()
        self._back = asyncio.Event()

    async def gather(self, stream: StreamT[bytes]) -> None:
        """Put a stream's fetches in line, unacknowledged; the body of an agent."""
        async for event in cast("Stream[bytes]", stream).noack().events():
            await self._events.put((stream, event))

    async def next(self) -> Arrived:
        """Wait for records; with nothing left of the last fetch, this is what asks for another."""
        if not self._parts:
            self._back.set()
            stream, event = await self._events.get()
            fetch = cast(Fetch, event.message)
            self._back = fetch.agent_is_back
            starts = range(0, len(fetch.records), self._most)
            whole = Arrived(fetch.records, (stream, event))
            self._parts.extend(whole.cut(slice(start, start + self._most) for start in starts))
        return self._parts.popleft()


async def acknowledge(batch: Arrived) -> None:
    """Tell Faust that a fetch is done, if this was the last of it, so that its offsets may be committed."""
    if batch.last_of is not None:
        stream, event = batch.last_of
        await stream.ack(event)


def offsets_after(batch: Arrived) -> dict[TP, int]:
    """Where each partition goes on after a batch."""
    return {TP(record.topic, record.partition): record.offset + 1 for record in batch.records}
