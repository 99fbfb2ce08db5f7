"""Whole fetches through Faust's streams: a group's partitions in; one event for all that an agent's topics hold out.

Faust makes of each record a message, an event, three tasks and four queue operations: a quarter of a worker's time at
1,000 events/s. And it fetches ahead of what an agent works on, so a record waits in the worker while later ones gather
at the broker. Here a `Fetch` is one message of Faust's, whatever it holds, and the next is asked for when the agent
comes back for more: a micro-batch is what had arrived by then. Group membership, flow control, agents, commits and
rebalances stay Faust's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

import faust
from aiokafka.errors import ConsumerStoppedError
from faust.events import Event
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, Message, ServiceT, TopicT, TransportT
from faust.types.transports import TPorTopicSet
from faust.types.tuples import ConsumerMessage
from mode.utils.futures import notify

from streams.records import Record

AHEAD_S = 0.1
"""Seconds after which records are fetched although an agent still works on the last: the other agents wait for theirs.

aiokafka itself waits as long before it leaves out the partitions whose records nobody has taken.
"""

PATIENCE_S = 1.0
"""Seconds that a fetch waits for records, or for its agent, before a look at whether all is still as it was."""


class Fetch(ConsumerMessage):
    """Records that the broker had for the topics of one agent, as one message.

    ``records``: partition by partition, in their order there. ``ends``: where each partition goes on afterwards.
    ``agent_is_back``: set when the agent wants more.
    """

    def __init__(self, fetched: Mapping[TP, Sequence[Any]], generation_id: int) -> None:
        self.records = [
            Record(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value)
            for records in fetched.values()
            for r in records
        ]
        self.ends = {tp: records[-1].offset + 1 for tp, records in fetched.items()}
        self.agent_is_back = asyncio.Event()
        first = self.records[0]
        super().__init__(
            first.topic,
            first.partition,
            first.offset,
            first.appended_at_ms / 1000,
            timestamp_type=0,
            headers=None,
            key=None,
            value=None,
            checksum=None,
            generation_id=generation_id,
        )


class Fetched(NamedTuple):
    """What the Kafka client handed out, and the assignment of partitions it belongs to.

    An ``assignment`` that is no longer ``active`` was replaced, and the next one reads again from what is committed.
    """

    records: Mapping[TP, Sequence[Any]]
    assignment: Any


class FetchThread(AIOKafkaConsumerThread):
    """The thread of the Kafka client; it asks the broker for more once the agents are back for more."""

    _working: frozenset[str] = frozenset()
    """Topics of the last records that were handed on, while their agent works on them."""
    _ahead_at_s = 0.0

    async def on_start(self) -> None:
        """Start the client, and decide in its place when it fetches."""
        await super().on_start()
        self._fetcher: Any = self._ensure_consumer()._fetcher
        self._plan_fetches = self._fetcher._get_actions_per_node
        self._fetcher._get_actions_per_node = self._plan_fetches_in_time

    def _plan_fetches_in_time(self, assignment: Any) -> Any:
        """Plan requests as the client does, but none yet while an agent works."""
        wait_s = self._ahead_at_s - time.monotonic()
        if self._working and wait_s > 0:
            return [], {}, wait_s, False, []
        return self._plan_fetches(assignment)

    async def fetch(self, partitions: set[TP]) -> Fetched:
        """Wait up to `PATIENCE_S` for records of ``partitions``.

        Past Faust's queue of calls, which two agents' waiting fetches would fill: commits go through it.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._fetch(partitions), self.thread_loop))

    async def _fetch(self, partitions: set[TP]) -> Fetched:
        topics = frozenset(tp.topic for tp in partitions)
        if self._working:
            self._working -= topics
            self._fetcher._notify(self._fetcher._wait_consume_future)
        consumer = self._ensure_consumer()
        records = await self._fetch_records(consumer, partitions, PATIENCE_S, consumer._max_poll_records)
        if records:
            self._working, self._ahead_at_s = topics, time.monotonic() + AHEAD_S
        # The client hands out no records but of the assignment of this moment.
        return Fetched(records, consumer._subscription.subscription.assignment)


class FetchConsumer(Consumer):
    """Faust's consumer, which hands on fetches and commits what comes after those acknowledged.

    Fetches of one partition must be acknowledged in their order: there is one offset for each partition, and no list of
    the ones between.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._acknowledged: dict[TP, int] = {}

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Fetch for each agent, until Faust stops ``fetcher`` for a rebalance or for good."""
        draining = [asyncio.ensure_future(self._drain(channel, fetcher)) for channel in self.app.topics]
        try:
            await asyncio.gather(*draining)
        except ConsumerStoppedError:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            # Faust's fetcher takes the cancellation that ends its own stop for a crash when partitions change.
            if not fetcher.should_stop:
                raise
        finally:
            for each in draining:
                each.cancel()

    async def _drain(self, channel: TopicT, fetcher: ServiceT) -> None:
        while await self._flow(fetcher):
            partitions = {tp for tp in self._get_active_partitions() if tp.topic in channel.topics}
            if not partitions:
                # None are this worker's, until a rebalance.
                await asyncio.sleep(PATIENCE_S)
                continue
            records, assignment = await cast(FetchThread, self._thread).fetch(partitions)
            # Partitions may be changing. What is still this worker's then is handed on, for the client has gone on
            # behind it; what is not, the next assignment reads again.
            if records and await self._flow(fetcher) and assignment.active:
                fetch = Fetch(records, self.app.consumer_generation_id)
                fetch.incref()
                channel.queue.put_nowait(Event(self.app, None, None, None, fetch))
                await self._until_back(fetch, fetcher)

    async def _flow(self, fetcher: ServiceT) -> bool:
        """Wait until Faust lets records through, as it does but while partitions change; false at the end."""
        while not (self.can_resume_flow.is_set() or self.should_stop or fetcher.should_stop):
            await _wait_a_while(self.can_resume_flow)
        return not (self.should_stop or fetcher.should_stop)

    async def _until_back(self, fetch: Fetch, fetcher: ServiceT) -> None:
        """Wait until the agent wants more; no longer than until partitions change, when Faust may drop the fetch."""
        while not (
            fetch.agent_is_back.is_set()
            or fetcher.should_stop
            or fetch.generation_id != self.app.consumer_generation_id
        ):
            await _wait_a_while(fetch.agent_is_back)

    def ack(self, message: Message) -> bool:
        """Let a fetch's offsets be committed."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self._acknowledged.update(cast(Fetch, message).ends)
        notify(self._waiting_for_ack)
        return True

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget what was acknowledged: reading begins after what is committed, which others may have moved on."""
        self._acknowledged.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    def _filter_tps_with_pending_acks(self, topics: TPorTopicSet | None = None) -> Iterator[TP]:
        return (tp for tp in self._acknowledged if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._acknowledged.get(tp)


class FetchTransport(Transport):
    """Faust's Kafka transport with the consumer above."""

    Consumer = FetchConsumer


class FetchApp(faust.App):
    """A Faust app whose agents get a `Fetch` as the message of each event."""

    def _new_transport(self) -> TransportT:
        return FetchTransport(self.conf.broker_consumer, self)


async def _wait_a_while(event: asyncio.Event) -> None:
    """Wait for an event, or until it is time to see whether it is still worth it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await event.wait()
