"""Events a second that workers take while there is always more to take: 1, 2 and 4 of them, and the bare flow.

The load keeps a backlog of some thousands of events ahead of the workers, on the same machine, so that it costs
what the same rate would cost from shoppers. Users are new at first and return as they
do in the shop. What counts is committed.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from streams.settings import Settings
from tests.benchmarks.context import Context, Processor
from tests.benchmarks.figures import Figure, Result, Table
from tests.benchmarks.generator import Send, Sent
from tests.benchmarks.plan import Section
from tests.benchmarks.readings import Progress

WORKERS = (1, 2, 4)
SECONDS, QUICK_SECONDS = 30.0, 10.0
AHEAD = 24_000
"""Events of backlog: more than any flow commits between two looks."""

PIECE = 6_000
EVENTS = 600_000
QUICK_EVENTS = 400_000
LOOK_S = 0.3
TARGET = 4_000.0


@dataclass
class Taken:
    """What was committed within a window, and what it cost."""

    label: str
    events: int
    seconds: float
    lowest_lag: int
    cpu_s: dict[str, float]

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def run(context: Context) -> Result:
    """Measure the flow with each number of workers, then the bare flow with one."""
    seconds = context.options.seconds or (QUICK_SECONDS if context.options.quick else SECONDS)
    settings = context.settings("plan")
    plan = context.plan(settings)
    plan.backlog(QUICK_EVENTS if context.options.quick else EVENTS)
    path = plan.write(context.work / "saturation.plan")
    counts = WORKERS if context.options.workers is None else (context.options.workers,)
    taken = []
    for count in counts:
        settings = context.settings(f"saturation{count}")
        with context.workers(settings, count) as workers:
            pids = [worker.pid for worker in workers.ready()]
            taken.append(saturate(context, settings, path, len(plan.records), seconds, f"{count} worker(s)", pids))
        context.drop(settings)
    bare = None
    if context.options.floors:
        settings = context.settings("bare")
        with context.floor(settings, "row") as floor:
            bare = saturate(context, settings, path, len(plan.records), seconds, "bare flow", [floor.pid])
    return report(context, taken, bare, counts)


def saturate(
    context: Context, settings: Settings, path: Path, events: int, seconds: float, label: str, pids: list[int]
) -> Taken:
    """Keep a backlog before a group for some seconds, after a warm-up, and see how much of it is committed."""
    with ExitStack() as ends:
        generator = ends.enter_context(context.child("generator", context.kafka, str(path)))
        progress = Progress(settings)
        ends.callback(progress.close)
        pieces = iter(range(0, events - PIECE, PIECE))
        wanted = {"worker": pids, "generator": [generator.pid]}
        wanted |= context.servers()

        def top_up() -> int:
            """Add to the backlog when it is getting short; returns what is left of it."""
            lag = progress.lag()
            while lag < AHEAD and (first := next(pieces, None)) is not None:
                generator.say(Send(Section(first, PIECE, 0.0), 0.0))
                generator.hear(Sent, 120)
                lag = progress.lag() if lag + PIECE >= AHEAD else lag + PIECE
            return lag

        context.say(f"{label}: warming up, then {seconds:.0f} s of backlog")
        warm_s = time.monotonic() + context.warm_up_s()
        while time.monotonic() < warm_s:
            top_up()
            time.sleep(LOOK_S)
        processor, committed, started_s = Processor(wanted), progress.committed(), time.monotonic()
        lowest = AHEAD
        while time.monotonic() < started_s + seconds:
            time.sleep(LOOK_S)
            lowest = min(lowest, progress.lag())
            if top_up() <= 0:
                break
        done, ended_s, cpu_s = progress.committed() - committed, time.monotonic(), processor.read()
    taken = Taken(label, done, ended_s - started_s, lowest, cpu_s)
    context.say(f"  {taken.rate:,.0f} events/s, at least {lowest:,} waiting")
    return taken


def report(context: Context, taken: list[Taken], bare: Taken | None, counts: tuple[int, ...]) -> Result:
    """Figures, and what each event cost whom."""
    result = Result(
        "saturation",
        f"simulated shop, users new and returning, a backlog of about {AHEAD:,} events kept up by the generator on the "
        f"same machine, 8 partitions; models {context.models_are}",
    )
    for count, each in zip(counts, taken, strict=True):
        result.figures.append(
            Figure(
                f"saturation of {count} worker(s)",
                each.rate,
                "events/s",
                bare.rate if bare else None,
                "bare flow, 1 worker",
                lower_is_better=False,
                target=TARGET if count == 1 else None,
            )
        )
    names = [name for name in taken[0].cpu_s if name != "elapsed"]
    rows: list[tuple[str | float | int | None, ...]] = [
        (
            each.label,
            each.rate,
            each.lowest_lag,
            *(1000 * each.cpu_s[name] / max(1, each.events) for name in names),
            100 * sum(each.cpu_s[name] for name in names) / each.cpu_s["elapsed"],
        )
        for each in [*taken, *([bare] if bare else [])]
    ]
    columns = ("what", "events/s", "fewest waiting", *(f"{name}: CPU ms an event" for name in names), "% of a core")
    result.tables.append(Table("Saturation", columns, rows))
    return result
