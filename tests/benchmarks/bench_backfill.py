"""A whole log replayed as fast as the broker takes it: events a second from the first append until all is committed.

The product's own `lastclick replay` reads the file, encodes and sends, on the same machine. The floors read the same
records from the same topics: a Faust agent that does nothing with them, and the client inside Faust alone.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import msgspec
from kafka import KafkaConsumer, TopicPartition

from feature_repo.sources import open_source
from streams.settings import Settings
from streams.supervisor import worker_environment
from streams.topics import USER_TOPICS
from tests.benchmarks.child import REPOSITORY
from tests.benchmarks.context import Context, Processor, publish_items, wait_taken
from tests.benchmarks.figures import Figure, Result, Table
from tests.benchmarks.floors import Done
from tests.benchmarks.generator import Send, Sent
from tests.benchmarks.readings import Progress

QUICK_EVENTS = 20_000
SHOP_DAYS = 20
TARGET = 10_000.0
LIMIT_S = 1_200.0
WARM_UP_RATE = 500
FLOORS = {"nothing": "no-op Faust agent", "consumer": "plain aiokafka consumer"}
Offsets = dict[TopicPartition, int]


class Replayed(msgspec.Struct):
    """What `lastclick replay --json` says."""

    events: int
    seconds: float


def run(context: Context) -> Result:
    """Replay into the workers, then let each floor read the same records."""
    words = _source_words(context)
    settings = context.settings("backfill")
    count = context.options.workers or 1
    with context.workers(settings, count) as workers:
        _warm_up(context, settings)
        wait_taken(workers)
        floors = {kind: context.settings(kind) for kind in FLOORS} if context.options.floors else {}
        begin = _ends(settings)
        processor = Processor({"worker": [w.pid for w in workers.ready()]} | context.servers())
        before_s = _children_s()
        context.say(f"replaying {words[0]} into {count} worker(s)")
        replayed, drained_ms = _replay(context, settings, words)
        cpu_s = processor.read() | {"replay": _children_s() - before_s}
        first_ms = _first_append_ms(settings, begin)
        seconds = (drained_ms - first_ms) / 1000
        context.say(f"  {replayed.events:,} events in {seconds:.1f} s: {replayed.events / seconds:,.0f}/s")
        source = open_source(*words)
        publish_items(context.kafka, source, remove=True)
        wait_taken(workers)
    rates = {kind: _read_floor(context, floor, kind, replayed.events) for kind, floor in floors.items()}
    return _report(context, words[0], replayed, seconds, rates, cpu_s, count)


def _source_words(context: Context) -> list[str]:
    """Online Retail where the shared data sets are, the simulated shop otherwise."""
    found = sorted((context.options.data / "online_retail").glob("*.csv.gz")) if context.options.data else []
    return ["online-retail", str(found[0])] if found else ["shop"]


def _warm_up(context: Context, settings: Settings) -> None:
    plan = context.plan(settings)
    section = plan.section(WARM_UP_RATE, context.warm_up_s(), probed=False)
    path = plan.write(context.work / "backfill.plan")
    with context.child("generator", context.kafka, str(path)) as generator:
        generator.say(Send(section, time.monotonic()))
        generator.hear(Sent, 300)


def _replay(context: Context, settings: Settings, words: list[str]) -> tuple[Replayed, float]:
    """Run `lastclick replay`; returns what it says, and when all of it was committed, ms since the epoch."""
    options = ["--limit", str(QUICK_EVENTS)] if context.options.quick else []
    if words[0] == "shop":
        options += ["--days", str(SHOP_DAYS)]
    progress = Progress(settings)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", "replay", *words, "--restart", "--json", *options],
            cwd=REPOSITORY,
            env=os.environ | worker_environment(settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )
        drained_s = progress.wait_drained(LIMIT_S)
    finally:
        progress.close()
    if drained_s is None:
        raise RuntimeError(f"backfill: the workers did not take all events within {LIMIT_S:.0f} s of the last append")
    drained_ms = (time.time() - time.monotonic() + drained_s) * 1000
    return msgspec.json.decode(done.stdout, type=Replayed), drained_ms


def _children_s() -> float:
    """Processor time of processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ends(settings: Settings) -> Offsets:
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka)
    try:
        partitions = [TopicPartition(topic, n) for topic in USER_TOPICS for n in range(settings.partitions)]
        return dict(consumer.end_offsets(partitions))
    finally:
        consumer.close()


def _first_append_ms(settings: Settings, begin: Offsets) -> float:
    """The broker's stamp of the first record after these offsets."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False, auto_offset_reset="latest")
    try:
        ends = consumer.end_offsets(list(begin))
        waiting = {partition for partition, offset in begin.items() if ends[partition] > offset}
        consumer.assign(list(waiting))
        for partition in waiting:
            consumer.seek(partition, begin[partition])
        stamps: list[float] = []
        while waiting:
            for partition, records in consumer.poll(timeout_ms=1000).items():
                if partition in waiting:
                    stamps.append(records[0].timestamp)
                    waiting.discard(partition)
                    consumer.pause(partition)
        return float(min(stamps))
    finally:
        consumer.close()


def _read_floor(context: Context, settings: Settings, kind: str, events: int) -> float:
    with context.floor(settings, kind, events) as floor:
        done = floor.hear(Done, 600)
    context.say(f"  {FLOORS[kind]}: {done.count / done.seconds:,.0f}/s")
    rate: float = done.count / done.seconds
    return rate


def _report(
    context: Context,
    source: str,
    replayed: Replayed,
    seconds: float,
    rates: dict[str, float],
    cpu_s: dict[str, float],
    workers: int,
) -> Result:
    result = Result(
        "backfill",
        f"{source}, {replayed.events:,} events, {workers} worker(s), 8 partitions; models {context.models_are}",
    )
    for kind in rates or {"": 0.0}:
        floor_is = FLOORS.get(kind, "")
        name = f"backfill, beside a {floor_is}" if floor_is else "backfill"
        value = replayed.events / seconds
        result.figures.append(
            Figure(name, value, "events/s", rates.get(kind), floor_is, lower_is_better=False, target=TARGET)
        )
    result.figures.append(
        Figure("replay alone, appended", replayed.events / replayed.seconds, "events/s", lower_is_better=False)
    )
    rows: list[tuple[str | float | int | None, ...]] = [
        (name, used, 1000 * used / replayed.events) for name, used in cpu_s.items() if name != "elapsed"
    ]
    result.tables.append(
        Table("Processor time from first append to drained", ("process", "CPU s", "CPU ms an event"), rows)
    )
    return result
