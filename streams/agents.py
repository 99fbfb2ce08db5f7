"""The agents, in the order of the flow: records of the topics in, calls of the flows out, then acknowledgement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import faust
from faust.streams import Stream
from faust.types import TP, EventT, StreamT
from mode import CrashingSupervisor

from streams.flow import Record
from streams.runtime import Runtime
from streams.topics import ITEMS, USER_TOPICS

ITEM_BATCH = 64
"""Items in one batch: their texts are encoded together, and a larger batch would keep new items waiting."""

PUBLISH_INTERVAL_S = 2.0
LAG_INTERVAL_S = 1.0


def add_agents(app: faust.App, runtime: Runtime) -> None:
    """Declare the agents and timers of a worker.

    A failed batch crashes the worker and is delivered again: nothing is acknowledged before its writes are done.
    Keys and values stay bytes, because a decoding error inside Faust would end the stream in silence.
    """
    settings = runtime.settings
    items = app.topic(ITEMS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    events = app.topic(*USER_TOPICS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    taken: dict[TP, int] = {}

    async def acknowledge(stream: StreamT[Any], batch: Sequence[EventT[bytes]]) -> None:
        for event in batch:
            await stream.ack(event)
            taken[event.message.tp] = event.message.offset + 1

    async def items_into_catalogue(stream: StreamT[Any]) -> None:
        async for batch in _batches(stream, ITEM_BATCH, 0.05):
            await runtime.ready()
            await runtime.catalogue_flow.process(_records(batch))
            await acknowledge(stream, batch)

    async def events_into_lists(stream: StreamT[Any]) -> None:
        async for batch in _batches(stream, settings.batch_max, settings.batch_within_s):
            await runtime.ready()
            await runtime.flow.process(_records(batch))
            await acknowledge(stream, batch)

    async def publish_item_features() -> None:
        await runtime.ready()
        await runtime.flow.refresh_catalogue()
        owned = {tp.partition for tp in app.consumer.assignment() if tp.topic == ITEMS}
        await runtime.catalogue_flow.encode_again(owned)
        await runtime.catalogue_flow.publish(owned)

    async def observe_lag() -> None:
        lags = dict.fromkeys((*USER_TOPICS, ITEMS), 0)
        for tp in app.consumer.assignment():
            lags[tp.topic] += max(0, app.consumer.highwater(tp) - taken[tp]) if tp in taken else 0
        for topic, lag in lags.items():
            runtime.metrics.lag.labels(topic).set(lag)

    app.agent(items, supervisor_strategy=CrashingSupervisor)(items_into_catalogue)
    app.agent(events, supervisor_strategy=CrashingSupervisor)(events_into_lists)
    app.timer(PUBLISH_INTERVAL_S)(publish_item_features)
    app.timer(LAG_INTERVAL_S)(observe_lag)


def _batches(stream: StreamT[Any], most: int, within_s: float) -> AsyncIterator[Sequence[EventT[bytes]]]:
    """Events in groups, none of them acknowledged: ``take`` would acknowledge a batch even when its body raised."""
    return cast("Stream[EventT[bytes]]", stream).noack_take(most, within=within_s)


def _records(batch: Sequence[EventT[bytes]]) -> list[Record]:
    return [
        Record(m.topic, m.partition, m.offset, round(m.timestamp * 1000), m.key, m.value)
        for m in (event.message for event in batch)
    ]
