"""Half an hour at 500 events/s: what of memory, file handles, threads, lag and latency grows with time.

A minute is a window: its latencies, and what the processes hold at its end. Growth is that of the last third over the
third before it; the first third is left out, in which caches and the shoppers' histories fill.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil

from tests.benchmarks.bench_freshness import LIST, Window, measure
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table, spread

RATE = 500.0
MINUTES, QUICK_MINUTES = 30, 3
WINDOW_S = 60.0
MEBIBYTE = 1024 * 1024
GROWTH_TARGET = 1.02
"""Of the worker's memory: what the allocator leaves of one minute to the next."""


@dataclass
class Minute:
    """What was held at the end of a window."""

    p50_ms: float
    p99_ms: float
    lag: int
    handles: int
    threads: int
    memory: dict[str, float]
    """MiB resident by process."""


def run(context: Context) -> Result:
    """Send for half an hour, and look every minute."""
    count = QUICK_MINUTES if context.options.quick else MINUTES
    rate, seconds = (context.options.rates or (RATE,))[0], context.options.seconds or WINDOW_S
    settings = context.settings("soak")
    plan = context.plan(settings)
    sections = [plan.section(rate, context.warm_up_s()), *(plan.section(rate, seconds) for _ in range(count))]
    path = plan.write(context.work / "soak.plan")
    shoppers = len({record.key for record in plan.records})
    plan.records.clear()
    minutes: list[Minute] = []
    with context.workers(settings) as workers:
        pids = [worker.pid for worker in workers.ready()]
        watched = {"worker": pids, **context.servers()}

        def look(window: Window) -> None:
            p50, _, p99, _ = spread(window.latencies_ms)
            (worker,) = (psutil.Process(pid) for pid in pids)
            memory = {
                name: sum(psutil.Process(pid).memory_info().rss for pid in each) for name, each in watched.items()
            }
            minutes.append(
                Minute(
                    p50,
                    p99,
                    window.lag_after,
                    worker.num_fds(),
                    worker.num_threads(),
                    {name: size / MEBIBYTE for name, size in memory.items()},
                )
            )

        measure(context, settings, path, sections, LIST, pids, workers, look)
    return report(
        f"simulated shop, {shoppers:,} shoppers, {rate:,.0f} events/s, open loop, {count} windows of {seconds:.0f} s, "
        f"1 worker, 8 partitions; models {context.models_are}",
        minutes,
    )


def report(workload: str, minutes: list[Minute]) -> Result:
    """Growth of each thing, and every minute."""
    result = Result("soak", workload)
    third = max(1, len(minutes) // 3)
    before, last = minutes[-2 * third : -third] or minutes[:1], minutes[-third:]
    for name in minutes[0].memory:
        earlier, later = (float(np.mean([minute.memory[name] for minute in each])) for each in (before, last))
        target = GROWTH_TARGET if name == "worker" else None
        result.figures.append(
            Figure(f"memory of {name}, last third over the one before", later / earlier, "x", target=target)
        )
    for what, of in (("file handles", [m.handles for m in minutes]), ("threads", [m.threads for m in minutes])):
        grown = max(of[-third:]) - max(of[-2 * third : -third] or of[:1])
        result.figures.append(Figure(f"{what} of the worker more than in the third before", grown, "", target=0.0))
    result.figures += [
        Figure("freshness p99, last third over the one before", *_ratio(before, last)),
        Figure("events behind, at most in the last third", max(minute.lag for minute in last), "events", target=RATE),
    ]
    rows: list[tuple[str | float | int | None, ...]] = [
        (number, m.p50_ms, m.p99_ms, m.lag, m.handles, m.threads, *m.memory.values())
        for number, m in enumerate(minutes, 1)
    ]
    columns = (
        "window",
        "p50 ms",
        "p99 ms",
        "behind",
        "handles",
        "threads",
        *(f"{name} MiB" for name in minutes[0].memory),
    )
    result.tables.append(Table("Every window", columns, rows))
    return result


def _ratio(before: list[Minute], last: list[Minute]) -> tuple[float, str]:
    earlier, later = (float(np.median([minute.p99_ms for minute in each])) for each in (before, last))
    return later / earlier, "x"
