"""A compacted topic read whole by every worker: records in, a callback for each out, and word when it is caught up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

log = logging.getLogger(__name__)

FETCH_BYTES = 256 * 1024
"""A fetch that finds this much is answered at once."""

Apply = Callable[[ConsumerRecord], None]
"""Takes one record (``key`` and ``value`` are bytes, a None value removes the key)."""


class CompactedTopic:
    """All partitions of a compacted topic, from the beginning and then live.

    Not a Faust table: every worker needs every partition whatever it owns, must know when it has caught up, and
    keeps nothing on disk. A reader without a group does exactly that.
    """

    def __init__(self, topic: str, bootstrap: str, apply: Apply) -> None:
        self._topic = topic
        self._apply = apply
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=f"lastclick-{topic}",
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            # Five answers a second, not one for each record: nobody waits for these.
            fetch_max_wait_ms=200,
            fetch_min_bytes=FETCH_BYTES,
        )
        self._task: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()

    async def start(self) -> None:
        """Begin to read; returns when everything that was there at the call has been applied."""
        await self._consumer.start()
        partitions = self._consumer.partitions_for_topic(self._topic)
        if not partitions:
            partitions = (await self._consumer._client.fetch_all_metadata()).partitions_for_topic(self._topic)
        assigned = [TopicPartition(self._topic, partition) for partition in sorted(partitions or ())]
        if not assigned:
            raise RuntimeError(
                f"topic {self._topic}: saw no partitions, expected it to be created before a worker starts"
            )
        self._consumer.assign(assigned)
        await self._consumer.seek_to_beginning(*assigned)
        self._task = asyncio.create_task(self._read(), name=f"read {self._topic}")
        await self.caught_up()

    async def caught_up(self) -> None:
        """Return when all that is on the topic at the time of the call has been applied."""
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        for partition, end in ends.items():
            while await self._consumer.position(partition) < end:
                if self._task is None or self._task.done():
                    raise RuntimeError(f"topic {self._topic}: its reader has stopped, so its end is never reached")
                async with self._moved:
                    await self._moved.wait()

    async def failed(self) -> None:
        """Return never, but raise what ended the reading: a worker with a frozen catalogue must not go on."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def _read(self) -> None:
        try:
            while True:
                batches = await self._consumer.getmany(timeout_ms=100, max_records=2000)
                for records in batches.values():
                    for record in records:
                        self._apply(record)
                await self._notify()
        finally:
            await self._notify()

    async def _notify(self) -> None:
        async with self._moved:
            self._moved.notify_all()
