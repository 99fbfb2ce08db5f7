"""The agents, in the order of the flow: records of the topics in, calls of the flows out, then acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.types import StreamT
from mode import CrashingSupervisor

from streams.batches import MicroBatches, acknowledge, offsets_after
from streams.pipeline import Pipeline
from streams.runtime import Runtime
from streams.topics import ITEMS, USER_TOPICS

ITEM_BATCH = 64
"""Items in one batch: their texts are encoded together, and a larger batch would keep new items waiting."""

PUBLISH_PAUSE_S = 2.0
"""Seconds between two rounds of item features or item lists: each adds up an item's counts over all partitions."""

LAG_INTERVAL_S = 1.0


def add_agents(app: faust.App, runtime: Runtime) -> None:
    """Declare the agents and the periodic tasks of a worker.

    Keys and values stay bytes, because a decoding error inside Faust would end the stream in silence.
    """
    items = app.topic(ITEMS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    events = app.topic(*USER_TOPICS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    item_batches, event_batches = MicroBatches(ITEM_BATCH), MicroBatches(runtime.settings.batch_max)
    pipeline = Pipeline(event_batches, runtime)
    taken = pipeline.taken

    async def items_into_catalogue(stream: StreamT[Any]) -> None:
        await item_batches.gather(stream)

    async def events_into_lists(stream: StreamT[Any]) -> None:
        await event_batches.gather(stream)

    async def encode_items() -> None:
        await runtime.started()
        while True:
            arrived = await runtime.caution.next(item_batches)
            async with runtime.caution.touching(arrived.records) as part:
                await runtime.catalogue_flow.process(part)
            taken.update(offsets_after(arrived))
            await acknowledge(arrived)

    async def publish_item_features() -> None:
        await runtime.fenced()
        await runtime.flow.between_batches(runtime.catalogue.refresh)
        owned = {tp.partition for tp in app.consumer.assignment() if tp.topic == ITEMS}
        await runtime.catalogue_flow.encode_again(owned)
        if owned:
            await runtime.catalogue_flow.publish(owned)

    async def publish_item_lists() -> None:
        await runtime.fenced()
        owned = {tp.partition for tp in app.consumer.assignment() if tp.topic == ITEMS}
        if owned:
            await runtime.item_list_flow.publish(owned)

    async def observe_lag() -> None:
        lags = dict.fromkeys((*USER_TOPICS, ITEMS), 0)
        for tp in app.consumer.assignment():
            # Unknown until the first fetch answers.
            end = app.consumer.highwater(tp)
            if end is not None and tp in taken:
                lags[tp.topic] += max(0, end - taken[tp])
        for topic, lag in lags.items():
            runtime.metrics.lag.labels(topic).set(lag)

    app.agent(items, supervisor_strategy=CrashingSupervisor)(items_into_catalogue)
    app.agent(events, supervisor_strategy=CrashingSupervisor)(events_into_lists)
    app.task(encode_items)
    app.task(pipeline.prepare)
    app.task(pipeline.announce)
    app.task(pipeline.write)
    app.task(pipeline.settle)
    app.task(_every(PUBLISH_PAUSE_S, publish_item_features))
    app.task(_every(PUBLISH_PAUSE_S, publish_item_lists))
    app.task(_every(LAG_INTERVAL_S, observe_lag))


def _every(interval_s: float, call: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """Repeat a call with a pause after each; a late one is no reason to hurry the next."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(interval_s)
            await call()

    return repeat
