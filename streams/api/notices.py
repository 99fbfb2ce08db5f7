"""The topic ``recommendations`` for those who listen: notices of all users in; each listener's own out.

One reader for the process, and a short queue for each client: one that does not keep up loses its oldest notices,
since only the newest list matters. A worker announces a list just before it writes it, so a notice is passed on when
the list can be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.api.rows import Rows, StoreAway
from streams.messages import ListNotice
from streams.topics import RECOMMENDATIONS

log = logging.getLogger(__name__)

QUEUE_MAX = 32
LOOK_S = 0.005
"""Seconds between the first two looks whether a list can be read; each wait is half as long again."""

PATIENCE_S = 2.0
"""Seconds after which a notice is passed on even so: its list may have been overtaken, or Cassandra be away."""

EVERYBODY = ""
"""Listens to a sample of all users' notices; no user has this id."""

SAMPLE_S = 0.25
"""Seconds between two notices of that sample."""

Queue = asyncio.Queue[ListNotice]


class Notices:
    """Passes notices on to whoever listens.

    Parameters
    ----------
    kafka
        Bootstrap addresses.
    rows
        Where lists can be read.
    most
        Most listeners at once.
    """

    def __init__(self, kafka: str, rows: Rows, most: int) -> None:
        self._kafka, self._rows, self._most = kafka, rows, most
        self._queues: dict[str, set[Queue]] = {}
        self._count = 0
        self._waiting: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._decoder = msgspec.json.Decoder(ListNotice)
        self._reading = asyncio.Event()
        self._sampled_at_s = float("-inf")

    @property
    def listeners(self) -> int:
        """Clients that listen now."""
        return self._count

    @property
    def current(self) -> bool:
        """Whether notices are read as they come."""
        return self._reading.is_set()

    async def wait_current(self) -> None:
        """Return when notices are read as they come: whoever listens misses nothing from then on."""
        await self._reading.wait()

    @property
    def full(self) -> bool:
        """Whether as many listen as may."""
        return self._count >= self._most

    @contextmanager
    def listen(self, user_id: str) -> Iterator[Queue]:
        """Notices of a user, or a sample of `EVERYBODY`'s, from now on."""
        queue: Queue = asyncio.Queue(QUEUE_MAX)
        self._count += 1
        self._queues.setdefault(user_id, set()).add(queue)
        try:
            yield queue
        finally:
            self._count -= 1
            queues = self._queues[user_id]
            queues.discard(queue)
            if not queues:
                del self._queues[user_id]

    async def run(self) -> None:
        """Read the topic from its end on, until cancelled; raises what ends the reading."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka, client_id="lastclick-api-notices", group_id=None, enable_auto_commit=False
        )
        await consumer.start()
        try:
            metadata = await consumer._client.fetch_all_metadata()
            partitions = [
                TopicPartition(RECOMMENDATIONS, partition)
                for partition in sorted(metadata.partitions_for_topic(RECOMMENDATIONS) or ())
            ]
            if not partitions:
                raise ConnectionError(f"topic {RECOMMENDATIONS} does not exist yet; a worker makes it")
            consumer.assign(partitions)
            await consumer.seek_to_end(*partitions)
            self._reading.set()
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000)).values():
                    for record in records:
                        self.take(record.value)
        finally:
            self._reading.clear()
            await consumer.stop()

    def take(self, value: bytes | None) -> None:
        """Take in one notice."""
        if not self._queues or value is None:
            return
        try:
            notice = self._decoder.decode(value)
        except msgspec.DecodeError as error:
            log.warning("not a notice of a list: %s", error)
            return
        self._sample(notice)
        if notice.user_id not in self._queues:
            return
        key = notice.user_id, notice.scene
        former = self._waiting.get(key)
        if former is not None:
            former.cancel()  # its list is no longer the newest
        task = asyncio.get_running_loop().create_task(self._pass_on(notice))
        self._waiting[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    def _sample(self, notice: ListNotice) -> None:
        now_s = asyncio.get_running_loop().time()
        if EVERYBODY in self._queues and now_s - self._sampled_at_s >= SAMPLE_S:
            self._sampled_at_s = now_s
            self._put(EVERYBODY, notice)

    def _forget(self, key: tuple[str, str], done: asyncio.Task[None]) -> None:
        if self._waiting.get(key) is done:
            del self._waiting[key]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("a notice was not passed on", exc_info=error)

    async def _pass_on(self, notice: ListNotice) -> None:
        await self._readable(notice)
        self._put(notice.user_id, notice)

    def _put(self, listener: str, notice: ListNotice) -> None:
        for queue in self._queues.get(listener, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(notice)

    async def _readable(self, notice: ListNotice) -> None:
        """Return when the list can be read, or has been waited for long enough."""
        loop = asyncio.get_running_loop()
        deadline, wait_s = loop.time() + PATIENCE_S, LOOK_S
        while loop.time() < deadline:
            try:
                if await self._rows.list_id(notice.user_id, notice.scene) == notice.list_id:
                    return
            except StoreAway as away:
                log.info("a notice is passed on unseen: %s", away)
                return
            await asyncio.sleep(wait_s)
            wait_s = min(0.1, wait_s * 1.5)
