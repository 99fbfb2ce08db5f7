"""From an event's append to Kafka until an independent client can read the list that knows it.

Open-loop load at several rates from a process of its own; latency counts from when an event was due, whether or not it
could be sent then. The floor is a Faust agent that writes one row an event, under the same load.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streams.settings import Settings
from tests.benchmarks.child import Child
from tests.benchmarks.context import Context, Processor
from tests.benchmarks.figures import Figure, Result, Samples, Table, spread
from tests.benchmarks.floors import SELECT
from tests.benchmarks.generator import Send, Sent
from tests.benchmarks.plan import Plan, Section
from tests.benchmarks.prober import Seen, Watch
from tests.benchmarks.readings import Metrics, Progress
from tests.integration.running import Workers

RATES = (200.0, 1000.0, 4000.0)
"""The last is meant to saturate: the target of one worker's throughput."""

SECONDS, QUICK_SECONDS = 60.0, 15.0
PATIENCE_S = 20.0
LEAD_S = 0.3
LIST = "SELECT caused_by FROM {keyspace}.recommendations WHERE user_id = ? AND scene = 'home'"
TARGETS_MS = {1000.0: {"p50": 30.0, "p99": 100.0}}
WHOLE = "whole batch"


@dataclass
class Window:
    """One rate, measured once."""

    rate: float
    sent: Sent
    seen: Seen
    cpu_s: dict[str, float]
    lag_after: int
    metrics: Metrics | None

    @property
    def latencies_ms(self) -> list[float]:
        """From due to seen; a probe that was never seen counts as old as the patience it was given."""
        return [1000 * s for s in self.seen.after_s.values()] + [1000 * PATIENCE_S] * self.seen.unseen

    def append_to_seen_ms(self) -> list[float]:
        """From the broker's stamp to seen."""
        stamps = self.sent.appended_ms
        return [at_ms - stamps[number] - 0.5 for number, at_ms in self.seen.at_ms.items() if number in stamps]


def run(context: Context) -> Result:
    """Measure the flow, then the bare flow, at each rate."""
    rates = context.options.rates or RATES
    seconds = context.options.seconds or (QUICK_SECONDS if context.options.quick else SECONDS)
    settings = context.settings("freshness")
    plan = context.plan(settings)
    warm_up = plan.section(max(r for r in rates if r <= 1000) if min(rates) <= 1000 else 1000, context.warm_up_s())
    sections = [plan.section(rate, seconds if rate <= 1000 else min(seconds, 20.0)) for rate in rates]
    path = plan.write(context.work / "freshness.plan")
    with context.workers(settings) as workers:
        pids = [worker.pid for worker in workers.ready()]
        flow = measure(context, settings, path, [warm_up, *sections], LIST, pids, workers)
    bare: list[Window] = []
    if context.options.floors:
        settings = context.settings("bare")
        with context.floor(settings, "row") as floor:
            bare = measure(context, settings, path, [warm_up, *sections], SELECT, [floor.pid], None)
    return report(context, flow, bare, plan)


def measure(
    context: Context,
    settings: Settings,
    path: Path,
    sections: list[Section],
    statement: str,
    pids: list[int],
    workers: Workers | None,
    after_window: Callable[[Window], object] = lambda _: None,
) -> list[Window]:
    """Send and watch section after section; the first is for warming up."""
    windows = []
    with ExitStack() as ends:
        generator = ends.enter_context(context.child("generator", context.kafka, str(path)))
        prober = ends.enter_context(context.child("prober", context.cassandra, str(path)))
        progress = Progress(settings)
        ends.callback(progress.close)
        watched = {"worker": pids, "generator": [generator.pid], "prober": [prober.pid]}
        watched |= context.servers()
        for number, section in enumerate(sections):
            what = "warming up" if number == 0 else "measuring"
            context.say(f"{what} at {section.rate:,.0f} events/s for {section.count / section.rate:.0f} s")
            before = Metrics(workers) if workers else None
            processor = Processor(watched)
            sent, seen, lag, cpu_s = _one(
                generator, prober, progress, section, statement.format(keyspace=settings.keyspace), processor
            )
            progress.wait_drained(120)
            after = Metrics(workers).since(before) if workers and before else None
            window = Window(section.rate, sent, seen, cpu_s, lag, after)
            if seen.after_s:
                p50, _, p99, _ = spread(window.latencies_ms)
                context.say(f"  p50 {p50:.1f} ms, p99 {p99:.1f} ms, {lag} events behind at its end")
            if number:
                windows.append(window)
                after_window(window)
    return windows


def _one(
    generator: Child, prober: Child, progress: Progress, section: Section, statement: str, processor: Processor
) -> tuple[Sent, Seen, int, dict[str, float]]:
    start_s = time.monotonic() + LEAD_S
    prober.say(Watch(section, start_s, statement, PATIENCE_S))
    generator.say(Send(section, start_s))
    time.sleep(max(0.0, start_s + section.due_s(section.count) - time.monotonic()))
    lag, cpu_s = progress.lag(), processor.read()
    sent = generator.hear(Sent, 300)
    seen = prober.hear(Seen, 300)
    return sent, seen, lag, cpu_s


def report(context: Context, flow: list[Window], bare: list[Window], plan: Plan) -> Result:
    """Figures, waterfalls and tables of the windows."""
    result = Result(
        "freshness",
        f"simulated shop, {len({r.key for r in plan.records}):,} shoppers in {len(plan.records):,} events, open loop, "
        f"1 worker, 8 partitions; models {context.models_are}",
    )
    floors = {window.rate: window for window in bare}
    for window in flow:
        floor = floors.get(window.rate)
        measured = dict(zip(("p50", "p90", "p99", "max"), spread(window.latencies_ms), strict=True))
        least = dict(zip(measured, spread(floor.latencies_ms), strict=True)) if floor else {}
        for name, value in measured.items():
            if name == "max":
                continue
            result.figures.append(
                Figure(
                    f"freshness {name} at {window.rate:,.0f}/s",
                    value,
                    "ms",
                    least.get(name),
                    "bare flow",
                    target=TARGETS_MS.get(window.rate, {}).get(name),
                    # Where the flow is overrun, latency says how long the window was; the last percent is few probes.
                    checked=name != "p99" and max(window.lag_after, floor.lag_after if floor else 0) < window.rate,
                )
            )
        result.tables += [waterfall(window), processors("the flow", window)]
        if floor:
            result.tables.append(processors("the bare flow", floor))
        for label, each in (("flow", window), ("bare flow", floor)):
            if each:
                plot = f"freshness at {window.rate:,.0f} events/s"
                result.samples.append(Samples(plot, label, "ms", each.latencies_ms))
    result.tables.insert(0, latencies(flow, bare))
    return result


def latencies(flow: list[Window], bare: list[Window]) -> Table:
    """Every window's latencies, from due and from appended."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for name, windows in (("flow", flow), ("bare flow", bare)):
        for window in windows:
            rows.append((name, window.rate, "due to readable", len(window.latencies_ms), *spread(window.latencies_ms)))
            if appended := window.append_to_seen_ms():
                rows.append((name, window.rate, "appended to readable", len(appended), *spread(appended)))
            if window.metrics is not None:
                _, count = window.metrics.sum_and_count("lastclick_freshness_seconds")
                quantiles = [1000 * window.metrics.bucket_quantile("lastclick_freshness_seconds", q)
                             for q in (0.5, 0.9, 0.99, 1.0)]  # fmt: skip
                rows.append(
                    (name, window.rate, "appended to written (worker's own, all events)", int(count), *quantiles)
                )
    return Table("Latency, ms", ("what", "events/s", "from and to", "events", "p50", "p90", "p99", "max"), rows)


def waterfall(window: Window) -> Table:
    """Where a millisecond goes: means a batch of each stage, and what comes before and after."""
    assert window.metrics is not None
    stage = "lastclick_stage_seconds"
    names = [key[0] for key in window.metrics.labels(f"{stage}_count")]
    means = {name: _mean_ms(window.metrics, stage, name) for name in names}
    whole = means.pop(WHOLE, sum(means.values()))
    written_ms = _mean_ms(window.metrics, "lastclick_freshness_seconds")
    seen_ms = float(np.mean(window.append_to_seen_ms())) if window.seen.at_ms else float("nan")
    due_ms = float(np.mean(window.latencies_ms)) if window.latencies_ms else float("nan")
    events, batches = window.metrics.sum_and_count("lastclick_batch_events")
    share = {name: 100 * ms / whole if whole else 0.0 for name, ms in means.items()}
    rows: list[tuple[str | float | int | None, ...]] = [
        ("due -> appended (generator and broker), mean of all", window.sent.append_mean_ms, None),
        ("appended -> list written (worker's metric), mean of all", written_ms, None),
        ("appended -> list read by the client, mean of the probes", seen_ms, None),
        ("due -> list read by the client, mean of the probes", due_ms, None),
        (f"a batch ({events / batches if batches else 0:.1f} events), mean", whole, 100.0),
        *((f"  stage: {name}", ms, share[name]) for name, ms in means.items()),
    ]
    return Table(f"Waterfall at {window.rate:,.0f} events/s", ("step", "ms", "% of a batch"), rows)


def processors(what: str, window: Window) -> Table:
    """Processor time of each process over the window, and an event."""
    elapsed_s = window.cpu_s["elapsed"]
    sent = window.sent.count
    rows: list[tuple[str | float | int | None, ...]] = [
        (name, seconds, 100 * seconds / elapsed_s, 1000 * seconds / sent)
        for name, seconds in window.cpu_s.items()
        if name != "elapsed"
    ]
    total = sum(seconds for name, seconds in window.cpu_s.items() if name != "elapsed")
    rows.append(("all", total, 100 * total / elapsed_s, 1000 * total / sent))
    late = window.sent
    title = (
        f"Processor time of {what} at {window.rate:,.0f} events/s ({sent} sent, handed over late by p50 "
        f"{late.late_p50_ms:.1f} and p99 {late.late_p99_ms:.1f} ms; {window.seen.reads} reads of probes; "
        f"{window.seen.unseen} unseen; {window.lag_after} events behind at the end)"
    )
    return Table(title, ("process", "CPU s", "% of a core", "CPU ms an event"), rows)


def _mean_ms(metrics: Metrics, histogram: str, *labels: str) -> float:
    total, count = metrics.sum_and_count(histogram, *labels)
    return 1000 * total / count if count else float("nan")
