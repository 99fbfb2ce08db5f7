"""Posted events in; records on Kafka, each acknowledged by all replicas, and where they stand, out.

An event is held against the contract by `decode_event` itself before it is sent, so nothing that is accepted here can
become a dead letter.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, Literal

import aiokafka.errors
import msgspec
from aiokafka import AIOKafkaProducer

from feature_repo.event_errors import EXPECTED
from feature_repo.events import DecodeError, decode_event
from streams.api.problems import FieldError
from streams.topics import MAX_INPUT_BYTES

log = logging.getLogger(__name__)

PAUSE_S = 1.0
"""Seconds for which nobody asks a broker that did not acknowledge."""

LOOK_S = 2.0
"""Seconds between two looks whether the broker answers: nobody else may ask it for hours."""

REQUEST_TIMEOUT_MS = 10_000
"""How long the client itself tries to deliver what it was given."""

HEADERS = [("lastclick-from", b"api")]
"""On every record that came this way, to tell it from those of other producers."""

Topic = Literal["clicks", "carts", "reviews", "impressions"]


class BrokerAway(Exception):
    """Kafka did not acknowledge in time; what was sent may still arrive, so it must be sent again under its id."""


class Posted(msgspec.Struct, frozen=True):
    """An event as it is posted: its topic, and its value as the contract has it."""

    topic: Topic
    event: msgspec.Raw


class Accepted(msgspec.Struct, frozen=True):
    """Where an accepted event stands."""

    event_id: str
    topic: str
    partition: int
    offset: int


class ReadyEvent(msgspec.Struct, frozen=True):
    """An event that keeps the contract, as bytes."""

    topic: Topic
    event_id: str
    key: bytes
    value: bytes


class _Named(msgspec.Struct):
    """What may be left out of an event, and whose it is."""

    event_id: str | msgspec.UnsetType = msgspec.UNSET
    occurred_at_ms: int | msgspec.UnsetType = msgspec.UNSET
    user_id: str = ""


_named = msgspec.json.Decoder(_Named)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def make_ready(posted: Posted, now_ms: int, stream_ms: int | None = None) -> ReadyEvent:
    """Hold an event against the contract; an id and the time are put in where they were left out.

    ``stream_ms`` is the time of a shop that is replayed: every event then happens at that time, whatever it says.

    Raises
    ------
    DecodeError
        Naming the field, what was seen and what was expected, as a dead letter would.
    """
    value = bytes(posted.event)
    try:
        named = _named.decode(value)
        if stream_ms is not None or named.event_id is msgspec.UNSET or named.occurred_at_ms is msgspec.UNSET:
            made = {"event_id": uuid.uuid4().hex, "occurred_at_ms": now_ms}
            moved = {} if stream_ms is None else {"occurred_at_ms": stream_ms}
            value = msgspec.json.encode({**made, **_fields.decode(value), **moved})
            named = _named.decode(value)
        key = named.user_id.encode()
    except (ValueError, RecursionError):
        # What is wrong is said by the contract's own words below.
        key = None
    event = decode_event(posted.topic, key, value, now_ms).event
    return ReadyEvent(posted.topic, event.event_id, event.user_id.encode(), value)


def field_error(error: DecodeError, place: str) -> FieldError:
    """The field at fault, as the answer names it; ``place`` is where the event stands in the body."""
    field = "event" if error.field in ("value", "key") else f"event.{error.field}"
    expected = EXPECTED["user_id"] if error.field == "key" else error.expected
    return FieldError(place + field, error.seen, expected)


class Collector:
    """Appends events; away until `run` has reached the broker.

    Parameters
    ----------
    kafka
        Bootstrap addresses.
    deadline_s
        Longest wait for the acknowledgements of one request, in seconds.
    """

    def __init__(self, kafka: str, deadline_s: float) -> None:
        self._kafka, self._deadline_s = kafka, deadline_s
        self._producer: AIOKafkaProducer | None = None
        self._asked_again_at = 0.0
        self._broken = asyncio.Event()
        self._answers = False

    @property
    def available(self) -> bool:
        """Whether the broker is there, as far as is known."""
        return self._producer is not None and self._answers and time.monotonic() >= self._asked_again_at

    async def run(self) -> None:
        """Hold a producer until it breaks for good, after which this may be called again."""
        self._broken.clear()
        broken = asyncio.ensure_future(self._broken.wait())
        producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka,
            client_id="lastclick-api",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            # A dead letter that is sent again may be as large as the topics take.
            max_request_size=MAX_INPUT_BYTES,
        )
        try:
            await producer.start()
            self._producer = producer
            while not broken.done():
                await self._look(producer)
                await asyncio.wait([broken], timeout=LOOK_S)
        finally:
            broken.cancel()
            self._producer, self._answers = None, False
            await producer.stop()
        raise aiokafka.errors.KafkaError("the producer failed for good; a new one is made")

    async def _look(self, producer: AIOKafkaProducer) -> None:
        """Ask whether the broker is there."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await producer.client.fetch_all_metadata()
        except (TimeoutError, aiokafka.errors.KafkaError) as error:
            if self._answers:
                log.warning("Kafka does not answer (%s); events are refused until it does", type(error).__name__)
            self._answers = False
        else:
            self._answers = True

    async def append(self, records: Sequence[tuple[str, bytes | None, bytes | None]]) -> list[tuple[int, int]]:
        """Append records of topic, key and value, in their order.

        Returns
        -------
        list of tuple of int
            Partition and offset of each, once all are acknowledged.

        Raises
        ------
        BrokerAway
            When they were not in time; some of them may be on their topic.
        """
        producer = self._producer
        if producer is None or not self.available:
            raise BrokerAway("Kafka does not answer")
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        sent: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout_at(deadline):
                for topic, key, value in records:
                    sent.append(await producer.send(topic, value, key=key, headers=HEADERS))
                # Not cancelled by the deadline: the client may still be at them.
                done = await asyncio.gather(*(asyncio.shield(each) for each in sent))
        except (TimeoutError, aiokafka.errors.KafkaError) as error:
            for each in sent:
                each.add_done_callback(_look_at)
            self._asked_again_at = time.monotonic() + PAUSE_S
            if isinstance(error, aiokafka.errors.KafkaError) and not error.retriable:
                self._broken.set()
            raise BrokerAway(f"Kafka did not acknowledge within {self._deadline_s:.0f} s") from error
        return [(record.partition, record.offset) for record in done]


def _look_at(sent: asyncio.Future[Any]) -> None:
    """Take note of what became of a record that nobody waits for any more."""
    if not sent.cancelled():
        sent.exception()
