"""The load: sections of a plan in, records on Kafka out, each sent when it is due whether or not others were answered.

``python -m tests.benchmarks.generator KAFKA PLAN``, one `Send` a line on stdin. The schedule never waits for the
broker or the flow. Whatever is sent late is late by its own latency too, which counts from when it was due.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from tests.benchmarks.child import answer
from tests.benchmarks.figures import quantile
from tests.benchmarks.plan import Planned, Section, read_plan

TICK_S = 0.005
"""Records due within a tick are sent together: waking up for each one would cost more than it spaces."""


class Producer(Protocol):
    """As much of `aiokafka.AIOKafkaProducer` as sends a record."""

    async def send(self, topic: str, value: bytes, *, key: bytes, partition: int) -> asyncio.Future[Any]:
        """Take a record; the answer comes when the broker has it."""
        ...


class Send(msgspec.Struct, frozen=True):
    """Send a section from ``start_s`` on, a time of the machine's monotonic clock."""

    section: Section
    start_s: float


class Sent(msgspec.Struct, frozen=True):
    """A section has been sent and acknowledged."""

    count: int
    failed: int
    seconds: float
    cpu_s: float
    late_p50_ms: float
    late_p99_ms: float
    """How late records were handed to the client."""
    append_mean_ms: float
    """From when a record was due until the broker's stamp, mean of all."""
    appended_ms: dict[int, float]
    """The broker's stamp of each probe, by its number, milliseconds since the epoch."""


async def send(producer: Producer, records: list[Planned], command: Send) -> Sent:
    """Send one section on its schedule."""
    section, start_s = command.section, command.start_s
    stretch = records[section.first : section.first + section.count]
    late_s = np.zeros(section.count)
    futures: list[asyncio.Future[Any]] = []
    cpu_s = time.process_time()
    if (wait_s := start_s - time.monotonic()) > 0:
        await asyncio.sleep(wait_s)
    while len(futures) < section.count:
        now_s = time.monotonic()
        for place in range(len(futures), section.due_by(now_s - start_s)):
            record = stretch[place]
            late_s[place] = time.monotonic() - start_s - section.due_s(place)
            futures.append(await producer.send(record.topic, record.value, key=record.key, partition=record.partition))
        if len(futures) < section.count:
            next_s = start_s + section.due_s(len(futures))
            await asyncio.sleep(max(TICK_S, next_s - time.monotonic()))
    acknowledged = await asyncio.gather(*futures, return_exceptions=True)
    ended_s = time.monotonic()
    failed = sum(isinstance(each, BaseException) for each in acknowledged)
    epoch_ms = (time.time() - time.monotonic() + start_s) * 1000
    appended = {
        place: float(each.timestamp) for place, each in enumerate(acknowledged) if not isinstance(each, BaseException)
    }
    # The broker stamps whole milliseconds, rounded down.
    append_ms = [stamp + 0.5 - epoch_ms - section.due_s(place) * 1000 for place, stamp in appended.items()]
    return Sent(
        section.count,
        failed,
        ended_s - start_s,
        time.process_time() - cpu_s,
        quantile(late_s, 0.5) * 1000,
        quantile(late_s, 0.99) * 1000,
        float(np.mean(append_ms)) if append_ms else 0.0,
        {stretch[place].probe: stamp for place, stamp in appended.items() if stretch[place].probe},
    )


async def run(kafka: str, plan: Path) -> None:
    """Send sections as they are asked for, until stdin ends."""
    records = read_plan(plan)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, client_id="bench-load", acks="all", max_batch_size=65_536)
    await producer.start()
    # A collection over the plan takes longer than a tick.
    gc.collect()
    gc.freeze()
    gc.disable()
    loop = asyncio.get_running_loop()
    try:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            answer(await send(producer, records, msgspec.json.decode(line, type=Send)))
    finally:
        await producer.stop()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
