"""How long until lists are fresh: after a first start, and after a worker was killed.

Servers are warm and models are there. The floor is the start of the bare flow: a Faust app without models, catalogue or
features, until it takes records.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
from cassandra.query import PreparedStatement
from kafka import KafkaProducer

from streams.settings import Settings
from tests.benchmarks.bench_freshness import LIST
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table, quantile
from tests.benchmarks.plan import Planned, probe_number
from tests.integration.running import Workers
from tests.waiting import wait_until

REPEATS, QUICK_REPEATS = 5, 2
KILLED_TARGET_S = 5.0
LIMIT_S = 120.0
LOOK_S = 0.01


def run(context: Context) -> Result:
    """Start and kill a worker several times, and start the bare flow as often."""
    repeats = QUICK_REPEATS if context.options.quick else REPEATS
    settings = context.settings("start")
    plan = context.plan(settings)
    plan.section(10, repeats)
    probes = iter([record for record in plan.records if record.probe])
    with context.workers(settings):
        # Not measured: it makes the tables, takes the catalogue and brings files into the system's cache.
        listed = Listed(context, settings, probes)
    ready, first, killed = [], [], []
    for _ in range(repeats):
        started_s = time.monotonic()
        workers = Workers(settings, 1)
        try:
            workers.start()
            ready.append(time.monotonic() - started_s)
            first.append(listed.after(started_s))
            killed.append(_kill(workers, listed))
        finally:
            workers.stop()
        context.say(f"  ready after {ready[-1]:.1f} s, first list {first[-1]:.1f} s, killed {killed[-1]:.1f} s")
    listed.close()
    bare = [_start_floor(context) for _ in range(repeats)] if context.options.floors else []
    return _report(context, {"start to ready": ready, "start to first list": first, "kill -9 to fresh": killed}, bare)


class Listed:
    """Sends one probe at a time, and waits until its list can be read."""

    def __init__(self, context: Context, settings: Settings, probes: Iterator[Planned]) -> None:
        self._session, self._probes = context.session, probes
        self._select: PreparedStatement = self._session.prepare(LIST.format(keyspace=settings.keyspace))
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka)

    def after(self, since_s: float) -> float:
        """Seconds from then until a list knows an event that is sent now."""
        probe = next(self._probes)
        self._producer.send(probe.topic, key=probe.key, value=probe.value, partition=probe.partition).get(timeout=30)

        def known() -> bool:
            row = self._session.execute(self._select, (probe.user_id,)).one()
            return row is not None and probe_number(row.caused_by) >= probe.probe

        wait_until(known, LIMIT_S, f"a list of {probe.user_id}", LOOK_S)
        return time.monotonic() - since_s

    def close(self) -> None:
        """Close the producer."""
        self._producer.close()


def _kill(workers: Workers, listed: Listed) -> float:
    """Seconds from ``kill -9`` of the worker until the list knows an event sent right after it."""
    process = psutil.Process(workers.ready()[0].pid)
    process.kill()
    return listed.after(time.monotonic())


def _start_floor(context: Context) -> float:
    settings = context.settings("bare")
    started_s = time.monotonic()
    with context.floor(settings, "row"):
        return time.monotonic() - started_s


def _report(context: Context, measured: dict[str, list[float]], bare: list[float]) -> Result:
    result = Result("start", f"1 worker, warm servers, medians of {len(bare)}; models {context.models_are}")
    floor = quantile(bare, 0.5) if bare else None
    for name, seconds in measured.items():
        target = KILLED_TARGET_S if "kill" in name else None
        result.figures.append(
            Figure(name, quantile(seconds, 0.5), "s", floor, "bare flow, start to ready", target=target)
        )
    rows: list[tuple[str | float | int | None, ...]] = [
        (name, quantile(seconds, 0.5), min(seconds), max(seconds))
        for name, seconds in {**measured, "bare flow, start to ready": bare}.items()
        if seconds
    ]
    result.tables.append(Table("Seconds", ("what", "median", "least", "most"), rows))
    return result
